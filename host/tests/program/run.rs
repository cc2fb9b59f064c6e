//! `watchbell run`: from several sources through transforms to sinks, until SIGTERM.

use super::support::{Home, Service, source, start, to_file, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use watchbell_simulator::{CLIENT_ID, Clock, Config, Late, Running, TENANT_ID};

/// Ten detections a second since ten seconds ago, a fifth of them late by up to 2 s.
fn lively() -> Config {
    Config {
        rate: 600.0,
        start: Some(chrono::Utc::now() - chrono::TimeDelta::seconds(10)),
        late: Late {
            rate: 0.2,
            by_up_to: Duration::from_secs(2),
        },
        record: true,
        ..Config::default()
    }
}

/// Nothing new is served from now on, and what was served has been read: an answer that is
/// on its way at SIGTERM is served, and comes at the next start.
fn stand_still(running: &Running) {
    running.set_clock(Clock::Frozen(running.now()));
    let polls = running.stats().detection_requests;
    wait_until("polls that find nothing new", || {
        running.stats().detection_requests >= polls + 3
    });
}

fn ids(ndjson: &str) -> Vec<String> {
    let id = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap();
        object["FullId"].as_str().unwrap().to_owned()
    };
    ndjson.lines().map(id).collect()
}

/// The detections that the service put into an answer.
fn served(running: &Running) -> BTreeSet<String> {
    let catalog = running.catalog(TENANT_ID);
    let id = |index| catalog.detection(index).full_id;
    running.served().into_iter().map(id).collect()
}

#[track_caller]
fn same(got: Vec<String>, want: &BTreeSet<String>) {
    let set: BTreeSet<String> = got.iter().cloned().collect();
    assert_eq!(got.len(), set.len(), "a detection was delivered twice");
    assert_eq!(&set, want);
}

#[test]
fn everything_served_reaches_every_sink_once_and_sigterm_ends_it_cleanly() {
    let running = start(lively());
    let home = Home::with(&format!(
        r#"data_dir = "data"
{}scrape_interval_secs = 1
[transforms.high]
type = "jq"
inputs = ["contoso"]
filter = 'select(.Severity == "High") | .Reviewed = false'
[sinks.all]
type = "file"
inputs = ["contoso"]
path = "all.ndjson"
[sinks.table]
type = "file"
inputs = ["high"]
path = "high.csv"
encoding.codec = "csv"
encoding.csv.fields = ["FullId", "Severity", "Reviewed"]
[sinks.screen]
type = "console"
inputs = ["high"]
"#,
        source(&running)
    ));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("three polls", || running.stats().detection_requests >= 4);
    running.expire_tokens();
    let polls = running.stats().detection_requests;
    wait_until("three more", || {
        running.stats().detection_requests >= polls + 4
    });
    stand_still(&running);
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("asked to end"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("ERROR"), "{}", ran.stderr);
    assert_eq!(
        running.stats().tokens_issued,
        2,
        "kept until it was refused"
    );

    let all = home.read("all.ndjson");
    same(ids(&all), &served(&running));
    assert!(all.lines().count() > 100);
    let high: BTreeSet<String> = all
        .lines()
        .filter(|line| serde_json::from_str::<Value>(line).unwrap()["Severity"] == "High")
        .flat_map(ids)
        .collect();
    assert!(!high.is_empty());
    same(ids(&ran.stdout), &high);
    let table = home.read("high.csv");
    let mut rows = table.lines();
    assert_eq!(rows.next(), Some("FullId,Severity,Reviewed"));
    let cells: Vec<Vec<&str>> = rows.map(|row| row.split(',').collect()).collect();
    assert!(
        cells.iter().all(|row| row[1..] == ["High", "false"]),
        "{table}"
    );
    same(cells.iter().map(|row| row[0].to_owned()).collect(), &high);
}

