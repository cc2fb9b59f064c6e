//! How real clients of this API went wrong, each as a test: what happened to others does
//! not happen here.

use super::support::{
    Home, NOON, SINCE, Service, at_noon, ended, expected, lines_of, once_each, start, to_file,
    visible, wait_until, with_tenant,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::time::Duration;
use watchbell_simulator::{
    Bounds, Bursts, Clock, Config, Detection, Late, Running, TENANT_ID, TokenAnswer,
};

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

fn quarantine(home: &Home, args: &[&str]) -> String {
    let (verb, rest) = args.split_at(1);
    let mut command = home.watchbell(["state", "quarantine"]);
    super::support::run(command.args(verb).args(["-c", "watchbell.toml"]).args(rest)).ok()
}

fn home(running: &Running, settings: &str) -> Home {
    Home::with(&to_file(running, settings))
}

/// A Splunk handler compared timestamps as text and repeated the last event for ever.
#[test]
fn the_inclusive_bound_repeats_nothing_and_times_are_compared_as_times() {
    let running = start(ended());
    let home = home(&running, "since = \"PT1H\"");
    for _ in 0..4 {
        home.run_once();
    }
    once_each(&home.read("all.ndjson"), &visible(&running));
    let source = &home.state()["sources"][0];
    assert!(
        source["duplicates"].as_u64().unwrap() > 0,
        "the overlap was read again: {source}"
    );
}

/// Vulture's cursor moved only when a window held events: one quiet day and it stood still.
#[test]
fn the_cursor_moves_over_quiet_times() {
    let running = start(Config {
        end: Some(Utc::now() - TimeDelta::hours(20)),
        start: Some(Utc::now() - TimeDelta::hours(22)),
        ..ended()
    });
    let home = home(&running, "since = \"PT23H\"");
    home.run_once();
    let cursor = time(&home.state()["sources"][0]["cursor"]);
    assert!(Utc::now() - cursor < TimeDelta::minutes(1), "{cursor}");
    once_each(&home.read("all.ndjson"), &visible(&running));
}

/// `+1 ms` on the cursor, or `>` for `>=`: Vulture, XSOAR and Rapid7 lost equal timestamps.
#[test]
fn detections_with_equal_timestamps_are_all_there_whatever_the_bounds_mean() {
    for (exclusive, cut_to_millis) in [(false, false), (true, false), (true, true), (false, true)] {
        // One in each millisecond and more, so that wherever a window ends, some are there.
        let now = Utc::now();
        let running = start(Config {
            rate: 60_000.0,
            start: Some(now - TimeDelta::seconds(66)),
            end: Some(now - TimeDelta::seconds(60)),
            bursts: Bursts { every: 10, size: 4 },
            bounds: Bounds {
                exclusive,
                cut_to_millis,
                ..Bounds::default()
            },
            ..ended()
        });
        let home = home(
            &running,
            "since = \"PT2M\"\nmax_window_secs = 1\noverlap_secs = 0",
        );
        home.run_once();
        home.run_once();
        once_each(&home.read("all.ndjson"), &visible(&running));
    }
}

/// Elastic's cursor read a member that does not exist: 287 copies of one alert in 30 hours.
#[test]
fn the_cursor_is_what_was_asked_for_and_not_what_an_answer_holds() {
    let running = start(ended());
    let home = home(&running, "since = \"PT1H\"");
    home.run_once();
    let first = time(&home.state()["sources"][0]["cursor"]);
    std::thread::sleep(Duration::from_millis(1100));
    home.run_once();
    let state = home.state();
    let source = &state["sources"][0];
    assert!(time(&source["cursor"]) > first);
    assert_eq!(
        source["delivered"].as_u64().unwrap(),
        visible(&running).len() as u64
    );
    let asked: Vec<DateTime<Utc>> = running
        .exchanges()
        .iter()
        .filter_map(|exchange| {
            let (_, query) = exchange.query.split_once("sinceTimeUtc=")?;
            query.split('&').next()?.replace("%3A", ":").parse().ok()
        })
        .collect();
    assert!(asked.last().unwrap() > asked.first().unwrap(), "{asked:?}");
}

/// One bad page: Elastic and Wazuh tried the same window for ever, and nothing else arrived.
#[test]
fn one_bad_element_is_quarantined_with_its_bytes_and_the_rest_arrives() {
    let running = start(ended());
    let bad = 100;
    running.add_fault(
        format!("detections:bad-element:index={bad}")
            .parse()
            .unwrap(),
    );
    let home = home(&running, "since = \"PT1H\"");
    home.run_once();
    home.run_once();
    let mut want = visible(&running);
    let bad_id = running.catalog(TENANT_ID).detection(bad).full_id;
    assert!(want.remove(&bad_id));
    once_each(&home.read("all.ndjson"), &want);

    let list: Value = serde_json::from_str(&quarantine(&home, &["list", "--json"])).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "once: {list}");
    let id = list[0]["id"].to_string();
    let raw = quarantine(&home, &["show", &id]);
    assert!(raw.contains(&bad_id), "{raw}");

    running.clear_faults();
    quarantine(&home, &["retry"]);
    home.run_once();
    want.insert(bad_id);
    once_each(&home.read("all.ndjson"), &want);
    assert_eq!(home.state()["sources"][0]["quarantined"], 0);
}

