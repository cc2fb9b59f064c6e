//! What is down comes back: nothing is lost, nobody's hands are needed, and the log says in
//! a line each what was wrong and when it ended.

use super::support::{
    Home, Ran, Service, ended, lines_of, once_each, start, to_file, visible, wait_until,
};
use std::fs;
use std::process::Command;
use watchbell_simulator::Config;

/// Ten detections a second.
fn busy() -> Config {
    Config {
        rate: 600.0,
        ..ended()
    }
}

/// Each time it began it ended, and both were said in a line.
#[track_caller]
fn said_twice(ran: &Ran, words: &str) {
    let lines = || ran.stderr.lines().filter(|line| line.contains(words));
    let ended = lines().filter(|line| line.contains("over, after")).count();
    assert!(ended > 0, "{words}: {}", ran.stderr);
    assert_eq!(lines().count(), 2 * ended, "{words}: {}", ran.stderr);
}

#[test]
fn a_sink_that_is_down_pauses_its_source_at_its_buffer_and_all_goes_on_when_it_is_back() {
    let running = start(busy());
    let config = to_file(&running, "since = \"PT1H\"\nmax_window_secs = 60")
        .replace("all.ndjson", "later/all.ndjson");
    let home = Home::with(&format!(
        "{config}buffer.max_size = \"200 kB\"\n[sinks.other]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"other.ndjson\"\n"
    ));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the pause", || {
        service.stderr().contains("buffer.max_size")
            && home.state()["sources"][0]["last_error"]
                .as_str()
                .is_some_and(|words| words.contains("buffer.max_size"))
    });
    let some = lines_of(&home.read("other.ndjson"));
    assert!(some > 0 && some < visible(&running).len(), "{some}");
    fs::create_dir(home.path("later")).unwrap();
    wait_until("all", || {
        lines_of(&home.read("other.ndjson")) == visible(&running).len()
    });
    wait_until("all", || {
        lines_of(&home.read("later/all.ndjson")) == visible(&running).len()
    });
    let ran = service.terminate();
    once_each(&home.read("later/all.ndjson"), &visible(&running));
    once_each(&home.read("other.ndjson"), &visible(&running));
    said_twice(&ran, "wait for the sink all");
    said_twice(&ran, "later/all.ndjson: No such file");
}

#[test]
fn a_service_that_is_down_is_waited_for() {
    let running = start(busy());
    running.add_fault("token:drop".parse().unwrap());
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the refusal", || {
        service.stderr().contains("login service")
            && home.state()["sources"][0]["last_error"].is_string()
    });
    running.clear_faults();
    wait_until("all", || {
        lines_of(&home.read("all.ndjson")) == visible(&running).len()
    });
    let ran = service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&running));
    said_twice(&ran, "login service");
}

/// How to get a mount namespace here: as a user of its own where that is allowed, else as
/// root.
fn namespace() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
    ways.into_iter().find(|way| {
        let script = "mount -t tmpfs tmpfs \"$PWD\"";
        let mut command = Command::new("unshare");
        let folder = tempfile::tempdir().unwrap();
        command
            .args(*way)
            .args(["sh", "-c", script])
            .current_dir(&folder);
        command.output().is_ok_and(|output| output.status.success())
    })
}

/// In a mount namespace of its own, the ledger and the file on a disk of 6 MB that is
/// nearly full until the test says so.
#[test]
fn a_full_disk_loses_nothing_and_is_recovered_from() {
    let Some(way) = namespace() else {
        println!("not run: this machine allows no mount namespace");
        return;
    };
    let running = start(busy());
    let config = to_file(&running, "since = \"PT1H\"\nmax_window_secs = 20")
        .replace("\"data\"", "\"disk/data\"")
        .replace("all.ndjson", "disk/all.ndjson");
    let home = Home::with(&config);
    fs::create_dir(home.path("disk")).unwrap();
    let script = "mount -t tmpfs -o size=24m tmpfs disk && \
        head -c 23m /dev/zero > disk/filler; \
        (while [ ! -e room ]; do sleep 0.1; done; rm disk/filler; \
         while [ ! -e copy ]; do sleep 0.1; done; cp disk/all.ndjson copied; mv copied copy2) & \
        exec \"$@\"";
    let program = home.watchbell(["run", "-c", "watchbell.toml"]);
    let mut command = Command::new("unshare");
    command
        .args(way)
        .args(["sh", "-c", script, "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(home.path(""))
        .env("XDG_CACHE_HOME", home.path("cache"));
    let service = Service::start(&mut command);
    wait_until("the disk is full", || {
        service.stderr().contains("full") || service.stderr().contains("No space")
    });
    std::thread::sleep(std::time::Duration::from_secs(2));
    home.write("room", "");
    wait_until("all was read", || running.stats().detection_requests > 40);
    std::thread::sleep(std::time::Duration::from_secs(8));
    home.write("copy", "");
    wait_until("the copy", || home.path("copy2").exists());
    let ran = service.terminate();
    once_each(&home.read("copy2"), &visible(&running));
    assert!(ran.stderr.contains("over, after"), "{}", ran.stderr);
}

#[test]
fn polling_stops_while_the_disk_has_less_room_than_it_must() {
    let running = start(busy());
    let config = to_file(&running, "since = \"PT1H\"")
        .replace("min_free = 1\n", "min_free = 1000000000000000\n");
    let home = Home::with(&config);
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("its words", || service.stderr().contains("min_free"));
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0));
    assert_eq!(running.stats().detection_requests, 0);
}
