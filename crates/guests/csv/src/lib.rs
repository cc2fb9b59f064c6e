//! The CSV encoder component: a line for each detection, a column for each member.
//!
//! A value stands as its text: a string as it is, a number as the service spelt it,
//! `true` or `false`, nested values as compact JSON, null and what is missing as
//! nothing. The members are read through `watchbell-detection`, so this crate knows no
//! member by name.
//!
//! | module | |
//! |---|---|
//! | `encoder` | the encoder, and the contract's three functions for tests |
//! | `options` | what a user may set |
//! | `cell` | a member's text |

mod cell;
mod encoder;
mod options;

pub use encoder::{Csv, Description, check, describe, encode};
pub use options::MAX_FIELDS;
pub use watchbell_sdk::Error as PluginError;

watchbell_sdk::export_encoder!(Csv);
