//! What counts as JSON: the same here as for serde_json, but for
//!
//! - nesting, which is bounded here and, for values kept raw, not there;
//! - a byte order mark before a body, which serde_json refuses;
//! - objects that are no detections, which are no answer;
//! - line ends around tokens, which `check_object` refuses and serde_json does not.

use crate::CASES;
use crate::tree::{Members, detection, identify, is_detection, style, text};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::value::RawValue;
use watchbell_detection::{check_object, split};

/// An array of objects with a few bytes taken out, put in or doubled.
pub(crate) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let bytes =
        b"[]{}\",:\\/ \t\n\r\x00\x1f\x7f\x80\xbf\xc3\xe2\xed\xf0\xff019-+.eEtfnaulsru\xef\xbb\xbf";
    let mutation = (
        any::<Index>(),
        0..5_u8,
        prop::sample::select(&bytes[..]),
        0..9_usize,
    );
    let objects = (vec(detection(), 0..3), style());
    let around = prop::sample::select(vec![
        ("", ""),
        ("", ""),
        ("{\"@odata.context\":\"x\", \"value\" :", "}"),
        ("{\"value\":", ",\"error\":null,\"nextLink\":\"\"}"),
        ("{\"error\":{},\"value\":", ",\"nextLink\":\"x\"}"),
    ]);
    (objects, around, vec(mutation, 0..4)).prop_map(
        |((objects, style), (before, after), mutations)| {
            let texts: Vec<String> = objects.iter().map(|object| object.render(&style)).collect();
            let mut body = format!("{before}[{}]{after}", texts.join(" ,")).into_bytes();
            for (place, kind, byte, length) in mutations {
                let at = place.index(body.len() + 1);
                let to = (at + length).min(body.len());
                match kind {
                    0 => drop(body.drain(at..to)),
                    1 => body.insert(at, byte),
                    2 => drop(body.splice(at..to.min(at + 1), [byte])),
                    3 => drop(body.splice(at..at, body[at..to].to_vec())),
                    _ => body.truncate(at.max(body.len() / 2)),
                }
            }
            body
        },
    )
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// Whether a body is an answer, by serde_json.
pub(crate) fn is_answer(body: &[u8]) -> bool {
    let is_list = |body: &[u8]| {
        let elements = serde_json::from_slice::<Vec<&RawValue>>(body);
        elements.is_ok_and(|elements| elements.iter().all(|raw| is_detection(raw.get())))
    };
    if is_list(body) {
        return true;
    }
    let Ok(Members(members)) = serde_json::from_slice(body) else {
        return false;
    };
    let is_list_member =
        |(name, value): &(String, Box<RawValue>)| name == "value" && value.get().starts_with('[');
    let list = members.iter().position(is_list_member);
    match list {
        Some(at) if !identify(&members[..at], true) => {
            let objects = |(name, value): &(String, Box<RawValue>)| match name.as_str() {
                "error" | "nextLink" | "@odata.nextLink" | "odata.nextLink" => {
                    !matches!(value.get(), "null" | "\"\"")
                }
                _ => false,
            };
            let lists = members.iter().filter(|(name, _)| name == "value").count();
            lists == 1 && !members.iter().any(objects) && is_list(members[at].1.get().as_bytes())
        }
        _ => identify(&members, true),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_body_is_well_formed_when_serde_json_says_so(body in mutated()) {
        prop_assert_eq!(split(&body).is_ok(), is_answer(&body));
    }

    #[test]
    fn elements_are_told_apart_as_serde_json_does(body in mutated()) {
        let Ok(elements) = serde_json::from_slice::<Vec<&RawValue>>(&body) else {
            return Ok(());
        };
        let expected: Vec<String> = elements
            .into_iter()
            .filter(|raw| is_detection(raw.get()))
            .map(|raw| raw.get().replace(['\r', '\n', ' ', '\t'], ""))
            .collect();
        let alerts = split(&body).unwrap_or_else(|fault| fault.alerts);
        let read: Vec<String> = alerts.iter().map(|alert| alert.json.replace([' ', '\t'], "")).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn check_object_accepts_exactly_the_objects_on_one_line(body in mutated()) {
        let text = String::from_utf8_lossy(&body);
        let inside = text.strip_prefix('[').unwrap_or(&text);
        let inside = inside.strip_suffix(']').unwrap_or(inside);
        for text in [text.as_ref(), inside] {
            let object = serde_json::from_str::<&RawValue>(text).is_ok_and(is_object);
            let one_line = !text.contains(['\r', '\n']);
            prop_assert_eq!(check_object(text).is_ok(), object && one_line, "{:?}", text);
        }
    }

    #[test]
    fn no_text_makes_check_object_panic(text in text()) {
        let _ = check_object(&text);
        let _ = check_object(&format!("{{\"a\":{text}}}"));
    }
}
