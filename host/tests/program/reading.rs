//! How a source is read over time: what is late, what is ignored, what is too large, and
//! what is an outage and no poison.

use super::support::{
    Home, Service, ended, ids, lines_of, once_each, run, start, to_file, visible, wait_until,
};
use chrono::{TimeDelta, Utc};
use std::collections::BTreeSet;
use std::time::Duration;
use watchbell_simulator::{Bounds, Bursts, Config, Late, Running, TENANT_ID};

fn home(running: &Running, settings: &str) -> Home {
    Home::with(&to_file(running, settings))
}

fn retry(home: &Home) {
    run(&mut home.watchbell(["state", "quarantine", "retry", "-c", "watchbell.toml"]));
    home.run_once();
}

#[test]
fn what_comes_later_than_the_overlap_is_found_by_a_rescan_and_late_ones_are_warned_of() {
    let running = start(Config {
        rate: 600.0,
        start: Some(Utc::now() - TimeDelta::seconds(10)),
        end: Some(Utc::now() + TimeDelta::seconds(4)),
        late: Late {
            rate: 0.3,
            by_up_to: Duration::from_secs(8),
        },
        ..ended()
    });
    let settings = "overlap_secs = 2\nrescan = { every = \"PT2S\", back = \"PT1M\" }";
    let home = home(&running, settings);
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("all", || {
        lines_of(&home.read("all.ndjson")) as u64 == running.catalog("any").count()
    });
    let ran = service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&running));
    assert!(ran.stderr.contains("stragglers"), "{}", ran.stderr);
    assert!(ran.stderr.contains("raise overlap_secs"), "{}", ran.stderr);
}

#[test]
fn a_rescan_comes_when_it_is_due_though_every_run_reads_once() {
    let running = start(Config {
        rate: 600.0,
        start: Some(Utc::now() - TimeDelta::seconds(10)),
        end: Some(Utc::now() + TimeDelta::seconds(4)),
        late: Late {
            rate: 0.3,
            by_up_to: Duration::from_secs(8),
        },
        ..ended()
    });
    let settings = "overlap_secs = 2\nrescan = { every = \"PT3S\", back = \"PT1M\" }";
    let home = home(&running, settings);
    let (mut runs, mut rescans) = (0, 0);
    wait_until("all", || {
        runs += 1;
        rescans += usize::from(home.run_once().stderr.contains("stragglers"));
        lines_of(&home.read("all.ndjson")) as u64 == running.catalog("any").count()
    });
    once_each(&home.read("all.ndjson"), &visible(&running));
    // Neither never nor each time.
    assert!((1..runs - 1).contains(&rescans), "{rescans} of {runs}");
}

#[test]
fn a_raised_overlap_delivers_nothing_twice() {
    let running = start(ended());
    let config = to_file(&running, "since = \"PT1H\"\noverlap_secs = 30");
    let home = Home::with(&config);
    home.run_once();
    home.run_once();
    home.write(
        "watchbell.toml",
        &config.replace("overlap_secs = 30", "overlap_secs = 7200"),
    );
    home.run_once();
    once_each(&home.read("all.ndjson"), &visible(&running));
}

#[test]
fn a_bound_that_the_service_ignores_is_said_and_loses_nothing() {
    let running = start(Config {
        bounds: Bounds {
            ignore_until: true,
            ..Bounds::default()
        },
        ..ended()
    });
    let home = home(
        &running,
        "since = \"PT1H\"\nmax_window_secs = 120\nlimit = 200",
    );
    let ran = home.run_once();
    assert!(
        ran.stderr.contains("ignores untilTimeUtc"),
        "{}",
        ran.stderr
    );
    once_each(&home.read("all.ndjson"), &visible(&running));
}

#[test]
fn rows_below_their_window_are_dropped_and_said() {
    let running = start(Config {
        bounds: Bounds {
            ignore_since: true,
            ..Bounds::default()
        },
        ..ended()
    });
    let home = home(&running, "since = \"PT1H\"\nmax_window_secs = 120");
    let ran = home.run_once();
    let line = ran.stderr.lines().find(|line| line.contains("ignores"));
    let line = line.unwrap_or_else(|| panic!("not said: {}", ran.stderr));
    assert!(line.contains("ignores sinceTimeUtc:"), "{line}");
    assert!(line.contains("below what was asked for were dropped"));
    once_each(&home.read("all.ndjson"), &visible(&running));
    // They are no duplicates: what is dropped is not looked up. Windows share a
    // millisecond, so what lies there comes twice: once for each of 30 ends at most.
    let duplicates = home.state()["sources"][0]["duplicates"].as_u64().unwrap();
    assert!(duplicates < 31, "{duplicates}");
}

#[test]
fn what_is_younger_than_settle_secs_is_left_for_later() {
    // A Date is cut to seconds, so the last second is another poll's.
    let running = start(Config {
        end: Some(Utc::now() - TimeDelta::seconds(5)),
        ..ended()
    });
    let settle = TimeDelta::minutes(5);
    let config = to_file(&running, "since = \"PT1H\"\nsettle_secs = 300");
    let home = Home::with(&config);
    let before = running.now();
    home.run_once();
    let after = running.now();
    let got: BTreeSet<String> = ids(&home.read("all.ndjson")).into_iter().collect();
    let catalog = running.catalog(TENANT_ID);
    for index in 0..catalog.count() {
        let (time, id) = (
            catalog.last_processed(index),
            catalog.detection(index).full_id,
        );
        // A Date is cut to seconds, and bounds are widened to milliseconds.
        if time < before - settle - TimeDelta::seconds(2) {
            assert!(got.contains(&id), "not read: {time}");
        }
        if time > after - settle + TimeDelta::milliseconds(2) {
            assert!(!got.contains(&id), "read too early: {time}");
        }
    }
    home.write("watchbell.toml", &config.replace("settle_secs = 300", ""));
    home.run_once();
    once_each(&home.read("all.ndjson"), &visible(&running));
}

