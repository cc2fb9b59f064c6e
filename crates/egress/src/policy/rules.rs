//! The policy: which destinations may be asked for and which addresses dialled.
//!
//! A value, made once from the configuration, compared and hashed as a whole so that it
//! can key a pool of connections. It has two questions to answer, because they come at
//! two times: [`Policy::judge`] before anything happens, on the parsed destination that
//! will be dialled, and [`Policy::judge_target_address`] for every address, after a name
//! has been resolved or at once for a literal. Nothing is allowed that is not listed: an
//! empty list of hosts allows nothing, an empty list of opened ranges opens nothing.

use std::net::IpAddr;

use http::Uri;
use ipnet::{IpNet, Ipv6Net};

use super::address::{self, Class};
use super::denied::{Denied, RefusedAddress};
use super::host::Host;
use super::host_pattern::HostPattern;
use super::target::Target;

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

    /// Reads a URL and judges it, as [`Policy::judge`].
    pub fn judge_url(&self, url: &Uri) -> Result<Target, Denied> {
        let target = Target::parse(url)?;
        self.judge(&target)?;
        Ok(target)
    }

    /// Judges a destination that is about to be dialled, before a name is resolved. For a
    /// literal that includes its address.
    pub fn judge(&self, target: &Target) -> Result<(), Denied> {
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
            Host::Address(address) => self.judge_target_address(target, *address),
            // With a proxy nobody here sees the address.
            Host::Name(name) if address::is_metadata_name(name) => {
                Err(Denied::MetadataName { host: name.clone() })
            }
            Host::Name(_) => Ok(()),
        }
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

    /// Judges one address of a destination: as [`Policy::judge_address`], and without TLS
    /// only loopback.
    pub fn judge_target_address(&self, target: &Target, address: IpAddr) -> Result<(), Denied> {
        let host = || target.host.to_string();
        if !target.scheme.is_encrypted() && !address.is_loopback() {
            return Err(Denied::PlainText {
                scheme: target.scheme,
                host: host(),
            });
        }
        self.judge_address(address)
            .map_err(|refused| Denied::Address {
                host: host(),
                refused,
            })
    }
}
