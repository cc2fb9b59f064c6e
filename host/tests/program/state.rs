//! What `state` says of many tenants, and what `state forget` takes with it.

use super::support::{Home, Ran, Service, ended, once_each, run, start, visible, wait_until};
use super::tenants::{OTHER, configuration, two};
use watchbell_simulator::{Running, TENANT_ID};

const MISTYPED: &str = "00000000-2222-3333-4444-555555555555";

fn home(running: &Running, tenants: &str) -> Home {
    let home = Home::with(&configuration(running));
    home.write("tenants.toml", tenants);
    home
}

fn north(id: &str) -> String {
    format!("[north]\ntenant_id = \"{id}\"\n")
}

/// `watchbell state VERB` about a tenant of the source.
fn order(home: &Home, verb: &str, tenant: &str, rest: &[&str]) -> Ran {
    let args = ["state", verb, "-c", "watchbell.toml", "--source", "contoso"];
    run(home.watchbell(args).args(["--tenant", tenant]).args(rest))
}

/// What waits for the sink that has a place for each tenant.
fn waiting(home: &Home, args: &[&str]) -> usize {
    let text = home.run("state", &[&["--json"], args].concat()).ok();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let sinks = state["sinks"].as_array().unwrap();
    let each = sinks.iter().find(|sink| sink["sink"] == "each").unwrap();
    usize::try_from(each["waiting"].as_u64().unwrap()).unwrap()
}

/// Reads everything, while nothing can be written for the tenant: a file stands where its
/// folder should be.
fn run_without_a_place_for(home: &Home, tenant: &str) {
    home.write(tenant, "");
    let ran = home.run("run", &["--once", "--graceful-shutdown-limit-secs", "1"]);
    ran.failed(75);
}

#[test]
fn tenants_that_fail_are_one_group_for_each_kind_of_error_whatever_its_words() {
    let running = start(ended());
    for (tenant, secs) in [(TENANT_ID, 61), (OTHER, 92)] {
        let fault = format!("detections:429:retry-after={secs}:tenant={tenant}");
        running.add_fault(fault.parse().unwrap());
    }
    let home = home(&running, &two());
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("both failures", || {
        let is_polled = service.stderr().contains("asked too often");
        is_polled && {
            let sources = home.state()["sources"].clone();
            [0, 1].iter().all(|n| sources[*n]["last_error"].is_string())
        }
    });
    service.kill();
    let state = home.state();
    let failing = &state["failing"][0];
    assert_eq!(failing["kind"], "detections_throttled", "{state}");
    assert_eq!(failing["source"], "contoso");
    assert_eq!(failing["tenants"], serde_json::json!(["north", "south"]));
    assert_eq!(state["failing"].as_array().unwrap().len(), 1, "{state}");
    let text = home.run("state", &[]).ok();
    let group = "failing      2 detections_throttled (north, south): the API";
    assert!(text.contains(group), "{text}");
    // One that is not polled any more does not fail.
    home.write("tenants.toml", &north(TENANT_ID));
    assert_eq!(home.state()["failing"][0]["count"], 1);
    let text = home.run("state", &[]).ok();
    assert!(
        text.contains("failing      1 detections_throttled (north)"),
        "{text}"
    );
}

#[test]
fn a_tenant_that_is_gone_is_said_to_be_and_is_not_the_one_that_lags() {
    let running = start(ended());
    let home = home(&running, &two());
    home.run_once();
    order(&home, "set-cursor", "south", &["--to", "PT9H"]);
    let text = home.run("state", &[]).ok();
    assert!(text.contains("s ago): south\n"), "{text}");
    home.write("tenants.toml", &north(TENANT_ID));
    let text = home.run("state", &[]).ok();
    assert!(text.contains("source contoso (1 tenant)"), "{text}");
    assert!(text.contains("s ago): north\n"), "{text}");
    assert!(
        text.contains("gone         1 not in the configuration (south)"),
        "{text}"
    );
    let sources = home.state()["sources"].clone();
    for (source, is_gone) in [(&sources[0], false), (&sources[1], true)] {
        assert_eq!(source["gone"], is_gone, "{sources}");
        assert_eq!(source["lag_secs"].is_null(), is_gone, "{sources}");
    }
}

#[test]
fn what_waits_of_a_tenant_is_shown_by_its_name_and_by_its_id() {
    let running = start(ended());
    let home = home(&running, &two());
    run_without_a_place_for(&home, "south");
    let all = visible(&running).len();
    for (tenant, waits) in [("south", all), (OTHER, all), ("north", 0), (TENANT_ID, 0)] {
        assert_eq!(waiting(&home, &["--tenant", tenant]), waits, "{tenant}");
    }
}

#[test]
fn a_mistyped_id_is_forgotten_without_what_waits_of_the_right_one() {
    let running = start(ended());
    let home = home(&running, &north(MISTYPED));
    run_without_a_place_for(&home, "north");
    home.write("tenants.toml", &north(TENANT_ID));
    let all = visible(&running).len();
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("both", || waiting(&home, &[]) == 2 * all);
    let refused = order(&home, "forget", "north", &[]).failed(64);
    assert!(refused.contains("by its id"), "{refused}");
    assert_eq!(waiting(&home, &[]), 2 * all, "half of it was done");
    let forgotten = order(&home, "forget", MISTYPED, &[]);
    assert_eq!(forgotten.code, Some(0), "{forgotten:?}");
    assert_eq!(waiting(&home, &[]), all);
    service.kill();
    std::fs::remove_file(home.path("north")).unwrap();
    home.run_once();
    once_each(&home.read("north/alerts.ndjson"), &visible(&running));
}
