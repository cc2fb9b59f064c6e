//! The HTTP client, over judged streams.
//!
//! A [`Client`] is a pool of connections that one [`Dialer`](crate::Dialer) makes. Each
//! caller opens a [`Session`] of it, with [`Bounds`] on time, bytes and requests, and gets
//! plain `http_body` bodies ([`Body`]) and a record of what was seen ([`Exchange`]). The
//! folder is separate because everything that follows from HTTP is here and nowhere else:
//! `dial` and `policy` do not import it.

mod body;
mod bounds;
mod client;
mod connector;
mod exchange;
mod hyper_error;
mod request_body;
mod session;

pub use body::Body;
pub use bounds::{Asked, Bounds, MAX_HEADER_BYTES};
pub use client::Client;
pub use exchange::{BODY_HEAD_BYTES, BodyHead, Exchange};
pub use session::Session;

pub(crate) use client::Pools;
