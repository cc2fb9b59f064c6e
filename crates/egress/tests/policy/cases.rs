//! Cases: near what is allowed and near what is not, in odd spellings, and noise.

mod addresses;

use std::net::IpAddr;

use proptest::prelude::RngExt;
use proptest::test_runner::TestRng;

use super::rules::{METADATA_NAMES, PUNYCODE, Table};

/// Ranges that an operator may have opened.
const OPENED: [&str; 22] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "169.254.169.254/32",
    "192.168.1.128/25",
    "198.18.0.0/15",
    "0.0.0.0/0",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2001::/32",
    "2002::/16",
    "fc00::/7",
    "fd00:ec2::254/128",
    "fe80::/10",
    "::/3",
    "::/0",
];

/// Prefixes of NAT64 gateways: the six lengths of RFC 6052, some in special ranges, and
/// lengths that it does not have.
const NAT64: [&str; 10] = [
    "2001:470::/32",
    "2001:470:100::/40",
    "2001:470:122::/48",
    "2001:470:122:300::/56",
    "2001:470:122:344::/64",
    "2001:470:122:344::/96",
    "2a00::/88",
    "2a00:1:2::/93",
    "fd00:64::/48",
    "64:ff9b:1:fffe::/64",
];

#[derive(Debug, Clone)]
pub(super) struct Case {
    /// The list of hosts, as configured.
    pub(super) hosts: Vec<String>,
    pub(super) opened: Vec<&'static str>,
    pub(super) nat64: Vec<&'static str>,
    pub(super) url: String,
    /// What a name is resolved to.
    pub(super) resolved: IpAddr,
}

/// Draws a case.
pub(super) struct Draw<'a> {
    rng: TestRng,
    table: &'a Table,
    nat64: Vec<&'static str>,
}

impl<'a> Draw<'a> {
    pub(super) fn new(rng: TestRng, table: &'a Table) -> Self {
        Self {
            rng,
            table,
            nat64: Vec::new(),
        }
    }

    pub(super) fn case(mut self) -> Case {
        let opened = match self.below(10) {
            0 => vec!["0.0.0.0/0", "::/0"],
            1..=3 => Vec::new(),
            more => (0..more - 3).map(|_| self.one(&OPENED)).collect(),
        };
        self.nat64 = (0..self.below(3)).map(|_| self.one(&NAT64)).collect();
        let host = self.host();
        let port = match self.below(20) {
            0 => self.one(&[
                ":65536",
                ":0",
                ":",
                ":+443",
                ":443x",
                ":00",
                ":-1",
                ":9999999999",
            ]),
            1..=3 => self.one(&[":443", ":8443", ":80", ":1", ":65535", ":0443"]),
            _ => "",
        };
        let hosts = self.hosts(&host, port);
        let url = self.url(&host, port);
        Case {
            hosts,
            opened,
            url,
            resolved: self.address(),
            nat64: self.nat64,
        }
    }

    fn url(&mut self, host: &str, port: &str) -> String {
        let scheme = match self.below(40) {
            0 => self.one(&[
                "ftp://",
                "",
                "https:",
                "https:/",
                "//",
                "httpss://",
                "ws://",
            ]),
            1 => self.one(&["HTTPS://", "Https://"]),
            2..=6 => "http://",
            _ => "https://",
        };
        let before = if self.percent(2) {
            self.one(&[
                "user@",
                "api.example@",
                "u:p@",
                "@",
                "127.0.0.1:80@",
                "%40@",
            ])
        } else {
            ""
        };
        let after = self.one(&[
            "",
            "/",
            "/x?y",
            "?@api.example",
            "/@api.example",
            "#@api.example",
            "/..",
            "?",
            "#",
        ]);
        let mut host = host.to_owned();
        if self.percent(15) {
            host.make_ascii_uppercase();
        }
        format!("{scheme}{before}{host}{port}{after}")
    }

