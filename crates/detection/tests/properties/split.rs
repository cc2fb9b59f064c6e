//! Splitting: what is delivered, what is not, and that chunks do not matter.

use crate::CASES;
use crate::tree::{Style, Tree, detection, is_detection, object, style, value};
use crate::validity::mutated;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use watchbell_detection::{Alert, Malformed, Splitter, check_object, split};

/// An array of these texts, and where each stands.
fn array(elements: &[String], style: &[u8]) -> (String, Vec<std::ops::Range<u64>>) {
    let mut style = Style::new(style);
    let mut body = String::from("[");
    let mut places = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        style.space(&mut body);
        let start = body.len() as u64;
        body.push_str(element);
        places.push(start..body.len() as u64);
        style.space(&mut body);
    }
    body.push(']');
    (body, places)
}

fn chunked(body: &[u8], cuts: &[Index]) -> Result<Vec<Alert>, Malformed> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    cuts.sort_unstable();
    let mut splitter = Splitter::new();
    let mut from = 0;
    for cut in cuts.into_iter().chain([body.len()]) {
        splitter.push(&body[from..cut]);
        from = cut;
    }
    splitter.finish()
}

/// Bodies of all kinds: right, nearly right, and not right at all.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let right = (vec(detection(), 0..4), style()).prop_map(|(objects, style)| {
        let texts: Vec<String> = objects.iter().map(|object| object.render(&style)).collect();
        array(&texts, &style).0.into_bytes()
    });
    prop_oneof![
        2 => right,
        4 => mutated(),
        1 => vec(any::<u8>(), 0..64),
        1 => vec(prop::sample::select(&b"[]{}\",:\\ \n01-.etrufalsn\xef\xbb\xbf\xff"[..]), 0..48),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn the_lines_parse_equal_to_the_elements(objects in vec(detection(), 0..4), style in style()) {
        let texts: Vec<String> = objects.iter().map(|object| object.render(&style)).collect();
        let (body, _) = array(&texts, &style);
        let alerts = split(body.as_bytes()).expect("an array of objects");
        let read: Vec<Tree> = alerts.iter().map(|alert| Tree::read(&alert.json)).collect();
        prop_assert_eq!(read, objects);
        for (alert, text) in alerts.iter().zip(&texts) {
            prop_assert!(!alert.json.contains(['\r', '\n']));
            prop_assert_eq!(check_object(&alert.json), Ok(()));
            prop_assert_eq!(&Alert::from_json(text).expect("an object"), alert);
            // What is on one line stays as it is.
            prop_assert!(text.contains(['\r', '\n']) || *text == alert.json);
        }
    }

    #[test]
    fn the_identity_is_that_of_the_meaning(object in object(), one in style(), other in style()) {
        let read = |style: &[u8]| Alert::from_json(&object.render(style)).expect("an object");
        prop_assert_eq!(read(&one).id, read(&other).id);
    }

    #[test]
    fn no_chunking_changes_the_result(body in body(), cuts in vec(any::<Index>(), 0..6)) {
        prop_assert_eq!(chunked(&body, &cuts), split(&body));
    }

    #[test]
    fn bytes_one_at_a_time_change_nothing(body in body()) {
        let mut splitter = Splitter::new();
        body.chunks(1).for_each(|byte| splitter.push(byte));
        prop_assert_eq!(splitter.finish(), split(&body));
    }

    #[test]
    fn ranges_are_in_bounds_and_in_order_and_offsets_in_the_body(body in body()) {
        let alerts = match split(&body) {
            Ok(alerts) => alerts,
            Err(fault) => {
                let length = body.len() as u64;
                prop_assert!(fault.offset <= length);
                let mut from = 0;
                for range in &fault.unreadable {
                    prop_assert!(from <= range.start && range.start < range.end);
                    from = range.end;
                }
                prop_assert!(from <= length);
                // The first fault lies in the first that is unreadable.
                let first = fault.unreadable.first();
                prop_assert!(first.is_none_or(|first| first.contains(&fault.offset)));
                prop_assert!(first.is_some() || fault.alerts.is_empty());
                fault.alerts
            }
        };
        for alert in alerts {
            prop_assert_eq!(check_object(&alert.json), Ok(()));
        }
    }

    #[test]
    fn neighbours_of_unreadable_elements_are_delivered(
        objects in vec((detection(), prop::option::of(any::<u8>())), 1..5),
        values in value(),
        style in style(),
    ) {
        let spoilt = [
            r#"{"a":"\q"}"#, r#"{"a":01,"FullId":"x"}"#, r#"{"\u00":1}"#, "{\"a\":\"\u{1}\"}",
            r#"[{"a":NaN}]"#, "7", r#""},{""#, "[[{}]]",
            "{}", r#"{"error":{"code":"x"}}"#, r#"{"FullId":null,"AlertId":""}"#,
        ];
        let mut texts = Vec::new();
        for (object, spoil) in &objects {
            texts.push(object.render(&style));
            if let Some(spoil) = spoil {
                texts.push(spoilt[usize::from(*spoil) % spoilt.len()].to_owned());
            }
        }
        if !matches!(values, Tree::Object(_)) {
            texts.push(values.render(&style));
        }
        let (body, places) = array(&texts, &style);
        let (alerts, unreadable) = match split(body.as_bytes()) {
            Ok(alerts) => (alerts, vec![]),
            Err(fault) => (fault.alerts, fault.unreadable),
        };
        let is_good = |text: &&String| {
            check_object(&text.replace(['\r', '\n'], " ")).is_ok() && is_detection(text)
        };
        let good = texts.iter().filter(is_good);
        let expected: Vec<Alert> = good.filter_map(|text| Alert::from_json(text).ok()).collect();
        prop_assert_eq!(expected.len(), objects.len());
        prop_assert_eq!(alerts, expected);
        let bad = texts.iter().zip(places).filter(|(text, _)| !is_good(text));
        prop_assert_eq!(unreadable, bad.map(|(_, place)| place).collect::<Vec<_>>());
    }

    /// An error, `{}`, a page's other members: whatever a service says beside detections.
    #[test]
    fn no_other_object_ever_becomes_a_detection(
        object in object(),
        style in style(),
        in_brackets in any::<bool>(),
    ) {
        let text = object.render(&style);
        prop_assume!(!is_detection(&text));
        let body = if in_brackets { format!("[{text}]") } else { text };
        let fault = split(body.as_bytes()).expect_err("no detection");
        prop_assert!(fault.is_foreign);
        prop_assert_eq!((fault.alerts, fault.unreadable), (vec![], vec![]));
    }

    #[test]
    fn a_page_is_read_as_its_list_is(
        elements in vec(prop_oneof![3 => detection(), 1 => value()], 0..4),
        style in style(),
        before in any::<bool>(),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let texts: Vec<String> = elements.iter().map(|element| element.render(&style)).collect();
        let body = array(&texts, &style).0.into_bytes();
        let start: &[u8] = if before { br#"{"@odata.context":"x","value":"# } else { br#"{"value":"# };
        let end: &[u8] = if before { b"}" } else { br#" ,"@odata.count":3 }"# };
        let page = [start, &body, end].concat();
        let shift = start.len() as u64;
        let list = split(&body).map_err(|fault| Malformed {
            offset: fault.offset + shift,
            unreadable: fault.unreadable.iter().map(|range| range.start + shift..range.end + shift).collect(),
            ..fault
        });
        prop_assert_eq!(&split(&page), &list);
        prop_assert_eq!(&chunked(&page, &cuts), &list);
    }

    #[test]
    fn nothing_is_believed_when_one_quote_is_missing(
        objects in vec(object(), 1..4),
        forged in prop::sample::select(vec!["},{},{", "},{},x", "]},{},[", "}],{}", ",{},"]),
        quote in any::<Index>(),
        style in style(),
    ) {
        let mut texts: Vec<String> = objects.iter().map(|object| object.render(&style)).collect();
        texts.push(format!(r#"{{"a":"{forged}","b":["{forged}","{forged}"]}}"#));
        let (mut body, _) = array(&texts, &style);
        let mut quotes = Vec::new();
        let mut escaped = false;
        for (at, byte) in body.bytes().enumerate() {
            if byte == b'"' && !escaped {
                quotes.push(at);
            }
            escaped = byte == b'\\' && !escaped;
        }
        body.remove(quotes[quote.index(quotes.len())]);
        let fault = split(body.as_bytes()).expect_err("a quote is missing");
        prop_assert_eq!((fault.alerts, fault.unreadable), (vec![], vec![]));
    }
}