/// The same, where nobody can say where the element ends.
#[test]
fn a_bad_millisecond_becomes_a_gap_and_the_rest_arrives() {
    let running = start(ended());
    running.add_fault("detections:bad-element:index=50:end=lost".parse().unwrap());
    let home = home(
        &running,
        "since = \"PT1H\"\nmax_window_secs = 1\noverlap_secs = 600",
    );
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    let mut want = visible(&running);
    assert!(want.remove(&running.catalog(TENANT_ID).detection(50).full_id));
    super::support::wait_long("all the others", || {
        lines_of(&home.read("all.ndjson")) >= want.len()
    });
    wait_until("another poll", || {
        home.state()["sources"][0]["duplicates"].as_u64().unwrap() > 100
    });
    let ran = service.terminate();
    once_each(&home.read("all.ndjson"), &want);
    assert!(ran.stderr.contains("quarantine"), "{}", ran.stderr);
    let state = home.state();
    // Its own millisecond, and the next, whose question begins in it.
    let gaps = state["sources"][0]["quarantined"].as_u64().unwrap();
    assert!((1..=2).contains(&gaps), "{state}");
    running.clear_faults();
    quarantine(&home, &["retry"]);
    home.run_once();
    once_each(&home.read("all.ndjson"), &visible(&running));
}

/// Wazuh advanced the bookmark although handing on had failed.
#[test]
fn what_a_sink_does_not_take_waits_for_it() {
    let running = start(ended());
    let home = Home::with(
        &to_file(&running, "since = \"PT1H\"").replace("all.ndjson", "later/all.ndjson"),
    );
    let ran = home.run("run", &["--once", "--graceful-shutdown-limit-secs", "1"]);
    assert_eq!(ran.failed(75).matches("not delivered").count(), 1);
    let waiting = home.state()["sinks"][0]["waiting"].as_u64().unwrap();
    assert_eq!(waiting, visible(&running).len() as u64);
    std::fs::create_dir(home.path("later")).unwrap();
    home.run_once();
    once_each(&home.read("later/all.ndjson"), &visible(&running));
}

/// go-mdatp saved its state only at exit.
#[test]
fn state_is_kept_when_it_is_made_and_not_at_exit() {
    let running = start(ended());
    let home = home(&running, "since = \"PT1H\"");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("delivery", || {
        lines_of(&home.read("all.ndjson")) == visible(&running).len()
    });
    service.kill();
    assert!(home.state()["sources"][0]["cursor"].is_string());
    home.run_once();
    once_each(&home.read("all.ndjson"), &visible(&running));
}

/// Rapid7 asked by the poller's own clock: skew lost data.
#[test]
fn a_clock_an_hour_off_either_way_loses_and_delays_nothing() {
    for hours in [-1, 1] {
        let offset = TimeDelta::hours(hours);
        let running = start(Config {
            clock: Clock::Offset(offset),
            start: Some(Utc::now() + offset - TimeDelta::minutes(11)),
            end: Some(Utc::now() + offset - TimeDelta::seconds(3)),
            ..ended()
        });
        let home = home(&running, "since = \"PT30M\"");
        home.run_once();
        once_each(&home.read("all.ndjson"), &visible(&running));
        let cursor = time(&home.state()["sources"][0]["cursor"]);
        let ahead = cursor - running.now();
        assert!(
            ahead <= TimeDelta::zero() && ahead > -TimeDelta::minutes(1),
            "{ahead}"
        );
    }
}

/// Wazuh lost late arrivals; the mend was to delay everything.
#[test]
fn late_arrivals_arrive_and_delay_nothing() {
    let running = start(Config {
        start: Some(Utc::now() - TimeDelta::seconds(20)),
        end: Some(Utc::now() + TimeDelta::seconds(3)),
        rate: 600.0,
        late: Late {
            rate: 0.5,
            by_up_to: Duration::from_secs(6),
        },
        ..ended()
    });
    let home = home(&running, "overlap_secs = 10");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("what is not late", || !home.read("all.ndjson").is_empty());
    let catalog = running.catalog(TENANT_ID);
    assert!(
        catalog
            .range(DateTime::UNIX_EPOCH, running.now())
            .any(|index| catalog.visible_at(index) > running.now()),
        "before all is visible"
    );
    wait_until("all", || {
        let end = running.catalog(TENANT_ID);
        lines_of(&home.read("all.ndjson")) as u64 == end.count()
    });
    service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&running));
}

/// `limit` with a backlog: the oldest are never fetched, by design of the API.
#[test]
fn a_limit_with_a_backlog_loses_nothing() {
    let running = start(Config {
        bursts: Bursts {
            every: 50,
            size: 20,
        },
        ..ended()
    });
    let home = home(&running, "since = \"PT1H\"\nlimit = 7");
    home.run_once();
    once_each(&home.read("all.ndjson"), &visible(&running));
}

/// Vulture took `expires_on` for a number: the second poll crashed.
#[test]
fn expires_on_as_a_string_is_read() {
    let running = start(Config {
        token_answer: TokenAnswer {
            numbers_as_strings: true,
            expires_in: false,
            expires_on: true,
        },
        token_lifetime_secs: 2,
        ..ended()
    });
    let home = home(&running, "since = \"PT1H\"");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("four polls", || running.stats().detection_requests >= 4);
    let ran = service.terminate();
    assert!(!ran.stderr.contains("ERROR"), "{}", ran.stderr);
    assert!(running.stats().tokens_issued >= 2);
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
        let served = |one: &Detection| with_tenant(&one.json) == line;
        assert!(want.iter().any(served), "byte for byte");
        let one: Value = serde_json::from_str(line).unwrap();
        let cells = format!(
            "{TENANT_ID},{},{},{}",
            one["FullId"].as_str().unwrap(),
            one["AlertPart"],
            one["ReportID"]
        );
        assert_eq!(row, cells.replace("null", ""));
        assert!(one["AlertPart"].is_u64());
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
    let second = super::support::source(&running)
        .replace("sources.contoso", "sources.other")
        .replace(TENANT_ID, other);
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
        ran.stderr.matches("429").count(),
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
