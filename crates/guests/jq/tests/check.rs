//! What `check` refuses, and where in the filter.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which clippy.toml does not see as tests"
)]

use proptest::prelude::*;
use watchbell_detection::Alert;
use watchbell_guest_jq::{MAX_FILTER_BYTES, MAX_OPERATORS, PluginError, check, process};

fn options(filter: &str) -> Vec<(String, String)> {
    vec![("filter".to_owned(), filter.to_owned())]
}

/// What `check` says of a filter: the offset and the message.
fn fault(filter: &str) -> (u32, String) {
    match check(&options(filter)) {
        Err(PluginError::InvalidOption {
            name,
            offset: Some(offset),
            message,
        }) if name == "filter" => (offset, message),
        other => panic!("{filter}: {other:?}"),
    }
}

/// How many alerts a filter makes of one.
fn passed(filter: &str, json: &str) -> usize {
    let alert = Alert::from_json(json).unwrap();
    process(&options(filter), vec![alert]).unwrap().len()
}

#[test]
fn a_filter_that_does_not_compile_is_told_with_its_place() {
    for (filter, offset, said) in [
        ("", 0, "it is empty; write a filter"),
        (" ", 0, "it is empty; write a filter"),
        (".a | foo", 5, "there is no filter `foo`"),
        (".a | foo(1)", 5, "`foo` that takes 1 argument"),
        (".a | foo(1; 2)", 5, "`foo` that takes 2 arguments"),
        (".ü", 1, "expected token but found `ü`"),
        (
            "select(.a == ",
            13,
            "expected closing parenthesis but found the end",
        ),
        ("if . then 1 els 2 end", 12, "found `els`"),
        ("$x", 0, "there is no variable `$x`"),
        ("break $x", 6, "there is no label `$x`"),
        (
            ". as [$a | .]",
            9,
            "expected comma or right bracket but found `|`",
        ),
        (r#""a \q""#, 4, "expected string escape sequence"),
        (r#"import "m" as m; ."#, 8, "no modules"),
        (r#"include "m"; ."#, 9, "no modules"),
        ("a::b", 0, "there is no module `a`"),
        (".a; .b", 2, "expected the end but found `;`"),
        ("foo | bar", 0, "there is no filter `foo`"),
    ] {
        let (at, message) = fault(filter);
        assert!(message.contains(said), "{filter}: {message}");
        assert_eq!(at, offset, "{filter}: {message}");
    }
}

#[test]
fn what_is_not_a_function_of_the_detection_is_refused_with_its_place() {
    for (filter, offset, why) in [
        (".t = now", 5, "clock"),
        ("select(.a) | .b |= (now | todate)", 20, "clock"),
        (r#""\(now)""#, 3, "clock"),
        ("{now: now}", 6, "clock"),
        (".now | now", 7, "clock"),
        (r#""now" | now"#, 8, "clock"),
        ("def f: now; .", 7, "clock"),
        (".a |= localtime", 6, "zone"),
        (r#".a |= strflocaltime("%H")"#, 6, "zone"),
        ("env.HOME", 0, "environment"),
        ("$ENV.HOME", 0, "environment"),
        ("., halt", 3, "ends the program"),
        ("halt(0)", 0, "ends the program"),
        ("halt_error", 0, "ends the program"),
        ("halt_error(1)", 0, "ends the program"),
        ("input", 0, "other input"),
        ("[inputs]", 1, "other input"),
        ("input_filename", 0, "other input"),
        ("input_line_number", 0, "other input"),
        ("debug", 0, "to the side"),
        ("debug(.a)", 0, "to the side"),
        ("stderr", 0, "to the side"),
        ("stderr_empty", 0, "to the side"),
    ] {
        let (at, message) = fault(filter);
        assert!(
            message.contains("may not be used") && message.contains(why),
            "{filter}: {message}"
        );
        assert_eq!(at, offset, "{filter}: {message}");
    }
}

#[test]
fn a_refused_name_is_free_where_it_is_no_call() {
    for filter in [
        ".now",
        r#".["now"]"#,
        r#"select(.a == "now")"#,
        "{now: 1, env: 2}",
        "{input}",
        ". as $now | $now",
        "def now: 5; now",
        "# now\n.",
        ".a.env.halt",
        "@text \"now\"",
    ] {
        assert_eq!(check(&options(filter)), Ok(()), "{filter}");
    }
}

#[test]
fn a_filter_that_would_exhaust_the_stack_is_refused_with_its_place() {
    const LONG: usize = 1200;
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(LONG), close.repeat(LONG));
    for filter in [
        nested("(", ")"),
        nested("[", "]"),
        nested("{a:", "}"),
        nested("-", ""),
        nested(". |", ""),
        nested("try ", ""),
        nested("def f: ", ";."),
        nested(r#""\("#, r#")""#),
        nested(".a or ", ""),
        "(".repeat(LONG),
    ] {
        let (offset, message) = fault(&filter);
        assert!(
            message.contains("brackets and operators"),
            "{filter}: {message}"
        );
        assert!(offset > 0, "{filter}");
    }
}

#[test]
fn the_longest_chain_and_long_lists_are_taken() {
    // A test's thread has less stack than wasmtime gives, and a debug build needs more.
    let chain = || passed(&(".|".repeat(MAX_OPERATORS) + "."), "{}");
    let thread = std::thread::Builder::new().stack_size(8 << 20);
    assert_eq!(thread.spawn(chain).unwrap().join().unwrap(), 1);
    let words = "a ".repeat(MAX_OPERATORS * 2);
    let filter = format!(r#".a as $a | select("{words}" / " " | any(. == $a))"#);
    assert_eq!(passed(&filter, r#"{"a":"a"}"#), 1);
    assert_eq!(passed(&filter, r#"{"a":"b"}"#), 0);
}

#[test]
fn options_are_refused_by_name() {
    let invalid = |options: &[(&str, &str)]| {
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| (String::from(*name), String::from(*value)))
            .collect();
        match check(&options) {
            Err(PluginError::InvalidOption {
                name,
                offset: None,
                message,
            }) => (name, message),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(invalid(&[]).0, "filter");
    assert_eq!(invalid(&[("filter", "."), ("filtr", ".")]).0, "filtr");
    assert_eq!(invalid(&[("filter", "."), ("filter", ".")]).0, "filter");
    let long = format!(".{}", " ".repeat(MAX_FILTER_BYTES));
    assert!(invalid(&[("filter", &long)]).1.contains("longest"));
}

#[test]
fn process_refuses_what_check_refuses() {
    for filter in ["now", "(", "foo"] {
        let refused = check(&options(filter)).unwrap_err();
        assert_eq!(process(&options(filter), vec![]).unwrap_err(), refused);
    }
}

proptest! {
    #[test]
    fn no_filter_text_makes_check_panic(
        filter in "[-a-z0-9.|,;:()\\[\\]{}\"$@?=<>+*/%# \\\\ü]{0,40}",
    ) {
        if let Err(PluginError::InvalidOption { offset, .. }) = check(&options(&filter)) {
            let offset = usize::try_from(offset.unwrap()).unwrap();
            prop_assert!(filter.is_char_boundary(offset));
        }
    }
}
