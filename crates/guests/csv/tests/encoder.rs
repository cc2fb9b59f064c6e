//! The encoder through its functions, read back by a CSV reader.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which clippy.toml does not see as tests"
)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use watchbell_detection::{Alert, Detection};
use watchbell_guest_csv::{MAX_FIELDS, PluginError, check, describe, encode};

fn options(options: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = options
        .iter()
        .map(|(name, value)| (String::from(*name), String::from(*value)));
    owned.collect()
}

fn alert(json: &str) -> Alert {
    Alert::from_json(json).unwrap()
}

/// The one event of one detection.
fn line(settings: &[(&str, &str)], json: &str) -> String {
    let mut events = encode(&options(settings), &[alert(json)]).unwrap();
    assert_eq!(events.len(), 1);
    String::from_utf8(events.remove(0)).unwrap()
}

/// The file that a host makes of an encoder's events, read back.
fn read_back(settings: &[(&str, &str)], alerts: &[Alert]) -> Vec<Vec<String>> {
    let described = describe(&options(settings)).unwrap();
    let mut file = described.header;
    for event in encode(&options(settings), alerts).unwrap() {
        file.extend(&described.separator);
        file.extend(event);
    }
    file.extend(&described.separator);
    let delimiter = settings
        .iter()
        .find_map(|(name, value)| (*name == "delimiter").then(|| value.as_bytes()[0]));
    csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter.unwrap_or(b','))
        .from_reader(file.as_slice())
        .into_deserialize()
        .map(|record| record.unwrap())
        .collect()
}

/// The cell was silently empty.
#[test]
fn half_a_surrogate_pair_costs_no_other_character() {
    let json =
        r#"{"CommandLine":"powershell -enc \"A\" \ud800","IocValue":"\udC00=1","x":["\ud800"]}"#;
    let got = line(
        &[
            ("fields", "CommandLine,IocValue,x"),
            ("escape_formulas", "true"),
        ],
        json,
    );
    assert_eq!(
        got,
        "\"powershell -enc \"\"A\"\" \u{fffd}\",\u{fffd}=1,\"[\"\"\\ud800\"\"]\""
    );
}

/// What `check` says of an option: its name, the offset and the message.
fn fault(settings: &[(&str, &str)]) -> (String, Option<u32>, String) {
    match check(&options(settings)) {
        Err(PluginError::InvalidOption {
            name,
            offset,
            message,
        }) => (name, offset, message),
        other => panic!("{settings:?}: {other:?}"),
    }
}

