//! A plugin's options as a type.
//!
//! The contract has names and texts. A text in the configuration comes as it is, a number
//! or a boolean as its text, and an array or a table as JSON. `list` reads the names,
//! `value` one text.

mod error;
mod list;
mod value;

pub use error::{OptionsError, json_offset};

use serde::de::DeserializeOwned;

/// Reads options as `T`. What is not a field of `T` is refused, and so is what is given
/// twice: which of the two was meant cannot be known.
pub(crate) fn parse<T: DeserializeOwned>(options: &[(String, String)]) -> Result<T, OptionsError> {
    T::deserialize(list::List(options))
}
