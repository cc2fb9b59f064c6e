//! The thin layer over wasmtime that runs Watchbell's components.
//!
//! wasmtime can do a great deal; a host of plugins needs four things of it: load a
//! component that imports no more than its world, call it in a fresh instance that
//! can exhaust neither memory nor time, let its HTTP leave through `watchbell_egress`
//! alone, and check what it returns. This crate is those four things.
//!
//! - [`Engine`] is made once. It owns the instance pool, the epoch clock and the cache
//!   of compiled code.
//! - [`Compiler`] is how it compiles what somebody else made: in a process of its own. An
//!   embedder that names none compiles in its own process, without bounds.
//! - [`Source`], [`Processor`] and [`Encoder`] are loaded components, cheap to clone.
//!   Every call on them gets a store and an instance of its own, so nothing of one
//!   call is there in the next.
//! - [`Limits`] bound one call. What hits one is a [`CallError`] that names it.
//!
//! A call has three outcomes, kept apart in the types: a value, an error of the
//! contract (the plugin's own words), and a [`CallError`] (the plugin was stopped or
//! broke the contract).

mod bindings;
mod cache;
mod check;
mod clock;
mod compiler;
mod component;
mod config;
mod engine;
mod error;
mod file;
mod http;
mod limits;
mod plugin;
mod source;
mod state;
mod structure;

pub use bindings::types::{self, Alert, BadRecord, InvalidOption, PluginError, Severity};
pub use bindings::{contract, encoder::Description};
pub use cache::Cache;
pub use compiler::{CompileLimits, Compiler, compile_for_parent};
pub use engine::{Engine, Pool};
pub use error::{CallError, LoadError};
pub use file::read_component;
pub use http::Authorization;
pub use limits::{Limit, Limits, MAX_INSTANCES, MAX_TABLE_ELEMENTS};
pub use plugin::{Encoder, Options, Processor};
pub use source::Source;
pub use structure::Structure;
