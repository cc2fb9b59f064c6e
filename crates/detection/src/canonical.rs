//! A digest of what an object means, for detections without a FullId.
//!
//! Members are sorted as RFC 8785 has it (by the UTF-16 units of their names; those of
//! one name keep their order), white space is dropped, strings are written in one way.
//! Unlike there, numbers keep their spelling: reading them as doubles would make two
//! detections one.

use crate::scan::MAX_DEPTH;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt;

/// `sha256:` and the hexadecimal digest. `json` is known to be one JSON object.
pub(crate) fn digest(json: &str) -> String {
    let mut canonical = String::with_capacity(json.len());
    write(json, &mut canonical, MAX_DEPTH);
    format!("sha256:{:x}", Sha256::digest(canonical))
}

fn write(json: &str, out: &mut String, depth: u32) {
    match json.as_bytes().first() {
        Some(b'{') if depth > 0 => {
            let mut members = members(json);
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(name, out);
                out.push(':');
                write(value.get(), out, depth - 1);
            }
            out.push('}');
        }
        Some(b'[') if depth > 0 => {
            out.push('[');
            let elements: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            for (index, value) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(value.get(), out, depth - 1);
            }
            out.push(']');
        }
        Some(b'"') => {
            string(&meaning(json), out);
        }
        _ => out.push_str(json),
    }
}

/// What a string with its quotes means.
pub(crate) fn meaning(json: &str) -> String {
    let inside = json
        .as_bytes()
        .get(1..json.len().saturating_sub(1))
        .unwrap_or_default();
    crate::text::unescape(inside).into_owned()
}

fn string(text: &str, out: &mut String) {
    // Writing a string cannot fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The members of an object in their order.
pub(crate) fn members(json: &str) -> Vec<(String, &RawValue)> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                members.push((meaning(name.get()), value));
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(json)
        .deserialize_map(Members)
        .unwrap_or_default()
}
