//! Cases from a seed, each made from what it means: a destination near what is allowed or
//! refused, and then one of its spellings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use ipnet::{IpNet, Ipv6Net};
use watchbell_egress::{Host, Scheme, Target};

use crate::model::{LAYOUTS, METADATA_NAMES, Table};

const NAMES: &str = "api.example a.api.example b.a.api.example notapi.example example localhost \
    metadata.internal a.metadata.goog instance-data2 -a-.example _srv._tcp.example 1.2.3.4.a \
    example.0xg 0x7f.example xn--bcher-kva.example xn--p1ai.xn--p1ai a.xn--fiqs8s xn--80ak6aa92e";

/// What is no host, or one that is not read alike everywhere.
const NO_HOSTS: &str = ".a.example a..example a.example. 127.0.0.1. ａpi.example １２７.0.0.1 \
    %31%32%37.0.0.1 a%2eexample a。example é.example example.0x example.08 a.1 1.2.3.4.5 1..2 \
    256.1.1.1 4294967296 0x100000000 1.16777216 1.2.65536 0x1.2.3.256 08.1 [::1 ::1] ::1 [] \
    [127.0.0.1] [v1.x] [::1%eth0] [::1%25eth0] [1::2::3] [::1.2.3]  a*b *.example a,b a\\b \
    xn-- xn--a xn--abc- xn--99999999 xn--a_b-__.example";

/// What makes a URL malformed in place of its scheme, user, host and port.
const MALFORMED: [&str; 4] = [
    "ftp:// https: https:/ // httpss:// ws:// tls:// tcp://",
    "user@ api.example@ u:p@ @ 127.0.0.1:80@ %40@",
    NO_HOSTS,
    ":65536 :0 : :+443 :443x :00 :-1 :9999999999",
];

/// What carries IPv4 addresses, beside the prefixes that an operator lists.
const CARRIERS: &str = "::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 \
    2002::/16 2001::/32";

/// An entry of the list of hosts, and how it is written.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) host: Host,
    pub(crate) below: bool,
    pub(crate) port: Option<u16>,
    pub(crate) text: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) entries: Vec<Entry>,
    pub(crate) opened: Vec<IpNet>,
    pub(crate) nat64: Vec<Ipv6Net>,
    /// Where the URL leads; none when it is malformed.
    pub(crate) target: Option<Target>,
    pub(crate) url: String,
    /// The same with one sign more, less or other.
    pub(crate) spoilt_url: String,
    /// What a name is resolved to.
    pub(crate) resolved: IpAddr,
}

struct Draw<'a>(Rng, &'a Table);

pub(crate) fn case_from_seed(seed: u64, table: &Table) -> Case {
    let mut draw = Draw(Rng::with_seed(seed), table);
    let nat64: Vec<_> = (0..draw.0.usize(..3)).map(|_| draw.nat64()).collect();
    let host = draw.host(&nat64);
    let resolved = match host {
        Host::Address(literal) if draw.one_in(2) => literal,
        _ => draw.address(&nat64),
    };
    let scheme = draw.one(&[Scheme::Http, Scheme::Https, Scheme::Https, Scheme::Https]);
    let default = ("", scheme.default_port().unwrap());
    let (port_text, port) = draw.one(&[default, default, (":0443", 443), (":80", 80), (":1", 1)]);
    let mut spelt_scheme = format!("{scheme}://");
    if draw.one_in(20) {
        spelt_scheme.make_ascii_uppercase();
    }
    let spelt_host = draw.spelt(&host);
    let mut parts = [
        spelt_scheme,
        String::new(),
        spelt_host,
        port_text.to_owned(),
    ];
    let wrong = draw.0.usize(..40);
    if let Some(malformed) = MALFORMED.get(wrong) {
        parts[wrong] = draw.word(malformed).to_owned();
    }
    let path = draw.word(" / /x?y ?@api.example /@api.example #@api.example /..");
    let url = parts.concat() + path;
    Case {
        entries: draw.entries(&host, port, &nat64),
        opened: draw.opened(resolved),
        nat64,
        target: (wrong >= MALFORMED.len()).then_some(Target { scheme, host, port }),
        spoilt_url: draw.with_one_sign_changed(&url),
        url,
        resolved,
    }
}

