//! What `split` takes for a list of detections, and what it says of everything else.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::ops::Range;
use watchbell_detection::{Alert, MAX_DEPTH, Malformed, Splitter, split};

fn malformed(body: impl AsRef<[u8]>) -> Malformed {
    split(body.as_ref()).expect_err("malformed")
}

fn jsons(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.json.as_str()).collect()
}

/// Nothing of the body is believed.
fn assert_lost(body: impl AsRef<[u8]>, offset: usize) {
    let body = body.as_ref();
    let fault = malformed(body);
    let shown = String::from_utf8_lossy(body);
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
    let body = [br#"[{"n":1}, "#.as_slice(), element, br#" ,{"n":2}]"#].concat();
    let shown = String::from_utf8_lossy(&body).into_owned();
    let fault = malformed(&body);
    let range = 10..10 + element.len() as u64;
    assert_eq!(fault.unreadable, [range], "{shown}: {}", fault.message);
    assert_eq!(
        jsons(&fault.alerts),
        [r#"{"n":1}"#, r#"{"n":2}"#],
        "{shown}"
    );
    assert_eq!(
        fault.offset,
        10 + offset as u64,
        "{shown}: {}",
        fault.message
    );
}

#[test]
fn an_array_yields_its_objects_in_order() {
    let alerts = split(br#" [ {"a":1} , {} ,{"a":[{"b":null}]}] "#).expect("an array");
    assert_eq!(
        jsons(&alerts),
        [r#"{"a":1}"#, "{}", r#"{"a":[{"b":null}]}"#]
    );
}

#[test]
fn one_bare_object_is_a_list_of_one() {
    let alerts = split(b"\r\n{\"a\":1}\n").expect("an object");
    assert_eq!(jsons(&alerts), [r#"{"a":1}"#]);
    // Used to be cut short: fewer bytes than a byte order mark has.
    assert_eq!(jsons(&split(b"{}").expect("an object")), ["{}"]);
}

#[test]
fn a_byte_order_mark_is_no_fault() {
    for body in ["\u{feff}[{}]", "\u{feff} {}"] {
        assert_eq!(jsons(&split(body.as_bytes()).expect("a list")), ["{}"]);
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
    assert_lost("{} {}", 3);
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
    let body = r#" [{"a":"\u00e9\\\"é€😀","n":-1.5e+3},{"w":[true,false,null,{}]} , {}] "#;
    let whole = body.trim_end().len();
    for cut in 0..whole {
        assert_lost(&body.as_bytes()[..cut], cut);
    }
    assert!(split(&body.as_bytes()[..whole]).is_ok());
    let object = br#"{"a":"\u00e9\\\"","n":[-1.5e+3,{}]}"#;
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
    let fault = malformed("[1,{},\"two\",[3]]");
    assert_eq!(jsons(&fault.alerts), ["{}"]);
    let ranges: [Range<u64>; 3] = [1..2, 6..11, 12..15];
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
    assert!(split("{\"a\":\"\u{7f}\u{80}\"}".as_bytes()).is_ok());
}

#[test]
fn an_element_nested_too_deep_costs_itself_alone() {
    let nested = |levels: usize, open: &str, close: &str| {
        format!(
            "{{\"a\":{}1{}}}",
            open.repeat(levels - 1),
            close.repeat(levels - 1)
        )
    };
    let most = MAX_DEPTH as usize;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deepest = nested(most, open, close);
        assert_eq!(jsons(&split(deepest.as_bytes()).expect("deep")), [&deepest]);
        for levels in [most + 1, most + 2, 2 * most, 2 * most + 1, 100_000] {
            assert_unreadable(nested(levels, open, close), 5 + (most - 1) * open.len());
        }
    }
    // An empty one counts, too.
    assert_unreadable(nested(most + 1, "[", "]").replace('1', ""), 4 + most);
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
    let fault = malformed(r#" {"a":"\x"} "#);
    assert_eq!((fault.offset, fault.alerts), (7, vec![]));
    let range: Range<u64> = 1..11;
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
    for json in [
        r#"{"n":123456789012345678901234567890.0e-400}"#,
        r#"{"n":-0,"m":-0.0,"k":1E5,"l":1.10}"#,
        r#"{"a":"\u0041\/\"\\\b\f\n\r\t","b":"A/"}"#,
        r#"{"a":"\ud83d\ude00😀","b":"\ud800","c":"\udc00\ud800"}"#,
        r#"{"a":1,"a":2,"a":1}"#,
        r#"{"FullId":"x","NotDocumented":{"x":[[],{}]},"":null}"#,
        "{\"a\":\"\u{2028}\u{2029}\u{85}\u{feff}\u{7f}\"}",
        "{ \"a\" :\t[ 1 , 2 ] }",
    ] {
        let body = format!("[{json} ,\n {json}]");
        assert_eq!(
            jsons(&split(body.as_bytes()).expect("a list")),
            [json, json]
        );
    }
}

#[test]
fn only_white_space_with_a_line_end_is_taken_out() {
    let body = "[{ \"a\" : 1 ,\r\n  \"b\":\t[\n1\r,  2 \n]\n, \"c\":\"\\n  \\r\" }]";
    let alerts = split(body.as_bytes()).expect("a list");
    assert_eq!(
        jsons(&alerts),
        ["{ \"a\" : 1 ,\"b\":\t[1,  2], \"c\":\"\\n  \\r\" }"]
    );
}

#[test]
fn no_chunking_changes_what_is_read() {
    let bodies: [&[u8]; 5] = [
        b"\xef\xbb\xbf [{\"a\":\"\\u00e9\xc3\xa9\"} , 12,\n{\"b\":\"\\q\"},{}] ",
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
