//! The detections themselves: each is one JSON object, none is another's twin.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use support::at_noon;
use watchbell_simulator::{Catalog, Config, Shapes};

const COUNT: u64 = 20_000;

fn catalog(config: &Config) -> Catalog {
    Catalog::new(config, support::NOON.parse().unwrap()).unwrap()
}

#[test]
fn every_detection_is_json_and_every_full_id_is_its_own() {
    let catalog = catalog(&at_noon());
    let (mut ids, mut bytes) = (HashSet::new(), 0);
    for one in catalog.detections(0..COUNT) {
        let json: Value =
            serde_json::from_str(&one.json).unwrap_or_else(|error| panic!("{error}: {}", one.json));
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        assert_eq!(
            text("FullId"),
            format!("{}:{}", text("AlertId"), text("IocUniqueId"))
        );
        assert_eq!(one.full_id, text("FullId"));
        assert_eq!(text("IocUniqueId").len(), 44);
        let at: chrono::DateTime<chrono::Utc> = text("LastProcessedTimeUtc").parse().unwrap();
        assert_eq!(at, one.last_processed);
        assert!(
            text("AlertTime")
                .parse::<chrono::DateTime<chrono::Utc>>()
                .unwrap()
                < at
        );
        assert!(!one.json.contains(['\n', '\r']));
        bytes += one.json.len();
        ids.insert(one.full_id);
    }
    assert_eq!(ids.len() as u64, COUNT);
    let each = bytes as u64 / COUNT;
    assert!((1800..=1960).contains(&each), "{each} bytes each");
}

#[test]
fn everything_that_happens_in_the_field_happens_here() {
    let catalog = catalog(&at_noon());
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut alerts: BTreeMap<String, u64> = BTreeMap::new();
    let mut before = None;
    for one in catalog.detections(0..COUNT) {
        let json: Value = serde_json::from_str(&one.json).unwrap();
        let text = |name: &str| json[name].as_str().unwrap_or("").to_owned();
        *alerts.entry(text("AlertId")).or_default() += 1;
        let fraction = text("LastProcessedTimeUtc")
            .split_once('.')
            .map_or(0, |(_, rest)| rest.len() - 1);
        for (what, is) in [
            ("50 members", json.as_object().unwrap().len() == 50),
            (
                "46 members",
                json.as_object().unwrap().len() == 46 && json.get("BuiltInMachineTags").is_some(),
            ),
            (
                "33 members",
                json.as_object().unwrap().len() == 33 && !text("AlertId").starts_with("da"),
            ),
            ("a later part", json["AlertPart"].as_u64().unwrap() > 0),
            (
                "null",
                json["Url"].is_null() || json["CommandLine"].is_null(),
            ),
            ("empty", json["Actor"] == ""),
            ("not ASCII", !one.json.is_ascii()),
            ("CR LF", text("Description").contains("\r\n")),
            ("a quote", text("CommandLine").contains('"')),
            ("two people", text("LogOnUsers").contains("; ")),
            ("a list", text("InternalIPv4List").contains(';')),
            (
                "remediated",
                json["RemediationIsSuccess"] == true && text("Source") == "Antivirus",
            ),
            (
                "not remediated",
                json["RemediationIsSuccess"] == false && !text("ThreatName").is_empty(),
            ),
            (
                "a network",
                !text("IpAddress").is_empty() && !text("Url").is_empty(),
            ),
            ("a bare host", text("Url").ends_with(".net")),
            ("one timestamp twice", before == Some(one.last_processed)),
            ("seven digits", fraction == 7),
            ("a cut fraction", (1..7).contains(&fraction)),
            ("no fraction", fraction == 0),
            (
                "days later",
                text("AlertTime")[..10] < *"2026-04-29" && one.index < 100,
            ),
        ] {
            *seen.entry(what).or_default() += u64::from(is);
        }
        before = Some(one.last_processed);
    }
    let missing: Vec<_> = seen.iter().filter(|(_, count)| **count == 0).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(
        seen["33 members"] > 100 && seen["33 members"] < 400,
        "{seen:?}"
    );
    assert!(alerts.values().any(|count| *count == 8));
}

#[test]
fn detections_of_one_alert_share_what_the_alert_is() {
    let shapes = Shapes {
        of_2017: 0.0,
        of_2018: 0.0,
        nulls: 0.0,
    };
    let catalog = catalog(&Config {
        shapes,
        ..at_noon()
    });
    let mut alerts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for one in catalog.detections(0..2000) {
        let json: Value = serde_json::from_str(&one.json).unwrap();
        alerts
            .entry(json["AlertId"].as_str().unwrap().to_owned())
            .or_default()
            .push(json);
    }
    for parts in alerts.values() {
        for (part, json) in parts.iter().enumerate() {
            assert_eq!(json["AlertPart"], part);
            for name in ["AlertTime", "AlertTitle", "MachineName", "ReportID", "Sha1"] {
                assert_eq!(json[name], parts[0][name], "{name}");
            }
        }
    }
}

#[test]
fn one_seed_gives_one_set_and_another_seed_another() {
    let (a, b) = (catalog(&at_noon()), catalog(&at_noon()));
    let c = catalog(&Config {
        seed: 2,
        ..at_noon()
    });
    // Any order, any slice: each is computed from its index alone.
    let forwards: Vec<_> = a.detections(0..500).collect();
    let mut backwards: Vec<_> = (0..500).rev().map(|index| b.detection(index)).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert!(
        c.detections(0..500)
            .zip(&forwards)
            .all(|(c, a)| c.full_id != a.full_id)
    );
}
