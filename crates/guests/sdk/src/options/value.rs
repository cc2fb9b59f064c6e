//! One option's text as a value.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserializer, IgnoredAny, Visitor};
use serde_json::de::StrRead;

use super::OptionsError;

/// The text of one option.
pub(super) struct Value<'de>(pub(super) &'de str);

type Json<'de> = serde_json::Deserializer<StrRead<'de>>;

impl<'de> Value<'de> {
    fn json<T>(
        self,
        read: impl FnOnce(&mut Json<'de>) -> serde_json::Result<T>,
    ) -> Result<T, OptionsError> {
        let mut json = Json::from_str(self.0);
        let value = read(&mut json);
        value
            .and_then(|value| json.end().map(|()| value))
            .map_err(|error| OptionsError::of_json(self.0, &error))
    }
}

/// Types that have one text each.
macro_rules! parsed {
    ($($function:ident $visit:ident $what:expr,)*) => { $(
        fn $function<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
            let value = self.0.parse();
            visitor.$visit(value.map_err(|_| OptionsError::unnamed($what).at(0))?)
        }
    )* };
}

/// What is read as JSON.
macro_rules! as_json {
    ($($function:ident($($name:ident: $type:ty),*),)*) => { $(
        fn $function<V: Visitor<'de>>(
            self,
            $($name: $type,)*
            visitor: V,
        ) -> Result<V::Value, OptionsError> {
            self.json(|json| json.$function($($name,)* visitor))
        }
    )* };
}

fn whole(least: impl std::fmt::Display, most: impl std::fmt::Display) -> String {
    format!("it is a whole number from {least} to {most}")
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = OptionsError;

    parsed! {
        deserialize_bool visit_bool "it is `true` or `false`",
        deserialize_i8 visit_i8 whole(i8::MIN, i8::MAX),
        deserialize_i16 visit_i16 whole(i16::MIN, i16::MAX),
        deserialize_i32 visit_i32 whole(i32::MIN, i32::MAX),
        deserialize_i64 visit_i64 whole(i64::MIN, i64::MAX),
        deserialize_i128 visit_i128 whole(i128::MIN, i128::MAX),
        deserialize_u8 visit_u8 whole(u8::MIN, u8::MAX),
        deserialize_u16 visit_u16 whole(u16::MIN, u16::MAX),
        deserialize_u32 visit_u32 whole(u32::MIN, u32::MAX),
        deserialize_u64 visit_u64 whole(u64::MIN, u64::MAX),
        deserialize_u128 visit_u128 whole(u128::MIN, u128::MAX),
        deserialize_f32 visit_f32 "it is a number",
        deserialize_f64 visit_f64 "it is a number",
        deserialize_char visit_char "it is one character",
    }

    as_json! {
        deserialize_unit(),
        deserialize_unit_struct(name: &'static str),
        deserialize_seq(),
        deserialize_tuple(len: usize),
        deserialize_tuple_struct(name: &'static str, len: usize),
        deserialize_map(),
        deserialize_struct(name: &'static str, fields: &'static [&'static str]),
    }

    /// JSON where it is, else text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        if serde_json::from_str::<IgnoredAny>(self.0).is_ok() {
            return self.json(|json| json.deserialize_any(visitor));
        }
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        visitor.visit_borrowed_bytes(self.0.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        visitor.visit_borrowed_bytes(self.0.as_bytes())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, OptionsError> {
        visitor.visit_newtype_struct(self)
    }

    /// A variant without data by its name, one with data as JSON.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, OptionsError> {
        if self.0.trim_start().starts_with('{') {
            return self.json(|json| json.deserialize_enum(name, variants, visitor));
        }
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, OptionsError> {
        visitor.visit_unit()
    }
}
