//! What a person is told about a configuration: the key, the file, the line and the
//! remedy, in all three formats.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod config {
    mod formats;
    mod hostile;
    mod messages;
    mod overrides;
    mod tenants;
}
