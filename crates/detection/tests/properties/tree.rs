//! Arbitrary JSON, rendered in arbitrary ways and read again by serde_json.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use watchbell_detection::Detection;

/// JSON as it means: numbers as they are spelt, members in order, however often named.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    /// A number, or one of the three words.
    Word(String),
    Text(String),
    /// A string that is no text, as it stands: one with a lone surrogate.
    Raw(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads JSON with serde_json.
    pub(crate) fn read(json: &str) -> Self {
        let json = json.trim();
        match json.as_bytes()[0] {
            b'{' => {
                let Members(members) = serde_json::from_str(json).expect("an object");
                let read = |(name, raw): (String, Box<RawValue>)| (name, Self::read(raw.get()));
                Self::Object(members.into_iter().map(read).collect())
            }
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(json).expect("an array");
                Self::Array(
                    elements
                        .into_iter()
                        .map(|raw| Self::read(raw.get()))
                        .collect(),
                )
            }
            b'"' => serde_json::from_str(json).map_or_else(|_| Self::Raw(json.into()), Self::Text),
            _ => Self::Word(json.into()),
        }
    }

    /// Writes JSON. `style` says where white space stands, and which, and which
    /// characters are escaped, and how.
    pub(crate) fn write(&self, style: &mut Style<'_>, out: &mut String) {
        match self {
            Self::Word(word) | Self::Raw(word) => out.push_str(word),
            Self::Text(text) => write_text(text, style, out),
            Self::Array(elements) => {
                out.push('[');
                style.space(out);
                for (index, element) in elements.iter().enumerate() {
                    comma(index, style, out);
                    element.write(style, out);
                    style.space(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                style.space(out);
                for (index, (name, value)) in members.iter().enumerate() {
                    comma(index, style, out);
                    write_text(name, style, out);
                    style.space(out);
                    out.push(':');
                    style.space(out);
                    value.write(style, out);
                    style.space(out);
                }
                out.push('}');
            }
        }
    }

    /// JSON in that style.
    pub(crate) fn render(&self, style: &[u8]) -> String {
        let mut out = String::new();
        self.write(&mut Style::new(style), &mut out);
        out
    }
}

fn comma(index: usize, style: &mut Style<'_>, out: &mut String) {
    if index > 0 {
        out.push(',');
        style.space(out);
    }
}

fn write_text(text: &str, style: &mut Style<'_>, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let choice = style.next();
        let must = c < ' ' || c == '"' || c == '\\';
        let short = "\u{8}b\u{c}f\nn\rr\tt\"\"\\\\//";
        let short = short.chars().zip(short.chars().skip(1)).step_by(2);
        match short.into_iter().find(|(meant, _)| *meant == c) {
            Some((_, letter)) if choice % 4 == 1 || (must && choice % 4 != 2) => {
                out.extend(['\\', letter]);
            }
            _ if must || choice % 4 == 2 => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let upper = choice % 8 < 4;
                    out.push_str(&if upper {
                        format!("\\u{unit:04X}")
                    } else {
                        format!("\\u{unit:04x}")
                    });
                }
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// A source of choices that never ends.
pub(crate) struct Style<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

impl<'a> Style<'a> {
    pub(crate) fn new(choices: &'a [u8]) -> Self {
        Self(choices.iter().cycle())
    }

    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    pub(crate) fn space(&mut self, out: &mut String) {
        let some = [
            "", "", "", "", " ", "\t", "\n", "\r\n", "\r", "  ", "\n  ", " \n",
        ];
        out.push_str(some[usize::from(self.next()) % some.len()]);
    }
}

/// An object's members; a name that is no text is U+FFFD.
pub(crate) struct Members(pub(crate) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Box<RawValue>, _>()? {
                    let name = serde_json::from_str(name.get());
                    members.push((name.unwrap_or_else(|_| "\u{fffd}".to_owned()), value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        4 => any::<char>(),
        4 => prop::char::range(' ', '~'),
        2 => prop::sample::select("\"\\{}[],:/\u{0}\n\r\u{1f}\u{7f}\u{85}\u{2028}\u{feff}\u{fffd}é😀".chars().collect::<Vec<_>>()),
    ];
    vec(c, 0..10).prop_map(|chars| chars.into_iter().collect())
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["true", "false", "null", "-0", "0", "1e999", "7"])
            .prop_map(String::from),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?",
        any::<i64>().prop_map(|number| number.to_string()),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Tree> {
    let raw = prop::sample::select(vec![r#""\ud800""#, r#""\udC00x\uD800""#]);
    let leaf = prop_oneof![
        4 => word().prop_map(Tree::Word),
        6 => text().prop_map(Tree::Text),
        1 => raw.prop_map(|raw| Tree::Raw(raw.into())),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Tree::Array),
            vec((text(), inner), 0..4).prop_map(Tree::Object),
        ]
    })
}

/// An object whose names are often documented and often repeated.
pub(crate) fn object() -> impl Strategy<Value = Tree> {
    let known = prop::sample::select(Detection::MEMBERS).prop_map(String::from);
    let few = prop::sample::select(vec![
        "AlertPart",
        "Severity",
        "FullId",
        "RemediationIsSuccess",
        "",
        "a",
    ]);
    let name = prop_oneof![3 => known, 2 => few.prop_map(String::from), 1 => text()];
    vec((name, value()), 0..8).prop_map(Tree::Object)
}

/// An object with what identifies a detection.
pub(crate) fn detection() -> impl Strategy<Value = Tree> {
    let name = prop::sample::select(vec!["FullId", "AlertId"]);
    (object(), name, "[a-z_:]{1,9}").prop_map(|(object, name, id)| {
        let Tree::Object(mut members) = object else {
            unreachable!()
        };
        members.push((name.to_owned(), Tree::Text(id)));
        Tree::Object(members)
    })
}

/// Whether members identify a detection: in a list, or as an object that stands alone.
pub(crate) fn identify(members: &[(String, Box<RawValue>)], alone: bool) -> bool {
    let is_text = |wanted: &str| {
        let last = members.iter().rev().find(|(name, _)| name == wanted);
        last.is_some_and(|(_, value)| value.get().starts_with('"') && value.get() != "\"\"")
    };
    is_text("FullId") || is_text("AlertId") && (!alone || is_text("AlertTime"))
}

/// Whether JSON is an object that is a detection, in a list.
pub(crate) fn is_detection(json: &str) -> bool {
    let members = serde_json::from_str::<Members>(json);
    members.is_ok_and(|Members(members)| identify(&members, false))
}

/// Choices for a [`Style`].
pub(crate) fn style() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![0]), vec(any::<u8>(), 1..24)]
}
