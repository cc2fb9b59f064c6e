//! The policy's rules, by hand.
//!
//! They share no code with the policy but the standard library's IPv6 parser: they split
//! the URL themselves, read IPv4 in every radix themselves, look addresses up in the
//! registries as a table, and pick IPv4 addresses out of IPv6 octet by octet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::address::Class;
use crate::address::tests::model as class_of;

/// The registries: the first row that holds an address says what it is.
pub(super) type Table = [(IpNet, Option<Class>)];

/// Names that only a metadata service has.
pub(super) const METADATA_NAMES: [&str; 8] = [
    "api.metadata.cloud.ibm.com",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.oraclecloud.com",
    "metadata.tencentyun.com",
];

/// Labels in Punycode, and whether they stand for anything. What each stands for takes
/// Unicode's tables to say, so no case has others.
pub(super) const PUNYCODE: [(&str, bool); 10] = [
    ("xn--bcher-kva", true),
    ("xn--mnchen-3ya", true),
    ("xn--p1ai", true),
    ("xn--fiqs8s", true),
    ("xn--80ak6aa92e", true),
    ("xn--", false),
    // A control character.
    ("xn--a", false),
    // Nothing in it wants Punycode.
    ("xn--abc-", false),
    // Beyond Unicode.
    ("xn--99999999", false),
    // Two signs that Punycode has no digits for.
    ("xn--a_b-__", false),
];

/// Where RFC 6052 section 2.2 puts the octets of an IPv4 address, by the prefix's length.
pub(super) const LAYOUTS: [(u8, [usize; 4]); 6] = [
    (32, [4, 5, 6, 7]),
    (40, [5, 6, 7, 9]),
    (48, [6, 7, 9, 10]),
    (56, [7, 9, 10, 11]),
    (64, [9, 10, 11, 12]),
    (96, [12, 13, 14, 15]),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Name(String),
    Address(IpAddr),
}

/// Where a well-formed URL leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) tls: bool,
    pub(super) place: Place,
    pub(super) port: u16,
}

impl Destination {
    pub(super) fn read(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (place, port) = authority(&rest[..end])?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        Some(Self { tls, place, port })
    }
}

/// An entry of the list of hosts.
#[derive(Debug)]
pub(super) struct Entry {
    place: Place,
    below: bool,
    port: Option<u16>,
}

impl Entry {
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Self {
                place: Place::Address(address.into()),
                below: false,
                port: None,
            });
        }
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (place, port) = authority(rest)?;
        let is_whole = !below || matches!(place, Place::Name(_));
        is_whole.then_some(Self { place, below, port })
    }

    fn names(&self, to: &Destination) -> bool {
        let named = match (&self.place, &to.place) {
            (Place::Name(own), Place::Name(name)) if self.below => {
                let above = name.strip_suffix(own.as_str());
                above.is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
            }
            (own, place) => own == place,
        };
        named && to.port == self.port.unwrap_or(if to.tls { 443 } else { 80 })
    }
}

/// Why a well-formed URL is not asked for.
#[derive(Debug)]
pub(super) enum Refusal {
    NotListed,
    PlainText,
    MetadataName,
    /// The address, and what is refused of it.
    Address(IpAddr, Vec<(IpAddr, Class)>),
}

pub(super) struct Model<'a> {
    table: &'a Table,
    entries: Vec<Entry>,
    opened: Vec<IpNet>,
    nat64: Vec<IpNet>,
}

impl<'a> Model<'a> {
    pub(super) fn new(
        table: &'a Table,
        entries: Vec<Entry>,
        opened: &[&str],
        nat64: &[&str],
    ) -> Self {
        let nets = |texts: &[&str]| texts.iter().map(|net| net.parse().unwrap()).collect();
        Self {
            table,
            entries,
            opened: nets(opened),
            nat64: nets(nat64),
        }
    }

    pub(super) fn url(&self, to: &Destination) -> Result<(), Refusal> {
        if !self.entries.iter().any(|entry| entry.names(to)) {
            return Err(Refusal::NotListed);
        }
        match &to.place {
            Place::Name(name) if METADATA_NAMES.contains(&name.as_str()) => {
                Err(Refusal::MetadataName)
            }
            Place::Name(_) => Ok(()),
            Place::Address(address) => self.dial(to, *address),
        }
    }

