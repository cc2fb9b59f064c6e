use std::fmt::Write;

use proptest::prelude::*;

use super::*;

fn read(text: &str, format: Format) -> Result<Table, String> {
    let parser = Parser {
        read_file: |_, _| Err(io::ErrorKind::Unsupported.into()),
        verbatim_tables: &["options"],
    };
    let parsed = parser.parse(text, format, &At::file(Path::new("f")));
    parsed.map_err(|error| error.to_string())
}

fn place(table: &Table, path: &[&str]) -> (u32, u32) {
    let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
    let at = table.locate(&path, At::flag("nowhere"));
    (at.line(), at.column())
}

#[test]
fn each_format_says_where_a_value_stands() {
    let toml = read("# ü\n[a.b]\nc = 1\nd = [\n  2,\n  3,\n]\n", Format::Toml).unwrap();
    let yaml = read(
        "# ü\na:\n  b:\n    c: 1\n    d:\n      - 2\n      - 3\n",
        Format::Yaml,
    )
    .unwrap();
    let json = read(
        "{\n\t\"a\": {\"b\": {\n\t\t\"ü\": 0, \"c\": 1,\n\t\t\"d\": [2,\n\t\t3]\n}}}",
        Format::Json,
    )
    .unwrap();
    assert_eq!(place(&toml, &["a", "b", "c"]), (3, 5));
    assert_eq!(place(&toml, &["a", "b"]), (2, 4));
    assert_eq!(place(&toml, &["a", "b", "d[1]"]), (6, 3));
    assert_eq!(place(&yaml, &["a", "b", "c"]), (4, 8));
    assert_eq!(place(&yaml, &["a", "b"]), (3, 3));
    assert_eq!(place(&yaml, &["a", "b", "d[1]"]), (7, 9));
    assert_eq!(place(&json, &["a", "b", "c"]), (3, 16));
    assert_eq!(place(&json, &["a", "b"]), (2, 8));
    assert_eq!(place(&json, &["a", "b", "d[1]"]), (5, 3));
}

#[test]
fn a_repeated_key_is_refused_with_the_second_line() {
    for (text, format, line) in [
        ("a = 1\na = 2\n", Format::Toml, "f:2:"),
        ("a: 1\na: 2\n", Format::Yaml, "f:2:"),
        ("{\"a\": 1,\n\"a\": 2}", Format::Json, "f:2:"),
        ("a.b: 1\na:\n  b: 2\n", Format::Yaml, "f:3:"),
        ("a: 1\na.b: 2\n", Format::Yaml, "f:2:"),
    ] {
        let message = read(text, format).unwrap_err();
        assert!(message.starts_with(line), "{text:?}: {message}");
    }
}

#[test]
fn what_is_not_of_its_format_is_told_with_its_line() {
    for (text, format, want) in [
        ("a = 1\nb = \n", Format::Toml, "f:2: not TOML: "),
        ("a: 1\nb: [1\n", Format::Yaml, "not YAML: "),
        (
            "{\"a\": 1,\n  \"b\": }",
            Format::Json,
            "f:2: not JSON: expected value",
        ),
        ("{\"a\": 1,}", Format::Json, "f:1: not JSON: "),
        ("{a: 1}", Format::Json, "f:1: not JSON: "),
        (
            "[1]",
            Format::Json,
            "f:1: expected a table of settings, found an array",
        ),
        ("{\"a\":\n\"\\ud800\"}", Format::Json, "f:2: not JSON: "),
        (
            "just words",
            Format::Yaml,
            "f:1: expected a table of settings, found a string",
        ),
        ("a: 1\n---\nb: 2\n", Format::Yaml, "f:2: a second document"),
        ("a: !thing 1\n", Format::Yaml, "f:1: YAML tags are not used"),
        (
            "? [a, b]\n: 1\n",
            Format::Yaml,
            "a key must be a plain word",
        ),
    ] {
        let message = read(text, format).unwrap_err();
        assert!(message.contains(want), "{text:?}: {message}");
    }
}

#[test]
fn plain_yaml_words_mean_what_the_core_schema_says() {
    let yaml = "a: no\nb: 'true'\nc: 0x1F\nd: -7\ne: 1e3\nf: ~\ng: 12:30\nh: !!str 5\ni: nan\nj:\nk: 0o17\nl: |\n  x\n";
    let json = r#"{"a":"no","b":"true","c":31,"d":-7,"e":1000.0,"f":null,"g":"12:30","h":"5","i":"nan","j":null,"k":15,"l":"x\n"}"#;
    assert_eq!(read(yaml, Format::Yaml), read(json, Format::Json));
}

#[test]
fn dots_nest_in_all_formats_and_not_in_options() {
    let toml = "a.b.c = 1\na.b.d = 2\n[options]\n\"x.y\" = 3\n";
    let yaml = "a.b.c: 1\na:\n  b.d: 2\noptions:\n  x.y: 3\n";
    let json = r#"{"a.b": {"c": 1, "d": 2}, "options": {"x.y": 3}}"#;
    let want = read(toml, Format::Toml);
    assert!(want.is_ok());
    assert_eq!(read(yaml, Format::Yaml), want);
    assert_eq!(read(json, Format::Json), want);
    assert!(read("a..b: 1", Format::Yaml).is_err());
}

#[test]
fn an_empty_file_and_a_byte_order_mark_are_no_problem() {
    assert_eq!(read("", Format::Toml), Ok(Table::default()));
    assert_eq!(read("# nothing\n", Format::Yaml), Ok(Table::default()));
    for format in [Format::Toml, Format::Yaml, Format::Json] {
        let text = if format == Format::Toml {
            "\u{feff}a = 1"
        } else {
            "\u{feff}{\"a\": 1}"
        };
        assert!(read(text, format).unwrap().get("a").is_some());
    }
}

#[test]
fn aliases_repeat_a_value_but_not_without_end() {
    let yaml = "a: &x [1, 2]\nb: *x\n";
    assert_eq!(
        read(yaml, Format::Yaml),
        read(r#"{"a": [1,2], "b": [1,2]}"#, Format::Json)
    );

    let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..20 {
        let below = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", vec![below; 9].join(", ")).unwrap();
    }
    assert!(
        read(&bomb, Format::Yaml)
            .unwrap_err()
            .contains("aliases repeat more than")
    );
    assert!(read("a: &a [*a]\n", Format::Yaml).is_err());
}

#[test]
fn depth_is_bounded_in_every_format() {
    for depth in [100_000, 66] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for (text, format) in [
            (format!("a = {nested}"), Format::Toml),
            (format!("a: {nested}"), Format::Yaml),
            (format!("{{\"a\": {nested}}}"), Format::Json),
        ] {
            let message = read(&text, format).unwrap_err();
            assert!(
                message.contains("deep")
                    || message.contains("recursion")
                    || message.contains("limit"),
                "{message}"
            );
        }
    }
    for depth in [100_000, 66] {
        let dotted = vec!["a"; depth].join(".");
        for (text, format) in [
            (format!("{dotted} = 1"), Format::Toml),
            (format!("{dotted}: 1"), Format::Yaml),
            (format!("{{\"{dotted}\": 1}}"), Format::Json),
        ] {
            assert!(read(&text, format).is_err(), "{depth} {format:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "[\\PC\n\t]{0,60}", yaml in "[-a:&*!|>\\[\\]{}\"'#,? \n0-9.]{0,80}") {
        for format in [Format::Toml, Format::Yaml, Format::Json] {
            let _ = read(&text, format);
            let _ = read(&yaml, format);
        }
    }
}
