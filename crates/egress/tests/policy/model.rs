//! A million random settings and destinations, judged by the policy and by its rules
//! written a second time.
//!
//! The rules here share no code with the policy but ipnet and the types of what is compared:
//! a case knows what its URL means before the URL is written ([`case_from_seed`]), addresses
//! are looked up in the registries as a table, and IPv4 addresses are picked out of IPv6
//! octet by octet. What is compared is the verdict and its reason, and where a URL that
//! passes leads. `POLICY_CASES` is for how many, `POLICY_SEED` repeats a run, and
//! `--nocapture` prints how many there were of each kind.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use watchbell_egress::address::Class;
use watchbell_egress::{Denied, Host, HostPattern, Policy, RefusedAddress, Scheme, Target};

use crate::address::{model as class_of, table};
use crate::cases::{Case, Entry, case_from_seed};

/// The registries: the first row that holds an address says what it is.
pub(crate) type Table = [(IpNet, Option<Class>)];

/// Names that only a metadata service has.
pub(crate) const METADATA_NAMES: &str = "api.metadata.cloud.ibm.com instance-data \
    instance-data.ec2.internal metadata metadata.goog metadata.google.internal \
    metadata.oraclecloud.com metadata.tencentyun.com";

/// Where RFC 6052 section 2.2 puts the octets of an IPv4 address, by the prefix's length.
pub(crate) const LAYOUTS: [(u8, [usize; 4]); 6] = [
    (32, [4, 5, 6, 7]),
    (40, [5, 6, 7, 9]),
    (48, [6, 7, 9, 10]),
    (56, [7, 9, 10, 11]),
    (64, [9, 10, 11, 12]),
    (96, [12, 13, 14, 15]),
];

struct Model<'a>(&'a Table, &'a Case);

impl Model<'_> {
    /// What is wrong with a destination; nothing if it may be dialled.
    fn judge(&self, to: &Target) -> Vec<Denied> {
        let (host, port) = (to.host.to_string(), to.port);
        let mut entries = self.1.entries.iter();
        if !entries.any(|entry| is_named(entry, to)) {
            return vec![Denied::NotAllowed { host, port }];
        }
        match &to.host {
            Host::Address(address) => self.dial(to, *address),
            Host::Name(name) if METADATA_NAMES.split(' ').any(|known| known == name) => {
                vec![Denied::MetadataName { host }]
            }
            Host::Name(_) => Vec::new(),
        }
    }

    /// The same for an address of it. Without TLS only this machine itself is reached.
    fn dial(&self, to: &Target, address: IpAddr) -> Vec<Denied> {
        let (host, scheme) = (to.host.to_string(), to.scheme);
        let is_this_machine = match address {
            IpAddr::V4(v4) => v4.octets()[0] == 127,
            IpAddr::V6(v6) => v6 == Ipv6Addr::LOCALHOST,
        };
        if matches!(scheme, Scheme::Http | Scheme::Tcp) && !is_this_machine {
            return vec![Denied::PlainText { scheme, host }];
        }
        let refused = self.refused(address).into_iter();
        refused.map(|refused| denied(&host, refused)).collect()
    }

    /// What is refused of an address: itself, and IPv4 addresses in it.
    fn refused(&self, outer: IpAddr) -> Vec<RefusedAddress> {
        let mut all = vec![(outer, None)];
        if let IpAddr::V6(v6) = outer {
            let carried = self.carried(v6).into_iter();
            all.extend(carried.map(|v4| (IpAddr::from(v4), Some(outer))));
        }
        let special = all.into_iter().filter_map(|(address, within)| {
            let class = class_of(self.0, address)?;
            let is_opened = self.1.opened.iter().any(|net| {
                // A range opens no metadata service: only an entry for itself does.
                let is_meant = class != Class::Metadata || net.network() == net.broadcast();
                is_meant && net.contains(&address)
            });
            (!is_opened).then_some(RefusedAddress {
                address,
                within,
                class,
            })
        });
        special.collect()
    }

    /// The IPv4 addresses that somebody on the way may read out of it.
    fn carried(&self, address: Ipv6Addr) -> Vec<Ipv4Addr> {
        let octets = address.octets();
        let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| octets[place]));
        let last = at([12, 13, 14, 15]);
        let is_in = |net: &str| {
            net.parse::<IpNet>()
                .unwrap()
                .contains(&IpAddr::from(address))
        };
        let mut found = Vec::new();
        let is_compatible = octets[..12] == [0; 12] && octets[12..] > [0, 0, 0, 1][..];
        let whole = ["::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"];
        if is_compatible || whole.into_iter().any(is_in) {
            found.push(last);
        }
        if is_in("64:ff9b:1::/48") {
            // What should be zero a gateway need not look at.
            let is_of_96 = octets[8..12] == [0; 4] && octets[12..] != [0; 4];
            let lengths = if is_of_96 { 96..=96 } else { 48..=96 };
            let read = LAYOUTS
                .iter()
                .filter(|(length, _)| lengths.contains(length));
            found.extend(read.map(|(_, places)| at(*places)));
        }
        if is_in("2002::/16") {
            found.push(at([2, 3, 4, 5]));
        }
        if is_in("2001::/32") {
            // The server, and the client with every bit turned.
            found.extend([
                at([4, 5, 6, 7]),
                last.octets().map(|octet| 255 - octet).into(),
            ]);
        }
        let listed = self.1.nat64.iter().filter(|net| net.contains(&address));
        for length in listed.map(Ipv6Net::prefix_len) {
            match LAYOUTS.iter().find(|(known, _)| *known == length) {
                Some((_, places)) => found.push(at(*places)),
                // Every 32 bits behind the prefix.
                None => found.extend((length..=96).map(|start| {
                    let [a, b, c, d, ..] = (address.to_bits() << start).to_be_bytes();
                    Ipv4Addr::new(a, b, c, d)
                })),
            }
        }
        found
    }
}

