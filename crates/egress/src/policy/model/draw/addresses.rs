//! Addresses near every range's edges, what carries them, and how they are spelt.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use proptest::prelude::RngExt;

use super::super::rules::LAYOUTS;
use super::{Draw, NAT64};

impl Draw<'_> {
    /// Anywhere, near a range's edges, or with an IPv4 address in it.
    pub(super) fn address(&mut self) -> IpAddr {
        match self.below(10) {
            0 => Ipv4Addr::from_bits(self.rng.random()).into(),
            1 => Ipv6Addr::from_bits(self.rng.random()).into(),
            // Global unicast.
            2 => Ipv6Addr::from_bits((1 << 125) | self.rng.random::<u128>() >> 3).into(),
            3..=5 => {
                let (net, _) = self.one(self.table);
                self.near(net)
            }
            _ => self.carrier().into(),
        }
    }

    /// In the range, at its edges, or one bit off.
    fn near(&mut self, net: IpNet) -> IpAddr {
        let (first, last, width) = match net {
            IpNet::V4(net) => (
                u128::from(net.network().to_bits()),
                u128::from(net.broadcast().to_bits()),
                32,
            ),
            IpNet::V6(net) => (net.network().to_bits(), net.broadcast().to_bits(), 128),
        };
        let inside = first + (self.rng.random::<u128>() & (last - first));
        let bits = match self.below(8) {
            0 => first,
            1 => last,
            2 => first.wrapping_sub(1),
            3 => last.wrapping_add(1),
            4 | 5 => inside ^ (1 << self.below(width)),
            _ => inside,
        };
        match net {
            IpNet::V4(_) => {
                let [.., a, b, c, d] = bits.to_be_bytes();
                Ipv4Addr::new(a, b, c, d).into()
            }
            IpNet::V6(_) => Ipv6Addr::from_bits(bits).into(),
        }
    }

    /// An IPv6 address with an IPv4 address in it, where somebody would look for one.
    fn carrier(&mut self) -> Ipv6Addr {
        let mut octets = self.filling();
        let v4 = loop {
            let (net, _) = self.one(self.table);
            match (net, self.percent(50)) {
                (_, true) => break Ipv4Addr::from_bits(self.rng.random()),
                (IpNet::V6(_), false) => {}
                (IpNet::V4(_), false) => {
                    if let IpAddr::V4(v4) = self.near(net) {
                        break v4;
                    }
                }
            }
        };
        let v4 = v4.octets();
        let listed = self.nat64.clone();
        let (net, places) = match self.below(8) {
            0 => ("::/96", LAYOUTS[5].1),
            1 => ("::ffff:0:0/96", LAYOUTS[5].1),
            2 => ("::ffff:0:0:0/96", LAYOUTS[5].1),
            3 => ("64:ff9b::/96", LAYOUTS[5].1),
            4 => ("64:ff9b:1::/48", self.one(&LAYOUTS[2..]).1),
            5 => ("2002::/16", [2, 3, 4, 5]),
            6 => ("2001::/32", self.one(&[[4, 5, 6, 7], [12, 13, 14, 15]])),
            _ if listed.is_empty() => (self.one(&NAT64), self.one(&LAYOUTS).1),
            _ => (self.one(&listed), self.one(&LAYOUTS).1),
        };
        let is_turned = net == "2001::/32" && places[0] == 12;
        for (place, octet) in places.into_iter().zip(v4) {
            octets[place] = if is_turned { !octet } else { octet };
        }
        let prefix: Ipv6Net = net.parse().unwrap();
        let rest = Ipv6Addr::from(octets).to_bits() & prefix.hostmask().to_bits();
        Ipv6Addr::from_bits(prefix.network().to_bits() | rest)
    }

    /// What stands around an IPv4 address: mostly nothing, for else it is not looked for.
    fn filling(&mut self) -> [u8; 16] {
        let mut octets = [0; 16];
        match self.below(5) {
            0 => octets = self.rng.random(),
            1 => octets[self.below(16)] = self.rng.random(),
            _ => {}
        }
        octets
    }

    pub(super) fn spelt(&mut self, address: IpAddr) -> String {
        match address {
            IpAddr::V4(v4) => self.spelt_v4(v4),
            IpAddr::V6(v6) => self.spelt_v6(v6),
        }
    }

    /// In one to four numbers, each in a radix of its own.
    fn spelt_v4(&mut self, address: Ipv4Addr) -> String {
        if self.percent(30) {
            return address.to_string();
        }
        let octets = address.octets().map(u64::from);
        let (first, rest) = octets.split_at(self.below(4));
        let last = rest.iter().fold(0, |sum, octet| sum << 8 | octet);
        let numbers = first.iter().chain([&last]);
        let texts = numbers.map(|number| match self.below(6) {
            0 | 1 => format!("0{number:o}"),
            2 => format!("0x{number:x}"),
            3 => format!("0X{number:04X}"),
            _ => number.to_string(),
        });
        let texts: Vec<String> = texts.collect();
        texts.join(".")
    }

    fn spelt_v6(&mut self, address: Ipv6Addr) -> String {
        let segments = address.segments();
        let zone = if self.percent(3) {
            self.one(&["%25eth0", "%eth0", "%1", "%25"])
        } else {
            ""
        };
        let whole = |texts: Vec<String>| texts.join(":");
        let text = match self.below(6) {
            0 => whole(segments.map(|segment| format!("{segment:x}")).to_vec()),
            1 => whole(segments.map(|segment| format!("{segment:04X}")).to_vec()),
            2 => {
                let mut texts = segments.map(|segment| format!("{segment:x}")).to_vec();
                let [.., a, b, c, d] = address.octets();
                texts.truncate(6);
                texts.push(Ipv4Addr::new(a, b, c, d).to_string());
                whole(texts)
            }
            _ => address.to_string(),
        };
        format!("[{text}{zone}]")
    }
}
