//! Random settings, URLs and addresses against the policy written down a second time.
//!
//! [`rules`] is the policy by hand, [`draw`] makes the cases. Each case has a list of
//! hosts that names the URL's own host as often as not, so that the rules behind the list
//! decide too, and an address that the name may have been resolved to. What is compared
//! is the verdict and its reason, and where a URL that passes leads. `POLICY_CASES` is
//! for how many; a million by default. `--nocapture` prints how many there were of each
//! kind.

mod draw;
mod rules;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::address::tests::table;
use draw::{Case, Draw};
use rules::{Destination, Entry, Model, Place, Refusal, Table};

/// How often each outcome was met, by its name.
#[derive(Default)]
struct Tally(RefCell<BTreeMap<String, u32>>);

impl Tally {
    fn count(&self, of: &str, outcome: &str) {
        let mut counts = self.0.borrow_mut();
        *counts.entry(format!("{of}: {outcome}")).or_default() += 1;
    }

    fn of(&self, name: &str) -> u32 {
        self.0.borrow().get(name).copied().unwrap_or_default()
    }

    /// One pass in five to one in two: else the cases are too odd, or too tame, to say
    /// anything.
    #[track_caller]
    fn is_balanced(&self, of: &str, cases: u32) {
        let passed = self.of(&format!("{of}: passes"));
        let share = f64::from(passed) / f64::from(cases.max(1));
        assert!((0.2..=0.5).contains(&share), "{of}: {passed} of {cases}");
    }
}

