//! Options as the members of a map.

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::OptionsError;
use super::value::Value;

/// All options of a call.
pub(super) struct List<'de>(pub(super) &'de [(String, String)]);

impl<'de> List<'de> {
    fn entries(self, known: Option<&'static [&'static str]>) -> Entries<'de> {
        Entries {
            options: self.0,
            next: 0,
            known,
        }
    }
}

impl<'de> Deserializer<'de> for List<'de> {
    type Error = OptionsError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        visitor.visit_map(self.entries(None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, OptionsError> {
        visitor.visit_map(self.entries(Some(fields)))
    }

    /// A plugin without options.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        match self.0.first() {
            Some((name, _)) => Err(OptionsError::unknown(name, &[])),
            None => visitor.visit_unit(),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, OptionsError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, OptionsError> {
        visitor.visit_newtype_struct(self)
    }

    /// Names and texts as they came, for a plugin that judges them itself.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, OptionsError> {
        let pairs = self.0.iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
        MapDeserializer::new(pairs).deserialize_seq(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option tuple tuple_struct map enum identifier ignored_any
    }
}

struct Entries<'de> {
    options: &'de [(String, String)],
    next: usize,
    /// The names that there are, where the type says so.
    known: Option<&'static [&'static str]>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = OptionsError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, OptionsError> {
        let Some((name, _)) = self.options.get(self.next) else {
            return Ok(None);
        };
        let mut earlier = self.options.iter().take(self.next);
        if earlier.any(|(earlier, _)| earlier == name) {
            return Err(OptionsError::new(name, "it is given twice"));
        }
        if let Some(known) = self.known
            && !known.contains(&name.as_str())
        {
            return Err(OptionsError::unknown(name, known));
        }
        seed.deserialize(BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, OptionsError> {
        let Some((name, text)) = self.options.get(self.next) else {
            return Err(OptionsError::unnamed("there are no more options"));
        };
        self.next += 1;
        seed.deserialize(Value(text))
            .map_err(|error| error.of(name))
    }
}
