//! What `process` makes of alerts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which clippy.toml does not see as tests"
)]

use proptest::prelude::*;
use serde_json::{Value, json};
use watchbell_detection::{Alert, Severity};
use watchbell_guest_jq::{GROWTH_BYTES, MAX_MESSAGE_BYTES, PluginError, process};

/// With spaces, a repeated member, escapes and numbers that only their text holds.
const DETECTION: &str = concat!(
    r#"{ "AlertTime":"2018-09-09T22:29:18.1Z", "Severity":"High","AlertId":"1","#,
    r#""FullId":"1:A","Zero":-0,"Ratio":1.50,"Big":123456789012345678901234567890,"#,
    r#""Text":"\u00e4\/ü","Severity":"High" }"#
);

fn options(filter: &str) -> Vec<(String, String)> {
    vec![("filter".to_owned(), filter.to_owned())]
}

fn alert(json: &str) -> Alert {
    Alert::from_json(json).unwrap()
}

fn run(filter: &str, json: &str) -> Result<Vec<Alert>, PluginError> {
    process(&options(filter), vec![alert(json)])
}

/// The JSON of what passes.
fn texts(filter: &str, json: &str) -> Vec<String> {
    let alerts = run(filter, json).unwrap();
    alerts.into_iter().map(|alert| alert.json).collect()
}

/// Why the only record is bad.
fn message(filter: &str, json: &str) -> String {
    match run(filter, json) {
        Err(PluginError::BadRecord { index: 0, message }) => message,
        other => panic!("{filter}: {other:?}"),
    }
}

#[test]
fn a_selected_detection_keeps_its_envelope_and_every_byte() {
    let alert = alert(DETECTION);
    for filter in [
        r#"select(.Severity == "High")"#,
        ".",
        ".Severity |= .",
        r#".Severity = "High""#,
        "to_entries | from_entries",
        "tojson | fromjson",
    ] {
        let passed = process(&options(filter), vec![alert.clone()]).unwrap();
        assert_eq!(passed, std::slice::from_ref(&alert), "{filter}");
    }
}

#[test]
fn no_output_drops_the_detection_and_the_rest_keeps_its_order() {
    let alerts = (0..10).map(|n| alert(&json!({ "FullId": n.to_string(), "N": n }).to_string()));
    let passed = process(&options("select(.N % 2 == 0)"), alerts.collect()).unwrap();
    let ids: Vec<_> = passed.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids, ["0", "2", "4", "6", "8"]);
}

