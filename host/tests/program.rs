//! The `watchbell` program as a user meets it: the real binary in a process of its own,
//! against the simulated Defender on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot be set up has failed"
)]

mod program {
    mod answers;
    mod bombs;
    mod cache;
    mod crash;
    mod data_dir;
    mod docs;
    mod echo;
    mod endings;
    mod exhaustion;
    mod fairness;
    mod files;
    mod http;
    mod mistakes;
    mod modes;
    mod orders;
    mod plugins;
    mod poison;
    mod poll;
    mod reading;
    mod recovery;
    mod reload;
    mod run;
    mod secrets;
    mod simulate;
    mod state;
    mod support;
    mod tenants;
    mod token;
    mod validate;
    mod visible;
}
