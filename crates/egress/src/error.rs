//! Why there is no connection, or a request got no whole answer.
//!
//! One type for connecting, the answer's head and its body, because a caller of the HTTP
//! client meets all three; `Clone` because both the caller and the record of the exchange
//! keep it. Each case is one that a caller acts on differently.
//! Messages name hosts and addresses, never paths, queries, headers or bodies.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use watchbell_settings::printable;

use crate::policy::Denied;

/// Connecting, a request, or the reading of its answer failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy does not allow it. Nothing was sent.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The name does not resolve, or the resolver failed.
    #[error("{host} does not resolve: {message}")]
    Dns {
        /// The name.
        host: String,
        /// The resolver's words.
        message: String,
    },
    /// No connection.
    #[error("no connection to {host} at {address}: {message}")]
    Connect {
        /// The host.
        host: String,
        /// The last address that was tried.
        address: SocketAddr,
        /// Refused, reset, unreachable, …
        kind: io::ErrorKind,
        /// The system's words.
        message: String,
    },
    /// The TLS handshake failed.
    #[error("TLS with {host}: {message}")]
    Tls {
        /// The host.
        host: String,
        /// Which side of it.
        fault: TlsFault,
        /// What rustls says.
        message: String,
    },
    /// There is nobody to trust: the roots could not be read. A local problem.
    #[error("certificates: {message}")]
    Roots {
        /// Which file, what is wrong.
        message: String,
    },
    /// A phase took longer than its bound.
    #[error("timed out after {limit:?} {phase}")]
    TimedOut {
        /// Doing what.
        phase: Phase,
        /// The bound.
        limit: Duration,
    },
    /// The session's answers together passed [`Bounds::response_bytes`](crate::Bounds).
    /// Reading stopped there and the connection was dropped.
    #[error("the response is larger than {limit} bytes")]
    ResponseTooLarge {
        /// The bound in bytes.
        limit: u64,
    },
    /// The answer's head passed [`Bounds::header_bytes`](crate::Bounds).
    #[error("the response's headers are larger than {limit} bytes")]
    HeadersTooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// The answer is compressed or otherwise encoded. Nothing here decodes, and no request
    /// asks for it.
    #[error("the response is encoded ({encoding}), which nobody asked for")]
    Encoded {
        /// What its Content-Encoding header says, escaped and cut.
        encoding: String,
    },
    /// The session has sent as many requests as it may.
    #[error("more than {limit} requests in one call")]
    TooManyRequests {
        /// The bound.
        limit: usize,
    },
    /// The party has as many requests under way as it may.
    #[error("more than {limit} requests at one time")]
    TooManyAtOnce {
        /// The bound of the [`ConnectionQuota`](crate::ConnectionQuota).
        limit: usize,
    },
    /// The proxy cannot be reached, or does not let us through.
    #[error("the proxy {proxy}: {message}")]
    Proxy {
        /// Its host and port.
        proxy: String,
        /// The status of its answer, where it gave one and that was a refusal.
        status: Option<u16>,
        /// What it or the system says.
        message: String,
    },
    /// The connection ended before the answer began.
    #[error("the connection was closed before an answer: {message}")]
    Closed {
        /// What hyper says.
        message: String,
    },
    /// The answer's body was cut short.
    #[error("the response is incomplete: {message}")]
    Incomplete {
        /// What hyper says.
        message: String,
    },
    /// The other side does not speak HTTP as the RFCs have it.
    #[error("not valid HTTP: {message}")]
    Protocol {
        /// What hyper says.
        message: String,
    },
    /// The request is not one that can be sent, or its body failed while it was sent.
    #[error("the request could not be sent: {message}")]
    Request {
        /// What happened.
        message: String,
    },
}

/// Which part of a request a bound is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving the name.
    Resolve,
    /// Waiting for a socket: the process has as many as it may.
    Socket,
    /// Connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Waiting for the answer's head.
    FirstByte,
    /// Waiting for more of the body.
    BetweenBytes,
    /// The whole session.
    Total,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Socket => "waiting for a socket, of which the process has as many as it may",
            Self::Connect => "connecting",
            Self::Tls => "in the TLS handshake",
            Self::FirstByte => "waiting for the answer",
            Self::BetweenBytes => "waiting for more of the answer",
            Self::Total => "in all",
        })
    }
}

/// Who spoilt a TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFault {
    /// We do not accept their certificate: unknown issuer, wrong name, expired.
    Certificate,
    /// They sent an alert.
    Alert,
    /// The connection ended.
    Closed,
    /// Anything else, e.g. not TLS at all.
    Protocol,
}

/// The first error of that type in a chain.
pub(crate) fn find<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An io::Error hides the error that it wraps from `source`.
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// A chain of errors in one line.
pub(crate) fn words(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !line.contains(&more) {
            line.push_str(": ");
            line.push_str(&more);
        }
        next = error.source();
    }
    printable(&line)
}