#[test]
fn several_outputs_make_several_alerts_in_order() {
    assert_eq!(
        texts("., {a: 1}, ., {b: 2}", r#"{"FullId": "x"}"#),
        [
            r#"{"FullId": "x"}"#,
            r#"{"a":1}"#,
            r#"{"FullId": "x"}"#,
            r#"{"b":2}"#
        ]
    );
}

#[test]
fn the_envelope_follows_what_the_filter_wrote() {
    let filter = r#".Severity = "Low" | .FullId = "other" | .Category = "Malware""#;
    let alert = run(filter, DETECTION).unwrap().remove(0);
    assert_eq!(alert.severity, Severity::Low);
    assert_eq!(alert.id, "other");
    assert_eq!(alert.category.as_deref(), Some("Malware"));
}

#[test]
fn an_alert_without_its_full_id_is_known_by_its_digest() {
    let alert = run("del(.FullId)", DETECTION).unwrap().remove(0);
    assert!(alert.id.starts_with("sha256:"), "{}", alert.id);
}

#[test]
fn a_changed_detection_keeps_the_spelling_of_its_numbers_on_one_line() {
    let numbers = concat!(
        r#"{"a":1.50, "b":1E+3, "c":123456789012345678901234567890, "#,
        r#""d":9007199254740993, "e":-7}"#
    );
    assert_eq!(
        texts(r#".new = "l\nr\r\u0001\"\\ü\u2028""#, numbers),
        [concat!(
            r#"{"a":1.50,"b":1E+3,"c":123456789012345678901234567890,"#,
            r#""d":9007199254740993,"e":-7,"new":"l\nr\r\u0001\"\\ü"#,
            "\u{2028}\"}"
        )]
    );
}

#[test]
fn equal_for_arithmetic_is_not_unchanged() {
    // jaq holds these equal: it compares with floats as floats, and without order.
    assert_eq!(texts(".a = 1.0", r#"{"a":1}"#), [r#"{"a":1.0}"#]);
    assert_eq!(
        texts(".a = 9007199254740992.0", r#"{"a":9007199254740993}"#),
        [r#"{"a":9007199254740992.0}"#]
    );
    assert_eq!(texts("{b, a}", r#"{"a":1,"b":2}"#), [r#"{"b":2,"a":1}"#]);
}

#[test]
fn what_is_no_object_is_a_bad_record() {
    for (filter, kind) in [
        (".Severity", "a string"),
        ("[.]", "an array"),
        ("null", "null"),
        ("1", "a number"),
        ("true", "a boolean"),
        ("tobytes?, tojson | tobytes", "a byte string"),
        ("., .missing", "null"),
    ] {
        let message = message(filter, DETECTION);
        assert!(message.contains(kind), "{filter}: {message}");
    }
}

#[test]
fn a_bad_record_names_its_place_and_no_alert_passes() {
    let alerts = ["{}", "{}", r#"{"bad":1}"#, "{}"].map(alert);
    let filter = r#"if .bad then error("no \"good\"") else . end"#;
    let error = process(&options(filter), alerts.into()).unwrap_err();
    let message = r#"no "good""#.to_owned();
    assert_eq!(error, PluginError::BadRecord { index: 2, message });
}

#[test]
fn what_json_lacks_is_a_bad_record() {
    for filter in [
        "{a: nan}",
        "{a: infinite}",
        "{a: (1 | tobytes)}",
        "with_entries(.key = 1)",
    ] {
        let message = message(filter, r#"{"a":1}"#);
        assert!(message.contains("which JSON lacks"), "{filter}: {message}");
    }
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    assert_eq!(
        texts(r#"{a: ("//5hAA==" | @base64d)}"#, "{}"),
        [r#"{"a":"��a\u0000"}"#]
    );
}

#[test]
fn a_message_is_short_however_long_the_value_that_it_quotes() {
    let json = json!({ "a": "ü".repeat(10_000) }).to_string();
    for filter in [
        ".a[0]",
        "error(.a)",
        "reduce range(60) as $i (.; [., .]) | .a",
    ] {
        let message = message(filter, &json);
        assert!(message.len() <= MAX_MESSAGE_BYTES, "{filter}: {message}");
        assert!(message.ends_with('…'), "{filter}: {message}");
    }
}

#[test]
fn output_is_bounded_before_it_is_built() {
    let doubled = "reduce range(100) as $i ({}; {a: ., b: .})";
    for filter in [doubled, "range(1000000000) as $i | {$i}", "repeat(.)"] {
        let error = run(filter, "{}").unwrap_err();
        assert!(
            matches!(error, PluginError::TooLarge(bytes) if bytes >= GROWTH_BYTES as u64),
            "{filter}: {error:?}"
        );
    }
}

#[test]
fn nesting_is_bounded_going_in_and_coming_out() {
    let nested = |levels| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(texts(".", &nested(100)).len(), 1);
    assert_eq!(texts(".b = 1", &nested(100)).len(), 1);
    let filter = "reduce range(1000) as $i ({}; {a: .})";
    assert!(message(filter, "{}").contains("nested"));
    let mut deep = alert("{}");
    deep.json = nested(1000);
    match process(&options("."), vec![deep]) {
        Err(PluginError::BadRecord { message, .. }) => assert!(message.contains("nested")),
        other => panic!("{other:?}"),
    }
}

/// No filter passed a detection with half a surrogate pair.
#[test]
fn half_a_surrogate_pair_costs_no_other_member() {
    let json =
        r#"{"FullId":"a","CommandLine":"x \ud800","n":1.50,"t":"\uDC00\ud83d\ude00\\ud800"}"#;
    assert_eq!(texts(".", json), [json]);
    assert_eq!(texts(r#"select(.FullId == "a")"#, json), [json]);
    let changed = "{\"FullId\":\"a\",\"CommandLine\":\"x \u{fffd}\",\"n\":1.50,\"t\":\"\u{fffd}😀\\\\ud800\",\"k\":1}";
    assert_eq!(texts(".k = 1", json), [changed]);
    let inner = r#"{"FullId":"a","c":"{\"x\":\"\\ud800\"}"}"#;
    assert_eq!(
        texts("{x: .c | fromjson | .x}", inner),
        ["{\"x\":\"\u{fffd}\"}"]
    );
}

/// An attacker's command line ended the component with an overflow of its stack.
#[test]
fn text_that_is_read_as_json_may_not_be_nested_without_end() {
    for open in ["[", "{\\\"a\\\":", "#\\\"\\n["] {
        let json = format!(r#"{{"c":"{}"}}"#, open.repeat(100_000));
        assert!(message(".x = (.c | fromjson)", &json).contains("nested"));
        assert_eq!(
            texts("{x: (try (.c | fromjson) catch 1)}", &json),
            [r#"{"x":1}"#]
        );
    }
    assert_eq!(
        texts("{x: [.c | fromjson]}", r#"{"c":"1 [2] \"a\""}"#),
        [r#"{"x":[1,[2],"a"]}"#]
    );
    assert!(message("{x: (1 | fromjson)}", "{}").contains("string"));
    assert!(message("{x: (.c | fromjson)}", r#"{"c":"{"}"#).contains("cannot parse"));
}

#[test]
fn the_language_has_what_filters_over_detections_need() {
    let json = concat!(
        r#"{"Severity":"High","AlertTime":"2018-09-09T22:29:18Z","Names":["a","B"],"#,
        r#""Url":"https://x.example/a?b=1","E":"aGk="}"#
    );
    for (filter, expected) in [
        ("{a: (.AlertTime | fromdate)}", r#"{"a":1536532158}"#),
        (
            "{a: (4102444800 | todate)}",
            r#"{"a":"2100-01-01T00:00:00Z"}"#,
        ),
        (
            r#"{a: (.AlertTime | strptime("%Y-%m-%dT%H:%M:%SZ") | mktime)}"#,
            r#"{"a":1536532158}"#,
        ),
        (
            r#"{a: (1536532158 | strftime("%Y %Z"))}"#,
            r#"{"a":"2018 UTC"}"#,
        ),
        (r#"{a: (.Url | test("^HTTPS://"; "i"))}"#, r#"{"a":true}"#),
        (
            r#"{a: (.Url | sub("\\?.*"; ""))}"#,
            r#"{"a":"https://x.example/a"}"#,
        ),
        (
            r#"{a: (.Url | capture("//(?<host>[^/]+)").host)}"#,
            r#"{"a":"x.example"}"#,
        ),
        (
            r#"{a: (.Names | map(ascii_downcase) | join(","))}"#,
            r#"{"a":"a,b"}"#,
        ),
        ("{a: (.E | @base64d)}", r#"{"a":"hi"}"#),
        (
            r#"with_entries(select(.key | startswith("S")))"#,
            r#"{"Severity":"High"}"#,
        ),
        ("{a: ([limit(3; range(10))] | add)}", r#"{"a":3}"#),
        ("{a: (2000000000 + 2000000000)}", r#"{"a":4000000000}"#),
        (r#"{a: (try error("x") catch .)}"#, r#"{"a":"x"}"#),
        (r#"{a: ("+1.5" | fromjson)}"#, r#"{"a":1.5}"#),
        (".Names[0] | {a: .}", r#"{"a":"a"}"#),
    ] {
        assert_eq!(texts(filter, json), [expected], "{filter}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn adding_a_member_changes_no_other(member in any_json()) {
        let json = json!({ "m": member }).to_string();
        let text = texts(".added = 1", &json).remove(0);
        prop_assert!(!text.contains(['\n', '\r']));
        let changed: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(changed, json!({ "m": member, "added": 1 }));
    }
}