    /// Without TLS only this machine itself is reached.
    pub(super) fn dial(&self, to: &Destination, address: IpAddr) -> Result<(), Refusal> {
        let is_this_machine = match address {
            IpAddr::V4(v4) => v4.octets()[0] == 127,
            IpAddr::V6(v6) => v6 == Ipv6Addr::LOCALHOST,
        };
        if !to.tls && !is_this_machine {
            return Err(Refusal::PlainText);
        }
        let refused = self.address(address);
        if refused.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Address(address, refused))
        }
    }

    /// What is refused of an address: itself, and IPv4 addresses in it.
    pub(super) fn address(&self, address: IpAddr) -> Vec<(IpAddr, Class)> {
        let mut all = vec![address];
        if let IpAddr::V6(v6) = address {
            all.extend(self.carried(v6).into_iter().map(IpAddr::from));
        }
        let special = all.into_iter().filter_map(|one| {
            let class = class_of(self.table, one)?;
            (!self.is_opened(one, class)).then_some((one, class))
        });
        special.collect()
    }

    fn is_opened(&self, address: IpAddr, class: Class) -> bool {
        self.opened.iter().any(|net| {
            // A range opens no metadata service: only an entry for itself does.
            let is_meant = class != Class::Metadata || net.network() == net.broadcast();
            is_meant && net.contains(&address)
        })
    }

    /// The IPv4 addresses that somebody on the way may read out of it.
    fn carried(&self, address: Ipv6Addr) -> Vec<Ipv4Addr> {
        let octets = address.octets();
        let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| octets[place]));
        let is_in = |net: &str| {
            let net: IpNet = net.parse().unwrap();
            net.contains(&IpAddr::from(address))
        };
        let mut found = Vec::new();
        let last = at([12, 13, 14, 15]);
        if octets[..12] == [0; 12] && octets[12..] > [0, 0, 0, 1][..] {
            found.push(last);
        }
        if is_in("::ffff:0:0/96") || is_in("::ffff:0:0:0/96") || is_in("64:ff9b::/96") {
            found.push(last);
        }
        if is_in("64:ff9b:1::/48") {
            // What should be zero a gateway need not look at.
            let is_of_96 = octets[8..12] == [0; 4] && octets[12..] != [0; 4];
            for (length, places) in LAYOUTS {
                if length == 96 || (length >= 48 && !is_of_96) {
                    found.push(at(places));
                }
            }
        }
        if is_in("2002::/16") {
            found.push(at([2, 3, 4, 5]));
        }
        if is_in("2001::/32") {
            found.push(at([4, 5, 6, 7]));
            // The client, with every bit turned.
            found.push(Ipv4Addr::from(last.octets().map(|octet| 255 - octet)));
        }
        for net in &self.nat64 {
            if net.contains(&IpAddr::from(address)) {
                let length = net.prefix_len();
                match LAYOUTS.iter().find(|(known, _)| *known == length) {
                    Some((_, places)) => found.push(at(*places)),
                    None => found.extend(windows(address, length)),
                }
            }
        }
        found
    }
}

/// Every 32 bits behind a prefix.
fn windows(address: Ipv6Addr, prefix: u8) -> impl Iterator<Item = Ipv4Addr> {
    (prefix..=96).map(move |start| {
        let [a, b, c, d, ..] = (address.to_bits() << start).to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    })
}

/// Host and port; none when it can be read in two ways, or in none.
fn authority(text: &str) -> Option<(Place, Option<u16>)> {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-_.:[]".contains(c));
    if text.is_empty() || text.contains(odd) {
        return None;
    }
    let (place, rest) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            let address: Ipv6Addr = inside.parse().ok()?;
            (Place::Address(address.into()), after)
        }
        None => {
            let (host, after) = text.split_at(text.find(':').unwrap_or(text.len()));
            (name_or_v4(&host.to_ascii_lowercase())?, after)
        }
    };
    if rest.is_empty() {
        return Some((place, None));
    }
    let digits = rest.strip_prefix(':')?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let port = digits.parse().ok().filter(|port| *port != 0)?;
    Some((place, Some(port)))
}

/// WHATWG: a host whose last label is a number is an IPv4 address or nothing.
fn name_or_v4(host: &str) -> Option<Place> {
    let labels: Vec<&str> = host.split('.').collect();
    let is_wrong = |label: &&str| label.is_empty() || label.len() > 63;
    if host.len() > 253 || labels.iter().any(is_wrong) || host.contains(['[', ']']) {
        return None;
    }
    let last = labels.last()?;
    let is_number = match last.strip_prefix("0x") {
        Some(rest) => rest.bytes().all(|b| b.is_ascii_hexdigit()),
        None => last.bytes().all(|b| b.is_ascii_digit()),
    };
    if is_number {
        return Some(Place::Address(v4(&labels)?.into()));
    }
    let mut punycode = labels.iter().filter(|label| label.starts_with("xn--"));
    let is_name = punycode.all(|label| PUNYCODE.contains(&(label, true)));
    is_name.then(|| Place::Name(host.to_owned()))
}

fn v4(labels: &[&str]) -> Option<Ipv4Addr> {
    let numbers: Option<Vec<u64>> = labels.iter().map(|label| number(label)).collect();
    let numbers = numbers?;
    let (last, first) = numbers.split_last()?;
    let room = match first.len() {
        0 => 1 << 32,
        1 => 1 << 24,
        2 => 1 << 16,
        3 => 1 << 8,
        _ => return None,
    };
    if *last >= room || first.iter().any(|number| *number > 255) {
        return None;
    }
    let mut bits = *last;
    for (number, shift) in first.iter().zip([24, 16, 8]) {
        bits += number << shift;
    }
    u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
}

fn number(label: &str) -> Option<u64> {
    let (digits, radix) = match label.strip_prefix("0x") {
        Some("") => return Some(0),
        Some(rest) => (rest, 16),
        None if label.len() > 1 && label.starts_with('0') => (&label[1..], 8),
        None => (label, 10),
    };
    // It would take a sign.
    let is_bare = digits.bytes().all(|b| b.is_ascii_alphanumeric());
    is_bare.then(|| u64::from_str_radix(digits, radix).ok())?
}