fn is_named(entry: &Entry, to: &Target) -> bool {
    let default_port = match to.scheme {
        Scheme::Https => Some(443),
        Scheme::Http => Some(80),
        _ => None,
    };
    let is_host = match (&entry.host, &to.host) {
        (Host::Name(own), Host::Name(name)) if entry.below => {
            let above = name.strip_suffix(own.as_str());
            above.is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
        }
        (own, host) => own == host,
    };
    is_host && Some(to.port) == entry.port.or(default_port)
}

#[test]
fn a_million_random_cases_are_judged_as_the_model_judges_them() {
    let variable = |name: &str| Some(std::env::var(name).ok()?.parse::<u64>().unwrap());
    let cases = variable("POLICY_CASES").unwrap_or(1_000_000);
    let start = variable("POLICY_SEED").unwrap_or_else(|| fastrand::u64(..));
    let (table, mut tally) = (table(), BTreeMap::new());
    for seed in (0..cases).map(|count| start.wrapping_add(count)) {
        let case = case_from_seed(seed, &table);
        for (of, judged, expected) in verdicts(&case, &Model(&table, &case)) {
            let count = tally.entry(format!("{of}: {}", outcome(&judged)));
            *count.or_insert(0) += 1;
            let agrees = match &judged {
                Ok(()) => expected.is_empty(),
                Err(denied) => expected.contains(denied),
            };
            let run = format!("POLICY_CASES=1 POLICY_SEED={seed}");
            assert!(
                agrees,
                "{run}: {of}: {judged:?}, by the model {expected:?}\n{case:#?}"
            );
        }
    }
    for (outcome, count) in &tally {
        eprintln!("{count:>8} {outcome}");
    }
    if cases < 50_000 {
        return; // too few to meet everything
    }
    let met_at_least = |least: u64, outcome: &str| {
        let count = tally.get(outcome).copied().unwrap_or_default();
        assert!(count >= least, "{outcome}: {count} of {cases}");
    };
    // One in six or more: else the cases are too odd to say much.
    met_at_least(cases / 6, "url: passes");
    met_at_least(cases / 6, "address: passes");
    let common = "resolved: passes|resolved: plain text|other protocol: passes|\
        other protocol: plain text|url: plain text|url: not allowed|url: metadata name|\
        malformed: refused|odd: passes";
    for outcome in common.split('|') {
        met_at_least(cases / 1000, outcome);
    }
    for (net, class) in &table {
        let Some(class) = class else { continue };
        // IPv6 is inside of nothing.
        let inside = if net.network().is_ipv4() {
            " inside"
        } else {
            ""
        };
        for of in ["url", "address", "resolved"] {
            met_at_least(cases / 50_000, &format!("{of}: {class}"));
            met_at_least(cases / 50_000, &format!("{of}: {class}{inside}"));
        }
    }
}

