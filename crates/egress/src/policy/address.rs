//! Which addresses are special, and what an address hides.
//!
//! Pure functions over numbers: no policy, no I/O, so that they can be tested against an
//! independent table. The ranges are those of the IANA special-purpose registries for
//! IPv4 and IPv6 (RFC 6890 and its updates), the clouds' metadata services, and, for
//! IPv6, everything outside `2000::/3`, the only space that is global unicast today: a
//! range that IANA hands out tomorrow is refused until this file says otherwise.
//!
//! An IPv6 address can carry an IPv4 address that a translator or tunnel will be sent to
//! in the end. Each such form is a class of its own here, and [`embedded`] names the
//! IPv4 addresses in it, so that opening `64:ff9b::/96` does not open `10.0.0.0/8`
//! through it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is special.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// `0.0.0.0/8` and `::`: this host on this network. Linux connects to itself.
    ThisNetwork,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`.
    Private,
    /// `100.64.0.0/10`: behind a carrier's NAT, and many a cluster's own network.
    CarrierGradeNat,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// A cloud's metadata service, which hands out credentials: [`METADATA`].
    Metadata,
    /// `192.0.0.0/24`, `2001::/23`: reserved for protocols.
    ProtocolAssignment,
    /// `192.0.2.0/24`, `198.51.100.0/24`, `203.0.113.0/24`, `2001:db8::/32`, `3fff::/20`.
    Documentation,
    /// `192.88.99.0/24`: 6to4 relays, deprecated.
    SixToFourRelay,
    /// `198.18.0.0/15`: benchmarks of network gear.
    Benchmarking,
    /// `224.0.0.0/4`, `ff00::/8`.
    Multicast,
    /// `240.0.0.0/4`.
    Reserved,
    /// `255.255.255.255`.
    Broadcast,
    /// `fc00::/7`.
    UniqueLocal,
    /// `fec0::/10`, deprecated, still routed by some.
    SiteLocal,
    /// `100::/64`: thrown away by routers.
    DiscardOnly,
    /// `::ffff:0:0/96`: an IPv4 address in IPv6 spelling. The kernel dials IPv4.
    Ipv4Mapped,
    /// `::/96`: an IPv4 address in IPv6 spelling, deprecated.
    Ipv4Compatible,
    /// `::ffff:0:0:0/96`: IPv4-translated (RFC 2765).
    Ipv4Translated,
    /// `64:ff9b::/96` and `64:ff9b:1::/48`: a NAT64 gateway dials the IPv4 in it.
    Nat64,
    /// `2002::/16`: a 6to4 relay dials the IPv4 in it.
    SixToFour,
    /// `2001::/32`: a Teredo relay dials the IPv4 in it.
    Teredo,
    /// Not in `2000::/3` and none of the above.
    NotGlobalUnicast,
}

impl Class {
    /// The words that a message uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ThisNetwork => "this network",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierGradeNat => "carrier-grade NAT",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata service",
            Self::ProtocolAssignment => "protocol assignment",
            Self::Documentation => "documentation",
            Self::SixToFourRelay => "6to4 relay",
            Self::Benchmarking => "benchmarking",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::Broadcast => "broadcast",
            Self::UniqueLocal => "unique local",
            Self::SiteLocal => "site-local",
            Self::DiscardOnly => "discard-only",
            Self::Ipv4Mapped => "IPv4-mapped",
            Self::Ipv4Compatible => "IPv4-compatible",
            Self::Ipv4Translated => "IPv4-translated",
            Self::Nat64 => "NAT64",
            Self::SixToFour => "6to4",
            Self::Teredo => "Teredo",
            Self::NotGlobalUnicast => "not global unicast",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The metadata services of clouds, which hand out credentials to whoever asks. Each is
/// listed by itself: some lie in no special range, and those that do are not meant by
/// whoever opens the range.
pub const METADATA: [IpAddr; 20] = [
    // AWS, Azure, Google, Oracle, OpenStack, DigitalOcean, Hetzner, Akamai and others.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    // Google's node-local server for workload identity.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 252)),
    // Tasks and pods on AWS.
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    // Scaleway.
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),
    // Tencent, of which there are two.
    IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 10, 10)),
    // Azure's WireServer.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Oracle's older cloud.
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Alibaba, Volcano Engine, UCloud.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(100, 96, 0, 96)),
    IpAddr::V4(Ipv4Addr::new(100, 80, 80, 80)),
    // AWS, and its pods.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    // Google, Oracle, Scaleway, Akamai, Alibaba.
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200)),
    // OpenStack and Akamai.
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

/// The names that the metadata services have in their clouds' own DNS: Google, AWS,
/// Tencent, Oracle, IBM. Whatever they resolve to, nobody means them.
pub const METADATA_NAMES: [&str; 8] = [
    "metadata.google.internal",
    "metadata.goog",
    "metadata",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "metadata.oraclecloud.com",
    "api.metadata.cloud.ibm.com",
];

/// Whether a name in lower case, without trailing dot, is one of [`METADATA_NAMES`].
pub fn is_metadata_name(name: &str) -> bool {
    METADATA_NAMES.contains(&name)
}

/// The class of the address as it stands; none for ordinary, global unicast ones.
///
/// ```
/// use watchbell_egress::address::{Class, class};
///
/// assert_eq!(class("10.1.2.3".parse()?), Some(Class::Private));
/// assert_eq!(class("20.190.128.1".parse()?), None);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn class(address: IpAddr) -> Option<Class> {
    if METADATA.contains(&address) {
        return Some(Class::Metadata);
    }
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Option<Class> {
    Some(match address.octets() {
        [0, ..] => Class::ThisNetwork,
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        [100, 64..=127, ..] => Class::CarrierGradeNat,
        [169, 254, ..] => Class::LinkLocal,
        [192, 0, 0, _] => Class::ProtocolAssignment,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Documentation,
        [192, 88, 99, _] => Class::SixToFourRelay,
        [198, 18..=19, ..] => Class::Benchmarking,
        [224..=239, ..] => Class::Multicast,
        [255, 255, 255, 255] => Class::Broadcast,
        [240..=255, ..] => Class::Reserved,
        _ => return None,
    })
}

