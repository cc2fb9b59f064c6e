//! `state`, `state set-cursor`, `state quarantine`, `backfill` and `poll --dry-run`: beside a
//! process that runs, and without one.

use super::support::{
    Home, Ran, Service, ended, ids, lines_of, once_each, run, start, to_file, visible, wait_until,
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use watchbell_simulator::{Config, Late, Running};

/// Six hours of history that ended a minute ago.
fn long() -> Config {
    let now = Utc::now();
    Config {
        rate: 10.0,
        start: Some(now - TimeDelta::hours(6)),
        end: Some(now - TimeDelta::minutes(1)),
        late: Late {
            rate: 0.0,
            ..Late::default()
        },
        ..Config::default()
    }
}

fn orders(home: &Home, args: &[&str]) -> Ran {
    let (verb, rest) = args.split_at(if args[0] == "state" {
        args.len().min(2)
    } else {
        1
    });
    let verb = if verb.get(1) == Some(&"quarantine") {
        &args[..3]
    } else {
        verb
    };
    let rest = if verb.len() == 3 { &args[3..] } else { rest };
    run(home
        .watchbell(verb)
        .args(["-c", "watchbell.toml"])
        .args(rest))
}

fn home(running: &Running) -> Home {
    Home::with(&to_file(running, "since = \"PT1H\""))
}

/// Until something came and nothing waits.
fn wait_for_delivery(home: &Home) {
    wait_until("delivery", || {
        !home.read("all.ndjson").is_empty()
            && home.run("state", &[]).stdout.contains("nothing waits")
    });
}

const BACKFILL: &[&str] = &[
    "backfill", "--source", "contoso", "--from", "PT7H", "--to", "PT0S",
];

#[test]
fn a_backfill_reads_what_was_not_read_and_again_reads_all() {
    let running = start(long());
    let home = home(&running);
    home.run_once();
    let recent = lines_of(&home.read("all.ndjson"));
    assert!((500..700).contains(&recent), "{recent}");
    let said = orders(&home, BACKFILL);
    assert_eq!(said.code, Some(0), "{said:?}");
    once_each(&home.read("all.ndjson"), &visible(&running));
    let asked = running.stats().detection_requests;
    orders(&home, BACKFILL).ok();
    let more = running.stats().detection_requests - asked;
    assert!(more <= 1, "all but the seconds since was read: {more}");
    home.run_once();
    once_each(&home.read("all.ndjson"), &visible(&running));

    let said = orders(&home, &[BACKFILL, &["--again"]].concat()).failed(64);
    assert!(said.contains("instants"), "{said}");
}

#[test]
fn a_backfill_again_that_was_killed_goes_on_where_it_was() {
    let running = start(Config {
        rate: 200.0,
        ..long()
    });
    let home = Home::with(&to_file(&running, "since = \"PT1S\"\nmax_window_secs = 60"));
    let now = Utc::now();
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (from, to) = (text(now - TimeDelta::hours(7)), text(now));
    let backfill = [
        "backfill", "--source", "contoso", "--from", &from, "--to", &to,
    ];
    orders(&home, &backfill).ok();
    let all = visible(&running);
    once_each(&home.read("all.ndjson"), &all);
    let again = [&backfill[..], &["--again"]].concat();
    let asked = running.stats().detection_requests;
    let service = Service::start(home.watchbell(&again).args(["-c", "watchbell.toml"]));
    wait_until("its beginning", || {
        running.stats().detection_requests > asked + 80
    });
    service.kill();
    let ran = orders(&home, &again);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("once more"), "{}", ran.stderr);
    let mut times = BTreeMap::new();
    for id in ids(&home.read("all.ndjson")) {
        *times.entry(id).or_insert(0) += 1;
    }
    assert!(times.values().all(|times| *times == 2), "each twice in all");
    assert_eq!(times.len(), all.len());
}

#[test]
fn a_backfill_goes_to_the_process_that_runs_and_survives_its_death() {
    let running = start(Config {
        rate: 200.0,
        ..long()
    });
    let home = Home::with(&to_file(&running, "since = \"PT1H\"\nmax_window_secs = 60"));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the first poll", || !home.read("all.ndjson").is_empty());
    let mut command = home.watchbell(BACKFILL);
    let backfill = Service::start(command.args(["-c", "watchbell.toml"]));
    wait_until("its beginning", || running.stats().detection_requests > 80);
    service.kill();
    let ran = backfill.wait();
    assert_eq!(ran.code, Some(74), "{ran:?}");
    let before = running.stats().detection_requests;
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("polls", || running.stats().detection_requests > before);
    let ran = orders(&home, BACKFILL);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains('%'),
        "progress in lines: {}",
        ran.stderr
    );
    wait_until("delivery", || {
        lines_of(&home.read("all.ndjson")) >= visible(&running).len()
    });
    service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&running));
}