#[test]
fn what_is_in_quarantine_is_named_at_the_end() {
    let running = start(ended());
    running.add_fault("detections:bad-element:index=100".parse().unwrap());
    let home = home(&running, "since = \"PT1H\"");
    let ran = home.run_once();
    let line = ran
        .stderr
        .lines()
        .find(|line| line.contains("in quarantine ("));
    let line = line.unwrap_or_else(|| panic!("not named: {}", ran.stderr));
    assert!(line.contains("source=contoso count=1"), "{line}");
}

#[test]
fn a_millisecond_that_is_too_large_becomes_a_gap_that_a_higher_limit_lifts() {
    let running = start(Config {
        bursts: Bursts {
            every: 200,
            size: 30,
        },
        ..ended()
    });
    let config = to_file(
        &running,
        "since = \"PT1H\"\nlimits.max_response_bytes = \"30 kB\"",
    );
    let home = Home::with(&config);
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    let least = visible(&running).len() - 3 * 32;
    super::support::wait_long("what is not in a burst", || {
        lines_of(&home.read("all.ndjson")) >= least
    });
    wait_until("quiet", || {
        home.state()["sources"][0]["last_error"].is_null()
    });
    service.terminate();
    assert!(home.state()["sources"][0]["quarantined"].as_u64().unwrap() >= 3);
    home.write("watchbell.toml", &config.replace("30 kB", "3 MB"));
    retry(&home);
    once_each(&home.read("all.ndjson"), &visible(&running));
    assert_eq!(home.state()["sources"][0]["quarantined"], 0);
}

#[test]
fn an_outage_is_no_poison_and_narrows_nothing() {
    for fault in ["sign-in-page", "503", "drop"] {
        let running = start(ended());
        running.add_fault(format!("detections:{fault}:times=5").parse().unwrap());
        let home = home(&running, "since = \"PT1H\"");
        let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
        wait_until("all", || {
            lines_of(&home.read("all.ndjson")) >= visible(&running).len()
        });
        service.terminate();
        once_each(&home.read("all.ndjson"), &visible(&running));
        assert_eq!(home.state()["sources"][0]["quarantined"], 0, "{fault}");
    }
}

/// Its milliseconds used to be given up, one after the other, several in a second.
#[test]
fn of_a_service_that_nobody_can_read_no_millisecond_is_given_up() {
    let running = start(ended());
    running.add_fault("detections:garbage".parse().unwrap());
    let home = home(&running, "since = \"PT1H\"");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("three tries, a look at others, and more", || {
        running.stats().detection_requests >= 8
    });
    assert!(!service.stderr().contains("asking for less"));
    running.clear_faults();
    wait_until("all", || {
        lines_of(&home.read("all.ndjson")) >= visible(&running).len()
    });
    service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&running));
    assert_eq!(home.state()["sources"][0]["quarantined"], 0);
}

#[test]
fn a_quarantine_that_is_full_stops_its_source_which_says_so() {
    let running = start(ended());
    running.add_fault("detections:bad-element:index=100".parse().unwrap());
    let home = home(
        &running,
        "since = \"PT1H\"\nlimits.max_quarantine_bytes = \"1 kB\"",
    );
    home.run_once();
    let asked = running.stats().detection_requests;
    let ran = home.run("run", &["--once"]);
    assert_eq!(ran.code, Some(75), "{ran:?}");
    assert!(ran.stderr.contains("quarantine is full"), "{}", ran.stderr);
    assert_eq!(running.stats().detection_requests, asked);
    // A retry is made all the same, for it may make room.
    running.clear_faults();
    retry(&home);
    once_each(&home.read("all.ndjson"), &visible(&running));
}

#[test]
fn what_is_given_up_is_gone() {
    let running = start(ended());
    running.add_fault("detections:bad-element:index=100".parse().unwrap());
    let home = home(&running, "since = \"PT1H\"\noverlap_secs = 0");
    home.run_once();
    running.clear_faults();
    let quarantine = |verb: &str, id: &str| {
        run(home
            .watchbell(["state", "quarantine", verb, "-c", "watchbell.toml"])
            .args(Some(id).filter(|id| !id.is_empty())))
    };
    let list = quarantine("list", "").ok();
    let id = list.split(' ').next().unwrap();
    let dropped = quarantine("drop", id);
    assert!(dropped.stderr.contains("given up"), "{dropped:?}");
    assert!(quarantine("list", "").ok().contains("nothing"));
    let said = quarantine("drop", id).failed(64);
    assert!(
        said.contains("nothing in quarantine has the number"),
        "{said}"
    );
    home.run_once();
    let mut want = visible(&running);
    want.remove(&running.catalog("any").detection(100).full_id);
    once_each(&home.read("all.ndjson"), &want);
}

#[test]
fn a_second_signal_does_not_wait_and_what_remains_is_delivered_next_time() {
    let running = start(ended());
    let config = to_file(&running, "since = \"PT1H\"").replace("all.ndjson", "later/all.ndjson");
    let home = Home::with(&config);
    home.write("later", "no folder");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the sink's trouble", || {
        service.stderr().contains("is no folder")
    });
    service.signal();
    wait_until("draining", || service.stderr().contains("asked to end"));
    let ran = service.terminate();
    assert_eq!(ran.code, Some(75), "{ran:?}");
    assert!(ran.stderr.contains("ended at once"), "{}", ran.stderr);
    std::fs::remove_file(home.path("later")).unwrap();
    home.run_once();
    once_each(&home.read("later/all.ndjson"), &visible(&running));
}
