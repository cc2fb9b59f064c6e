//! The parts of the `watchbell` program, as a library so that tests and benches can
//! use them. Data flows one way: what a source found goes through the pipeline to the
//! sinks; the configuration sits on top and nothing below reads it from a file.

pub mod config;
mod secret;

pub use secret::{MAX_SECRET_BYTES, Secret, SecretFileError};
