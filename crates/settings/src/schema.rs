//! What the value types look like in a JSON Schema: what an editor offers and underlines.
//!
//! A schema describes what a person writes, so it repeats in JSON what the type's `FromStr`
//! or `Deserialize` accepts, and never less: `${VAR}` may stand in every string, and a pattern
//! lets it. Numbers are described as numbers. That `"${VAR}"` may stand for one holds for every
//! number of a program, not for these types alone, and is for the program's schema to say.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    AddressRange, Ago, BaseUrl, ByteSize, Listen, PositiveDuration, Seconds, TimeBound,
    WholeSeconds,
};

/// Gives each type the JSON Schema that is written behind it. The crate that uses it needs
/// `schemars`.
#[macro_export]
macro_rules! json_schemas {
    ($($type:ident: $schema:tt;)*) => {$(
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($type)).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    )*};
}

json_schemas! {
    BaseUrl: {
        "description": "The base URL of a service: https, or http to loopback, without a user, a query or a fragment.",
        "type": "string",
        "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?:|\$\{",
        "examples": ["https://api.example.com", "http://127.0.0.1:8080"]
    };
    AddressRange: {
        "description": "A range of IP addresses in CIDR notation, or one address.",
        "type": "string",
        "pattern": r"^[0-9A-Fa-f.:]+(/[0-9]+)?$|\$\{",
        "examples": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"]
    };
    Listen: {
        "description": "Where to listen: an IP address and a port.",
        "type": "string",
        "pattern": r":[0-9]+$|\$\{",
        "examples": ["127.0.0.1:9598", "[::1]:9598"]
    };
    ByteSize: {
        "description": "A number of bytes: a whole number, or one with a unit: kB, MB, GB (powers of 1000), KiB, MiB or GiB (powers of 1024).",
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": r"^[0-9]+\s*(([KkMmGg][Ii]?)?[Bb])?\s*$|\$\{",
        "examples": [67_108_864, "64MiB", "10 MB"]
    };
    Seconds: {
        "description": "A time in seconds, whole or not, above 0 and at most an hour.",
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 3600,
        "examples": [30, 0.5]
    };
    TimeBound: {
        "description": "An instant (RFC 3339; without a zone it is UTC, a date alone is its midnight), or a time before now: a duration in ISO 8601 or with the units ms, s, m, h, d and w; or now.",
        "type": "string",
        "examples": ["2026-03-01T12:00:00Z", "2026-03-01", "PT2H", "1h30m", "2d", "now"]
    };
    Ago: {
        "description": "A time before now: a duration in ISO 8601, or with the units ms, s, m, h, d and w. Years and months are not used, since their length varies.",
        "type": "string",
        "examples": ["PT10M", "P1DT12H", "10m", "1h30m"]
    };
    PositiveDuration: {
        "description": "A duration above zero: in ISO 8601, or with the units ms, s, m, h, d and w.",
        "type": "string",
        "examples": ["PT6H", "1h30m"]
    };
}

impl<const MIN: u32, const MAX: u32> JsonSchema for WholeSeconds<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("WholeSeconds_{MIN}_{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;
    use proptest::string::string_regex;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    fn schema<T: JsonSchema>() -> Value {
        SchemaGenerator::default()
            .into_root_schema_for::<T>()
            .to_value()
    }

    /// Whether a schema lets this type of JSON be written.
    fn has_type(schema: &Value, name: &str) -> bool {
        match &schema["type"] {
            Value::String(one) => one == name,
            Value::Array(all) => all.iter().any(|one| one == name),
            _ => false,
        }
    }

    /// Every example is one, and every text that is read may be written.
    fn holds<T: JsonSchema + FromStr + for<'de> Deserialize<'de>>(texts: &[&str]) {
        let schema = schema::<T>();
        assert!(schema["description"].is_string(), "{schema}");
        assert!(has_type(&schema, "string"), "{schema}");
        for text in texts {
            assert!(text.parse::<T>().is_ok(), "{text}");
        }
        let examples = schema["examples"].as_array().unwrap();
        assert!(!examples.is_empty());
        for example in examples {
            assert!(T::deserialize(example).is_ok(), "{example}");
        }
    }

    #[test]
    fn a_schema_lets_be_written_what_is_read_and_its_examples_are_some() {
        holds::<BaseUrl>(&["https://example.com/a/", "http://[::1]:1"]);
        holds::<AddressRange>(&["127.0.0.1", "::ffff:10.1.2.3/128"]);
        holds::<Listen>(&["0.0.0.0:0", "[fe80::1%2]:80"]);
        holds::<ByteSize>(&["0", "64MiB", "2 kB", "3gib", "7b"]);
        holds::<TimeBound>(&["2026-03-01 00:00:00.5", "pt2h", "1d 12h", "now"]);
        holds::<Ago>(&["P2W", "500ms"]);
    }

    #[test]
    fn seconds_are_a_number_with_the_bounds_that_are_checked() {
        let schema = schema::<Seconds>();
        assert!(has_type(&schema, "number") && !has_type(&schema, "string"));
        let most = schema["maximum"].as_f64().unwrap();
        let least = schema["exclusiveMinimum"].as_f64().unwrap();
        let read = |seconds: f64| Seconds::deserialize(&Value::from(seconds)).is_ok();
        assert!(read(most) && !read(most + 0.001));
        assert!(!read(least) && read(least + 0.001));
        for example in schema["examples"].as_array().unwrap() {
            assert!(Seconds::deserialize(example).is_ok(), "{example}");
        }
    }

    proptest! {
        /// What the pattern lets through is read, unless the number is too large.
        #[test]
        fn the_pattern_of_a_size_lets_nothing_through_that_is_no_size(
            text in string_regex(&unanchored(&schema::<ByteSize>())).unwrap(),
        ) {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            prop_assert!(digits > 9 || text.parse::<ByteSize>().is_ok(), "{:?}", text);
        }
    }

    /// A pattern as proptest makes texts of it: without anchors and references.
    fn unanchored(schema: &Value) -> String {
        let pattern = schema["pattern"].as_str().unwrap();
        let own = pattern.strip_suffix(r"|\$\{").unwrap();
        own.trim_start_matches('^').trim_end_matches('$').to_owned()
    }
}