/// What was judged, what the policy says of it, and what the model has against it.
type Verdict = (&'static str, Result<(), Denied>, Vec<Denied>);

fn verdicts(case: &Case, model: &Model<'_>) -> Vec<Verdict> {
    let entries = case
        .entries
        .iter()
        .map(|entry| entry.text.parse::<HostPattern>().unwrap());
    let policy = Policy::new(entries, case.opened.clone()).with_nat64(case.nat64.clone());
    let judge = |url: &str| policy.judge_url(&url.parse().map_err(|_| Denied::NotAbsolute)?);

    let judged = policy.judge_address(case.resolved);
    let judged = judged.map_err(|refused| denied("", refused));
    let expected = model.refused(case.resolved).into_iter();
    let expected = expected.map(|refused| denied("", refused)).collect();
    let mut all = vec![("address", judged, expected)];
    let judged = judge(&case.url);
    let Some(target) = &case.target else {
        let is_refused = judged.is_err_and(|denied| outcome(&Err(denied)) == "refused");
        assert!(is_refused, "{}", case.url);
        all.push((
            "malformed",
            Err(Denied::NotAbsolute),
            vec![Denied::NotAbsolute],
        ));
        return all;
    };
    if let Ok(judged) = &judged {
        assert_eq!(judged, target, "{}", case.url);
        let judged = policy.judge_target_address(target, case.resolved);
        all.push(("resolved", judged, model.dial(target, case.resolved)));
    }
    all.push(("url", judged.map(drop), model.judge(target)));
    for scheme in [Scheme::Tls, Scheme::Tcp] {
        let target = Target {
            scheme,
            ..target.clone()
        };
        all.push((
            "other protocol",
            policy.judge(&target),
            model.judge(&target),
        ));
    }
    // A URL with a sign too many is read as a browser reads it, or refused.
    if let Ok(target) = judge(&case.spoilt_url) {
        let url = url::Url::parse(&case.spoilt_url).unwrap();
        let read = Target::parse(&url.origin().ascii_serialization().parse().unwrap());
        assert_eq!(read.as_ref(), Ok(&target), "{}", case.spoilt_url);
        assert_eq!(url.username(), "", "{}", case.spoilt_url);
        all.push(("odd", Ok(()), model.judge(&target)));
    }
    all
}

fn denied(host: &str, refused: RefusedAddress) -> Denied {
    let host = host.to_owned();
    Denied::Address { host, refused }
}

/// What the policy says, in a word or two.
fn outcome(judged: &Result<(), Denied>) -> String {
    let inside = |refused: &RefusedAddress| refused.within.map_or("", |_| " inside");
    match judged {
        Ok(()) => "passes".to_owned(),
        Err(Denied::NotAllowed { .. }) => "not allowed".to_owned(),
        Err(Denied::PlainText { .. }) => "plain text".to_owned(),
        Err(Denied::MetadataName { .. }) => "metadata name".to_owned(),
        Err(Denied::Address { refused, .. }) => format!("{}{}", refused.class, inside(refused)),
        Err(_) => "refused".to_owned(),
    }
}