#[test]
fn the_columns_are_the_documented_members_in_their_order() {
    let described = describe(&[]).unwrap();
    let header = String::from_utf8(described.header).unwrap();
    assert_eq!(header, Detection::MEMBERS.join(","));
    assert_eq!(header.split(',').count(), 50);
    assert_eq!(
        described.content_type,
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(described.separator, b"\n");
    assert_eq!(described.quote, '"');
    assert_eq!(described.extension, "csv");
}

#[test]
fn the_header_follows_the_options() {
    for (fields, header) in [
        ("AlertId, Severity", "AlertId;Severity"),
        (
            r#"["AlertId","a;b","tomorrow.Member"]"#,
            r#"AlertId;"a;b";tomorrow.Member"#,
        ),
    ] {
        let settings = options(&[("delimiter", ";"), ("fields", fields)]);
        assert_eq!(describe(&settings).unwrap().header, header.as_bytes());
    }
}

#[test]
fn a_value_stands_as_its_text() {
    let json = concat!(
        r#"{"Severity":"High","AlertPart":1,"Actor":null,"IsNew":true,"Ratio":1.50,"#,
        r#""Big":12345678901234567890123,"IoaDefinitionId":"","Nested":{"a" : [1.0, "ü"]}}"#
    );
    let fields = "Severity,AlertPart,Actor,IsNew,Ratio,Big,IoaDefinitionId,Nested,Missing";
    assert_eq!(
        line(&[("fields", fields), ("delimiter", ";")], json),
        r#"High;1;;true;1.50;12345678901234567890123;;"{""a"":[1.0,""ü""]}";"#
    );
}

#[test]
fn a_member_of_an_undocumented_type_is_kept() {
    let json = r#"{"AlertPart":"two","Severity":3,"AlertTitle":["a"]}"#;
    let settings = [("fields", "AlertPart,Severity,AlertTitle")];
    assert_eq!(line(&settings, json), r#"two,3,"[""a""]""#);
}

#[test]
fn unusual_text_comes_back_as_it_was() {
    let texts = [
        "a,b",
        "say \"x\"",
        "\"",
        "one\r\ntwo",
        "\r",
        "\n",
        " spaces ",
        "äöü 漢字 🔔",
        "\u{0}\t\u{1f}",
        "=1+1",
        "",
        "\u{2028}",
        "\\",
        "'",
    ];
    let alerts: Vec<_> = texts
        .iter()
        .map(|text| alert(&json!({ "AlertTitle": text, "FullId": "1" }).to_string()))
        .collect();
    for style in ["necessary", "non_numeric", "always"] {
        let settings = [("fields", "AlertTitle,FullId"), ("quote_style", style)];
        let rows = read_back(&settings, &alerts);
        let expected: Vec<_> = texts.iter().map(|text| [*text, "1"]).collect();
        assert_eq!(rows[1..], expected, "{style}");
    }
}

#[test]
fn a_line_end_in_an_event_stands_between_quotes() {
    let event = line(&[("fields", "AlertTitle")], r#"{"AlertTitle":"a\nb\rc"}"#);
    assert_eq!(event, "\"a\nb\rc\"");
}

#[test]
fn a_row_of_nothing_is_still_a_row() {
    assert_eq!(line(&[("fields", "Missing")], "{}"), "\"\"");
    assert_eq!(line(&[("fields", "Missing,Actor")], "{}"), ",");
}

#[test]
fn values_are_quoted_as_asked() {
    let json = r#"{"AlertPart":1,"AlertTitle":"a","Actor":null}"#;
    for (style, expected) in [
        ("necessary", "1,a,"),
        ("non_numeric", r#"1,"a","""#),
        ("always", r#""1","a","""#),
    ] {
        let settings = [
            ("fields", "AlertPart,AlertTitle,Actor"),
            ("quote_style", style),
        ];
        assert_eq!(line(&settings, json), expected);
    }
}

#[test]
fn formulas_are_escaped_only_when_asked_and_only_in_text() {
    for (text, is_formula) in [
        ("=cmd|' /C calc'!A0", true),
        ("+1", true),
        ("-1", true),
        ("@SUM(A1)", true),
        ("\tx", true),
        ("\r=1", true),
        ("a=b", false),
        ("", false),
    ] {
        let alert = [alert(&json!({ "AlertTitle": text, "N": -1 }).to_string())];
        let row = |escape| {
            let settings = [("fields", "AlertTitle,N"), ("escape_formulas", escape)];
            read_back(&settings, &alert).remove(1)
        };
        assert_eq!(row("false"), [text, "-1"]);
        let escaped = if is_formula {
            format!("'{text}")
        } else {
            text.to_owned()
        };
        assert_eq!(row("true"), [escaped.as_str(), "-1"]);
    }
}

#[test]
fn options_are_refused_by_name_and_place() {
    let many: Vec<_> = (0..=MAX_FIELDS).map(|n| n.to_string()).collect();
    let many = many.join(",");
    let last = u32::try_from(many.rfind(',').unwrap() + 1).unwrap();
    for (name, value, offset) in [
        ("colour", "red", None),
        ("fields", "", Some(0)),
        ("fields", "[]", Some(0)),
        ("fields", "AlertId,,Severity", Some(8)),
        ("fields", "AlertId, AlertId", Some(9)),
        ("fields", r#"["AlertId", 7]"#, Some(12)),
        ("fields", r#"["AlertId", "AlertId"]"#, Some(12)),
        ("fields", r#"["AlertId" "Severity"]"#, Some(11)),
        ("fields", "[\n\"AlertId\",\n!]", Some(13)),
        ("fields", &many, Some(last)),
        ("delimiter", "", Some(0)),
        ("delimiter", ",,", Some(0)),
        ("delimiter", "\"", Some(0)),
        ("delimiter", "\n", Some(0)),
        ("delimiter", "\r", Some(0)),
        ("delimiter", "-", Some(0)),
        ("delimiter", "7", Some(0)),
        ("delimiter", "é", Some(0)),
        ("quote_style", "never", Some(0)),
        ("escape_formulas", "yes", Some(0)),
    ] {
        let settings = [(name, value)];
        let (of, at, message) = fault(&settings);
        assert_eq!((of.as_str(), at), (name, offset), "{value:?}: {message}");
        let refused = check(&options(&settings)).unwrap_err();
        assert_eq!(describe(&options(&settings)).unwrap_err(), refused);
        assert_eq!(encode(&options(&settings), &[]).unwrap_err(), refused);
    }
    assert_eq!(
        fault(&[("delimiter", ";"), ("delimiter", ";")]).0,
        "delimiter"
    );
}

#[test]
fn every_delimiter_that_is_taken_comes_back() {
    let alert = [alert(r#"{"A":"\t;| :=~","B":-1.5e3}"#)];
    let mut taken = 0;
    for byte in 0..128_u8 {
        let delimiter = char::from(byte).to_string();
        let settings = [
            ("delimiter", delimiter.as_str()),
            ("fields", "A,B"),
            ("quote_style", "non_numeric"),
        ];
        if check(&options(&settings)).is_ok() {
            taken += 1;
            let rows = read_back(&settings, &alert);
            assert_eq!(rows[1], ["\t;| :=~", "-1.5e3"], "{byte}");
        }
    }
    assert!(taken > 20);
}

#[test]
fn a_bad_record_is_named_by_its_place() {
    let mut alerts = vec![alert("{}"), alert("{}")];
    alerts[1].json = "[]".to_owned();
    let error = encode(&[], &alerts).unwrap_err();
    assert!(
        matches!(error, PluginError::BadRecord { index: 1, .. }),
        "{error:?}"
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\",;\r\n'=a]{0,8}".prop_map(Value::from),
        prop::collection::vec(any::<String>(), 0..3).prop_map(Value::from),
    ]
}

/// What a reader should find in the column of a member.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn what_a_reader_reads_is_what_the_members_were(
        rows in prop::collection::vec(prop::collection::vec(any_value(), 6), 0..5),
        style in prop::sample::select(vec!["necessary", "non_numeric", "always"]),
        delimiter in prop::sample::select(vec![",", ";", "\t", "|", " ", "'"]),
    ) {
        // Documented texts, a documented number, and members that no one documents.
        let names = ["AlertTitle", "AlertPart", "Severity", "AlertTime", "Tomorrow", "a.b c"];
        let alerts: Vec<_> = rows
            .iter()
            .map(|row| {
                let names = names.iter().map(|name| (*name).to_owned());
                let members: Map<String, Value> = names.zip(row.iter().cloned()).collect();
                alert(&Value::Object(members).to_string())
            })
            .collect();
        let fields = names.join(",");
        let settings =
            [("fields", fields.as_str()), ("delimiter", delimiter), ("quote_style", style)];
        let read = read_back(&settings, &alerts);
        prop_assert_eq!(&read[0], &names.map(String::from));
        let expected: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(text).collect()).collect();
        prop_assert_eq!(&read[1..], &expected[..]);
    }
}
