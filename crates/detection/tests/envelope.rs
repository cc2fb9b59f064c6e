//! What the envelope says, of whatever the object holds.
#![allow(clippy::expect_used)]

use watchbell_detection::{Alert, Detection, Severity, Timestamp, Value, check_object, split};

const SIEM_2018: &str = include_str!("data/siem-2018.json");
const SIEM_2020: &str = include_str!("data/siem-2020.json");

fn alert(json: &str) -> Alert {
    Alert::from_json(json).expect("an object")
}

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().expect("an instant"))
}

#[test]
fn the_sample_of_2020_is_read() {
    let alerts = split(SIEM_2020.as_bytes()).expect("a list");
    let [alert] = alerts.as_slice() else {
        panic!("one detection")
    };
    assert_eq!(
        alert.id,
        "da637370718981685665_16349121:R4xEdgAvDb2LQl3BgHoA3NYqKmRSiIAG7dpxAJCYZhY="
    );
    assert_eq!(
        alert.alert_id.as_deref(),
        Some("da637370718981685665_16349121")
    );
    assert_eq!(alert.alert_time, time("2020-09-30T14:09:20.357430Z"));
    assert_eq!(
        alert.last_processed_time,
        time("2020-09-30T14:11:44.0779765Z")
    );
    assert_eq!(alert.severity, Severity::High);
    assert_eq!(alert.category.as_deref(), Some("Malware"));

    let detection = Detection::from_json(&alert.json).expect("an object");
    assert_eq!(Detection::MEMBERS.len(), 50);
    // The two nulls alone have no type.
    let rest: Vec<&str> = detection
        .rest
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(rest, ["RemediationIsSuccess", "WasExecutingWhileDetected"]);
    assert_eq!(detection.report_id, Some(1_053_729_833));
    assert_eq!(detection.file_name.as_deref(), Some("cmdParent.exe"));
    let members = Detection::MEMBERS.iter().map(|name| detection.get(name));
    assert!(members.into_iter().all(|member| member.is_some()));
}

#[test]
fn the_sample_of_2018_is_read_and_its_older_members_are_kept() {
    let alerts = split(SIEM_2018.as_bytes()).expect("a list");
    let [alert] = alerts.as_slice() else {
        panic!("one detection")
    };
    assert_eq!(
        alert.id,
        "636772341913498370_1532439962:b1agHW5IpUdZpf6_KstT3dNo0dffOAx_5Sbs4tN4CUU="
    );
    assert_eq!(
        alert.last_processed_time,
        time("2018-11-12T16:32:51.0700622Z")
    );
    assert_eq!(alert.severity, Severity::Medium);
    let detection = Detection::from_json(&alert.json).expect("an object");
    assert!(
        matches!(detection.get("BuiltInMachineTags"), Some(Value::Other(raw)) if raw.get() == "\"\"")
    );
    assert_eq!(
        detection.log_on_users.as_deref(),
        Some("W10-FOR-ATP\\Administrator")
    );
    assert_eq!(detection.alert_part, Some(0));
}

#[test]
fn the_samples_on_one_line_hold_all_but_the_line_ends() {
    for sample in [SIEM_2018, SIEM_2020] {
        let alert = split(sample.as_bytes()).expect("a list").swap_remove(0);
        assert_eq!(check_object(&alert.json), Ok(()));
        let all: serde_json::Value = serde_json::from_str(sample).expect("JSON");
        let one: serde_json::Value = serde_json::from_str(&alert.json).expect("JSON");
        assert_eq!(one, all[0]);
    }
}

#[test]
fn severities_are_known_in_any_case_and_all_else_is_unspecified() {
    for (text, severity) in [
        ("\"High\"", Severity::High),
        ("\"mEDIUM\"", Severity::Medium),
        ("\"low\"", Severity::Low),
        ("\"INFORMATIONAL\"", Severity::Informational),
        ("\"\\u0048igh\"", Severity::High),
        ("\"Critical\"", Severity::Unspecified),
        ("\" High\"", Severity::Unspecified),
        ("\"\"", Severity::Unspecified),
        ("3", Severity::Unspecified),
        ("null", Severity::Unspecified),
        ("[\"High\"]", Severity::Unspecified),
        ("{\"Severity\":\"High\"}", Severity::Unspecified),
    ] {
        let json = format!("{{\"Severity\":{text}}}");
        assert_eq!(alert(&json).severity, severity, "{json}");
    }
    assert_eq!(alert("{}").severity, Severity::Unspecified);
}

#[test]
fn what_is_missing_or_of_another_type_is_absent() {
    for json in [
        "{}",
        r#"{"AlertId":1,"AlertTime":1,"LastProcessedTimeUtc":{},"Category":["x"]}"#,
        r#"{"AlertId":null,"AlertTime":null,"LastProcessedTimeUtc":null,"Category":null}"#,
        r#"{"AlertTime":"yesterday","LastProcessedTimeUtc":"2020-13-01T00:00:00Z"}"#,
        r#"{"x":{"AlertId":"x","AlertTime":"2020-01-01T00:00:00Z","Category":"x"}}"#,
        r#"{"alertid":"x","category":"x","AlertId ":"x"}"#,
    ] {
        let alert = alert(json);
        assert_eq!((alert.alert_id, alert.category), (None, None), "{json}");
        assert_eq!(
            (alert.alert_time, alert.last_processed_time),
            (None, None),
            "{json}"
        );
        assert!(alert.id.starts_with("sha256:"));
    }
}

