//! From the tree to typed settings, by serde, with every problem told by its key and
//! line.
//!
//! Serde's derive brings unknown keys, missing keys and wrong types; this module is
//! the deserializer under it and adds where. A table is read again without a key that
//! was wrong, so that one reading finds the other wrong keys as well.

mod error;

use serde::de::value::SeqDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, IntoDeserializer, Visitor};

pub(crate) use error::DecodeError;
use error::Segment;

use crate::path::KeyPath;
use crate::report::Report;
use crate::tree::{Entry, Node, Table, Value};

/// Decodes `node`, which stands at `path`, without the keys in `read_already`. None when
/// anything is wrong; all of it is then in the report.
pub fn decode<'n, T: Deserialize<'n>>(
    node: &'n Node,
    path: &KeyPath,
    read_already: &[&str],
    report: &mut Report<'_>,
) -> Option<T> {
    let mut skip: Vec<String> = read_already.iter().map(|key| (*key).to_owned()).collect();
    let mut clean = true;
    loop {
        let error = match T::deserialize(NodeDeserializer { node, skip: &skip }) {
            Ok(value) => return clean.then_some(value),
            Err(error) => error,
        };
        let error = error.knowing(read_already);
        let key = error.outermost_key().map(str::to_owned);
        // A missing key cannot be skipped; and what it hides was wrong anyway.
        let again = key.filter(|key| !skip.contains(key));
        if clean || again.is_some() {
            report.decoding(path, &node.at, error);
        }
        clean = false;
        skip.push(again?);
    }
}

#[derive(Clone, Copy)]
struct NodeDeserializer<'n> {
    node: &'n Node,
    skip: &'n [String],
}

impl<'n> NodeDeserializer<'n> {
    fn new(node: &'n Node) -> Self {
        Self { node, skip: &[] }
    }

    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_str(&text.text),
            Value::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Table(table) => visitor.visit_map(Entries::new(table, self.skip)),
        }
    }

    /// Text from the environment may stand for a number or a boolean.
    fn visit_unquoted<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let Value::String(text) = &self.node.value else {
            return self.visit(visitor);
        };
        if !text.interpolated {
            return self.visit(visitor);
        }
        if let Ok(number) = text.text.parse() {
            visitor.visit_i64(number)
        } else if let Ok(number) = text.text.parse() {
            visitor.visit_f64(number)
        } else if let Ok(truth) = text.text.parse() {
            visitor.visit_bool(truth)
        } else {
            self.visit(visitor)
        }
    }
}

macro_rules! unquoted {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            self.visit_unquoted(visitor).map_err(|error| error.at(&self.node.at))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_> {
    type Error = DecodeError;

    unquoted! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.visit(visitor).map_err(|error| error.at(&self.node.at))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// Text that may be a list is one, with `;` between its items.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::String(text) if text.interpolated => {
                let items = text.text.split(';').map(str::trim);
                let items: Vec<&str> = items.filter(|item| !item.is_empty()).collect();
                visitor.visit_seq(SeqDeserializer::new(items.into_iter()))
            }
            _ => self.visit(visitor),
        }
        .map_err(|error| error.at(&self.node.at))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::String(text) => visitor.visit_enum(text.text.as_str().into_deserializer()),
            other => Err(DecodeError::new(format!(
                "expected a string, found {}",
                other.kind()
            ))),
        }
        .map_err(|error| error.at(&self.node.at))
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// An array's items, each problem told with its index.
struct Items<'n>(std::iter::Enumerate<std::slice::Iter<'n, Node>>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        let Some((index, node)) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(NodeDeserializer::new(node))
            .map(Some)
            .map_err(|error| error.at(&node.at).within(Segment::Index(index)))
    }
}

/// A table's entries, each problem told with its key. A null is as if it were not there.
struct Entries<'n> {
    entries: Box<dyn Iterator<Item = (&'n str, &'n Entry)> + 'n>,
    current: Option<(&'n str, &'n Node)>,
}

impl<'n> Entries<'n> {
    fn new(table: &'n Table, skip: &'n [String]) -> Self {
        let wanted = |(key, entry): &(&str, &Entry)| {
            !matches!(entry.node.value, Value::Null) && !skip.iter().any(|skipped| skipped == key)
        };
        Self {
            entries: Box::new(table.iter().filter(wanted)),
            current: None,
        }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        let Some((key, entry)) = self.entries.next() else {
            return Ok(None);
        };
        self.current = Some((key, &entry.node));
        seed.deserialize(key.into_deserializer())
            .map(Some)
            .map_err(|error: DecodeError| error.at(&entry.at).within(Segment::Key(key.to_owned())))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        let Some((key, node)) = self.current.take() else {
            return Err(DecodeError::new("a value without a key"));
        };
        seed.deserialize(NodeDeserializer::new(node))
            .map_err(|error| error.at(&node.at).within(Segment::Key(key.to_owned())))
    }
}
