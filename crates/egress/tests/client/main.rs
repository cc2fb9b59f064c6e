//! The client and the dialer against real servers on loopback: what arrives, what is
//! refused, what is cut off, and which connections are shared.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod answers;
mod limits;
mod pools;
mod proxies;
mod refusals;
mod streams;
mod support;
mod tls;
