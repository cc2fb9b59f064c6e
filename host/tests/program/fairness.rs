//! What tenants may do to each other: nothing.

use super::support::{Home, Service, ended, source, start, wait_until};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use watchbell_simulator::{Running, Stage, TENANT_ID};

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// So many tenants of one source, with settings for all.
fn many(running: &Running, tenants: usize, global: &str, settings: &str) -> Home {
    let shared = source(running).replace(&format!("tenant_id = \"{TENANT_ID}\"\n"), "");
    let home = Home::with(&format!(
        "data_dir = \"data\"\nmin_free = 1\n{global}{shared}since = \"PT5M\"\ntenants = \"tenants.csv\"\n{settings}\
         [sinks.all]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"all.ndjson\"\n"
    ));
    let rows = (0..tenants).map(|number| format!("t{number},{}\n", id(number)));
    let table: String = ["tenant,tenant_id\n".to_owned()]
        .into_iter()
        .chain(rows)
        .collect();
    home.write("tenants.csv", &table);
    home
}

/// How often each tenant was asked for, of what is remembered.
fn asked(running: &Running) -> BTreeMap<String, usize> {
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for exchange in running.exchanges() {
        if exchange.stage == Stage::Detections {
            *all.entry(exchange.tenant.unwrap_or_default()).or_default() += 1;
        }
    }
    all
}

/// Services that accept and never answer used to hold all bytes that may be in flight for
/// their first answers, and nobody else was polled until they timed out.
#[test]
fn tenants_that_hang_take_nothing_from_those_that_answer() {
    let running = start(ended());
    for number in 0..40 {
        let fault = format!("detections:delay:ms=600000:tenant={}", id(number));
        running.add_fault(fault.parse().unwrap());
    }
    let global = "max_concurrency = 16\nmax_in_flight = \"32 MiB\"\n";
    let home = many(&running, 50, global, "scrape_interval_secs = 1\n");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("ten polls of each that answers", || {
        let asked = asked(&running);
        (40..50).all(|number| asked.get(&id(number)).is_some_and(|all| *all >= 10))
    });
    service.kill();
}

/// A setting of the source that changed made all its tenants due at once, and then again
/// at every interval, for good.
#[test]
fn a_reload_leaves_polls_spread_over_the_interval() {
    const TENANTS: usize = 60;
    let running = start(ended());
    let home = many(&running, TENANTS, "", "scrape_interval_secs = 3\n");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    let polls = || running.stats().detection_requests;
    wait_until("two rounds", || polls() >= 2 * TENANTS as u64);
    let text = home.read("watchbell.toml");
    home.write(
        "watchbell.toml",
        &text.replace("since = \"PT5M\"", "since = \"PT6M\""),
    );
    service.reload();
    wait_until("the reload", || {
        service.stderr().contains(&format!("changed {TENANTS} ("))
    });
    // Three intervals. A machine that stood still makes many due at one time, once.
    let mut bursts = 0;
    for _ in 0..60 {
        let (before, began) = (polls(), Instant::now());
        std::thread::sleep(Duration::from_millis(150));
        let is_burst = polls() - before >= TENANTS as u64 / 2;
        bursts += u32::from(is_burst && began.elapsed() < Duration::from_millis(600));
    }
    service.terminate();
    assert!(bursts < 2, "{bursts} times half of {TENANTS} at one time");
}
