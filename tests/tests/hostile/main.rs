//! Components that attack their host, and a tenant beside them that must not notice.
//!
//! Each attack is a function of a real component in `tests/guests/hostile-*`. Its list of
//! attacks makes the guest's dispatch and these tests alike, so an attack without a test
//! does not compile, and neither does a test without its attack.
//!
//! While one attacks, again and again, the bundled source polls a simulated service on
//! the same runtime, and must get an answer each time. `HOSTILE_SECS` (1) is for how long
//! each attack goes on; with `HOSTILE_BARS` set, the well-behaved tenant's times are
//! judged too: p50 within twice its figure without an attacker, p99 within that figure
//! and two epoch ticks. `--nocapture` prints them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking, and figures are for people"
)]

mod field;
mod heard;
mod loading;
mod plugins;
mod sources;
