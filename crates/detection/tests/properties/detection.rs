//! Decoding a detection and encoding it again.

use crate::CASES;
use crate::tree::{Tree, object, style};
use proptest::prelude::*;
use std::collections::BTreeMap;
use watchbell_detection::{Detection, Value, check_object};

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
