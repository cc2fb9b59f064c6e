//! The policy against independent models: the address registries as a table, and all of
//! its rules written a second time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod address;
mod cases;
mod model;
