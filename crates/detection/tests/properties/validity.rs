//! What counts as JSON: the same here as for serde_json, but for
//!
//! - nesting, which is bounded here and, for values kept raw, not there;
//! - a byte order mark before a body, which serde_json refuses;
//! - line ends around tokens, which `check_object` refuses and serde_json does not.

use crate::CASES;
use crate::tree::{object, style, text};
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
    let objects = (vec(object(), 0..3), style());
    (objects, vec(mutation, 0..4)).prop_map(|((objects, style), mutations)| {
        let texts: Vec<String> = objects.iter().map(|object| object.render(&style)).collect();
        let mut body = format!("[{}]", texts.join(" ,")).into_bytes();
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
    })
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_body_is_well_formed_when_serde_json_says_so(body in mutated()) {
        let array = serde_json::from_slice::<Vec<&RawValue>>(&body);
        let array = array.is_ok_and(|elements| elements.into_iter().all(is_object));
        let bare = serde_json::from_slice::<&RawValue>(&body).is_ok_and(is_object);
        prop_assert_eq!(split(&body).is_ok(), array || bare);
    }

    #[test]
    fn elements_are_told_apart_as_serde_json_does(body in mutated()) {
        let Ok(elements) = serde_json::from_slice::<Vec<&RawValue>>(&body) else {
            return Ok(());
        };
        let expected: Vec<String> = elements
            .into_iter()
            .filter(|raw| is_object(raw))
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
