//! Decoding a detection and encoding it again.

use crate::CASES;
use crate::tree::{Tree, object, style};
use proptest::prelude::*;
use std::collections::BTreeMap;
use watchbell_detection::{Detection, Value, check_object, text_of, without_halves};

/// The values of each name, in order. That is what must be equal: the members of
/// different names may change places, those of one name may not.
fn by_name(json: &str) -> BTreeMap<String, Vec<Tree>> {
    let Tree::Object(members) = Tree::read(json) else {
        panic!("an object")
    };
    let mut names = BTreeMap::<_, Vec<Tree>>::new();
    for (name, value) in members {
        names.entry(name).or_default().push(value);
    }
    names
}

fn tree_of(value: Value<'_>) -> Tree {
    match value {
        Value::Text(text) => Tree::Text(text.to_owned()),
        Value::Integer(number) => Tree::Word(number.to_string()),
        Value::Boolean(truth) => Tree::Word(truth.to_string()),
        Value::Other(raw) => Tree::read(raw.get()),
    }
}

fn line(object: &Tree, style: &[u8]) -> String {
    object.render(style).replace(['\r', '\n'], " ")
}

/// Whether a string of it holds half a surrogate pair.
fn has_half(tree: &Tree) -> bool {
    match tree {
        Tree::Raw(_) => true,
        Tree::Word(_) | Tree::Text(_) => false,
        Tree::Array(elements) => elements.iter().any(has_half),
        Tree::Object(members) => members.iter().any(|(_, value)| has_half(value)),
    }
}

#[test]
fn halves_are_told_from_pairs_and_from_text_that_looks_like_them() {
    for (json, want) in [
        (r#"["\ud800"]"#, r#"["\ufffd"]"#),
        (r#"["\ud83d\ude00\uDE00"]"#, r#"["\ud83d\ude00\ufffd"]"#),
        (r#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#),
        (
            r#"["\\ud800\\\udC00\u0041"]"#,
            r#"["\\ud800\\\ufffd\u0041"]"#,
        ),
        (r#"["\ud800é\u"#, r#"["\ufffdé\u"#),
    ] {
        assert_eq!(without_halves(json), want);
    }
    assert_eq!(text_of(r#""a\ud800b""#).as_deref(), Some("a\u{fffd}b"));
    assert_eq!(text_of("1"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// Nulls are kept, too.
    #[test]
    fn decoded_and_encoded_again_is_equal(object in object(), style in style()) {
        let json = line(&object, &style);
        let detection = Detection::from_json(&json).expect("an object");
        let again = detection.to_json();
        prop_assert_eq!(check_object(&again), Ok(()));
        prop_assert_eq!(by_name(&again), by_name(&json));
    }

    #[test]
    fn only_halves_of_pairs_are_replaced(object in object(), style in style()) {
        let json = line(&object, &style);
        let mended = without_halves(&json);
        prop_assert_eq!(mended.len(), json.len());
        prop_assert!(!has_half(&Tree::read(&mended)));
        prop_assert_eq!(mended == json, !has_half(&object));
    }

    #[test]
    fn every_member_is_found_by_its_name_and_the_last_counts(object in object(), style in style()) {
        let json = line(&object, &style);
        let detection = Detection::from_json(&json).expect("an object");
        for (name, values) in by_name(&json) {
            prop_assert_eq!(detection.get(&name).map(tree_of), values.last().cloned());
        }
        prop_assert!(detection.get("no such member, or the text is very unlikely").is_none());
    }

    #[test]
    fn what_is_not_documented_stays_in_order(object in object(), style in style()) {
        let json = line(&object, &style);
        let detection = Detection::from_json(&json).expect("an object");
        let other = |name: &str| !Detection::MEMBERS.contains(&name);
        let Tree::Object(members) = object else { unreachable!() };
        let rest = detection.rest.iter().map(|(name, raw)| (name.clone(), Tree::read(raw.get())));
        prop_assert_eq!(
            rest.filter(|(name, _)| other(name)).collect::<Vec<_>>(),
            members.into_iter().filter(|(name, _)| other(name)).collect::<Vec<_>>()
        );
    }
}