/// Each detection that is visible, that often.
#[track_caller]
fn each_so_often(home: &Home, running: &Running, often: usize) {
    let mut times = BTreeMap::new();
    for id in ids(&home.read("all.ndjson")) {
        *times.entry(id).or_insert(0) += 1;
    }
    let all = visible(running);
    let others: Vec<_> = times.iter().filter(|(_, times)| **times != often).collect();
    assert!(others.is_empty(), "not {often} times: {others:?}");
    assert_eq!(times.len(), all.len());
}

/// Once its job was forgotten when all was read, while sinks were still at work for up to a
/// minute: killed there, the same command began at 0 % and delivered everything once more.
#[test]
fn a_backfill_again_that_is_killed_before_its_sinks_have_delivered_repeats_nothing() {
    let running = start(ended());
    let home = Home::with(&to_file(&running, "since = \"PT1H\"").replace("all.ndjson", "all/f"));
    fs::create_dir(home.path("all")).unwrap();
    home.run_once();
    let written = home.read("all/f");
    once_each(&written, &visible(&running));
    // A file stands where the folder is to be, so nothing can be delivered.
    fs::rename(home.path("all"), home.path("aside")).unwrap();
    home.write("all", "");
    let now = Utc::now();
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (from, to) = (text(now - TimeDelta::hours(1)), text(now));
    let again = [
        "backfill", "--again", "--source", "contoso", "--from", &from, "--to", &to,
    ];
    let backfill = Service::start(home.watchbell(again).args(["-c", "watchbell.toml"]));
    let all = visible(&running).len();
    wait_until("all of it to be read", || {
        home.state()["sinks"][0]["waiting"] == all
    });
    backfill.kill();
    fs::remove_file(home.path("all")).unwrap();
    fs::rename(home.path("aside"), home.path("all")).unwrap();
    let ran = orders(&home, &again);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let written = home.read("all/f");
    home.write("all.ndjson", &written);
    each_so_often(&home, &running, 2);
    // That was its end: the next one is another.
    let ran = orders(&home, &again);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let written = home.read("all/f");
    home.write("all.ndjson", &written);
    each_so_often(&home, &running, 3);
}

/// The same where the process that runs does it, and that is killed.
#[test]
fn a_process_that_is_killed_before_it_has_delivered_a_backfill_again_repeats_nothing() {
    let running = start(ended());
    let home = Home::with(&to_file(&running, "since = \"PT1H\"").replace("all.ndjson", "all/f"));
    fs::create_dir(home.path("all")).unwrap();
    home.run_once();
    fs::rename(home.path("all"), home.path("aside")).unwrap();
    home.write("all", "");
    let asked = running.stats().detection_requests;
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("polls", || running.stats().detection_requests > asked);
    let now = Utc::now();
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (from, to) = (text(now - TimeDelta::hours(1)), text(now));
    let again = [
        "backfill", "--again", "--source", "contoso", "--from", &from, "--to", &to,
    ];
    let backfill = Service::start(home.watchbell(again).args(["-c", "watchbell.toml"]));
    let all = visible(&running).len();
    wait_until("all of it to be read", || {
        home.state()["sinks"][0]["waiting"] == all
    });
    service.kill();
    assert_ne!(backfill.wait().code, Some(0), "it was not delivered");
    fs::remove_file(home.path("all")).unwrap();
    fs::rename(home.path("aside"), home.path("all")).unwrap();
    let ran = orders(&home, &again);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let written = home.read("all/f");
    home.write("all.ndjson", &written);
    each_so_often(&home, &running, 2);
}

/// Once nothing below what was known was asked for, so it did nothing, and said so in no
/// word; with --replay what had been delivered came twice.
#[test]
fn a_cursor_that_is_moved_back_reads_what_was_not_read_and_delivers_it_once() {
    let running = start(long());
    let home = home(&running);
    home.run_once();
    let first = lines_of(&home.read("all.ndjson"));
    assert!(first + 1000 < visible(&running).len(), "{first}");
    let set = ["state", "set-cursor", "--source", "contoso", "--to", "PT7H"];
    // Without a process that runs.
    let said = orders(&home, &set).stderr;
    assert!(said.contains("what was not read: "), "{said}");
    home.run_once();
    once_each(&home.read("all.ndjson"), &visible(&running));
    let said = orders(&home, &set).stderr;
    assert!(said.contains("all of it was read before"), "{said}");
    assert!(said.contains("watchbell backfill"), "{said}");
    home.run_once();
    once_each(&home.read("all.ndjson"), &visible(&running));
}

