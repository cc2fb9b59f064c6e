//! What passes and what does not, by URL and by address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use proptest::prelude::*;

use super::address::Class;
use super::*;

fn policy(hosts: &[&str], opened: &[&str]) -> Policy {
    Policy::new(
        hosts.iter().map(|text| text.parse().unwrap()),
        opened.iter().map(|text| text.parse().unwrap()),
    )
}

fn judge(policy: &Policy, url: &str) -> Result<Target, Denied> {
    policy.judge_url(&url.parse().unwrap())
}

#[test]
fn an_empty_policy_allows_nothing() {
    let policy = policy(&[], &["0.0.0.0/0", "::/0"]);
    for url in [
        "https://example.com/",
        "http://127.0.0.1/",
        "https://[::1]/",
    ] {
        assert!(
            matches!(judge(&policy, url), Err(Denied::NotAllowed { .. })),
            "{url}"
        );
    }
}

#[test]
fn the_host_that_is_judged_is_the_host_that_will_be_dialled() {
    let policy = policy(&["a.example", "127.0.0.1:8080"], &["127.0.0.0/8"]);
    let target = judge(&policy, "https://A.Example/x?y").unwrap();
    assert_eq!(target.origin(), "https://a.example");
    let url = target
        .with_path_of(&"https://A.Example:443/x?y".parse().unwrap())
        .unwrap();
    assert_eq!(url, "https://a.example/x?y");

    let target = judge(&policy, "http://2130706433:8080").unwrap();
    assert_eq!(target.origin(), "http://127.0.0.1:8080");
    let url = target
        .with_path_of(&"http://2130706433:8080".parse().unwrap())
        .unwrap();
    assert_eq!(url, "http://127.0.0.1:8080/");
}

#[test]
fn a_url_that_could_be_read_in_two_ways_is_refused() {
    let policy = policy(&["a.example", "127.0.0.1"], &["127.0.0.0/8"]);
    for (url, why) in [
        ("https://a.example@b.example/", "user information"),
        ("https://b.example@a.example/", "user information"),
        ("https://u:p@a.example/", "user information"),
        ("https://a.example./", "ends with a dot"),
        ("https://a.example:0/", "port \"0\""),
        ("https://a.example:/", "port \"\""),
        ("https://a.example:0443x/", "port"),
        (
            "https://b.example#@a.example/",
            "b.example:443 is not an allowed host",
        ),
        (
            "https://b.example?@a.example/",
            "b.example:443 is not an allowed host",
        ),
        (
            "https://a.example:8443/",
            "a.example:8443 is not an allowed host",
        ),
        ("ftp://a.example/", "scheme ftp"),
        ("/path", "no scheme"),
        ("a.example:443", "no scheme"),
    ] {
        // What http's own parser refuses never gets here.
        let Ok(url) = url.parse::<Uri>() else {
            continue;
        };
        let denied = policy.judge_url(&url).unwrap_err();
        assert!(denied.to_string().contains(why), "{url}: {denied}");
    }
}

#[test]
fn loopback_is_refused_in_every_spelling_unless_opened() {
    for literal in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0",
        "[::]",
    ] {
        let host = Host::parse(literal).unwrap();
        let listed = Policy::new([HostPattern::exactly(host, 443)], []);
        let denied = judge(&listed, &format!("https://{literal}/")).unwrap_err();
        assert!(
            matches!(denied, Denied::Address { .. }),
            "{literal}: {denied}"
        );
    }
}

#[test]
fn plain_http_reaches_only_loopback_and_only_when_opened() {
    let opened = policy(
        &["127.0.0.1", "10.0.0.1", "[::ffff:127.0.0.1]"],
        &["0.0.0.0/0", "::/0"],
    );
    assert!(judge(&opened, "http://127.0.0.1/").is_ok());
    assert!(judge(&opened, "https://10.0.0.1/").is_ok());
    for url in ["http://10.0.0.1/", "http://[::ffff:127.0.0.1]/"] {
        assert!(
            matches!(judge(&opened, url), Err(Denied::PlainText { .. })),
            "{url}"
        );
    }
    let shut = policy(&["127.0.0.1"], &[]);
    assert!(matches!(
        judge(&shut, "http://127.0.0.1/"),
        Err(Denied::Address { .. })
    ));
}

