//! Components that attack their host, and a tenant beside them that must not notice.
//!
//! Each attack is a function of a real component in `tests/guests/hostile-*`. Its list of
//! attacks makes the guest's dispatch and these tests alike, so an attack without a test
//! does not compile, and neither does a test without its attack.
//!
//! While some attack, again and again, the bundled source polls a simulated service on the
//! same threads, and must miss nothing. `HOSTILE_POLLS` is how many polls there are with
//! and as many without an attack (40), `HOSTILE_ATTACKERS` how many attack at one time (4);
//! with `HOSTILE_BARS` set the polls' times are judged too: p50 within twice its figure
//! without an attack, p99 within that figure and two epoch ticks. `cargo xtask bench
//! --hostile` does so with one attacker and prints the table.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking, and figures are for people"
)]

mod compiling;
mod field;
mod figures;
mod heard;
mod loading;
mod plugins;
mod proposals;
mod sources;
