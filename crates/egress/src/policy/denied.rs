//! What was refused, and by which rule, in one line.
//!
//! These lines reach logs and terminals, and parts of them come from a guest: text is
//! escaped and cut, and no query is ever in them.

use std::net::IpAddr;

use super::address::Class;
use super::host::NotAHost;
use super::target::Scheme;

/// A request that the policy does not allow. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The URL has no scheme and host.
    #[error("denied: the URL has no scheme or no host")]
    NotAbsolute,
    /// Neither `https` nor `http`.
    #[error("denied: scheme {scheme}: only https, and http to opened loopback addresses")]
    Scheme {
        /// As it came, escaped.
        scheme: String,
    },
    /// `user:password@` before the host: the classic way to show one host and mean
    /// another.
    #[error("denied: user information in the URL's authority")]
    UserInfo,
    /// The host is not one that everybody reads alike.
    #[error("denied: host {host}: {reason}")]
    Host {
        /// As it came, escaped.
        host: String,
        /// What is wrong with it.
        reason: NotAHost,
    },
    /// Port 0, or what is no port.
    #[error("denied: port {port:?} of host {host}")]
    Port {
        /// The host.
        host: String,
        /// As it came, escaped.
        port: String,
    },
    /// No pattern of the policy names it.
    #[error("denied: {host}:{port} is not an allowed host")]
    NotAllowed {
        /// The host, as it would have been dialled.
        host: String,
        /// The port.
        port: u16,
    },
    /// `http` or plain TCP to what is not loopback.
    #[error("denied: {scheme} to {host}: without TLS only loopback is reached")]
    PlainText {
        /// How it would have been spoken to.
        scheme: Scheme,
        /// The host.
        host: String,
    },
    /// The host is, or has only, addresses that the policy has not opened.
    #[error("denied: {}{refused}", Name { host, refused })]
    Address {
        /// The host, as it would have been dialled.
        host: String,
        /// The first of its addresses that was refused.
        refused: RefusedAddress,
    },
    /// A name that clouds give to their metadata service.
    #[error("denied: {host} is the name of a metadata service")]
    MetadataName {
        /// The host.
        host: String,
    },
    /// `CONNECT` makes a tunnel out of a request.
    #[error("denied: method {method}")]
    Method {
        /// The method, escaped.
        method: String,
    },
}

/// An address that the policy has not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address}{}, which is {class} and not opened", Within(self.within))]
pub struct RefusedAddress {
    /// What was refused: the address, or the IPv4 address in it.
    pub address: IpAddr,
    /// The IPv6 address that `address` was found in.
    pub within: Option<IpAddr>,
    /// Why.
    pub class: Class,
}

/// The host's name before its address, unless it is the address.
struct Name<'d> {
    host: &'d str,
    refused: &'d RefusedAddress,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let literal = self.host.trim_start_matches('[').trim_end_matches(']');
        if literal.parse() == Ok(self.refused.address) {
            return Ok(());
        }
        write!(f, "{} is ", self.host)
    }
}

struct Within(Option<IpAddr>);

impl std::fmt::Display for Within {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(outer) => write!(f, " (in {outer})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_address_says_where_it_was_found() {
        let refused = RefusedAddress {
            address: "10.0.0.1".parse().unwrap(),
            within: Some("64:ff9b::a00:1".parse().unwrap()),
            class: Class::Private,
        };
        let denied = Denied::Address {
            host: "a.example".into(),
            refused,
        };
        let literal = Denied::Address {
            host: "10.0.0.1".into(),
            refused: RefusedAddress {
                within: None,
                ..refused
            },
        };
        assert_eq!(
            literal.to_string(),
            "denied: 10.0.0.1, which is private and not opened"
        );
        assert_eq!(
            denied.to_string(),
            "denied: a.example is 10.0.0.1 (in 64:ff9b::a00:1), which is private and not opened"
        );
    }
}
