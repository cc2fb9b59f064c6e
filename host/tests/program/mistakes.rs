//! How real clients of this API went wrong, each as a test: what happened to others does
//! not happen here.

mod answers;

use super::support::{
    Home, NOON, Service, at_noon, ended, expected, ids, lines_of, once_each, start, to_file,
    visible, wait_until,
};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use watchbell_simulator::{Bounds, Bursts, Catalog, Clock, Config, Late, Running, TENANT_ID};

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
    // As text `…:30Z` is above `…:30.5Z`: compared so with where windows begin, or a
    // millisecond before it, most would count as older than what was asked for.
    for since in ["2026-05-01T11:59:30Z", "2026-05-01T11:59:30.001Z"] {
        let running = start(Config {
            rate: 600.0,
            ..at_noon()
        });
        let settings = format!(
            "since = \"{since}\"\nuntil = \"{NOON}\"\nmax_window_secs = 1\noverlap_secs = 0"
        );
        let home = self::home(&running, &settings);
        home.run_once();
        let want = expected(&running, since).into_iter();
        once_each(
            &home.read("all.ndjson"),
            &want.map(|one| one.full_id).collect(),
        );
    }
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

/// Six seconds with a detection in each millisecond and bursts of four, so that wherever a
/// window ends some are there; and from a seed with which a burst lies on a whole second
/// to the tick, where windows of a second end.
fn on_the_edge(begin: DateTime<Utc>) -> Config {
    let config = |seed| Config {
        seed,
        rate: 60_000.0,
        start: Some(begin),
        end: Some(begin + TimeDelta::seconds(6)),
        bursts: Bursts { every: 10, size: 4 },
        ..ended()
    };
    let is_on_edge = |config: &Config| {
        let catalog = Catalog::new(config, begin).unwrap();
        (1..6).zip(1..).any(|(second, seconds)| {
            catalog.last_processed(1000 * second) == begin + TimeDelta::seconds(seconds)
        })
    };
    (0..).map(config).find(is_on_edge).unwrap()
}

/// `+1 ms` on the cursor, or `>` for `>=`: Vulture, XSOAR and Rapid7 lost equal timestamps.
#[test]
fn detections_with_equal_timestamps_are_all_there_whatever_the_bounds_mean() {
    let begin = (Utc::now() - TimeDelta::seconds(66)).trunc_subsecs(0);
    let config = on_the_edge(begin);
    for (exclusive, cut_to_millis) in [(false, false), (true, false), (true, true), (false, true)] {
        let running = start(Config {
            bounds: Bounds {
                exclusive,
                cut_to_millis,
                ..Bounds::default()
            },
            ..config.clone()
        });
        let settings = format!(
            "since = \"{}\"\nmax_window_secs = 1\noverlap_secs = 0",
            begin.to_rfc3339()
        );
        let home = home(&running, &settings);
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
    // A Date has seconds only, so the service's clock shows another time after one.
    wait_until("the next second", || {
        running.now() > first + TimeDelta::seconds(1)
    });
    home.run_once();
    let state = home.state();
    let source = &state["sources"][0];
    assert!(time(&source["cursor"]) > first);
    assert_eq!(
        source["received"].as_u64().unwrap(),
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
    home.write("later", "no folder");
    let ran = home.run("run", &["--once", "--graceful-shutdown-limit-secs", "1"]);
    assert_eq!(ran.failed(75).matches("not delivered").count(), 1);
    let waiting = home.state()["sinks"][0]["waiting"].as_u64().unwrap();
    assert_eq!(waiting, visible(&running).len() as u64);
    std::fs::remove_file(home.path("later")).unwrap();
    home.run_once();
    once_each(&home.read("later/all.ndjson"), &visible(&running));
}

/// go-mdatp saved its state only at exit, and asked without the window that it had reckoned.
#[test]
fn state_is_kept_when_it_is_made_and_not_at_exit() {
    // Before the two hours that the service answers with when it is not told.
    let running = start(Config {
        start: Some(Utc::now() - TimeDelta::minutes(310)),
        end: Some(Utc::now() - TimeDelta::minutes(300)),
        ..ended()
    });
    let home = home(&running, "since = \"PT6H\"");
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
        // Which of the two is wrong cannot be told yet, so it follows the earlier.
        let cursor = time(&home.state()["sources"][0]["cursor"]);
        let ahead = cursor - running.now().min(Utc::now());
        assert!(
            ahead <= TimeDelta::zero() && ahead > -TimeDelta::minutes(1),
            "{ahead}"
        );
        home.run_once();
        once_each(&home.read("all.ndjson"), &visible(&running));
    }
}

/// Wazuh lost late arrivals; the mend was to delay everything.
#[test]
fn late_arrivals_arrive_and_delay_nothing() {
    let running = start(Config {
        start: Some(Utc::now() - TimeDelta::seconds(20)),
        end: Some(Utc::now() + TimeDelta::seconds(25)),
        rate: 600.0,
        late: Late {
            rate: 0.5,
            by_up_to: Duration::from_secs(6),
        },
        ..ended()
    });
    let catalog = running.catalog(TENANT_ID);
    let home = home(&running, "overlap_secs = 10");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    let mut seen: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
    super::support::wait_long("all", || {
        let text = home.read("all.ndjson");
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let now = running.now();
        for id in ids(&text[..whole]) {
            seen.entry(id).or_insert(now);
        }
        seen.len() as u64 == catalog.count()
    });
    service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&running));

    let first = *seen.values().min().unwrap();
    let mut delays: Vec<TimeDelta> = (0..catalog.count())
        .map(|index| (index, catalog.visible_at(index)))
        .filter(|(index, at)| *at > first && *at == catalog.last_processed(*index))
        .map(|(index, at)| seen[&catalog.detection(index).full_id] - at)
        .collect();
    delays.sort_unstable();
    // The mend would delay each by the overlap; a busy machine delays a few.
    let usual = delays[delays.len() / 2];
    assert!(usual < TimeDelta::seconds(6), "those on time wait {usual}");
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
