//! JSON, by `serde_json`. It keeps no positions, but its raw values are slices of the
//! text, and where a slice begins is its position. (A YAML parser reads most JSON
//! with positions, but not tabs before a key, nor `\u` pairs.)
//!
//! Each level is scanned once more than the one above it; with [`MAX_DEPTH`] and the
//! size of a configuration that is nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Lines, MAX_DEPTH, duplicate, root, too_deep};
use crate::at::At;
use crate::error::Problem;
use crate::tree::{Node, Table, Value};

pub(super) fn parse(text: &str, at: &At) -> Result<Table, Problem> {
    let reader = Reader {
        lines: Lines::new(text, at),
    };
    let raw: &RawValue = reader.read(text, text)?;
    root(reader.node(raw, 0)?)
}

struct Reader<'t> {
    lines: Lines<'t>,
}

impl<'t> Reader<'t> {
    fn offset(&self, slice: &str) -> usize {
        let start = self.lines.text.as_ptr().addr();
        slice.as_ptr().addr().saturating_sub(start)
    }

    /// Reads `slice`, whose errors are told by their place in the whole text.
    fn read<T: Deserialize<'t>>(&self, slice: &'t str, whole: &'t str) -> Result<T, Problem> {
        serde_json::from_str(slice).map_err(|error| {
            let start = self.lines.at(self.offset(slice));
            let at = if slice.len() == whole.len() {
                start.line_column(error.line().max(1), error.column().max(1))
            } else {
                start
            };
            let message = error.to_string();
            let what = message.split(" at line ").next().unwrap_or_default();
            Problem::new(at, "", format!("not JSON: {what}"))
        })
    }

    fn node(&self, raw: &'t RawValue, depth: usize) -> Result<Node, Problem> {
        let text = raw.get();
        let whole = self.lines.text;
        let at = self.lines.at(self.offset(text));
        if depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let value = match text.as_bytes().first() {
            Some(b'{') => {
                let Members(members) = self.read(text, whole)?;
                let mut table = Table::default();
                for (key, value) in members {
                    let at = self.lines.at(self.offset(key.get()));
                    let key: String = self.read(key.get(), whole)?;
                    let node = self.node(value, depth + 1)?;
                    if table.insert(key.clone(), at.clone(), node).is_some() {
                        return Err(duplicate(&at, &key));
                    }
                }
                Value::Table(table)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read(text, whole)?;
                let items = items.into_iter().map(|item| self.node(item, depth + 1));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Some(b'"') => {
                let text: zeroize::Zeroizing<String> = self.read::<String>(text, whole)?.into();
                Value::text(&text)
            }
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => match text.parse() {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Float(self.read(text, whole)?),
            },
        };
        Ok(Node { at, value })
    }
}

/// An object's members as slices, in order, repeated ones too.
struct Members<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