fn class_v6(address: Ipv6Addr) -> Option<Class> {
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::ThisNetwork,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0, 0, 0, 0, 0, 0, _, _] => Class::Ipv4Compatible,
        [0, 0, 0, 0, 0, 0xffff, _, _] => Class::Ipv4Mapped,
        [0, 0, 0, 0, 0xffff, 0, _, _] => Class::Ipv4Translated,
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 1, ..] => Class::Nat64,
        [0x100, 0, 0, 0, ..] => Class::DiscardOnly,
        [0x2001, 0, ..] => Class::Teredo,
        [0x2001, 0x0001..=0x01ff, ..] => Class::ProtocolAssignment,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Documentation,
        [0x2002, ..] => Class::SixToFour,
        [0x2000..=0x3fff, ..] => return None,
        [0xfc00..=0xfdff, ..] => Class::UniqueLocal,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xfec0..=0xfeff, ..] => Class::SiteLocal,
        [0xff00..=0xffff, ..] => Class::Multicast,
        _ => Class::NotGlobalUnicast,
    })
}

/// The IPv4 addresses that somebody on the way may read out of an IPv6 address.
///
/// Teredo holds two: the server and the client behind its NAT. Under `64:ff9b:1::/48`
/// the operator chose the layout (RFC 6052 section 2.2), so every layout that the
/// address can be read in is given.
pub fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bits = address.to_bits();
    let last = low32(bits);
    match class_v6(address) {
        Some(Class::Ipv4Mapped | Class::Ipv4Compatible | Class::Ipv4Translated) => vec![last],
        Some(Class::SixToFour) => vec![low32(bits >> 80)],
        Some(Class::Teredo) => vec![low32(bits >> 64), low32(!bits)],
        Some(Class::Nat64) if address.segments().get(2) == Some(&0) => vec![last],
        Some(Class::Nat64) => nat64_layouts(address),
        _ => Vec::new(),
    }
}

/// The IPv4 addresses that a NAT64 gateway with a prefix of that length may read out of
/// an address (RFC 6052 section 2.2). At another length than the six that there are,
/// all that could be.
pub fn translated(address: Ipv6Addr, prefix: u8) -> Vec<Ipv4Addr> {
    let bits = address.to_bits();
    // With bits 64 to 71 taken out, what is left of them stands together.
    let joined = ((bits >> 64) << 56) | (bits & ((1 << 56) - 1));
    match prefix {
        96 => vec![low32(bits)],
        32 | 40 | 48 | 56 | 64 => vec![low32(joined >> (120 - u32::from(prefix) - 32))],
        other => (u32::from(other)..=96)
            .map(|start| low32(bits >> (96 - start)))
            .collect(),
    }
}

/// What RFC 6052 can have put below a /48. In the layouts of prefixes shorter than /96,
/// bits 64 to 71 and what follows the IPv4 address should be zero, but a gateway need not
/// look; so only an address whose bits 64 to 95 are zero is taken for a /96 alone.
fn nat64_layouts(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bits = address.to_bits();
    let is_of_96 = low32(bits >> 32).to_bits() == 0 && low32(bits).to_bits() != 0;
    let prefixes: &[u8] = if is_of_96 { &[96] } else { &[96, 48, 56, 64] };
    let read = prefixes.iter().map(|prefix| translated(address, *prefix));
    read.flatten().collect()
}

fn low32(bits: u128) -> Ipv4Addr {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is what is wanted"
    )]
    Ipv4Addr::from_bits(bits as u32)
}
