//! What a user may set. Names and values are those of Vector's `csv` codec where it has
//! them.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `fields` | the documented members | the columns, in order: member names separated by commas, or a JSON array of them; at most [`MAX_FIELDS`] |
//! | `delimiter` | `,` | what stands between columns: one ASCII character, but no letter, digit, `"`, `+`, `-`, `.` or line end |
//! | `quote_style` | `necessary` | which values are quoted: `necessary`, `non_numeric` or `always` |
//! | `escape_formulas` | `false` | `true` puts a `'` before text that a spreadsheet would take for a formula |
//!
//! A name in `fields` that is not documented is a member that the service may send
//! tomorrow, so it is taken as it stands, dots included. Vector's `never` is missing: a
//! value with a delimiter or a line end would break the file.
//!
//! By default the data is what the service sent. Text of an attacker's choosing, such as
//! a file name `=cmd|…`, is then a formula to a spreadsheet that opens the file; who
//! feeds spreadsheets sets `escape_formulas`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;
use watchbell_detection::Detection;
use watchbell_sdk::json_offset;

/// The most columns. Five times what the service documents.
pub const MAX_FIELDS: usize = 256;

/// How a detection becomes a line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Format {
    /// Member names, in the order of their columns. At least one, without repeats.
    #[serde(deserialize_with = "fields")]
    pub(crate) fields: Vec<String>,
    /// What stands between columns.
    #[serde(deserialize_with = "delimiter")]
    pub(crate) delimiter: u8,
    /// Which values are quoted.
    pub(crate) quote_style: QuoteStyle,
    /// Whether text that a spreadsheet would take for a formula gets a `'`.
    pub(crate) escape_formulas: bool,
}

/// Which values are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QuoteStyle {
    /// Those that would be misread without.
    Necessary,
    /// All but numbers.
    NonNumeric,
    /// All.
    Always,
}

impl Default for Format {
    fn default() -> Self {
        Self {
            fields: Detection::MEMBERS
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            delimiter: b',',
            quote_style: QuoteStyle::Necessary,
            escape_formulas: false,
        }
    }
}

/// What is wrong with a value, and where in it: the SDK reads the offset at the end.
struct Fault {
    offset: usize,
    message: String,
}

impl Fault {
    fn at(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)
    }
}

fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    names(<&str>::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn names(value: &str) -> Result<Vec<String>, Fault> {
    let named = if value.trim_start().starts_with('[') {
        json_names(value)?
    } else {
        let names = value.split(',').map(str::trim);
        names
            .map(|name| (offset_in(value, name), name.to_owned()))
            .collect()
    };
    let mut fields: Vec<String> = Vec::with_capacity(named.len());
    for (offset, name) in named {
        if name.is_empty() {
            return Err(Fault::at(offset, "a member's name is missing here"));
        }
        if fields.contains(&name) {
            return Err(Fault::at(offset, format!("`{name}` stands here again")));
        }
        if fields.len() == MAX_FIELDS {
            let message = format!("there are more than {MAX_FIELDS} members");
            return Err(Fault::at(offset, message));
        }
        fields.push(name);
    }
    if fields.is_empty() {
        return Err(Fault::at(0, "it names no member"));
    }
    Ok(fields)
}

/// The names in a JSON array, each with the offset of its text.
fn json_names(value: &str) -> Result<Vec<(usize, String)>, Fault> {
    let elements: Vec<&RawValue> = serde_json::from_str(value)
        .map_err(|error| Fault::at(json_offset(value, &error), format!("no JSON: {error}")))?;
    let named = elements.into_iter().map(|element| {
        let offset = offset_in(value, element.get());
        serde_json::from_str(element.get())
            .map(|name| (offset, name))
            .map_err(|_| Fault::at(offset, "a member's name is a string"))
    });
    named.collect()
}

/// Where `part`, a slice of `whole`, begins in it.
fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

fn delimiter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let wrong = "it is one ASCII character, but no letter, digit, `\"`, `+`, `-`, `.` or line end";
    match <&[u8]>::deserialize(deserializer)? {
        [b'"' | b'+' | b'-' | b'.' | b'\r' | b'\n' | b'\0'] => Err(Fault::at(0, wrong)),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => Ok(*byte),
        _ => Err(Fault::at(0, wrong)),
    }
    .map_err(D::Error::custom)
}
