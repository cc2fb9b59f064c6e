//! The CSV encoder component: a line for each detection, a column for each member.
//!
//! A value stands as its text: a string as it is, a number as the service spelt it,
//! `true` or `false`, nested values as compact JSON, null and what is missing as
//! nothing. The members are read through `watchbell-detection`, so this crate knows no
//! member by name.
//!
//! | module | |
//! |---|---|
//! | `encoder` | `check`, `describe` and `encode`, the functions of the contract |
//! | `options` | what a user may set |
//! | `cell` | a member's text |
//! | `component` | the component's exports, on WebAssembly only |

mod cell;
#[cfg(target_arch = "wasm32")]
mod component;
mod encoder;
mod error;
mod options;

pub use encoder::{Description, check, describe, encode};
pub use error::PluginError;
pub use options::MAX_FIELDS;
