//! What the services answered, and clients did not expect.

use super::home;
use crate::program::support::{
    Home, NOON, SINCE, Service, at_noon, ended, expected, once_each, source, start, to_file,
    visible, wait_until,
};
use serde_json::Value;
use watchbell_detection as detection;
use watchbell_simulator::{Config, Detection, TENANT_ID, TokenAnswer};

/// Vulture took `expires_on` for a number: the second poll crashed.
#[test]
fn expires_on_as_a_string_is_read() {
    let running = start(Config {
        token_answer: TokenAnswer {
            numbers_as_strings: true,
            expires_in: false,
            expires_on: true,
        },
        token_lifetime_secs: 8,
        ..ended()
    });
    let home = home(&running, "since = \"PT1H\"");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("a poll with a second token", || {
        let stats = running.stats();
        stats.tokens_issued >= 2 && stats.detection_requests >= 4
    });
    let ran = service.terminate();
    assert!(!ran.stderr.contains("ERROR"), "{}", ran.stderr);
    let refused = running
        .exchanges()
        .iter()
        .any(|exchange| exchange.status == 401);
    assert!(!refused, "renewed before its end, which expires_on says");
    once_each(&home.read("all.ndjson"), &visible(&running));
}

/// go-mdatp typed AlertPart and ReportID as strings: the decode failed.
#[test]
fn numbers_are_numbers_and_leave_as_they_came() {
    let running = start(at_noon());
    let home = Home::with(&format!(
        "{}[sinks.table]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"all.csv\"\nencoding.codec = \"csv\"\nencoding.csv.fields = [\"FullId\", \"AlertPart\", \"ReportID\"]\n",
        to_file(
            &running,
            &format!("since = \"{SINCE}\"\nuntil = \"{NOON}\"")
        )
    ));
    home.run_once();
    let want = expected(&running, SINCE);
    let file = home.read("all.ndjson");
    let table = home.read("all.csv");
    assert_eq!(table.lines().count(), want.len() + 1);
    for (line, row) in file.lines().zip(table.lines().skip(1)) {
        let served = |one: &Detection| one.json == line;
        assert!(want.iter().any(served), "byte for byte");
        let one: Value = serde_json::from_str(line).unwrap();
        let cells = format!(
            "{},{},{}",
            one["FullId"].as_str().unwrap(),
            one["AlertPart"],
            one["ReportID"]
        );
        assert_eq!(row, cells.replace("null", ""));
        assert!(one["AlertPart"].is_u64());
        let typed = detection::Detection::from_json(line).unwrap();
        for name in ["AlertPart", "ReportID"] {
            let is_typed = matches!(typed.get(name), Some(detection::Value::Integer(_)));
            assert_eq!(is_typed, one[name].is_u64(), "{name}: {line}");
        }
    }
}

/// Wazuh paused all tenants for a 429 of one.
#[test]
fn a_429_of_one_tenant_stops_no_other() {
    let running = start(ended());
    let other = "99999999-2222-3333-4444-555555555555";
    running.add_fault(
        format!("detections:429:retry-after=3600:tenant={other}")
            .parse()
            .unwrap(),
    );
    let one = to_file(&running, "since = \"PT1H\"");
    let second = source(&running)
        .replace("sources.contoso", "sources.other")
        .replace(TENANT_ID, other);
    // Each source must lead somewhere.
    let one = one.replace("[\"contoso\"]", "[\"contoso\", \"other\"]");
    let home = Home::with(&format!(
        "{one}{second}since = \"PT1H\"\nscrape_interval_secs = 1\n"
    ));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("many polls of the other", || {
        running.stats().detection_requests >= 6
    });
    let ran = service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&running));
    assert_eq!(
        ran.stderr.matches("answered 429").count(),
        1,
        "said once: {}",
        ran.stderr
    );
}

/// Splunk SOAR gave up, or crashed, when Retry-After was missing or long.
#[test]
fn a_refusal_without_retry_after_and_one_with_a_date_are_waited_out() {
    for fault in [
        "detections:429:times=2",
        "detections:503:retry-after=1:times=1",
        "detections:429:retry-after-date=1:times=1",
        "token:503:times=1",
    ] {
        let running = start(ended());
        running.add_fault(fault.parse().unwrap());
        let home = home(&running, "since = \"PT1H\"");
        home.run_once();
        once_each(&home.read("all.ndjson"), &visible(&running));
    }
    let running = start(ended());
    running.add_fault(
        "detections:429:retry-after=99999999:times=1"
            .parse()
            .unwrap(),
    );
    let home = home(&running, "since = \"PT1H\"");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the refusal", || running.stats().detection_requests >= 1);
    wait_until("its words", || {
        home.state()["sources"][0]["last_error"].is_string()
    });
    let ran = service.terminate();
    assert!(
        ran.stderr.contains("retry_in_secs=3600"),
        "capped: {}",
        ran.stderr
    );
}