#[test]
fn a_million_random_cases_are_judged_as_the_model_judges_them() {
    let cases = std::env::var("POLICY_CASES").ok();
    let cases = cases.map_or(1_000_000, |text| text.parse().unwrap());
    let (table, tally) = (table(), Tally::default());
    let drawn = Just(()).prop_perturb(|(), rng| Draw::new(rng, &table).case());
    let mut runner = TestRunner::new(Config {
        cases,
        // A case that fails is printed whole.
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&drawn, |case| compare(&case, &table, &tally))
        .unwrap();
    for (outcome, count) in tally.0.borrow().iter() {
        eprintln!("{count:>8} {outcome}");
    }
    tally.is_balanced("url", cases);
    tally.is_balanced("address", cases);
    for outcome in outcomes(&table) {
        // A fifth of what the rarest has.
        let count = tally.of(&outcome);
        assert!(count >= cases / 50_000, "{outcome}: {count} of {cases}");
    }
}

/// What each run must have met.
fn outcomes(table: &Table) -> Vec<String> {
    let forms = [
        "entry: passes",
        "entry: refused",
        "url: not a URL",
        "url: not absolute",
        "url: scheme",
        "url: user information",
        "url: host",
        "url: port",
        "url: not listed",
        "url: plain text",
        "url: metadata name",
        "resolved: passes",
        "resolved: plain text",
    ];
    let mut all = forms.map(str::to_owned).to_vec();
    for (net, class) in table {
        let Some(class) = class else { continue };
        for of in ["url", "address", "resolved"] {
            all.push(format!("{of}: {class}"));
            if matches!(net, IpNet::V4(_)) {
                all.push(format!("{of}: {class} inside"));
            }
        }
    }
    all
}

fn compare(case: &Case, table: &Table, tally: &Tally) -> Result<(), TestCaseError> {
    let (mut hosts, mut entries) = (Vec::new(), Vec::new());
    for text in &case.hosts {
        let (host, entry) = (text.parse::<HostPattern>().ok(), Entry::read(text));
        prop_assert_eq!(host.is_some(), entry.is_some(), "entry {:?}", text);
        tally.count("entry", if host.is_some() { "passes" } else { "refused" });
        hosts.extend(host);
        entries.extend(entry);
    }
    let opened = case.opened.iter().map(|net| net.parse().unwrap());
    let nat64 = case.nat64.iter().map(|net| net.parse().unwrap());
    let policy = Policy::new(hosts, opened).with_nat64(nat64);
    let model = Model::new(table, entries, &case.opened, &case.nat64);

    let refused = model.address(case.resolved);
    let judged = policy.judge_address(case.resolved);
    tally.count(
        "address",
        &judged.map_or_else(named, |()| "passes".to_owned()),
    );
    same_address(judged, &refused, case.resolved)?;

    let expected = Destination::read(&case.url);
    let Ok(url) = case.url.parse::<Uri>() else {
        tally.count("url", "not a URL");
        prop_assert_eq!(expected, None);
        return Ok(());
    };
    let judged = policy.judge_url(&url);
    tally.count("url", &outcome(&judged));
    let Some(to) = expected else {
        prop_assert!(is_malformed(&judged), "{:?}", judged);
        return Ok(());
    };
    same(&judged, model.url(&to), &to)?;
    if let Ok(target) = judged {
        let dialled = policy.judge_target_address(&target, case.resolved);
        let judged = dialled.map(|()| target);
        tally.count("resolved", &outcome(&judged));
        same(&judged, model.dial(&to, case.resolved), &to)?;
    }
    Ok(())
}

/// What the policy said, in a word or two.
fn outcome(judged: &Result<Target, Denied>) -> String {
    let words = match judged {
        Ok(_) => "passes",
        Err(Denied::NotAbsolute) => "not absolute",
        Err(Denied::Scheme { .. }) => "scheme",
        Err(Denied::UserInfo) => "user information",
        Err(Denied::Host { .. }) => "host",
        Err(Denied::Port { .. }) => "port",
        Err(Denied::NotAllowed { .. }) => "not listed",
        Err(Denied::PlainText { .. }) => "plain text",
        Err(Denied::MetadataName { .. }) => "metadata name",
        Err(Denied::Address { refused, .. }) => return named(*refused),
        Err(Denied::Method { .. }) => "method",
    };
    words.to_owned()
}

fn named(refused: RefusedAddress) -> String {
    let inside = if refused.within.is_some() {
        " inside"
    } else {
        ""
    };
    format!("{}{inside}", refused.class)
}

fn is_malformed(judged: &Result<Target, Denied>) -> bool {
    use Denied::{Host, NotAbsolute, Port, Scheme, UserInfo};
    matches!(
        judged,
        Err(NotAbsolute | Scheme { .. } | UserInfo | Host { .. } | Port { .. })
    )
}

/// That both say the same of a well-formed URL, and for the same reason.
fn same(
    judged: &Result<Target, Denied>,
    expected: Result<(), Refusal>,
    to: &Destination,
) -> Result<(), TestCaseError> {
    match (judged, expected) {
        (Ok(target), Ok(())) => {
            let place = match &target.host {
                Host::Name(name) => Place::Name(name.clone()),
                Host::Address(address) => Place::Address(*address),
            };
            prop_assert_eq!(place, to.place.clone());
            prop_assert_eq!(target.port, to.port);
            prop_assert_eq!(target.scheme == Scheme::Https, to.tls);
        }
        (Err(Denied::NotAllowed { .. }), Err(Refusal::NotListed))
        | (Err(Denied::PlainText { .. }), Err(Refusal::PlainText))
        | (Err(Denied::MetadataName { .. }), Err(Refusal::MetadataName)) => {}
        (Err(Denied::Address { refused, .. }), Err(Refusal::Address(outer, all))) => {
            same_address(Err(*refused), &all, outer)?;
        }
        (judged, expected) => {
            prop_assert!(false, "{:?}, and by the model {:?}", judged, expected);
        }
    }
    Ok(())
}

/// That an address is refused when the model refuses anything of it, and for that.
fn same_address(
    judged: Result<(), RefusedAddress>,
    expected: &[(IpAddr, Class)],
    outer: IpAddr,
) -> Result<(), TestCaseError> {
    match judged {
        Ok(()) => prop_assert!(expected.is_empty(), "passes; by the model {:?}", expected),
        Err(refused) => {
            let reason = (refused.address, refused.class);
            prop_assert!(expected.contains(&reason), "{} {:?}", refused, expected);
            let within = (refused.address != outer).then_some(outer);
            prop_assert_eq!(refused.within, within);
        }
    }
    Ok(())
}
