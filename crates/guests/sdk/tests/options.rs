//! Options through the traits, as a plugin's author meets them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy.toml does not see as tests"
)]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use watchbell_sdk::{
    Alert, Description, Encoder, Error, OptionsError, Processor, Severity, each, export_encoder,
    export_processor,
};

/// Hands out what it was given.
struct Taken<T>(T);

impl<T: DeserializeOwned> Processor for Taken<T> {
    type Options = T;

    fn new(options: T) -> Result<Self, OptionsError> {
        Ok(Self(options))
    }

    fn process(&self, alerts: Vec<Alert>) -> Result<Vec<Alert>, Error> {
        Ok(alerts)
    }
}

fn options(options: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = options
        .iter()
        .map(|(name, value)| (String::from(*name), String::from(*value)));
    owned.collect()
}

fn read<T: DeserializeOwned>(settings: &[(&str, &str)]) -> Result<T, Error> {
    Taken::from_options(&options(settings)).map(|Taken(value)| value)
}

/// Name, offset and message of the refusal.
#[track_caller]
fn fault<T: DeserializeOwned>(settings: &[(&str, &str)]) -> (String, Option<u32>, String) {
    match read::<T>(settings).err() {
        Some(Error::InvalidOption {
            name,
            offset,
            message,
        }) => (name, offset, message),
        other => panic!("{settings:?}: {other:?}"),
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Keep,
    Drop,
    Replace { with: String },
}

#[derive(Debug, PartialEq, Deserialize)]
struct Range {
    from: u8,
    to: u8,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct All {
    text: String,
    number: u16,
    signed: i64,
    ratio: f64,
    flag: bool,
    letter: Option<char>,
    mode: Option<Mode>,
    severity: Option<Severity>,
    names: Vec<String>,
    map: BTreeMap<String, u32>,
    range: Option<Range>,
    any: Option<serde_json::Value>,
    #[serde(alias = "old_name")]
    renamed: Option<String>,
}

#[test]
fn each_type_is_read_from_its_text() {
    let settings = [
        ("text", " \"as\" it is "),
        ("number", "65535"),
        ("signed", "-1"),
        ("ratio", "0.5"),
        ("flag", "true"),
        ("letter", "é"),
        ("mode", "drop"),
        ("severity", "medium"),
        ("names", r#"["a","b"]"#),
        ("map", r#"{"a":1}"#),
        ("range", r#"{"from":1,"to":2}"#),
        ("any", r#"[1]"#),
        ("old_name", "12"),
    ];
    let expected = All {
        text: " \"as\" it is ".to_owned(),
        number: 65535,
        signed: -1,
        ratio: 0.5,
        flag: true,
        letter: Some('é'),
        mode: Some(Mode::Drop),
        severity: Some(Severity::Medium),
        names: vec!["a".to_owned(), "b".to_owned()],
        map: BTreeMap::from([("a".to_owned(), 1)]),
        range: Some(Range { from: 1, to: 2 }),
        any: Some(serde_json::json!([1])),
        renamed: Some("12".to_owned()),
    };
    assert_eq!(read::<All>(&settings).unwrap(), expected);
    assert_eq!(read::<All>(&[]).unwrap(), All::default());
    let mode = read::<All>(&[("mode", r#"{"replace":{"with":"x"}}"#)]).unwrap();
    let with = "x".to_owned();
    assert_eq!(mode.mode, Some(Mode::Replace { with }));
    let any = read::<All>(&[("any", "no JSON")]).unwrap();
    assert_eq!(any.any, Some("no JSON".into()));
}

#[test]
fn other_types_than_structs_are_options_too() {
    let settings = [("a", "1"), ("b", "x")];
    let pairs: Vec<(String, String)> = read(&settings).unwrap();
    assert_eq!(pairs, options(&settings));
    let map: BTreeMap<String, String> = read(&settings).unwrap();
    assert_eq!(map, BTreeMap::from_iter(options(&settings)));
    read::<()>(&[]).unwrap();
    let (name, _, message) = fault::<()>(&settings);
    assert_eq!(
        (name.as_str(), message.as_str()),
        ("a", "there is no such option; there are none")
    );
}

#[test]
fn a_wrong_value_is_refused_by_name_and_place() {
    for (name, value, offset, message) in [
        ("number", "65536", 0, "it is a whole number from 0 to 65535"),
        (
            "signed",
            "x",
            0,
            "it is a whole number from -9223372036854775808 to 9223372036854775807",
        ),
        ("ratio", "", 0, "it is a number"),
        ("flag", "yes", 0, "it is `true` or `false`"),
        ("letter", "ab", 0, "it is one character"),
        ("mode", "lose", 0, "it is `keep`, `drop` or `replace`"),
        (
            "severity",
            "High",
            0,
            "it is `unspecified`, `informational`, `low`, `medium` or `high`",
        ),
        (
            "names",
            "a,b",
            0,
            "no JSON: expected value at line 1 column 1",
        ),
        (
            "names",
            "[\n!]",
            2,
            "no JSON: expected value at line 2 column 1",
        ),
        ("names", "[1]", 1, "expected a string at line 1 column 2"),
        (
            "range",
            r#"{"from":300,"to":1}"#,
            10,
            "expected u8 at line 1 column 11",
        ),
        (
            "range",
            r#"{"from":3}"#,
            9,
            "missing field `to` at line 1 column 10",
        ),
    ] {
        let found = fault::<All>(&[(name, value)]);
        let expected = (name.to_owned(), Some(offset), message.to_owned());
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn no_error_has_the_value_in_it() {
    let secret = "MARKED";
    for (name, value) in [
        ("number", secret.to_owned()),
        ("flag", secret.to_owned()),
        ("mode", secret.to_owned()),
        ("severity", secret.to_owned()),
        ("letter", secret.to_owned()),
        ("names", format!("\"{secret}\"")),
        ("names", format!("[\"a\", {{\"x\": \"{secret}\"}}]")),
        ("map", format!("{{\"a\":\"{secret}, expected {secret}\"}}")),
        ("range", format!("{{\"from\":\"{secret}\"}}")),
    ] {
        let (_, _, message) = fault::<All>(&[(name, &value)]);
        assert!(!message.contains(secret), "{name}: {message}");
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Two {
    first: String,
    second: String,
}

#[test]
fn unknown_repeated_and_missing_options_are_refused_by_name() {
    for (settings, name, message) in [
        (
            vec![("third", "x")],
            "third",
            "there is no such option; there are `first` and `second`",
        ),
        (
            vec![("first", "x"), ("first", "y")],
            "first",
            "it is given twice",
        ),
        (vec![("first", "x")], "second", "it is missing"),
    ] {
        let found = fault::<Two>(&settings);
        assert_eq!(found, (name.to_owned(), None, message.to_owned()));
    }
}

/// A text that a type of the plugin's own judges.
#[derive(Debug)]
struct Even;

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.find(|digit: char| !"02468".contains(digit)) {
            None => Ok(Self),
            Some(at) => Err(serde::de::Error::custom(format_args!(
                "it has even digits at byte {at}"
            ))),
        }
    }
}

#[test]
fn an_error_of_a_type_of_the_plugins_own_says_where() {
    #[derive(Debug, Deserialize)]
    struct Own {
        #[allow(dead_code, reason = "only whether it can be read")]
        digits: Even,
    }
    assert!(read::<Own>(&[("digits", "246")]).is_ok());
    let found = fault::<Own>(&[("digits", "2467")]);
    let expected = (
        "digits".to_owned(),
        Some(3),
        "it has even digits".to_owned(),
    );
    assert_eq!(found, expected);
}

/// Judges its options after they were read, and fails for some alerts.
struct Picky;

impl Encoder for Picky {
    type Options = Two;

    fn new(options: Two) -> Result<Self, OptionsError> {
        match options.first.find('!') {
            Some(at) => Err(OptionsError::new("first", "no `!`").at(at)),
            None => Ok(Self),
        }
    }

    fn describe(&self) -> Result<Description, Error> {
        Ok(Description::lines("text/plain", "txt"))
    }

    fn encode(&self, alerts: Vec<Alert>) -> Result<Vec<Vec<u8>>, Error> {
        each(alerts, |alert| match alert.id.as_str() {
            "bad" => Err("it is bad"),
            id => Ok(id.as_bytes().to_vec()),
        })
    }
}

export_encoder!(Picky);
export_processor!(Taken<Two>);

#[test]
fn the_alert_that_failed_is_named_by_its_place() {
    let settings = options(&[("first", "a"), ("second", "b")]);
    let picky = Picky::from_options(&settings).unwrap();
    let alert = |id: &str| Alert::from_json(&format!("{{\"FullId\":\"{id}\"}}")).unwrap();
    let events = picky.encode(vec![alert("1"), alert("2")]).unwrap();
    assert_eq!(events, [b"1", b"2"]);
    let error = picky.encode(vec![alert("1"), alert("bad")]).unwrap_err();
    assert_eq!(error, Error::bad_record(1, "it is bad"));
    let refused = Picky::from_options(&options(&[("first", "a!"), ("second", "b")]));
    assert_eq!(refused.err().unwrap().to_string(), "option `first`: no `!`");
}
