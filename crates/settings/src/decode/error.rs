//! What serde says is wrong, turned into what a person can use.
//!
//! No value is repeated: a secret may stand in the wrong place.

use std::fmt;

use serde::de::{self, Unexpected};

use crate::at::At;
use crate::error::Problem;
use crate::path::KeyPath;
use crate::suggest::{instead, nearest};

/// A problem on its way out of the tree, gathering its path.
#[derive(Debug)]
pub(crate) struct DecodeError {
    at: Option<At>,
    /// From the inside outwards.
    path: Vec<Segment>,
    message: String,
    /// The settings that there are, where the problem is that it is none.
    known: &'static [&'static str],
}

#[derive(Debug)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

impl DecodeError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            at: None,
            path: Vec::new(),
            message: message.into(),
            known: &[],
        }
    }

    pub(super) fn at(mut self, at: &At) -> Self {
        self.at.get_or_insert_with(|| at.clone());
        self
    }

    pub(super) fn within(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }

    /// The same where the table may have these keys too.
    pub(super) fn knowing(mut self, others: &[&str]) -> Self {
        if let [Segment::Key(field)] = self.path.as_slice()
            && !self.known.is_empty()
        {
            let all: Vec<&str> = self.known.iter().chain(others).copied().collect();
            self.message = format!("is not a setting; {}", instead(field, &all));
        }
        self
    }

    pub(super) fn outermost_key(&self) -> Option<&str> {
        match self.path.last() {
            Some(Segment::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// The problem with the path of the node that was decoded, and its place where
    /// nothing nearer is known.
    pub(crate) fn into_problem(self, base: &KeyPath, at: &At) -> Problem {
        let key = self.path_below(base).to_string();
        Problem::new(self.at.unwrap_or_else(|| at.clone()), key, self.message)
    }

    fn path_below(&self, base: &KeyPath) -> KeyPath {
        self.path
            .iter()
            .rev()
            .fold(base.clone(), |path, segment| match segment {
                Segment::Key(key) => path.key(key),
                Segment::Index(index) => path.index(*index),
            })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = in_words(&expected.to_string());
        let (found, remedy) = match found {
            Unexpected::Bool(_) => ("a boolean", "; put it in quotes"),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => ("an integer", "; put it in quotes"),
            Unexpected::Float(_) => ("a number", "; put it in quotes"),
            Unexpected::Str(_) if expected == "an array" => {
                ("a string", "; put it in brackets, like [\"…\"]")
            }
            Unexpected::Str(_) => ("a string", "; take the quotes off"),
            Unexpected::Seq => ("an array", ""),
            Unexpected::Map => ("a table", ""),
            Unexpected::Unit | Unexpected::Option => ("null", ""),
            _ => ("something else", ""),
        };
        let apt = match found {
            "a string" => {
                expected.contains("number") || expected == "true or false" || expected == "an array"
            }
            _ => expected == "a string",
        };
        let remedy = if apt { remedy } else { "" };
        Self::new(format!("expected {expected}, found {found}{remedy}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!(
            "is out of range; write {}",
            in_words(&expected.to_string())
        ))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self {
            known,
            ..Self::new(format!("is not a setting; {}", instead(field, known)))
        }
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let all = known.join(", ");
        match nearest(variant, known.iter().copied()) {
            Some(nearest) => Self::new(format!("must be one of {all}; did you mean {nearest}?")),
            None => Self::new(format!("must be one of {all}")),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("is missing; add it").within(Segment::Key(field.to_owned()))
    }
}

/// Serde's name for what it expected, for someone who does not write Rust.
fn in_words(expected: &str) -> String {
    match expected {
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "a nonzero u32" => "a whole number from 1 to 4294967295".to_owned(),
        "u64" | "i64" | "usize" => "a whole number, 0 or more".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}
