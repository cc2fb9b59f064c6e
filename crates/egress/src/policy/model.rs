//! Random strings against the policy written down a second time, by hand.
//!
//! The model shares no code with the policy but the standard library's IPv6 parser: it
//! splits the URL itself, reads IPv4 in every radix itself, and looks addresses up in the
//! registries as a table. `POLICY_CASES` is for how many strings; a million by default.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::address::Class;
use crate::address::tests::{model as class_of, table};

/// Each as a pattern: name or address, whether all below it, and the port.
const ALLOWED: [(&str, bool, Option<u16>); 9] = [
    ("api.example", false, None),
    ("wild.example", true, None),
    ("odd.example", false, Some(8443)),
    ("127.0.0.1", false, Some(8080)),
    ("10.0.0.1", false, None),
    ("20.1.2.3", false, None),
    ("169.254.169.254", false, None),
    ("::1", false, None),
    ("64:ff9b::7f00:1", false, None),
];

const OPENED: [&str; 4] = ["127.0.0.0/8", "64:ff9b::/96", "169.254.0.0/16", "::1/128"];

fn policy() -> Policy {
    let hosts = ALLOWED.map(|(host, below, port)| {
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let star = if below { "*." } else { "" };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{star}{host}{port}").parse().unwrap()
    });
    Policy::new(hosts, OPENED.map(|net| net.parse().unwrap()))
}

enum Place {
    Name(String),
    Address(IpAddr),
}

/// Whether a URL may be asked for, as the documentation has it.
fn allows(table: &[(IpNet, Option<Class>)], url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let default = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "http" => 80,
        _ => return false,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((place, port)) = place(&rest[..end], default) else {
        return false;
    };
    let listed = ALLOWED.iter().any(|(host, below, own)| {
        own.unwrap_or(default) == port
            && match &place {
                Place::Name(name) if *below => {
                    name.len() > host.len() + 1 && name.ends_with(&format!(".{host}"))
                }
                Place::Name(name) => name == host,
                Place::Address(address) => !below && host.parse() == Ok(*address),
            }
    });
    let reached = match place {
        Place::Name(_) => true,
        Place::Address(address) => {
            (default == 443 || address.is_loopback())
                && carried(address).into_iter().all(|one| {
                    let opened = OPENED.map(|net| net.parse::<IpNet>().unwrap());
                    match class_of(table, one) {
                        None => true,
                        // No range opens it; only itself would.
                        Some(Class::Metadata) => false,
                        Some(_) => opened.iter().any(|net| net.contains(&one)),
                    }
                })
        }
    };
    listed && reached
}

fn place(authority: &str, default: u16) -> Option<(Place, u16)> {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-_.:[]".contains(c));
    if authority.is_empty() || authority.contains(odd) {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            let port = match after.strip_prefix(':') {
                None if after.is_empty() => None,
                None => return None,
                Some(port) => Some(port),
            };
            let address: Ipv6Addr = inside.parse().ok()?;
            (Place::Address(address.into()), port)
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            (name_or_v4(&host.to_ascii_lowercase())?, port)
        }
    };
    let port = match port {
        None => default,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0)?
        }
        Some(_) => return None,
    };
    Some((host, port))
}

/// WHATWG: a host whose last label is a number is an IPv4 address or nothing.
fn name_or_v4(host: &str) -> Option<Place> {
    let labels: Vec<&str> = host.split('.').collect();
    if host.len() > 253
        || labels
            .iter()
            .any(|label| label.is_empty() || label.len() > 63)
    {
        return None;
    }
    if host.contains(['[', ']']) {
        return None;
    }
    let last = labels.last()?;
    let digits = last.bytes().all(|b| b.is_ascii_digit());
    let hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if !digits && !hexadecimal {
        return Some(Place::Name(host.to_owned()));
    }
    let numbers: Option<Vec<u64>> = labels.iter().map(|label| number(label)).collect();
    let numbers = numbers?;
    let (last, first) = numbers.split_last()?;
    let room = 4_usize.checked_sub(first.len())?;
    if room == 0
        || first.iter().any(|number| *number > 255)
        || *last >= 256_u64.pow(u32::try_from(room).ok()?)
    {
        return None;
    }
    let mut bits = *last;
    for (at, number) in first.iter().enumerate() {
        bits += number << (8 * (3 - at));
    }
    Some(Place::Address(
        Ipv4Addr::from_bits(u32::try_from(bits).ok()?).into(),
    ))
}

fn number(label: &str) -> Option<u64> {
    let (digits, radix) = match label.strip_prefix("0x") {
        Some("") => return Some(0),
        Some(rest) => (rest, 16),
        None if label.len() > 1 && label.starts_with('0') => (&label[1..], 8),
        None => (label, 10),
    };
    u64::from_str_radix(digits, radix).ok()
}

