//! A detection with its documented members typed.
//!
//! For what must look inside: encoders and mappings. What is not documented, what has
//! another type than documented, and all but the last of what is named more than once
//! are kept as they came, in order, so that decoding and encoding again loses nothing.
//! (But a lone surrogate in a name, which is no character: there it becomes U+FFFD.)

use crate::alert::Fault;
use crate::text::meaning;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A documented string.
pub(crate) type Text = String;
/// A documented integer.
pub(crate) type Integer = i64;
/// A documented boolean.
pub(crate) type Boolean = bool;

/// A value of a member.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A string.
    Text(&'a str),
    /// An integer.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
    /// Any JSON, of a member that is not documented or has another type than that.
    Other(&'a RawValue),
}

/// A type that documented members have.
pub(crate) trait Member: Sized {
    /// Reads a value; none when it has another type.
    fn read(json: &str) -> Option<Self>;
    /// The value for a caller.
    fn value(&self) -> Value<'_>;
}

impl Member for Text {
    fn read(json: &str) -> Option<Self> {
        // One that text does not say in full is kept as it came.
        let meaning = meaning(json.as_bytes())?;
        meaning.exact.then(|| meaning.text.into_owned())
    }

    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Member for Integer {
    fn read(json: &str) -> Option<Self> {
        // -0 is no integer that could be written again.
        json.parse().ok().filter(|_| json != "-0")
    }

    fn value(&self) -> Value<'_> {
        Value::Integer(*self)
    }
}

impl Member for Boolean {
    fn read(json: &str) -> Option<Self> {
        json.parse().ok()
    }

    fn value(&self) -> Value<'_> {
        Value::Boolean(*self)
    }
}

/// Reads an object's members in order.
pub(crate) fn read_members(json: &str) -> Result<Vec<(String, &RawValue)>, Fault> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                let name = meaning(name.get().as_bytes()).map(|name| name.text.into_owned());
                members.push((name.unwrap_or_default(), value));
            }
            Ok(members)
        }
    }
    crate::check_object(json)?;
    serde_json::Deserializer::from_str(json)
        .deserialize_map(Members)
        .map_err(|error| Fault {
            offset: error.column().saturating_sub(1),
            message: error.to_string(),
        })
}

/// Writes members as an object.
pub(crate) fn write_members<'a>(members: impl Iterator<Item = (&'a str, Value<'a>)>) -> String {
    let mut json = String::from("{");
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            json.push(',');
        }
        // Writing a string cannot fail.
        json.push_str(&serde_json::to_string(name).unwrap_or_default());
        json.push(':');
        match value {
            Value::Text(text) => json.push_str(&serde_json::to_string(text).unwrap_or_default()),
            Value::Integer(number) => json.push_str(&number.to_string()),
            Value::Boolean(truth) => json.push_str(if truth { "true" } else { "false" }),
            Value::Other(raw) => json.push_str(raw.get()),
        }
    }
    json.push('}');
    json
}

/// Makes `Detection` from the table of its members.
macro_rules! detection {
    ($($field:ident: $kind:ident, $name:literal, $doc:literal;)*) => {
        /// A detection with its documented members typed. Absent is missing or null.
        #[derive(Debug, Clone, Default)]
        pub struct Detection {
            $(#[doc = $doc] pub $field: Option<$kind>,)*
            /// In order: every other member, documented ones of another type (null is
            /// one), and all but the last of a name.
            pub rest: Vec<(String, Box<serde_json::value::RawValue>)>,
        }

        impl Detection {
            /// The names of the documented members, in the documentation's order.
            pub const MEMBERS: &'static [&'static str] = &[$($name),*];

            /// Reads one JSON object on one line.
            ///
            /// # Errors
            /// [`Fault`](crate::Fault) when it is not that.
            pub fn from_json(json: &str) -> Result<Self, crate::Fault> {
                use crate::detection::Member as _;
                #[derive(Default)]
                struct Seen {
                    $($field: bool,)*
                }
                let mut detection = Self::default();
                let mut seen = Seen::default();
                // From the last, which is the one that counts.
                for (name, value) in crate::detection::read_members(json)?.into_iter().rev() {
                    let typed = match name.as_str() {
                        $($name if !std::mem::replace(&mut seen.$field, true) => {
                            detection.$field = <$kind>::read(value.get());
                            detection.$field.is_some()
                        })*
                        _ => false,
                    };
                    if !typed {
                        detection.rest.push((name, value.to_owned()));
                    }
                }
                detection.rest.reverse();
                Ok(detection)
            }

            /// The detection as JSON: the rest, then the documented members that are
            /// there, so that of a name in both the documented member is the last, which
            /// is the one that counts.
            #[must_use]
            pub fn to_json(&self) -> String {
                use crate::detection::{Member as _, Value};
                let typed = [$(($name, self.$field.as_ref().map(|value| value.value()))),*];
                let typed = typed.into_iter().filter_map(|(name, value)| Some((name, value?)));
                let rest = self.rest.iter().map(|(name, value)| (name.as_str(), Value::Other(value)));
                crate::detection::write_members(rest.chain(typed))
            }

            /// A member by its name, documented or not. Of one named more than once, the
            /// last.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<crate::Value<'_>> {
                use crate::detection::{Member as _, Value};
                let typed = match name {
                    $($name => self.$field.as_ref().map(|value| value.value()),)*
                    _ => None,
                };
                typed.or_else(|| {
                    let (_, value) = self.rest.iter().rev().find(|(other, _)| other == name)?;
                    Some(Value::Other(value))
                })
            }
        }
    };
}
pub(crate) use detection;
