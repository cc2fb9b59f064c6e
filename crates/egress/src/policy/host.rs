//! A host as it will be dialled: a name or an address, parsed once.
//!
//! URLs and patterns use the same parser, so that both mean the same by the same text.
//! It is strict where resolvers, browsers and proxies disagree: one name has one
//! spelling here. IPv4 addresses in odd spellings (`2130706433`, `0x7f.1`, `0177.0.0.1`)
//! are what the WHATWG URL rules make of them, because a resolver would do the same.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host name in lower case, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A DNS name without a trailing dot. Letters are lower case.
    Name(String),
    /// An address, whatever its spelling was.
    Address(IpAddr),
}

/// Why a text is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAHost {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// Names beyond ASCII have a Punycode form; full-width digits have none.
    #[error("it is not ASCII (write the Punycode form)")]
    NotAscii,
    /// `%41`, or the zone of an IPv6 address (`%eth0`).
    #[error("it holds a percent sign (escapes and zone ids are not accepted)")]
    Percent,
    /// A character that is neither letter, digit, `-`, `_` nor `.`.
    #[error("it holds the character {0:?}")]
    Character(char),
    /// `example.com.` and `example.com` would be two names for one host.
    #[error("it ends with a dot")]
    TrailingDot,
    /// A label is empty or longer than 63, or the name longer than 253.
    #[error("a label is empty or too long")]
    Label,
    /// Looks like an address and is none, or is no valid name.
    #[error("it is neither a name nor an address")]
    Invalid,
}

impl Host {
    /// Parses the host of a URL: a name, an IPv4 address, or an IPv6 address in brackets.
    ///
    /// ```
    /// use watchbell_egress::Host;
    ///
    /// assert_eq!(Host::parse("Login.Example.COM")?, Host::Name("login.example.com".into()));
    /// assert_eq!(Host::parse("2130706433")?.to_string(), "127.0.0.1");
    /// assert_eq!(Host::parse("[::1]")?.to_string(), "[::1]");
    /// assert!(Host::parse("example.com.").is_err());
    /// # Ok::<(), watchbell_egress::NotAHost>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, NotAHost> {
        if text.is_empty() {
            return Err(NotAHost::Empty);
        }
        if text.contains('%') {
            return Err(NotAHost::Percent);
        }
        if let Some(inner) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let address: Ipv6Addr = inner.parse().map_err(|_| NotAHost::Invalid)?;
            return Ok(Self::Address(address.into()));
        }
        if !text.is_ascii() {
            return Err(NotAHost::NotAscii);
        }
        let odd = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if let Some(c) = text.chars().find(odd) {
            return Err(NotAHost::Character(c));
        }
        if text.ends_with('.') {
            return Err(NotAHost::TrailingDot);
        }
        match url::Host::parse(text).map_err(|_| NotAHost::Invalid)? {
            url::Host::Ipv4(address) => Ok(Self::Address(address.into())),
            url::Host::Ipv6(address) => Ok(Self::Address(address.into())),
            url::Host::Domain(name) => {
                let fits = |label: &str| (1..=63).contains(&label.len());
                if name.len() > 253 || !name.split('.').all(fits) {
                    return Err(NotAHost::Label);
                }
                Ok(Self::Name(name))
            }
        }
    }
}

/// As it stands in a URL: IPv6 in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_ipv4_address_is_that_address() {
        for text in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
        ] {
            assert_eq!(
                Host::parse(text),
                Ok(Host::Address([127, 0, 0, 1].into())),
                "{text}"
            );
        }
    }

    #[test]
    fn what_others_would_read_differently_is_refused() {
        for (text, why) in [
            ("", NotAHost::Empty),
            ("a%2eb", NotAHost::Percent),
            ("[fe80::1%eth0]", NotAHost::Percent),
            ("[fe80::1%25eth0]", NotAHost::Percent),
            ("１２７.0.0.1", NotAHost::NotAscii),
            ("bücher.example", NotAHost::NotAscii),
            ("a。b", NotAHost::NotAscii),
            ("a b", NotAHost::Character(' ')),
            ("a\\b", NotAHost::Character('\\')),
            ("a\r\nb", NotAHost::Character('\r')),
            ("a@b", NotAHost::Character('@')),
            ("::1", NotAHost::Character(':')),
            ("example.com.", NotAHost::TrailingDot),
            ("127.0.0.1.", NotAHost::TrailingDot),
            ("a..b", NotAHost::Label),
            ("[::1", NotAHost::Character('[')),
            ("[127.0.0.1]", NotAHost::Invalid),
            ("[v1.x]", NotAHost::Invalid),
            ("1.2.3.4.5", NotAHost::Invalid),
            ("256.1.1.1", NotAHost::Invalid),
            ("4294967296", NotAHost::Invalid),
            ("a.0x1", NotAHost::Invalid),
        ] {
            assert_eq!(Host::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(Host::parse(&"a".repeat(64)), Err(NotAHost::Label));
        assert_eq!(
            Host::parse(&["abcdefg"; 32].join(".")),
            Err(NotAHost::Label)
        );
    }

    #[test]
    fn a_host_printed_parses_to_itself() {
        for text in [
            "a_b.example",
            "127.1",
            "[::ffff:10.0.0.1]",
            "xn--bcher-kva.example",
        ] {
            let host = Host::parse(text).unwrap();
            assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
    }
}