/// The address, and the IPv4 addresses that somebody may read out of it.
fn carried(address: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![address];
    if let IpAddr::V6(v6) = address {
        let octets = v6.octets();
        let v4 =
            |at: usize| IpAddr::from([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]);
        let is_in = |net: &str| net.parse::<IpNet>().unwrap().contains(&address);
        if is_in("64:ff9b::/96") || is_in("::ffff:0:0/96") {
            all.push(v4(12));
        }
    }
    all
}

/// Hosts near what is allowed and near what is not, in odd spellings, and noise.
fn host() -> impl Strategy<Value = String> {
    let known = select(vec![
        "api.example",
        "wild.example",
        "a.wild.example",
        "a.b.wild.example",
        "notwild.example",
        "odd.example",
        "example",
        "metadata.internal",
        "127.0.0.1",
        "10.0.0.1",
        "20.1.2.3",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a00:1]",
        "[fe80::1%25eth0]",
        "localhost",
        "１２７.0.0.1",
        "%31%32%37.0.0.1",
    ])
    .prop_map(str::to_owned);
    let v4 = (any::<[u8; 4]>(), 0..4_usize, 0..3_u8, 1..5_usize).prop_map(
        |(octets, kind, radix, parts)| {
            let octets = match kind {
                0 => [127, 0, 0, 1],
                1 => [10, 0, 0, 1],
                2 => [20, 1, 2, 3],
                _ => octets,
            };
            let mut numbers: Vec<u64> = Vec::new();
            for octet in &octets[..parts - 1] {
                numbers.push((*octet).into());
            }
            let rest = octets[parts - 1..]
                .iter()
                .fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet));
            numbers.push(rest);
            let text = |number: u64| match radix {
                0 => number.to_string(),
                1 => format!("0x{number:X}"),
                _ => format!("0{number:o}"),
            };
            numbers.into_iter().map(text).collect::<Vec<_>>().join(".")
        },
    );
    let v6 = (any::<u128>(), select(vec![0_u32, 32, 96, 120, 128])).prop_map(|(bits, keep)| {
        let near = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0x7f00, 1).to_bits();
        let mask = u128::MAX.checked_shl(128 - keep).unwrap_or(0);
        format!("[{}]", Ipv6Addr::from_bits(near & mask | bits & !mask))
    });
    let spoilt = (
        select(vec!["api.example", "127.0.0.1", "[::1]", "10.0.0.1"]),
        any::<char>(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(host, c, at)| {
            let mut text = host.to_owned();
            text.insert(at.index(host.len() + 1), c);
            text
        });
    let noise = "[a-z0-9x.:@%\\[\\]_-]{0,24}";
    prop_oneof![4 => known, 4 => v4, 2 => v6, 3 => spoilt, 2 => noise]
}

fn url() -> impl Strategy<Value = String> {
    let scheme = select(vec![
        "https://", "https://", "https://", "http://", "HTTPS://", "ftp://", "", "https:",
    ]);
    let before = select(vec!["", "", "", "", "", "user@", "api.example@", "u:p@"]);
    let port = select(vec![
        "", "", "", ":443", ":8443", ":8080", ":80", ":0", ":", ":65536", ":+443", ":0443", ":443x",
    ]);
    let after = select(vec![
        "",
        "/",
        "/x?y",
        "?@api.example",
        "/@api.example",
        "#@api.example",
        ".",
    ]);
    (scheme, before, host(), any::<bool>(), port, after).prop_map(
        |(scheme, before, host, upper, port, after)| {
            let host = if upper {
                host.to_ascii_uppercase()
            } else {
                host
            };
            format!("{scheme}{before}{host}{port}{after}")
        },
    )
}

#[test]
fn a_million_random_strings_are_judged_as_the_model_judges_them() {
    let cases = std::env::var("POLICY_CASES").ok();
    let cases = cases.map_or(1_000_000, |text| text.parse().unwrap());
    let (policy, table) = (policy(), table());
    let passed = std::cell::Cell::new(0_u32);
    let mut runner = TestRunner::new(Config::with_cases(cases));
    runner
        .run(&url(), |url| {
            let judged = url.parse().is_ok_and(|url| policy.judge_url(&url).is_ok());
            let expected = allows(&table, &url);
            passed.set(passed.get() + u32::from(expected));
            prop_assert_eq!(judged, expected, "{:?}", url);
            Ok(())
        })
        .unwrap();
    // Else the strings are too odd to say anything.
    assert!(passed.get() > cases / 100, "{} passed", passed.get());
}