#[test]
fn a_service_and_a_sink_in_trouble_lose_nothing() {
    let faults = [
        "token:503:times=1",
        "detections:500:times=1",
        "detections:truncate:times=1",
    ];
    let faults = faults.map(|fault| fault.parse().unwrap()).to_vec();
    let running = start(Config { faults, ..lively() });
    let home = Home::with(&format!(
        "data_dir = \"data\"\n{}scrape_interval_secs = 1\n[sinks.all]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"later/all.ndjson\"\n",
        source(&running)
    ));
    home.write("later", "no folder");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("a batch that nobody took", || {
        service.stderr().contains("later/all.ndjson")
    });
    std::fs::remove_file(home.path("later")).unwrap();
    wait_until("delivery", || !home.read("later/all.ndjson").is_empty());
    stand_still(&running);
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    same(ids(&home.read("later/all.ndjson")), &served(&running));
    for said in [
        "login service",
        "in trouble",
        "later/all.ndjson",
        "over, after",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}

#[test]
fn the_log_can_be_json_and_stdout_stays_data() {
    let running = start(lively());
    let home = Home::with(&format!(
        "data_dir = \"data\"\n{}scrape_interval_secs = 1\n[sinks.screen]\ntype = \"console\"\ninputs = [\"contoso\"]\n",
        source(&running)
    ));
    let mut command = home.watchbell(["run", "-c", "watchbell.toml", "--log-format", "json"]);
    let service = Service::start(&mut command);
    wait_until("a poll", || running.stats().detection_requests >= 2);
    stand_still(&running);
    let ran = service.terminate();
    same(ids(&ran.stdout), &served(&running));
    assert!(ran.stderr.lines().count() > 2);
    for line in ran.stderr.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(
            event["message"].is_string() && event["level"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn ticks_that_a_slow_poll_missed_are_counted() {
    let running = start(lively());
    running.add_fault("detections:delay:ms=2500".parse().unwrap());
    // Short enough that a poll is one request.
    let home = Home::with(&to_file(&running, "since = \"PT1M\""));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("three polls and one more", || {
        running.stats().detection_requests >= 4
    });
    let ran = service.terminate();
    let (_, missed) = ran.stderr.split_once("missed_ticks=").unwrap();
    let missed: u64 = missed.split_whitespace().next().unwrap().parse().unwrap();
    // Each of the three took two ticks and a half.
    assert!(missed >= 6, "{}", ran.stderr);
}

/// It used to end with 75, which tells a scheduler to try again, for ever.
#[test]
fn once_ends_with_the_code_of_what_a_person_must_correct_and_75_for_what_passes() {
    let running = start(lively());
    let good = to_file(&running, "since = \"PT1H\"");
    let wrong = good.replace(CLIENT_ID, TENANT_ID);
    for (config, fault, code, words) in [
        (
            &wrong,
            None,
            77,
            "check tenant_id, client_id and the secret",
        ),
        (&good, Some("detections:403"), 77, "administrator's consent"),
        (&good, Some("detections:503"), 75, "run it again"),
    ] {
        running.clear_faults();
        if let Some(fault) = fault {
            running.add_fault(fault.parse().unwrap());
        }
        let ran = Home::with(config).run("run", &["--once"]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let last = ran.stderr.lines().last().unwrap();
        assert!(last.contains(words), "{last}");
    }
}

/// The last error of a source that is not in the configuration any more used to decide.
#[test]
fn once_ends_with_what_its_own_sources_met_and_not_with_what_another_left() {
    let running = start(lively());
    let good = to_file(&running, "since = \"PT1H\"");
    let home = Home::with(&good.replace("contoso", "fabrikam"));
    running.add_fault("detections:403".parse().unwrap());
    assert_eq!(home.run("run", &["--once"]).code, Some(77));
    running.clear_faults();
    running.add_fault("detections:503".parse().unwrap());
    home.write("watchbell.toml", &good);
    let ran = home.run("run", &["--once"]);
    assert_eq!(ran.code, Some(75), "{ran:?}");
}
