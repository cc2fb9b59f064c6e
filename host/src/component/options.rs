//! A plugin's options: names and values in the file's order, as the contract has them.
//!
//! The contract carries text. A number or a boolean becomes its text; a table, or an
//! array, becomes JSON. What the names mean is the plugin's business; it judges them
//! at load.

use std::fmt;

use watchbell_settings::json_schemas;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Options of a plugin. Values are not printed: one may be a secret (a salt, a key).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Name and value of each, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The settings of a component that comes with the program, as its options. What is not
    /// set is left to the component.
    pub(crate) fn of(settings: &impl Serialize) -> Self {
        let members = match serde_json::to_value(settings) {
            Ok(Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let set = members.into_iter().filter(|(_, value)| !value.is_null());
        Self(set.map(|(name, value)| (name, text_of(value))).collect())
    }
}

/// Text as it is, and anything else as its JSON.
fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

json_schemas! {
    Options: {
        "description": "Options of a component: names and values. What they mean is the component's own.",
        "type": "object",
        "additionalProperties": true
    };
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(name, _)| (name, "***")))
            .finish()
    }
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Options;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Options, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    pairs.push((name, text_of(value)));
                }
                Ok(Options(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}
