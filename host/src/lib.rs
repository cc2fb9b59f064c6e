//! The parts of the `watchbell` program, as a library so that tests and benches can
//! use them. Data flows one way: what a source found goes through the pipeline to the
//! sinks; the configuration sits on top and nothing below reads it from a file.

pub mod cli;
pub mod config;
pub mod control;
pub mod exit;
pub mod observe;
pub mod pipeline;
pub mod schedule;
mod secret;
pub mod sinks;
mod stamp;

pub use secret::{
    Consent, Credential, MAX_SECRET_BYTES, SealError, Secret, SecretError, SecretFileError,
    SecretRef, SecretSettings, Secrets,
};
