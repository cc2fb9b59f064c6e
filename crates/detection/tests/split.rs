//! What `split` takes for a list of detections, and what it says of everything else.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::ops::Range;
use watchbell_detection::{Alert, MAX_DEPTH, Malformed, Splitter, split};

/// The shortest detection.
const LEAST: &str = r#"{"AlertId":"1"}"#;

/// A body in which `{}` stands for a detection.
fn with_detections(body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"{}") {
            whole.extend_from_slice(LEAST.as_bytes());
            rest = after;
        } else {
            whole.push(*first);
            rest = after;
        }
    }
    whole
}

fn malformed(body: impl AsRef<[u8]>) -> Malformed {
    split(body.as_ref()).expect_err("malformed")
}

fn jsons(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.json.as_str()).collect()
}

/// Nothing of the body is believed, in which `{}` stands for a detection.
fn assert_lost(body: impl AsRef<[u8]>, offset: usize) {
    let short = body.as_ref();
    let offset = with_detections(&short[..offset]).len();
    let body = with_detections(short);
    let fault = malformed(&body);
    let shown = String::from_utf8_lossy(&body);
    assert_eq!(
        (fault.alerts, fault.unreadable),
        (vec![], vec![]),
        "{shown}"
    );
    assert_eq!(fault.offset, offset as u64, "{shown}: {}", fault.message);
}