#[test]
fn the_cursor_is_set_by_hand_beside_a_process_that_runs_and_without_one() {
    let running = start(long());
    let home = home(&running);
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_for_delivery(&home);
    let first = lines_of(&home.read("all.ndjson"));
    let set = ["state", "set-cursor", "--source", "contoso", "--to", "PT2H"];
    let said = orders(&home, &set).stderr;
    assert!(said.contains("known back to"), "{said}");
    assert!(said.contains("what was not read: "), "{said}");
    wait_until("the hour that was not read", || {
        let lag = home.state()["sources"][0]["lag_secs"].as_i64();
        lag.is_some_and(|lag| lag < 60) && home.run("state", &[]).stdout.contains("nothing waits")
    });
    let both = ids(&home.read("all.ndjson"));
    let set_of_both: BTreeSet<&String> = both.iter().collect();
    assert_eq!(both.len(), set_of_both.len(), "nothing comes twice");
    assert!(both.len() > first + 500, "{first}, then {}", both.len());
    let ahead = (Utc::now() + TimeDelta::hours(2)).to_rfc3339();
    for time in [&ahead, "1500-01-01T00:00:00Z"] {
        let said = orders(&home, &[&set[..5], &[time]].concat()).failed(64);
        assert!(said.contains("--to"), "{said}");
    }
    let said = orders(&home, &[&set[..], &["--replay"]].concat());
    assert!(said.stderr.contains("comes again"), "{said:?}");
    wait_until("two hours again", || {
        lines_of(&home.read("all.ndjson")) >= 2 * both.len() - 60
    });
    service.terminate();
    // Forward, what lies between is left to a backfill.
    orders(&home, &[&set[..5], &["PT3H"]].concat());
    let said = orders(&home, &set).stderr;
    assert!(
        said.contains("is not read; `watchbell backfill -c FILE --source contoso --from"),
        "{said}"
    );
    let said = orders(
        &home,
        &["state", "set-cursor", "--source", "nobody", "--to", "PT2H"],
    )
    .failed(64);
    assert!(
        said.contains("nobody") && said.contains("contoso"),
        "{said}"
    );
}

#[test]
fn a_dry_run_says_what_the_next_poll_would_do_and_moves_nothing() {
    let running = start(long());
    // An instant: an hour back is another time when it is asked again.
    let since = (Utc::now() - TimeDelta::hours(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let home = Home::with(&to_file(&running, &format!("since = \"{since}\"")));
    let dry = |home: &Home| home.run("poll", &["--dry-run"]);
    let ran = dry(&home);
    let all = lines_of(&ran.stdout);
    assert!(
        all > 500 && ran.stderr.contains("not read yet"),
        "{}",
        ran.stderr
    );
    home.run_once();
    let before = home.state();
    let ran = dry(&home);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), ""),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("0 new"), "{}", ran.stderr);
    assert_eq!(
        home.state()["sources"][0]["cursor"],
        before["sources"][0]["cursor"]
    );
    assert_eq!(lines_of(&home.read("all.ndjson")), all);
}

#[test]
fn a_second_process_on_one_folder_is_refused_and_may_look() {
    let running = start(long());
    let home = home(&running);
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_for_delivery(&home);
    let said = home.run("run", &["--once"]).failed(75);
    assert!(said.contains("another watchbell runs"), "{said}");
    assert!(home.state()["sources"][0]["cursor"].is_string());
    let text = home.run("state", &[]).ok();
    assert!(
        text.contains("cursor") && text.contains("nothing waits"),
        "{text}"
    );
    // Nothing is written meanwhile: the simulator's time has ended.
    let sink = &home.state()["sinks"][0];
    assert_eq!(sink["length"], home.read("all.ndjson").len());
    assert!(sink["path"].as_str().unwrap().ends_with("all.ndjson"));
    assert!(sink["acknowledged"].as_i64() > Some(0), "{sink}");
    assert!(text.contains("bytes of"), "{text}");
    service.terminate();
}

#[test]
fn a_sink_that_is_gone_stops_the_start_until_it_is_given_up() {
    let running = start(long());
    let config = to_file(&running, "since = \"PT1H\"");
    let home = Home::with(&config.replace("all.ndjson", "later/all.ndjson"));
    home.write("later", "no folder");
    let ran = home.run("run", &["--once", "--graceful-shutdown-limit-secs", "0"]);
    assert_eq!(ran.code, Some(75));
    home.write("watchbell.toml", &config.replace("sinks.all", "sinks.new"));
    let said = home.run("run", &["--once"]).failed(78);
    assert!(
        said.contains("sink all") && said.contains("--forget-sink all"),
        "{said}"
    );
    let ran = home.run("run", &["--once", "--forget-sink", "all"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("given up"), "{}", ran.stderr);
}

#[test]
fn without_a_folder_or_a_ledger_the_words_say_what_to_do() {
    let running = start(long());
    let home = home(&running);
    let said = home.run("state", &[]).failed(78);
    assert!(said.contains("there is no ledger"), "{said}");
    let config = home
        .read("watchbell.toml")
        .replace("data_dir = \"data\"\n", "");
    home.write("watchbell.toml", &config);
    for verb in ["run", "state"] {
        let said = home.run(verb, &[]).failed(78);
        assert!(said.contains("data_dir: is missing"), "{said}");
    }
}
