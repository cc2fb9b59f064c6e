//! What is wrong with an option.

use std::fmt::{self, Display, Write};

use serde::de::{self, Expected, Unexpected};

/// What is wrong with an option, and where in its value.
///
/// A plugin's options are a type that implements [`Deserialize`](serde::Deserialize), as
/// a rule a struct. Its fields are read from the option's text by their type:
///
/// | type | text |
/// |---|---|
/// | `String`, `char` | as it is |
/// | `bool`, integers, floats | `true`, `-1`, `0.5` |
/// | an enum without data | the variant's name |
/// | `Option<T>` | as `T`; the option may be missing |
/// | `Vec<T>`, maps, structs and anything else | JSON, which is what the host makes of an array and a table |
///
/// An option that is not a field is an error, and so is one that is given twice. A type of
/// another crate is read with `#[serde(deserialize_with = "…")]` or `try_from`; an error of
/// those that ends in ` at byte N`, as those of `detection` do, sets the offset.
///
/// No error has the option's value in it: one may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionsError {
    pub(crate) name: Option<String>,
    pub(crate) offset: Option<u32>,
    pub(crate) message: String,
}

impl OptionsError {
    /// The option `name` is not usable. `message` says what is wrong and what would be
    /// right, in words that follow the option's name.
    pub fn new(name: &str, message: impl Display) -> Self {
        Self {
            name: Some(name.to_owned()),
            ..Self::unnamed(message)
        }
    }

    /// Where in the option's value the fault lies, in bytes from its start.
    #[must_use]
    pub fn at(mut self, offset: usize) -> Self {
        self.offset = u32::try_from(offset).ok();
        self
    }

    /// For a value that does not know of which option it is.
    pub(crate) fn unnamed(message: impl Display) -> Self {
        Self {
            name: None,
            offset: None,
            message: message.to_string(),
        }
    }

    pub(crate) fn of(mut self, name: &str) -> Self {
        self.name.get_or_insert_with(|| name.to_owned());
        self
    }

    pub(crate) fn of_json(text: &str, error: &serde_json::Error) -> Self {
        let words = error.to_string();
        let message = if error.is_data() {
            without_value(&words).to_owned()
        } else {
            format!("no JSON: {words}")
        };
        Self::unnamed(message).at(json_offset(text, error))
    }

    pub(crate) fn unknown(name: &str, known: &[&str]) -> Self {
        let known = match known {
            [] => "there are none".to_owned(),
            [one] => format!("there is `{one}`"),
            many => format!("there are {}", list(many, "and")),
        };
        Self::new(name, format_args!("there is no such option; {known}"))
    }
}

impl Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "option `{name}`: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for OptionsError {}

/// What serde says of values. Its own words have the value in them, ours have not.
impl de::Error for OptionsError {
    fn custom<T: Display>(message: T) -> Self {
        let text = message.to_string();
        let at = text.rsplit_once(" at byte ");
        match at.and_then(|(message, offset)| Some((message, offset.parse().ok()?))) {
            Some((message, offset)) => Self::unnamed(message).at(offset),
            None => Self::unnamed(text),
        }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unnamed(format_args!("expected {expected}")).at(0)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unnamed(format_args!("expected {expected}")).at(0)
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self::unnamed(format_args!("it is {}", list(known, "or"))).at(0)
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::unknown(name, known)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(name, "it is missing")
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::new(name, "it is given twice")
    }
}

/// Where in `text`, in bytes from its start, serde_json met an error: it counts lines, and
/// bytes in a line, from 1.
#[must_use]
pub fn json_offset(text: &str, error: &serde_json::Error) -> usize {
    let lines = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1));
    let before = lines.map(str::len).sum::<usize>();
    before + error.column().saturating_sub(1)
}

/// What serde_json says without the value that it says it of.
fn without_value(words: &str) -> &str {
    let has_value = ["invalid type: ", "invalid value: ", "unknown variant "]
        .iter()
        .any(|start| words.starts_with(start));
    let expected = words.rfind(", expected ").filter(|_| has_value);
    expected.and_then(|at| words.get(at + 2..)).unwrap_or(words)
}

/// `` `a`, `b` or `c` ``.
fn list(names: &[&str], last: &str) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        let before = match names.len() - index {
            _ if index == 0 => "",
            1 => &format!(" {last} "),
            _ => ", ",
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{before}`{name}`");
    }
    text
}
