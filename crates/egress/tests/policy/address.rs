//! The match arms against an independent model: the registries as a table of CIDRs.

use ipnet::IpNet;
use proptest::prelude::*;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use watchbell_egress::address::{Class, class, embedded};

/// First match wins, so the narrower stand first. `None` is an ordinary address.
const TABLE: &[(&str, Option<Class>)] = &[
    ("169.254.169.254/32", Some(Class::Metadata)),
    ("169.254.170.2/32", Some(Class::Metadata)),
    ("169.254.170.23/32", Some(Class::Metadata)),
    ("168.63.129.16/32", Some(Class::Metadata)),
    ("192.0.0.192/32", Some(Class::Metadata)),
    ("100.100.100.200/32", Some(Class::Metadata)),
    ("fd00:ec2::254/128", Some(Class::Metadata)),
    ("fd00:ec2::23/128", Some(Class::Metadata)),
    ("fd20:ce::254/128", Some(Class::Metadata)),
    ("169.254.42.42/32", Some(Class::Metadata)),
    ("fd00:42::42/128", Some(Class::Metadata)),
    ("169.254.0.23/32", Some(Class::Metadata)),
    ("169.254.10.10/32", Some(Class::Metadata)),
    ("169.254.169.252/32", Some(Class::Metadata)),
    ("100.96.0.96/32", Some(Class::Metadata)),
    ("100.80.80.80/32", Some(Class::Metadata)),
    ("fd00:c1::a9fe:a9fe/128", Some(Class::Metadata)),
    ("fd00:a9fe:a9fe::1/128", Some(Class::Metadata)),
    ("fd00:100::100:200/128", Some(Class::Metadata)),
    ("fe80::a9fe:a9fe/128", Some(Class::Metadata)),
    ("0.0.0.0/8", Some(Class::ThisNetwork)),
    ("10.0.0.0/8", Some(Class::Private)),
    ("100.64.0.0/10", Some(Class::CarrierGradeNat)),
    ("127.0.0.0/8", Some(Class::Loopback)),
    ("169.254.0.0/16", Some(Class::LinkLocal)),
    ("172.16.0.0/12", Some(Class::Private)),
    ("192.0.0.0/24", Some(Class::ProtocolAssignment)),
    ("192.0.2.0/24", Some(Class::Documentation)),
    ("192.88.99.0/24", Some(Class::SixToFourRelay)),
    ("192.168.0.0/16", Some(Class::Private)),
    ("198.18.0.0/15", Some(Class::Benchmarking)),
    ("198.51.100.0/24", Some(Class::Documentation)),
    ("203.0.113.0/24", Some(Class::Documentation)),
    ("224.0.0.0/4", Some(Class::Multicast)),
    ("255.255.255.255/32", Some(Class::Broadcast)),
    ("240.0.0.0/4", Some(Class::Reserved)),
    ("0.0.0.0/0", None),
    ("::/128", Some(Class::ThisNetwork)),
    ("::1/128", Some(Class::Loopback)),
    ("::/96", Some(Class::Ipv4Compatible)),
    ("::ffff:0:0/96", Some(Class::Ipv4Mapped)),
    ("::ffff:0:0:0/96", Some(Class::Ipv4Translated)),
    ("64:ff9b::/96", Some(Class::Nat64)),
    ("64:ff9b:1::/48", Some(Class::Nat64)),
    ("100::/64", Some(Class::DiscardOnly)),
    ("2001::/32", Some(Class::Teredo)),
    ("2001::/23", Some(Class::ProtocolAssignment)),
    ("2001:db8::/32", Some(Class::Documentation)),
    ("2002::/16", Some(Class::SixToFour)),
    ("3fff::/20", Some(Class::Documentation)),
    ("2000::/3", None),
    ("fc00::/7", Some(Class::UniqueLocal)),
    ("fe80::/10", Some(Class::LinkLocal)),
    ("fec0::/10", Some(Class::SiteLocal)),
    ("ff00::/8", Some(Class::Multicast)),
    ("::/0", Some(Class::NotGlobalUnicast)),
];

pub(crate) fn table() -> Vec<(IpNet, Option<Class>)> {
    TABLE
        .iter()
        .map(|(net, class)| (net.parse().unwrap(), *class))
        .collect()
}

pub(crate) fn model(table: &[(IpNet, Option<Class>)], address: IpAddr) -> Option<Class> {
    table
        .iter()
        .find(|(net, _)| net.contains(&address))
        .unwrap()
        .1
}

