//! Watchbell beside a plain native puller, measured on one machine in one run.
//!
//! A crate of its own because the native puller brings an HTTP client that the
//! program must not contain. Three kinds of process, so that each side's memory is
//! its own and neither shares a thread with what serves it:
//!
//! - `bench-simulator` serves the detections, over HTTP and over TLS ([`Served`]);
//! - `native` and `ours` are the two sides; each stays up, warm, and pulls when it is
//!   told ([`Side`], [`Worker`]);
//! - `bench` tells them in turn, so that whatever slows the machine slows both, and
//!   prints medians with the range they came from ([`Spread`]).
//!
//! What is compared is the ratio within each pair, never two absolute times.

mod backlog;
mod compare;
mod first_byte;
mod front;
mod native;
mod ours;
mod record;
mod report;
mod served;
mod side;
mod spread;
mod tenants;
mod usage;
mod worker;

pub use backlog::{Backlog, backlog, pull_backlog};
pub use compare::{Large, Small, large, small};
pub use first_byte::{FirstByte, first_byte};
pub use front::Front;
pub use native::Native;
pub use ours::Ours;
pub use record::Record;
pub use report::Report;
pub use served::{Served, Window, serve};
pub use side::{Answer, Command, Created, ServiceArgs, Side, attend};
pub use spread::{Spread, percentile};
pub use tenants::{Fleet, Held, fleet, held};
pub use usage::Usage;
pub use worker::{SimulatorProcess, Took, Worker};
