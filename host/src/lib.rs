//! The parts of the `watchbell` program, as a library so that tests and benches can
//! use them. Data flows one way: what a source found goes through delivery to the
//! sinks; the configuration sits on top and nothing below reads it from a file.

pub mod cli;
pub mod codecs;
pub mod component;
pub mod config;
pub mod control;
pub mod delivery;
pub mod exit;
mod mount;
pub mod names;
pub mod polling;
pub mod record;
pub mod sinks;
pub mod sources;
pub mod telemetry;
mod tenant_member;
pub mod topology;
pub mod transforms;