/// `element`, between two good ones, is the one that cannot be read.
fn assert_unreadable(element: impl AsRef<[u8]>, offset: usize) {
    let element = element.as_ref();
    let (one, two) = (r#"{"AlertId":"1"}"#, r#"{"FullId":"2"}"#);
    let body = [
        b"[",
        one.as_bytes(),
        b", ",
        element,
        b" ,",
        two.as_bytes(),
        b"]",
    ]
    .concat();
    let shown = String::from_utf8_lossy(&body).into_owned();
    let fault = malformed(&body);
    let range = 18..18 + element.len() as u64;
    assert_eq!(fault.unreadable, [range], "{shown}: {}", fault.message);
    assert_eq!(jsons(&fault.alerts), [one, two], "{shown}");
    assert_eq!(
        fault.offset,
        18 + offset as u64,
        "{shown}: {}",
        fault.message
    );
}

#[test]
fn an_array_yields_its_objects_in_order() {
    let (one, two) = (r#"{"AlertId":"a"}"#, r#"{"a":[{"b":null}],"FullId":"c"}"#);
    let body = format!(" [ {one} , {LEAST} ,{two}] ");
    let alerts = split(body.as_bytes()).expect("an array");
    assert_eq!(jsons(&alerts), [one, LEAST, two]);
}

#[test]
fn one_bare_detection_is_a_list_of_one() {
    for json in [
        r#"{"FullId":"a"}"#,
        // The members that the sample of 2017 is known by.
        r#"{"AlertTime":"2017-01-31T12:00:00Z","AlertTitle":"t","AlertId":"1"}"#,
        r#"{"AlertId":"1","\u0041lertTime":"t","value":[{}]}"#,
        r#"{"FullId":"a","value":[{}],"error":1}"#,
    ] {
        let alerts = split(format!("\r\n{json}\n").as_bytes()).expect("a detection");
        assert_eq!(jsons(&alerts), [json]);
    }
}

/// Each of these used to be a detection, and the cursor moved past what was really there.
#[test]
fn an_object_that_is_no_detection_is_no_answer() {
    for body in [
        "{}",
        r#"{"error":{"code":"InternalServerError"}}"#,
        r#"{"Message":"An error has occurred."}"#,
        r#"{"error":"x","AlertId":"1"}"#,
        r#"{"AlertId":"1","AlertTitle":"t"}"#,
        r#"{"AlertId":1,"AlertTime":2,"FullId":3}"#,
        r#"{"FullId":""}"#,
        r#"{"FullId":null,"AlertId":"","AlertTime":"t"}"#,
        r#"{"value":{"FullId":"a"}}"#,
        r#"{"a":{"FullId":"a"}}"#,
        r#"{"a":"\q"}"#,
        r#"{"value":null}"#,
    ] {
        for body in [body.to_owned(), format!("\u{feff} {body}\r\n")] {
            let fault = malformed(&body);
            assert!(fault.is_foreign, "{body}: {fault:?}");
            assert_eq!((fault.alerts, fault.unreadable), (vec![], vec![]), "{body}");
        }
    }
}

#[test]
fn an_array_of_nothing_but_such_objects_is_no_answer_either() {
    for body in [
        "[{}]",
        r#"[{"error":{"code":"x"}}]"#,
        r#"[{"Message":"x"} ,{}]"#,
        "[{},null]",
        "[null]",
        r#"["InternalServerError"]"#,
        "[500,false,[[]]]",
    ] {
        let fault = malformed(body);
        assert!(fault.is_foreign, "{body}: {fault:?}");
        assert_eq!((fault.offset, fault.alerts), (1, vec![]), "{body}");
        assert!(fault.unreadable.is_empty(), "{body}");
    }
    for element in [
        "{}",
        r#"{"error":{"code":"x"}}"#,
        r#"{"FullId":"","AlertId":null}"#,
    ] {
        assert_unreadable(element, 0);
    }
    // What may be a detection that was damaged is a record that cannot be read.
    let fault = malformed("[null,{\"FullId\":\"\u{1}\"}]");
    let ranges: [Range<u64>; 2] = [1..5, 6..20];
    assert_eq!(
        (fault.is_foreign, fault.unreadable),
        (false, ranges.to_vec())
    );
}

#[test]
fn a_page_is_its_value() {
    let (one, two) = (r#"{"FullId":"a"}"#, r#"{"AlertId":"b"}"#);
    for (before, after) in [
        (r#""@odata.context":"https://x/$metadata#Alerts","#, ""),
        ("", r#","@odata.count":2"#),
        (
            r#""a":{"value":[1]}, "error":null ,"#,
            r#" , "@odata.nextLink" : "" "#,
        ),
        ("", r#","error":null,"x":[[{}]]"#),
    ] {
        let body = format!("\u{feff}{{{before}\"value\" : [{one}, {two}]{after}}}\n");
        let alerts = split(body.as_bytes()).expect("a page");
        assert_eq!(jsons(&alerts), [one, two], "{body}");
        let bad = body.replace(one, "null");
        let fault = malformed(&bad);
        assert_eq!(jsons(&fault.alerts), [two], "{bad}");
        let at = bad.find("[null").expect("there") as u64 + 1;
        let range: Range<u64> = at..at + 4;
        assert_eq!((fault.offset, fault.unreadable), (at, vec![range]), "{bad}");
    }
    for body in [r#"{"value":[]}"#, r#"{"@odata.context":"x","value":[ ]}"#] {
        assert_eq!(split(body.as_bytes()).expect("a page"), []);
    }
}

#[test]
fn a_page_that_is_not_the_whole_answer_is_none() {
    let list = r#""value":[{"FullId":"a"}]"#;
    for member in [
        r#""error":{"code":"x"}"#,
        r#""error":"x""#,
        r#""@odata.nextLink":"https://x/api/alerts?$skip=1""#,
        r#""\u0040odata.nextLink":"x""#,
        r#""value":[]"#,
        r#""value":null"#,
    ] {
        for body in [
            format!("{{{list},{member}}}"),
            format!("{{\"a\":1 ,{list}, \"b\":2, {member}}}"),
        ] {
            let fault = malformed(&body);
            assert!(fault.is_foreign, "{body}: {fault:?}");
            assert_eq!((fault.alerts, fault.unreadable), (vec![], vec![]), "{body}");
        }
        if !member.contains("value") {
            let fault = malformed(format!("{{{member},{list}}}"));
            assert!(fault.is_foreign && fault.alerts.is_empty(), "{fault:?}");
        }
    }
    for body in [
        format!("{{{list}"),
        format!("{{{list},}}"),
        format!("{{{list},\"a\"}}"),
        format!("{{{list}}} {{}}"),
        format!("{{{list},\"a\":\"\\q\"}}"),
        format!("{{\"\\q\":1,{list}}}"),
        format!("{{\"a\":01,{list}}}"),
        format!("{{\"a\" 1,{list}}}"),
    ] {
        let fault = malformed(&body);
        assert_eq!((fault.alerts, fault.unreadable), (vec![], vec![]), "{body}");
    }
}

#[test]
fn a_byte_order_mark_is_no_fault() {
    for body in ["\u{feff}[{}]", "\u{feff} [{}]"] {
        let body = with_detections(body.as_bytes());
        assert_eq!(jsons(&split(&body).expect("a list")), [LEAST]);
    }
    assert_lost("\u{feff}\u{feff}[]", 3);
    assert_lost("[\u{feff}]", 1);
}

#[test]
fn an_empty_array_is_an_empty_list() {
    for body in ["[]", " [ ]\n", "\u{feff}[]"] {
        assert_eq!(split(body.as_bytes()).expect("a list"), []);
    }
}

#[test]
fn an_empty_body_is_malformed_at_its_end() {
    for body in ["", " ", "\r\n\t", "\u{feff}", "\u{feff} "] {
        assert_lost(body, body.len());
    }
}

#[test]
fn a_body_that_is_neither_array_nor_object_is_malformed_at_its_start() {
    for body in ["<html>", "null", "1", "\"[{}]\"", "]", "\u{ef}"] {
        assert_lost(body, 0);
    }
}

#[test]
fn what_follows_the_end_makes_it_malformed() {
    assert_lost("[{}]x", 4);
    assert_lost("[{}] []", 5);
    assert_lost(r#"{"FullId":"a"} {}"#, 15);
    assert_lost("[{}]]", 4);
    assert_lost(b"[{}]\0", 4);
}

#[test]
fn a_missing_or_extra_mark_of_structure_makes_it_malformed_there() {
    assert_lost("[{} {}]", 4);
    assert_lost("[{},]", 4);
    assert_lost("[,{}]", 1);
    assert_lost("[{},,{}]", 4);
    assert_lost(r#"[{},{"a":1 "b":2},{}]"#, 11);
    assert_lost(r#"[{},{"a" 1},{}]"#, 9);
    assert_lost(r#"[{},{"a":},{}]"#, 9);
    assert_lost(r#"[{},{"a":1,},{}]"#, 11);
    assert_lost("[{},{a:1},{}]", 5);
    assert_lost("[{},{'a':1},{}]", 5);
    assert_lost(r#"[{},{"a":[1},{}]"#, 11);
    assert_lost(r#"[{},{"a":1],{}]"#, 10);
    assert_lost("[{},{1:1},{}]", 5);
    assert_lost("[{},/* {} */{}]", 4);
}

#[test]
fn a_body_cut_short_anywhere_is_malformed_at_its_end_and_yields_nothing() {
    let body =
        r#" [{"FullId":"\u00e9\\\"é€😀","n":-1.5e+3},{"w":[true,false,null,[]],"AlertId":"1"}] "#;
    let whole = body.trim_end().len();
    for cut in 0..whole {
        assert_lost(&body.as_bytes()[..cut], cut);
    }
    assert!(split(&body.as_bytes()[..whole]).is_ok());
    let object = br#"{"FullId":"\u00e9\\\"","n":[-1.5e+3,[]]}"#;
    for cut in 0..object.len() {
        assert_lost(&object[..cut], cut);
    }
}

#[test]
fn bytes_that_are_not_utf8_in_a_string_cost_that_element_alone() {
    assert_unreadable(b"{\"a\":\"x\xff\"}", 7);
    assert_unreadable(b"{\"a\":\"\xe2\x82\"}", 6);
    assert_unreadable(b"{\"a\":\"\xed\xa0\x80\"}", 6);
    assert_unreadable(b"{\"\xc0\xaf\":1}", 2);
    assert_unreadable(b"{\"a\":\"\xf4\x90\x80\x80\",\n\"b\":01}", 6);
}

#[test]
fn bytes_that_are_not_utf8_outside_of_strings_make_it_malformed() {
    assert_lost(b"[{},{\"a\":\xff1},{}]", 9);
    assert_lost(b"[{},\xff,{}]", 4);
    assert_lost(b"[{}\xc2\xa0]", 3);
    assert_lost(b"[{},{\"a\":1\xe2\x82},{}]", 10);
}

#[test]
fn an_element_that_is_no_object_is_unreadable_and_its_neighbours_are_not() {
    for element in [
        "1",
        "-0.5e7",
        "null",
        "true",
        "\"},{\"",
        "\"\"",
        "[]",
        "[{\"n\":3},[]]",
    ] {
        assert_unreadable(element, 0);
    }
    let fault = malformed(with_detections(b"[1,{},\"two\",[3]]"));
    assert_eq!(jsons(&fault.alerts), [LEAST]);
    let ranges: [Range<u64>; 3] = [1..2, 19..24, 25..28];
    assert_eq!((fault.offset, fault.unreadable), (1, ranges.to_vec()));
}

#[test]
fn a_bad_escape_costs_its_element_alone() {
    assert_unreadable(r#"{"a":"\x41"}"#, 6);
    assert_unreadable(r#"{"a":"\u12"}"#, 6);
    assert_unreadable(r#"{"a":"\u12","b":"\\"}"#, 6);
    assert_unreadable(r#"{"a":"\u00g0\""}"#, 6);
    assert_unreadable(r#"{"\'":1}"#, 2);
    assert_unreadable("{\"a\":\"\\é\"}", 6);
}

#[test]
fn a_bad_number_or_word_costs_its_element_alone() {
    for (number, offset) in [
        ("01", 1),
        ("-", 1),
        ("1.", 2),
        ("1.e5", 2),
        ("1e", 2),
        ("1e+", 3),
    ] {
        assert_unreadable(format!("{{\"a\":{number}}}"), 5 + offset);
    }
    for (number, offset) in [
        ("-01", 2),
        ("--1", 1),
        ("1.2.3", 3),
        ("0x1F", 1),
        ("1e5f", 3),
    ] {
        assert_unreadable(format!("{{\"a\":[{number},2]}}"), 6 + offset);
    }
    for word in [
        "NaN",
        "Infinity",
        "True",
        "nul",
        "nulls",
        "undefined",
        "+1",
        ".5",
        "tru",
    ] {
        assert_unreadable(format!("{{\"a\":{word},\"b\":2}}"), 5);
        assert_unreadable(word, 0);
    }
    assert_unreadable("-Infinity", 0);
}

#[test]
fn a_control_character_in_a_string_costs_its_element_alone() {
    for control in (0..0x20_u8).map(char::from) {
        assert_unreadable(format!("{{\"a\":\"x{control}y\"}}"), 7);
    }
    assert!(split("{\"FullId\":\"\u{7f}\u{80}\"}".as_bytes()).is_ok());
}

#[test]
fn an_element_nested_too_deep_costs_itself_alone() {
    let nested = |levels: usize, open: &str, close: &str| {
        format!(
            "{{\"FullId\":\"a\",\"a\":{}1{}}}",
            open.repeat(levels - 1),
            close.repeat(levels - 1)
        )
    };
    let most = MAX_DEPTH as usize;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deepest = nested(most, open, close);
        assert_eq!(jsons(&split(deepest.as_bytes()).expect("deep")), [&deepest]);
        for levels in [most + 1, most + 2, 2 * most, 2 * most + 1, 100_000] {
            assert_unreadable(nested(levels, open, close), 18 + (most - 1) * open.len());
        }
    }
    // An empty one counts, too.
    assert_unreadable(nested(most + 1, "[", "]").replace('1', ""), 17 + most);
    // The brackets must match as they must elsewhere, level by level.
    let deep = nested(3 * most, "[{\"a\":", "}]");
    let first = deep.find('}').expect("brackets");
    for place in first..deep.len() {
        let other = if deep.as_bytes()[place] == b'}' {
            "]"
        } else {
            "}"
        };
        let crossed = format!("[{}{other}{}]", &deep[..place], &deep[place + 1..]);
        let fault = malformed(&crossed);
        assert_eq!((fault.alerts, fault.unreadable), (vec![], vec![]));
    }
}

#[test]
fn a_bare_object_with_a_fault_in_a_string_is_one_unreadable_element() {
    let fault = malformed(r#" {"FullId":"\x"} "#);
    assert_eq!((fault.offset, fault.alerts), (12, vec![]));
    let range: Range<u64> = 1..16;
    assert_eq!(fault.unreadable, [range]);
}

#[test]
fn the_offset_is_that_of_the_first_fault_also_when_all_is_lost_later() {
    assert_lost(r#"[{},{"a":01},{"b":2"#, 10);
    assert_lost(r#"[{},{"a":01,"b"}]"#, 10);
    assert_lost(b"[{\"a\":\"\xff\",\"b\":", 7);
}

#[test]
fn what_a_string_holds_never_becomes_an_alert_when_a_quote_is_missing() {
    let forged = [
        r#"},{\"FullId\":\"forged\"},{\"a\":\""#,
        "},{},{",
        "]},{},{",
        "},{},x",
        "},{},1,{}",
        "],{},[",
        ",{}",
        "}],{}",
    ];
    for forged in forged {
        for body in [
            format!(r#"[{{"a":"x,"b":"{forged}"}}]"#),
            format!(r#"[{{"a":x","b":"{forged}"}}]"#),
            format!("[{{\"a\":\"x\n,\"b\":\"{forged}\"}}]"),
            format!(r#"[{{"a":"\x,"b":"{forged}"}}]"#),
            format!(r#"[{{"a":01,"b:"{forged}"}}]"#),
            format!("[{{\"a\":\"x\n,\"b\":\"{forged}\",\"c\":\"y\n}}]"),
            format!("[{{\"a\":\"x\n,\"b\":\"{forged}\",\"c\":\",{{\n}}]"),
            format!("[\"x\n,\"{forged}\",{{\"c\":1}}]"),
        ] {
            let fault = malformed(&body);
            assert_eq!((fault.alerts, fault.unreadable), (vec![], vec![]), "{body}");
        }
    }
}

#[test]
fn json_is_byte_for_byte_as_it_came() {
    for members in [
        r#"{"n":123456789012345678901234567890.0e-400}"#,
        r#"{"n":-0,"m":-0.0,"k":1E5,"l":1.10}"#,
        r#"{"a":"\u0041\/\"\\\b\f\n\r\t","b":"A/"}"#,
        r#"{"a":"\ud83d\ude00😀","b":"\ud800","c":"\udc00\ud800"}"#,
        r#"{"a":1,"a":2,"a":1}"#,
        r#"{"FullId":"x","NotDocumented":{"x":[[],{}]},"":null}"#,
        "{\"a\":\"\u{2028}\u{2029}\u{85}\u{feff}\u{7f}\"}",
        "{ \"a\" :\t[ 1 , 2 ] }",
    ] {
        let json = &members.replacen('{', "{\"AlertId\":\"1\",", 1);
        let body = format!("[{json} ,\n {json}]");
        assert_eq!(
            jsons(&split(body.as_bytes()).expect("a list")),
            [json, json]
        );
    }
}

#[test]
fn only_white_space_with_a_line_end_is_taken_out() {
    let body = "[{ \"FullId\" : \"1\" ,\r\n  \"b\":\t[\n1\r,  2 \n]\n, \"c\":\"\\n  \\r\" }]";
    let alerts = split(body.as_bytes()).expect("a list");
    assert_eq!(
        jsons(&alerts),
        ["{ \"FullId\" : \"1\" ,\"b\":\t[1,  2], \"c\":\"\\n  \\r\" }"]
    );
}

#[test]
fn no_chunking_changes_what_is_read() {
    let bodies: [&[u8]; 8] = [
        b"\xef\xbb\xbf [{\"FullId\":\"\\u00e9\xc3\xa9\"} , 12,\n{\"b\":\"\\q\"},{}] ",
        b"{\"a\":[1, {}],\"value\": [{\"AlertId\":\"a\"} ,{}],\"b\":1}",
        b"{\"value\":[{\"FullId\":\"a\"}],\"error\":{}} ",
        b"{\"AlertId\":\"a\",\"AlertTime\":\"b\",\"value\":[1]}",
        b"{\"a\":tru}",
        b"[{\"a\":\"\xff\"},1",
        b"[{}]]",
        b"",
    ];
    for body in bodies {
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let mut splitter = Splitter::new();
                splitter.push(&body[..first]);
                splitter.push(&body[first..second]);
                splitter.push(&body[second..]);
                assert_eq!(splitter.finish(), split(body), "{first} {second}");
            }
        }
    }
}
