//! The policy: which URLs may be asked for and which addresses dialled.
//!
//! A value, made once from the configuration, compared and hashed as a whole so that it
//! can key a pool of connections. It has two questions to answer, because they come at
//! two times: [`Policy::judge_url`] before anything happens, on the parsed URL that will
//! be dialled, and [`Policy::judge_address`] for every address, after a name has been
//! resolved or at once for a literal. Nothing is allowed that is not listed: an empty
//! list of hosts allows nothing, an empty list of opened ranges opens nothing.

use std::net::IpAddr;

use http::Uri;
use http::uri::PathAndQuery;
use ipnet::{IpNet, Ipv6Net};

use crate::address::{self, Class};
use crate::denied::{Denied, RefusedAddress};
use crate::host::Host;
use crate::host_pattern::{HostPattern, parse_port};
use watchbell_settings::printable;

/// Who may be reached.
///
/// ```
/// use watchbell_egress::{Denied, Policy};
///
/// let policy = Policy::new(["api.example.com".parse()?], []);
/// assert!(policy.judge_url(&"https://api.example.com/alerts?x=1".parse()?).is_ok());
/// assert!(policy.judge_url(&"https://example.com/".parse()?).is_err());
/// assert!(policy.judge_address("127.0.0.1".parse()?).is_err());
///
/// let local = Policy::new(["127.0.0.1:8080".parse()?], ["127.0.0.0/8".parse()?]);
/// assert!(local.judge_url(&"http://2130706433:8080/".parse()?).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Policy {
    hosts: Vec<HostPattern>,
    opened: Vec<IpNet>,
    nat64: Vec<Ipv6Net>,
}

/// How to speak to a [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Over TLS.
    Https,
    /// Plain, to loopback alone.
    Http,
}

/// What a URL was judged to mean, and what will be dialled: that and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Over TLS or not.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, the scheme's own if the URL had none. Not 0.
    pub port: u16,
}

impl Scheme {
    /// 443 or 80.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }

    /// `https` or `http`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

impl Target {
    /// Reads a URL strictly, and judges nothing but its form: an absolute `https` or
    /// `http` URL, a host that everybody reads alike, no user information, no odd port.
    pub fn parse(url: &Uri) -> Result<Self, Denied> {
        let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(Denied::NotAbsolute);
        };
        let scheme = match scheme {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            other => {
                return Err(Denied::Scheme {
                    scheme: printable(other),
                });
            }
        };
        let authority = authority.as_str();
        if authority.contains('@') {
            return Err(Denied::UserInfo);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let host = Host::parse(host).map_err(|reason| Denied::Host {
            host: printable(host),
            reason,
        })?;
        let port = match port.map(parse_port) {
            None => scheme.default_port(),
            Some(Ok(port)) => port,
            Some(Err(_)) => {
                let port = printable(port.unwrap_or_default());
                return Err(Denied::Port {
                    host: host.to_string(),
                    port,
                });
            }
        };
        Ok(Self { scheme, host, port })
    }

    /// Scheme, host and port in their one spelling; a default port is left out.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.authority())
    }

    /// Host and port as in a URL or a Host header; a default port is left out.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The URL to dial: this target with another URL's path and query.
    pub(crate) fn with_path_of(&self, url: &Uri) -> Result<Uri, http::Error> {
        let path = url.path_and_query().map_or("/", PathAndQuery::as_str);
        Uri::builder()
            .scheme(self.scheme.as_str())
            .authority(self.authority())
            .path_and_query(path)
            .build()
    }
}

impl Policy {
    /// Allows these hosts, and of the special addresses those in the opened ranges.
    /// Order and repeats do not matter: equal sets are equal policies.
    pub fn new(
        hosts: impl IntoIterator<Item = HostPattern>,
        opened: impl IntoIterator<Item = IpNet>,
    ) -> Self {
        let mut hosts: Vec<_> = hosts.into_iter().collect();
        hosts.sort_unstable();
        hosts.dedup();
        let mut opened: Vec<_> = opened.into_iter().map(|net| net.trunc()).collect();
        opened.sort_unstable();
        opened.dedup();
        Self {
            hosts,
            opened,
            nat64: Vec::new(),
        }
    }

    /// Also judges the IPv4 addresses in these prefixes, of which the operator knows that
    /// a NAT64 gateway translates them. Their lengths are those of RFC 6052: 32, 40, 48,
    /// 56, 64 or 96; in one of another length every 32 bits that follow are judged.
    #[must_use]
    pub fn with_nat64(mut self, prefixes: impl IntoIterator<Item = Ipv6Net>) -> Self {
        self.nat64 = prefixes.into_iter().map(|net| net.trunc()).collect();
        self.nat64.sort_unstable();
        self.nat64.dedup();
        self
    }

    /// Judges the URL that is about to be dialled, before a name is resolved. For a
    /// literal that includes its address.
    pub fn judge_url(&self, url: &Uri) -> Result<Target, Denied> {
        let target = Target::parse(url)?;
        let default_port = target.scheme.default_port();
        if !self
            .hosts
            .iter()
            .any(|p| p.matches(&target.host, target.port, default_port))
        {
            return Err(Denied::NotAllowed {
                host: target.host.to_string(),
                port: target.port,
            });
        }
        match &target.host {
            Host::Address(address) => self.judge_target_address(&target, *address)?,
            // With a proxy nobody here sees the address.
            Host::Name(name) if address::is_metadata_name(name) => {
                return Err(Denied::MetadataName { host: name.clone() });
            }
            Host::Name(_) => {}
        }
        Ok(target)
    }

    /// Judges one address: whether it may be dialled at all.
    ///
    /// A special address is refused unless an opened range contains it, and so is each
    /// IPv4 address that it carries. A metadata service is opened only by an entry for
    /// that one address (a /32 or /128): nobody who opens `169.254.0.0/16` means it.
    pub fn judge_address(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        self.judge_one(address, None)?;
        if let IpAddr::V6(outer) = address {
            let listed = self.nat64.iter().filter(|net| net.contains(&outer));
            let listed = listed.flat_map(|net| address::translated(outer, net.prefix_len()));
            for inner in address::embedded(outer).into_iter().chain(listed) {
                self.judge_one(inner.into(), Some(address))?;
            }
        }
        Ok(())
    }

    fn judge_one(&self, address: IpAddr, within: Option<IpAddr>) -> Result<(), RefusedAddress> {
        let Some(class) = address::class(address) else {
            return Ok(());
        };
        let opens = |net: &IpNet| {
            net.contains(&address)
                && (class != Class::Metadata || net.prefix_len() == net.max_prefix_len())
        };
        if self.opened.iter().any(opens) {
            return Ok(());
        }
        Err(RefusedAddress {
            address,
            within,
            class,
        })
    }

    /// Judges one address of a target: as above, and plain http only to loopback.
    pub(crate) fn judge_target_address(
        &self,
        target: &Target,
        address: IpAddr,
    ) -> Result<(), Denied> {
        let host = || target.host.to_string();
        if target.scheme == Scheme::Http && !address.is_loopback() {
            return Err(Denied::PlainText { host: host() });
        }
        self.judge_address(address)
            .map_err(|refused| Denied::Address {
                host: host(),
                refused,
            })
    }
}