    /// Four times in five the host itself is on the list, or a pattern made from it.
    fn hosts(&mut self, host: &str, port: &str) -> Vec<String> {
        let mut hosts = Vec::new();
        if self.percent(80) {
            let parent = host.split_once('.').map_or(host, |(_, parent)| parent);
            let entry = match self.below(16) {
                0 => format!("*.{host}"),
                1 | 2 => format!("*.{parent}"),
                3 => parent.to_owned(),
                4 => host.to_ascii_uppercase(),
                5 => host.trim_matches(['[', ']']).to_owned(),
                _ => host.to_owned(),
            };
            let port = match self.below(10) {
                0 => self.one(&["", ":443", ":80", ":8443", ":0", ":65535"]),
                _ => port,
            };
            hosts.push(format!("{entry}{port}"));
        }
        for _ in 0..self.below(3) {
            hosts.push(
                self.one(&[
                    "api.example",
                    "*.wild.example",
                    "odd.example:8443",
                    "127.0.0.1:8080",
                    "20.1.2.3",
                    "[::1]",
                    "0x7f.1",
                    "*.xn--bcher-kva",
                    "*.example:80",
                    "*.internal",
                ])
                .to_owned(),
            );
        }
        hosts
    }

    fn host(&mut self) -> String {
        match self.below(20) {
            0..=6 => self.name(),
            7..=16 => {
                let address = self.address();
                self.spelt(address)
            }
            17 | 18 => {
                let host = if self.percent(50) {
                    self.name()
                } else {
                    let address = self.address();
                    self.spelt(address)
                };
                self.spoilt(host)
            }
            _ => {
                // No hyphen: it would make Punycode that the model cannot read.
                let signs: Vec<char> = "abfx0123789.:@%[]_".chars().collect();
                (0..self.below(24)).map(|_| self.one(&signs)).collect()
            }
        }
    }

    fn name(&mut self) -> String {
        let known = [
            "api.example",
            "wild.example",
            "a.wild.example",
            "a.b.wild.example",
            "notwild.example",
            ".wild.example",
            "odd.example",
            "example",
            "localhost",
            "metadata.internal",
            "metadata.example",
            "a.metadata.goog",
            "instance-data2",
            "-a-.example",
            "_srv._tcp.example",
            "a..example",
            "api.example.",
            "ａpi.example",
            "１２７.0.0.1",
            "%31%32%37.0.0.1",
            "a%2eexample",
            "1.2.3.4.example",
            "example.0x",
            "example.0xg",
            "example.08",
        ];
        match self.below(10) {
            0..=2 => self.one(&known).to_owned(),
            3 => self.one(&METADATA_NAMES).to_owned(),
            4 => {
                let (label, _) = self.one(&PUNYCODE);
                self.one(&["{}.example", "{}", "a.{}", "{}.{}"])
                    .replace("{}", label)
            }
            5 => {
                // Around the longest label, 63, and the longest name: 253 with 61.
                let long = "a".repeat(63);
                let label = "b".repeat(60 + self.below(5));
                self.one(&[
                    format!("{label}.example"),
                    format!("{long}.{long}.{long}.{label}"),
                ])
            }
            _ => {
                let signs: Vec<char> = "abcxyz019_-".chars().collect();
                let labels: Vec<String> = (0..=self.below(4))
                    .map(|_| (0..=self.below(6)).map(|_| self.one(&signs)).collect())
                    .collect();
                labels.join(".")
            }
        }
    }

    /// One sign more, less or other.
    fn spoilt(&mut self, host: String) -> String {
        if host.is_empty() || host.contains("xn--") {
            return host;
        }
        let mut signs: Vec<char> = host.chars().collect();
        let at = self.below(signs.len());
        let sign = if self.percent(30) {
            self.rng.random()
        } else {
            let odd: Vec<char> = "0x.%@:[]*/\\?# \t\r\n\0é１。".chars().collect();
            self.one(&odd)
        };
        match self.below(3) {
            0 => signs.insert(at, sign),
            1 => signs[at] = sign,
            _ => drop(signs.remove(at)),
        }
        signs.into_iter().collect()
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn below(&mut self, most: usize) -> usize {
        self.rng.random_range(0..most)
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}
