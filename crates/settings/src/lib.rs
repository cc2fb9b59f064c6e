//! Text to typed settings: from a TOML, YAML or JSON file to values that are right, or to
//! problems that name the key, the file, the line and the remedy.
//!
//! It is separate because it is generic. This crate knows no setting of any program, so the
//! crates below the program can read their own limits, addresses and times with it, and say
//! what is wrong in the same words.
//!
//! A program reads its file in steps:
//! 1. [`Parser`] turns the text into a [`Table`] whose [`Node`]s know their place ([`At`]).
//!    Flags and other files are laid over it ([`Table::merge`]).
//! 2. [`Interpolation`] replaces `${VAR}` in its strings, and [`Node::rebase`] makes paths
//!    relative to the file that they stand in.
//! 3. [`decode()`] turns a node into a type of the program's own, by serde. What is wrong goes
//!    to a [`Report`], with its [`KeyPath`].
//! 4. [`Report::finish`] gives the value, or a [`ConfigError`] with every [`Problem`].
//!
//! What a file can cost is bounded: its bytes, its depth ([`MAX_DEPTH`]) and its aliases.
//! Strings may be secrets: they are zeroed on drop, and neither printed nor repeated in a
//! problem.
//!
//! # What is where
//! - the text: [`Parser`], [`Format`], [`Table`], [`Node`], [`Value`], [`Text`]
//! - where something stands: [`At`] in a file, [`KeyPath`] in the tree
//! - what is wrong: [`Problem`], [`Report`], [`ConfigError`]; [`nearest`] and [`instead`] for
//!   "did you mean"
//! - values that are parsed once, at load: [`BaseUrl`], [`AddressRange`], [`Listen`],
//!   [`ByteSize`], [`Seconds`], [`WholeSeconds`], [`TimeBound`], [`Ago`], [`PositiveDuration`]; [`deserialize_from_text!`],
//!   [`as_text!`] and [`json_schemas!`] for a program's own. Each has a JSON Schema, by
//!   `schemars`
//! - what others wrote, fit for a log: [`printable()`], [`escaped`], [`escaped_lines`]

mod at;
mod decode;
mod error;
mod interpolate;
mod parse;
mod path;
mod report;
mod schema;
mod suggest;
mod text;
mod time;
mod tree;
mod values;

pub use at::{At, COMMAND_LINE};
pub use decode::decode;
pub use error::{ConfigError, Problem, Problems};
pub use interpolate::{CheckText, Env, Interpolation};
pub use parse::{Format, MAX_DEPTH, Parser, ReadFile};
pub use path::KeyPath;
pub use report::Report;
pub use suggest::{instead, nearest};
pub use text::{Printable, escaped, escaped_lines, printable};
pub use time::{Ago, PositiveDuration, TimeBound};
pub use tree::{Entry, Node, Table, Text, Value};
pub use values::{
    AddressRange, BaseUrl, ByteSize, InvalidValue, Listen, Seconds, WholeSeconds, from_text,
};