#[test]
fn opening_a_range_opens_neither_what_it_carries_nor_the_metadata_service_in_it() {
    let nat64 = policy(&[], &["64:ff9b::/96"]);
    assert!(
        nat64
            .judge_address("64:ff9b::20.190.128.1".parse().unwrap())
            .is_ok()
    );
    let refused = nat64
        .judge_address("64:ff9b::10.0.0.1".parse().unwrap())
        .unwrap_err();
    assert_eq!(refused.address, IpAddr::from([10, 0, 0, 1]));
    assert_eq!(refused.class, Class::Private);

    let link_local = policy(&[], &["169.254.0.0/16"]);
    assert!(link_local.judge_address([169, 254, 1, 1].into()).is_ok());
    assert!(
        link_local
            .judge_address([169, 254, 169, 254].into())
            .is_err()
    );
    let named = policy(&[], &["169.254.169.254/32"]);
    assert!(named.judge_address([169, 254, 169, 254].into()).is_ok());
}

#[test]
fn equal_sets_are_equal_policies() {
    let one = policy(&["a.example", "B.example"], &["10.1.2.3/8", "::1/128"]);
    let other = policy(
        &["b.example", "a.example", "a.example"],
        &["::1/128", "10.0.0.0/8"],
    );
    assert_eq!(one, other);
    assert_ne!(one, policy(&["a.example"], &["10.0.0.0/8", "::1/128"]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// With nothing opened, what passes is what has no class and carries nothing.
    #[test]
    fn nothing_special_passes_unless_opened(
        address in prop_oneof![
            any::<Ipv4Addr>().prop_map(IpAddr::from),
            any::<Ipv6Addr>().prop_map(IpAddr::from),
        ],
    ) {
        let passes = policy(&[], &[]).judge_address(address).is_ok();
        prop_assert_eq!(passes, address::class(address).is_none());
    }

    /// Whatever text a guest puts between the scheme and the path, the host that would
    /// be dialled is on the list.
    #[test]
    fn no_authority_gets_past_the_list(authority in "[a-zA-Z0-9@:.%\\[\\]_~!*-]{1,20}") {
        let policy = policy(&["a.example", "*.b.example"], &[]);
        let Ok(url) = format!("https://{authority}/").parse::<Uri>() else { return Ok(()) };
        if let Ok(target) = policy.judge_url(&url) {
            let name = target.host.to_string();
            prop_assert!(name == "a.example" || name.ends_with(".b.example"));
            prop_assert_eq!(target.port, 443);
        }
    }
}

#[test]
fn what_an_operators_nat64_gateway_would_dial_is_judged() {
    // 10.0.0.1 by RFC 6052 section 2.2, and 20.190.128.1 beside it.
    for (prefix, private, public) in [
        ("2001:470::/32", "2001:470:a00:1::", "2001:470:14be:8001::"),
        (
            "2001:470:100::/40",
            "2001:470:10a:0:1::",
            "2001:470:114:be80:1::",
        ),
        (
            "2001:470:122::/48",
            "2001:470:122:a00:0:100::",
            "2001:470:122:14be:80:100::",
        ),
        (
            "2001:470:122:300::/56",
            "2001:470:122:30a:0:1::",
            "2001:470:122:314:be:8001::",
        ),
        (
            "2001:470:122:344::/64",
            "2001:470:122:344:a:0:100:0",
            "2001:470:122:344:14:be80:100:0",
        ),
        (
            "2001:470:122:344::/96",
            "2001:470:122:344::a00:1",
            "2001:470:122:344::14be:8001",
        ),
    ] {
        let listed = policy(&[], &[]).with_nat64([prefix.parse().unwrap()]);
        let refused = listed.judge_address(private.parse().unwrap()).unwrap_err();
        assert_eq!(
            refused.address,
            "10.0.0.1".parse::<IpAddr>().unwrap(),
            "{prefix}"
        );
        assert_eq!(refused.within, Some(private.parse().unwrap()));
        assert!(
            listed.judge_address(public.parse().unwrap()).is_ok(),
            "{prefix}"
        );
        assert!(
            policy(&[], &[])
                .judge_address(private.parse().unwrap())
                .is_ok()
        );
    }
}
