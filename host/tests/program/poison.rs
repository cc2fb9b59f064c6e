//! A part of time that the service cannot answer for, while it answers for all others.

use super::support::{
    Home, Service, ended, ids, run, start, to_file, visible, wait_long, wait_until,
};
use chrono::DateTime;
use std::collections::BTreeSet;
use watchbell_simulator::{Running, TENANT_ID};

/// The catalog's detections of the last five minutes but one, and the number of one in
/// their middle.
fn middle(running: &Running) -> u64 {
    let catalog = running.catalog(TENANT_ID);
    let all = catalog.range(DateTime::UNIX_EPOCH, running.now());
    all.end - 60
}

fn once_each_but(home: &Home, running: &Running, bad: u64) {
    let bad = running.catalog(TENANT_ID).detection(bad).full_id;
    let got = ids(&home.read("all.ndjson"));
    let set: BTreeSet<String> = got.iter().cloned().collect();
    assert_eq!(got.len(), set.len(), "twice");
    let lost: Vec<_> = visible(running).difference(&set).cloned().collect();
    // Bursts have one time, so others may share its millisecond.
    assert!(lost.contains(&bad) && lost.len() <= 6, "{lost:?}");
}

/// Whether others succeed used to be found out by asking for what cannot be answered, so
/// nothing behind it was ever read.
#[test]
fn a_millisecond_that_is_always_refused_becomes_a_gap_and_the_rest_arrives() {
    let running = start(ended());
    let bad = middle(&running);
    running.add_fault(format!("detections:500:touching={bad}").parse().unwrap());
    let home = Home::with(&to_file(&running, "since = \"PT1H\"\nmax_window_secs = 2"));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    let want = visible(&running).len();
    wait_long("the rest", || {
        ids(&home.read("all.ndjson")).len() + 6 >= want
            && service
                .stderr()
                .contains("the millisecond is in quarantine")
    });
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    once_each_but(&home, &running, bad);
    running.clear_faults();
    let retry = ["state", "quarantine", "retry", "-c", "watchbell.toml"];
    assert_eq!(run(&mut home.watchbell(retry)).code, Some(0));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("what was refused", || {
        ids(&home.read("all.ndjson")).len() == want
    });
    service.terminate();
    super::support::once_each(&home.read("all.ndjson"), &visible(&running));
}
