//! From a destination to a judged stream, and the one place that dials.
//!
//! A [`Dialer`] resolves a name itself, asks the policy about every address, connects to
//! exactly those that were judged, goes through a proxy where there is one and shakes
//! hands over TLS. What comes out is a [`Stream`]. The HTTP client and every sink that
//! speaks another protocol use the same [`Dialer::connect`]; there is no second way out.
//! The folder is separate from `http` so that it knows nothing of requests and answers.
//! [`ConnectLimits`] bounds the time of each step, and the process's sockets and resolver
//! threads are bounded for all dialers together.

mod client_certificate;
mod connection_quota;
mod dialer;
mod limits;
mod proxy;
mod resolve;
mod stream;
mod tls;
mod tunnel;

pub use client_certificate::ClientCertificate;
pub use connection_quota::{ConnectionQuota, REQUESTS_AT_ONCE};
pub use dialer::Dialer;
pub use limits::ConnectLimits;
pub use proxy::{NotAProxy, Proxies};
pub use stream::Stream;
pub use tls::Tls;

pub(crate) use connection_quota::QuotaPermit;
pub(crate) use dialer::Resources;
pub(crate) use limits::{after, within};
pub(crate) use resolve::Resolver;
pub(crate) use tls::{RootsCache, Trust, TrustId};

#[cfg(test)]
pub(crate) use resolve::Lookup;
