//! Which hosts an allow-list names.
//!
//! A pattern is parsed once, when the configuration is read, and then only compared. It
//! is deliberately weak: a name, the names below a name, or an address, each with one
//! port. There are no ranges of addresses (a special range is opened in the policy) and
//! no wildcard for everything.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::host::{Host, NotAHost};

/// One entry of an allow-list: `name`, `*.suffix` or an address, and a port.
///
/// Without a port it means the scheme's own: 443 for `https`, 80 for `http`, and none for
/// other protocols, which need an entry with a port. `*.suffix` means every name below
/// `suffix`, at any depth, but not `suffix` itself.
///
/// ```
/// use watchbell_egress::{Host, HostPattern};
///
/// let pattern: HostPattern = "*.Example.com".parse()?;
/// assert!(pattern.matches(&Host::parse("api.eu.example.com")?, 443, Some(443)));
/// assert!(!pattern.matches(&Host::parse("example.com")?, 443, Some(443)));
/// assert!(!pattern.matches(&Host::parse("notexample.com")?, 443, Some(443)));
/// assert!(!pattern.matches(&Host::parse("api.example.com")?, 8443, Some(443)));
/// assert!(!pattern.matches(&Host::parse("api.example.com")?, 443, None));
/// assert_eq!(pattern.to_string(), "*.example.com");
///
/// let local: HostPattern = "[::1]:8080".parse()?;
/// assert!(local.matches(&Host::parse("[0:0::1]")?, 8080, None));
///
/// assert!("*".parse::<HostPattern>().is_err());
/// assert!("https://example.com".parse::<HostPattern>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPattern {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Hosts {
    Exactly(Host),
    /// With its leading dot.
    Below(String),
}

/// Why a text is not a [`HostPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAHostPattern {
    /// The part before the port.
    #[error("{0:?} is not a host: {1}")]
    Host(String, NotAHost),
    /// Not a number from 1 to 65535.
    #[error("{0:?} is not a port")]
    Port(String),
    /// `*` other than as the whole first label, or before an address.
    #[error("{0:?}: a * stands only before a dot and a name, as in *.example.com")]
    Wildcard(String),
}

impl HostPattern {
    /// That host at that port and nothing else.
    pub fn exactly(host: Host, port: u16) -> Self {
        Self {
            hosts: Hosts::Exactly(host),
            port: Some(port),
        }
    }

    /// Whether the pattern names this host and port. `default_port` is the scheme's.
    pub fn matches(&self, host: &Host, port: u16, default_port: Option<u16>) -> bool {
        let named = match (&self.hosts, host) {
            (Hosts::Exactly(named), host) => named == host,
            (Hosts::Below(suffix), Host::Name(name)) => name.ends_with(suffix.as_str()),
            (Hosts::Below(_), Host::Address(_)) => false,
        };
        named && self.port.or(default_port) == Some(port)
    }
}

impl FromStr for HostPattern {
    type Err = NotAHostPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self {
                hosts: Hosts::Exactly(Host::Address(address.into())),
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
            _ => (text, None),
        };
        let parse = |host: &str| {
            Host::parse(host).map_err(|why| NotAHostPattern::Host(host.to_owned(), why))
        };
        let hosts = match host.strip_prefix("*.") {
            Some(suffix) => match parse(suffix)? {
                Host::Name(name) => Hosts::Below(format!(".{name}")),
                Host::Address(_) => return Err(NotAHostPattern::Wildcard(text.to_owned())),
            },
            None if host.contains('*') => return Err(NotAHostPattern::Wildcard(text.to_owned())),
            None => Hosts::Exactly(parse(host)?),
        };
        Ok(Self { hosts, port })
    }
}

/// Digits only: `u16::from_str` would take a plus sign.
pub(crate) fn parse_port(text: &str) -> Result<u16, NotAHostPattern> {
    let wrong = || NotAHostPattern::Port(text.to_owned());
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(wrong()),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::Exactly(host) => host.fmt(f)?,
            Hosts::Below(suffix) => write!(f, "*{suffix}")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_printed_parses_to_itself() {
        for text in [
            "a.example",
            "*.a.example:8443",
            "127.0.0.1:80",
            "[::1]:1",
            "[fe80::1]",
        ] {
            let pattern: HostPattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), text);
            let json = serde_json::to_string(&pattern).unwrap();
            assert_eq!(serde_json::from_str::<HostPattern>(&json).unwrap(), pattern);
        }
        let bare: HostPattern = "::1".parse().unwrap();
        assert_eq!(bare.to_string(), "[::1]");
    }

    #[test]
    fn nothing_else_is_a_pattern() {
        for text in [
            "",
            "*",
            "*.",
            "*.*.a",
            "a.*",
            "*a.b",
            "*.127.0.0.1",
            "a:0",
            "a:65536",
            "a:+80",
            "a:",
            ":80",
            "a/b",
            "u@a",
            "a b",
            "10.0.0.0/8",
            "a.",
            "[::1",
            "[::1]80",
            "*:443",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text:?}");
        }
    }
}