impl Draw<'_> {
    fn one_in(&mut self, many: usize) -> bool {
        self.0.usize(..many) == 0
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())].clone()
    }

    fn word(&mut self, of: &'static str) -> &'static str {
        self.one(&of.split(' ').collect::<Vec<_>>())
    }

    /// Of a length that RFC 6052 has, or of another; in special ranges too.
    fn nat64(&mut self) -> Ipv6Net {
        let base = self.word("2001:470:122:344:: fd00:64:: 64:ff9b:1::");
        let length = self.one(&[32, 40, 48, 56, 64, 96, 50, 88, 93]);
        Ipv6Net::new(base.parse().unwrap(), length).unwrap().trunc()
    }

    /// What an operator has opened: all, nothing, or some of the registries' ranges and what
    /// is around the case's address.
    fn opened(&mut self, address: IpAddr) -> Vec<IpNet> {
        let width = if address.is_ipv4() { 32 } else { 128 };
        let around = IpNet::new(address, self.0.u8(width / 4..=width)).unwrap();
        match self.0.usize(..10) {
            0 => ["0.0.0.0/0", "::/0"]
                .map(|all| all.parse().unwrap())
                .to_vec(),
            1..=4 => Vec::new(),
            _ => (0..6).map(|_| self.one(self.1).0).chain([around]).collect(),
        }
    }

    /// Four times in five the host itself is on the list, or a pattern made from it.
    fn entries(&mut self, host: &Host, port: u16, nat64: &[Ipv6Net]) -> Vec<Entry> {
        let mut hosts = vec![self.host(nat64), Host::Name("api.example".to_owned())];
        hosts.truncate(self.0.usize(..3));
        if !self.one_in(5) {
            let parent = match host {
                Host::Name(name) if self.one_in(3) => name.split_once('.'),
                _ => None,
            };
            hosts.push(parent.map_or(host.clone(), |(_, name)| Host::Name(name.to_owned())));
        }
        let entry = |host: Host| {
            let port = self.one(&[None, None, Some(port), Some(port), Some(8443)]);
            let below = matches!(host, Host::Name(_)) && self.one_in(3);
            let (star, host_text) = (if below { "*." } else { "" }, self.spelt(&host));
            let port_text = port.map(|port| format!(":{port}")).unwrap_or_default();
            let text = format!("{star}{host_text}{port_text}");
            Entry {
                host,
                below,
                port,
                text,
            }
        };
        hosts.into_iter().map(entry).collect()
    }

    fn host(&mut self, nat64: &[Ipv6Net]) -> Host {
        if self.one_in(2) {
            return Host::Address(self.address(nat64));
        }
        Host::Name(match self.0.usize(..8) {
            0..=3 => self.word(NAMES).to_owned(),
            4 => self.word(METADATA_NAMES).to_owned(),
            // The longest label has 63 signs, the longest name 253.
            5 => [63, 63, 63, 58 + self.0.usize(..4)]
                .map(|count| "b".repeat(count))
                .join("."),
            _ => {
                let signs = *b"abcxyz019_-.";
                let name = (0..20)
                    .map(|_| char::from(self.one(&signs)))
                    .collect::<String>();
                // No empty label, and no number at the end.
                format!("a{}z", name.replace('.', ".a"))
            }
        })
    }

    /// Anywhere, near a range's edges, or with an IPv4 address in it.
    fn address(&mut self, nat64: &[Ipv6Net]) -> IpAddr {
        match self.0.usize(..10) {
            0 => Ipv4Addr::from_bits(self.0.u32(..)).into(),
            1 => Ipv6Addr::from_bits(self.0.u128(..)).into(),
            // Global unicast.
            2 => Ipv6Addr::from_bits((1 << 125) | self.0.u128(..) >> 3).into(),
            3..=5 => self.near_range(),
            _ => self.carrier(nat64).into(),
        }
    }

    /// In a range of the registries, at its edges, or one bit off.
    fn near_range(&mut self) -> IpAddr {
        let net = self.one(self.1).0;
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let (first, last) = (bits(net.network()), bits(net.broadcast()));
        let inside = first + (self.0.u128(..) & (last - first));
        let off = inside ^ (1 << self.0.u8(..net.max_prefix_len()));
        let edges = [first, last, first.wrapping_sub(1), last.wrapping_add(1)];
        let edge = self.one(&edges);
        match (net, self.one(&[edge, edge, inside, off]).to_be_bytes()) {
            (IpNet::V4(_), [.., a, b, c, d]) => Ipv4Addr::new(a, b, c, d).into(),
            (IpNet::V6(_), octets) => octets.into(),
        }
    }

    /// An IPv6 address with an IPv4 address in it, where somebody would look for one.
    fn carrier(&mut self, nat64: &[Ipv6Net]) -> Ipv6Addr {
        let v4 = loop {
            if let IpAddr::V4(v4) = self.near_range() {
                break v4.octets();
            }
        };
        let listed = nat64.first().filter(|_| self.one_in(3)).copied();
        let net = listed.unwrap_or_else(|| self.word(CARRIERS).parse().unwrap());
        let (_, places) = self.one(&[&LAYOUTS[..], &[(16, [2, 3, 4, 5]), LAYOUTS[5]]].concat());
        // Mostly nothing around it, for else it is not looked for; and for Teredo, each bit
        // turned.
        let octet = 0xff << (8 * self.0.u8(..16));
        let around = self.one(&[0, 0, 0, octet, u128::MAX]);
        let mut octets = (self.0.u128(..) & around).to_be_bytes();
        let turned = if self.one_in(4) { 0xff } else { 0 };
        for (place, octet) in places.into_iter().zip(v4) {
            octets[place] = octet ^ turned;
        }
        net.network() | (Ipv6Addr::from(octets) & net.hostmask())
    }

    fn spelt(&mut self, host: &Host) -> String {
        match host {
            Host::Name(name) if self.one_in(6) => name.to_uppercase(),
            Host::Name(name) => name.clone(),
            Host::Address(IpAddr::V4(v4)) => {
                // One to four numbers, each in a radix of its own.
                let octets = v4.octets().map(u64::from);
                let (first, rest) = octets.split_at(self.one(&[0, 1, 2, 3, 3, 3]));
                let last = rest.iter().fold(0, |sum, octet| sum << 8 | octet);
                let texts = first
                    .iter()
                    .chain([&last])
                    .map(|number| match self.0.u8(..8) {
                        0 => format!("0{number:o}"),
                        1 => format!("0x{number:x}"),
                        2 => format!("0X{number:04X}"),
                        _ => number.to_string(),
                    });
                texts.collect::<Vec<_>>().join(".")
            }
            Host::Address(IpAddr::V6(v6)) => {
                let long = v6.segments().map(|segment| format!("{segment:04X}"));
                let [.., a, b, c, d] = v6.octets();
                let mixed = format!("{}:{a}.{b}.{c}.{d}", long[..6].join(":"));
                format!("[{}]", self.one(&[v6.to_string(), long.join(":"), mixed]))
            }
        }
    }

    fn with_one_sign_changed(&mut self, url: &str) -> String {
        let mut signs: Vec<char> = url.chars().collect();
        let at = self.0.usize(..signs.len());
        let odd: Vec<char> = "0x1.%@:[]*/\\?# \t\r\n\0é１。-".chars().collect();
        let sign = if self.one_in(4) {
            self.0.char(..)
        } else {
            self.one(&odd)
        };
        match self.0.usize(..3) {
            0 => signs.insert(at, sign),
            1 => signs[at] = sign,
            _ => drop(signs.remove(at)),
        }
        signs.into_iter().collect()
    }
}