#[test]
fn names_with_escapes_are_known_and_the_last_of_a_name_counts() {
    let json = r#"{"\u0053everity":"Low","Category":"a","Categor\u0079":"b","\u0046ullId":"x"}"#;
    let read = alert(json);
    assert_eq!((read.severity, read.id.as_str()), (Severity::Low, "x"));
    assert_eq!(read.category.as_deref(), Some("b"));
    assert_eq!(
        alert(r#"{"Severity":"High","Severity":7}"#).severity,
        Severity::Unspecified
    );
}

#[test]
fn the_identity_is_full_id_as_text() {
    assert_eq!(alert(r#"{"FullId":"\ud83d\ude00\t\u00e9"}"#).id, "😀\té");
}

#[test]
fn the_identity_without_full_id_is_a_digest_of_what_the_object_means() {
    // The canonical texts are {"A":[1,{}],"b":"é\n"} and {}, the digests sha256sum's.
    let expected = "sha256:7b143beeaf923523310837e40c4c5840681dc1cf52b8df575d427ed60a92d7d9";
    for json in [
        r#"{"A":[1,{}],"b":"é\n"}"#,
        r#"{"b":"é\n","A":[1,{}]}"#,
        "{ \"b\" :\t\"\\u00E9\\u000a\", \"\\u0041\":[ 1 ,{ } ] }",
        "{\r\n\"A\": [\n1,\n{\n}\n],\r\n\"b\":\"é\\n\"\r\n}",
    ] {
        assert_eq!(alert(json).id, expected, "{json}");
    }
    let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(alert("{ }").id, empty);
}

#[test]
fn full_id_that_is_empty_or_no_text_leads_to_a_digest_that_tells_all_apart() {
    let jsons = [
        "{}",
        r#"{"FullId":""}"#,
        r#"{"FullId":null}"#,
        r#"{"FullId":1}"#,
        r#"{"FullId":1.0}"#,
        r#"{"FullId":"\ud800"}"#,
        r#"{"FullId":"\ud801"}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":2,"a":1}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"\udc01"}"#,
        r#"{"a":"�"}"#,
        r#"{"a":-0}"#,
        r#"{"a":0}"#,
        r#"{"a":123456789012345678901}"#,
        r#"{"a":123456789012345678902}"#,
        r#"{"a":[[],1]}"#,
        r#"{"a":[[1]]}"#,
    ];
    let mut ids: Vec<String> = jsons.iter().map(|json| alert(json).id).collect();
    assert!(
        ids.iter()
            .all(|id| id.len() == 71 && id.starts_with("sha256:"))
    );
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), jsons.len());
}

#[test]
fn members_are_sorted_by_utf16_as_rfc_8785_has_it() {
    // By code points the emoji would come after U+FB33, by UTF-16 it comes before.
    let sorted = alert("{\"\u{20ac}\":1,\"\u{1f600}\":2,\"\u{fb33}\":3}");
    let other = alert("{\"\u{fb33}\":3,\"\u{1f600}\":2,\"\u{20ac}\":1}");
    assert_eq!(sorted.id, other.id);
    let digest = "sha256:1cc660cd5172089959778cbdc132675f077acd2c356d97dde33b2bfe98864272";
    assert_eq!(sorted.id, digest);
}

#[test]
fn of_a_member_named_twice_the_last_counts_whatever_its_type() {
    let read = |json| Detection::from_json(json).expect("an object");
    let typed = read(r#"{"AlertPart":"x","AlertPart":5}"#);
    assert_eq!(typed.alert_part, Some(5));
    assert!(matches!(typed.get("AlertPart"), Some(Value::Integer(5))));
    assert_eq!(typed.to_json(), r#"{"AlertPart":"x","AlertPart":5}"#);
    let other = read(r#"{"AlertPart":5,"AlertPart":"x"}"#);
    assert_eq!(other.alert_part, None);
    assert!(matches!(other.get("AlertPart"), Some(Value::Other(raw)) if raw.get() == "\"x\""));
    assert_eq!(other.to_json(), r#"{"AlertPart":5,"AlertPart":"x"}"#);
}

#[test]
fn a_member_that_is_set_is_the_one_that_is_written_last() {
    let mut detection = Detection::from_json(r#"{"Severity":3,"x":1}"#).expect("an object");
    detection.severity = Some("High".into());
    assert_eq!(
        detection.to_json(),
        r#"{"Severity":3,"x":1,"Severity":"High"}"#
    );
    assert_eq!(alert(&detection.to_json()).severity, Severity::High);
}

#[test]
fn check_object_names_the_place_of_the_fault() {
    for (json, offset) in [
        ("", 0),
        ("[]", 0),
        ("1 ", 0),
        ("{} {}", 2),
        ("{\"a\":\"\n\"}", 6),
        ("{\"a\":\n1}", 5),
        ("{}\n", 2),
        ("\r{}", 0),
        ("{\"a\":01}", 6),
        ("{\"a\":1", 6),
        ("\u{feff}{}", 0),
    ] {
        let fault = check_object(json).expect_err(json);
        assert_eq!(fault.offset, offset, "{json:?}: {fault}");
    }
    assert_eq!(check_object(" {\"a\":\"\u{2028}\\n\"}\t"), Ok(()));
}
