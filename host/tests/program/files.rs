//! Files and folders that are not as a file sink would have them.

use super::support::{
    Home, Service, ended, lines_of, once_each, source, start, to_file, visible, wait_long,
    wait_until,
};
use std::fs;

/// Once, a sink whose folder was missing waited for ever.
#[test]
fn missing_folders_of_a_file_are_made() {
    let running = start(ended());
    let config = to_file(&running, "since = \"PT1H\"");
    let home = Home::with(&config.replace("all.ndjson", "a/new/folder/all.ndjson"));
    home.run_once();
    once_each(&home.read("a/new/folder/all.ndjson"), &visible(&running));
}

#[test]
fn a_sink_whose_disk_is_not_mounted_ends_the_start_and_writes_nothing() {
    let running = start(ended());
    let home = Home::with("");
    fs::create_dir(home.path("disk")).unwrap();
    let config = to_file(&running, "since = \"PT1H\"").replace("all.ndjson", "disk/all.ndjson");
    let demand = |mount: &str| format!("{config}require_mount = \"{mount}\"\n");
    home.write("watchbell.toml", &demand("disk"));
    let said = home.run("run", &["--once"]).failed(75);
    assert!(
        said.contains("sinks.all.require_mount: nothing is mounted at disk"),
        "{said}"
    );
    assert_eq!(fs::read_dir(home.path("disk")).unwrap().count(), 0);
    home.write("watchbell.toml", &demand("/"));
    home.run_once();
    once_each(&home.read("disk/all.ndjson"), &visible(&running));
}

/// Once, detections were appended to the ledger, and counted as delivered.
#[test]
fn what_the_program_keeps_or_reads_itself_is_no_file_of_a_sink() {
    let running = start(ended());
    let home = Home::with("");
    fs::create_dir_all(home.path("data")).unwrap();
    home.write("secret", "s3cret\n");
    std::os::unix::fs::symlink(home.path("data"), home.path("linked")).unwrap();
    for path in [
        "data/ledger.sqlite",
        "data/alerts.ndjson",
        "linked/alerts.ndjson",
        "watchbell.toml",
        "./secret",
    ] {
        let config = to_file(&running, "since = \"PT1H\"").replace("all.ndjson", path);
        let line = config
            .lines()
            .find(|line| line.starts_with("client_secret"));
        let config = config.replace(line.unwrap(), "client_secret_file = \"secret\"");
        home.write("watchbell.toml", &config);
        for verb in ["validate", "run"] {
            let said = home.run(verb, &[]).failed(78);
            let words = "sinks.all.path: is a file that this program keeps or reads itself";
            assert!(said.contains(words), "{path}: {said}");
        }
        assert_eq!(home.read("watchbell.toml"), config);
    }
    assert_eq!(home.read("secret"), "s3cret\n");
}

#[test]
fn two_sinks_whose_paths_are_one_file_are_refused_and_only_one_writes() {
    let running = start(ended());
    let home = Home::with(&format!(
        "data_dir = \"data\"\nmin_free = 1\n{}scrape_interval_secs = 1\nsince = \"PT1H\"\n\
         [sinks.one]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"one.ndjson\"\n\
         [sinks.two]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"two.ndjson\"\n",
        source(&running)
    ));
    home.write("one.ndjson", "");
    fs::hard_link(home.path("one.ndjson"), home.path("two.ndjson")).unwrap();
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    let refused = |sink: &str, other: &str| {
        let words = format!("{sink}.ndjson: is the file of the sink {other} too");
        service.stderr().contains(&words)
    };
    wait_until("the refusal", || {
        refused("one", "two") || refused("two", "one")
    });
    wait_until("all of one of them", || {
        lines_of(&home.read("one.ndjson")) >= visible(&running).len()
    });
    let waits = if refused("one", "two") { "one" } else { "two" };
    let waits = format!("{waits}.ndjson");
    fs::remove_file(home.path(&waits)).unwrap();
    wait_long("the other's", || {
        lines_of(&home.read(&waits)) == visible(&running).len()
    });
    service.terminate();
    once_each(&home.read("one.ndjson"), &visible(&running));
    once_each(&home.read("two.ndjson"), &visible(&running));
}