/// One before, first, last and one after of a range.
fn edges(net: &IpNet) -> Vec<IpAddr> {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first.saturating_sub(1), first, last, last.saturating_add(1)]
                .map(|bits| Ipv4Addr::from_bits(bits).into())
                .to_vec()
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first.saturating_sub(1), first, last, last.saturating_add(1)]
                .map(|bits| Ipv6Addr::from_bits(bits).into())
                .to_vec()
        }
    }
}

#[test]
fn every_range_begins_and_ends_where_the_registry_says() {
    let table = table();
    for (net, _) in &table {
        for address in edges(net) {
            assert_eq!(class(address), model(&table, address), "{address} at {net}");
        }
    }
}

/// Addresses anywhere, and as many near the ranges, where the mistakes are.
fn address() -> impl Strategy<Value = IpAddr> {
    let near = (0..TABLE.len(), any::<u128>(), any::<u32>(), 0_u32..16).prop_map(
        |(row, bits, low, miss)| match TABLE[row].0.parse().unwrap() {
            IpNet::V4(net) => {
                let host = low & net.hostmask().to_bits();
                let flip = 1_u32.checked_shl(miss * 2).unwrap_or(0);
                Ipv4Addr::from_bits((net.network().to_bits() | host) ^ flip).into()
            }
            IpNet::V6(net) => {
                let host = bits & net.hostmask().to_bits();
                let flip = if miss == 0 { 0 } else { 1_u128 << (miss * 8) };
                Ipv6Addr::from_bits((net.network().to_bits() | host) ^ flip).into()
            }
        },
    );
    prop_oneof![
        any::<Ipv4Addr>().prop_map(IpAddr::from),
        any::<Ipv6Addr>().prop_map(IpAddr::from),
        near,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn classes_agree_with_the_table(address in address()) {
        prop_assert_eq!(class(address), model(&table(), address));
    }

    #[test]
    fn an_ipv4_address_is_found_again_in_each_form_that_carries_it(v4: Ipv4Addr, odd: u16) {
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let forms = [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, odd, 0, odd, high, low),
            // RFC 6052 section 2.2: /48, /56 and /64, around the zero octet.
            format!("64:ff9b:1:{high:x}:{c:x}:{d:02x}00::").parse().unwrap(),
            format!("64:ff9b:1:{:x}:{b:x}:{low:x}::", odd & 0xff00 | u16::from(a)).parse().unwrap(),
            format!("64:ff9b:1:{odd:x}:{a:x}:{b:02x}{c:02x}:{d:02x}00:0").parse().unwrap(),
            Ipv6Addr::new(0x2002, high, low, odd, odd, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, high, low, odd, 0, 1, 1),
            Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, odd, 0, !high, !low),
        ];
        for form in forms {
            prop_assert!(embedded(form).contains(&v4), "{} in {}", v4, form);
            prop_assert!(class(form.into()).is_some(), "{}", form);
        }
    }

    #[test]
    fn nat64_is_read_in_each_layout_however_the_rest_is_filled(v4: Ipv4Addr, odd in 1_u16..) {
        let [a, b, c, d] = v4.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        // Octets 8 to 15, where bits 64 to 71 should be zero and the tail too.
        let [x, y] = odd.to_be_bytes();
        for form in [
            format!("64:ff9b:1:{high:x}:{x:02x}{c:02x}:{d:02x}{:02x}:{odd:x}:{odd:x}", y | 1),
            format!("64:ff9b:1:{:x}:{x:02x}{b:02x}:{low:x}:{odd:x}:0", u16::from_be_bytes([y, a])),
            format!("64:ff9b:1:{odd:x}:{:02x}{a:02x}:{b:02x}{c:02x}:{d:02x}{y:02x}:1", x | 1),
        ] {
            let address: Ipv6Addr = form.parse().unwrap();
            if address.segments()[4..6] != [0, 0] {
                prop_assert!(embedded(address).contains(&v4), "{} in {}", v4, form);
            }
        }
    }

    #[test]
    fn ordinary_ipv6_addresses_carry_nothing(address: Ipv6Addr) {
        if class(address.into()).is_none() {
            prop_assert!(embedded(address).is_empty());
        }
    }
}

#[test]
fn the_examples_of_rfc_6052_and_rfc_4380_are_read_as_they_say() {
    let has = |v6: &str, v4: &str| {
        assert!(
            embedded(v6.parse().unwrap()).contains(&v4.parse().unwrap()),
            "{v4} in {v6}"
        );
    };
    has("64:ff9b::192.0.2.33", "192.0.2.33");
    has("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45");
    has("2001:0:4136:e378:8000:63bf:3fff:fdd2", "65.54.227.120");
    has("2002:c000:0204::1", "192.0.2.4");
}
