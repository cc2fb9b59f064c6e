//! Who may be reached and how: names, addresses, the one HTTP client.
//!
//! Everything that leaves this program over HTTP leaves through here, and this crate
//! knows nothing of who asks: no WASM, no tenants, no schedules, no secrets. What it
//! knows is a [`Policy`] (which hosts, which special addresses), [`Tls`] (whom to trust)
//! and [`Bounds`] (how long, how much). From those it makes a [`Client`], and each guest
//! call gets a [`Session`] of it, which answers with a plain `http_body` body or an
//! [`Error`] and keeps an [`Exchange`] of what it saw of each request.
//!
//! # Why hyper-util's client and not reqwest
//! - The policy belongs where the connection is made. hyper-util lets us write that
//!   part, the connector: it judges the URL that it is about to dial, resolves the name,
//!   judges every address, and dials exactly those it judged. reqwest lets a program
//!   replace the resolver, but never asks it about a literal: `http://127.0.0.1`, or
//!   `http://2130706433`, which URL parsing turns into the same, would pass unjudged.
//! - Resolving, connecting and TLS are bounded one by one, and an error says which of
//!   them it was. reqwest has one connect timeout for the three.
//! - The pool is ours to divide: one for each distinct set of policy, roots and proxies.
//! - The answer's body is hyper's own, frame by frame, wrapped once; nothing follows a
//!   redirect, decompresses, or keeps cookies unless somebody writes that here.
//!
//! # What is where
//! - what is allowed: [`Policy`] of [`HostPattern`]s, over [`Host`]s and [`address`]es;
//!   a refusal is a [`Denied`]
//! - what it may cost: [`Bounds`], shortened by what is [`Asked`], and a party's [`ConnectionQuota`]
//! - through whom: [`Proxies`]
//! - the client: [`Egress`] → [`Client`] → [`Session`] → [`Body`]

#[path = "http/body.rs"]
mod body;
#[path = "http/bounds.rs"]
mod bounds;
#[path = "http/client.rs"]
mod client;
#[path = "dial/client_certificate.rs"]
mod client_certificate;
#[path = "dial/dialer.rs"]
mod connect;
#[path = "dial/connection_quota.rs"]
mod connection_quota;
#[path = "policy/denied.rs"]
mod denied;
mod egress;
mod error;
#[path = "http/exchange.rs"]
mod exchange;
#[path = "policy/host.rs"]
mod host;
#[path = "policy/host_pattern.rs"]
mod host_pattern;
#[path = "http/request_body.rs"]
mod outgoing;
#[path = "dial/tunnel.rs"]
mod overheard;
#[path = "policy/rules.rs"]
mod policy;
#[path = "dial/proxy.rs"]
mod proxy;
#[path = "dial/resolve.rs"]
mod resolve;
#[path = "http/session.rs"]
mod session;
#[path = "dial/stream.rs"]
mod stream;
#[path = "dial/tls.rs"]
mod tls;

#[path = "policy/address.rs"]
pub mod address;

pub use body::Body;
pub use bounds::{Asked, Bounds, MAX_HEADER_BYTES};
pub use client::Client;
pub use client_certificate::ClientCertificate;
pub use connection_quota::{ConnectionQuota, REQUESTS_AT_ONCE};
pub use denied::{Denied, RefusedAddress};
pub use egress::Egress;
pub use error::{Error, Phase, TlsFault};
pub use exchange::{BODY_HEAD_BYTES, BodyHead, Exchange};
pub use host::{Host, NotAHost};
pub use host_pattern::{HostPattern, NotAHostPattern};
pub use policy::{Policy, Scheme, Target};
pub use proxy::{NotAProxy, Proxies};
pub use session::Session;
pub use tls::Tls;
