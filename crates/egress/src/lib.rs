//! Who may be reached and how: the policy, the dialer, the one HTTP client.
//!
//! Everything that leaves this program leaves through here, and this crate knows nothing
//! of who asks: no WASM, no tenants, no schedules, no secrets. Three folders, each of
//! which imports only those after it:
//! - `http`: the client. [`Client`] → [`Session`] → [`Body`], within [`Bounds`], and an
//!   [`Exchange`] of what was seen of each request
//! - `dial`: from a destination to a judged [`Stream`]. [`Dialer`], [`Tls`] (whom to
//!   trust), [`Proxies`] (through whom), [`ConnectionQuota`] (how many for one party)
//! - `policy`: who may be reached. [`Policy`] of [`HostPattern`]s, over [`Host`]s and
//!   [`address`]es; a refusal is a [`Denied`]
//!
//! [`Egress`] stands above them: one for the process, which makes clients and dialers.
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

mod dial;
mod egress;
mod error;
mod http;
mod policy;

pub use self::dial::{
    ClientCertificate, ConnectLimits, ConnectionQuota, Dialer, NotAProxy, Proxies,
    REQUESTS_AT_ONCE, Stream, Tls,
};
pub use self::egress::Egress;
pub use self::error::{Error, Phase, TlsFault};
pub use self::http::{
    Asked, BODY_HEAD_BYTES, Body, BodyHead, Bounds, Client, Exchange, MAX_HEADER_BYTES, Session,
};
pub use self::policy::{
    Denied, Host, HostPattern, NotAHost, NotAHostPattern, Policy, RefusedAddress, Scheme, Target,
    address,
};
