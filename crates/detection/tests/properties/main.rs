//! Properties that hold for arbitrary input, 10,000 cases each.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod detection;
mod split;
mod timestamp;
mod tree;
mod validity;

/// How many cases each property is tried on.
const CASES: u32 = 10_000;
