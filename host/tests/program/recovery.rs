//! What is down comes back: nothing is lost, nobody's hands are needed, and the log says in
//! a line each what was wrong and when it ended.

use super::support::{
    Home, Ran, Service, ended, lines_of, once_each, start, stop, to_file, visible, wait_until,
};
use chrono::{TimeDelta, Utc};
use serde_json::Value;
use std::fs;
use std::process::Command;
use watchbell_simulator::{Clock, Config, Running};

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

/// What is wrong with the one source; nothing while its ledger is still being made.
fn last_error(home: &Home) -> Option<String> {
    let ran = home.run("state", &["--json"]);
    let state: Value = serde_json::from_str(&ran.stdout).ok()?;
    let words = state["sources"][0]["last_error"].as_str()?;
    Some(words.to_owned())
}

#[test]
fn a_sink_that_is_down_pauses_its_source_at_its_buffer_and_all_goes_on_when_it_is_back() {
    let running = start(busy());
    let config = to_file(&running, "since = \"PT1H\"\nmax_window_secs = 60")
        .replace("all.ndjson", "later/all.ndjson");
    let home = Home::with(&format!(
        "{config}buffer.max_size = \"200 kB\"\n[sinks.other]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"other.ndjson\"\n"
    ));
    // Missing folders are made, so something else stands there.
    home.write("later", "");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the pause", || {
        last_error(&home).is_some_and(|words| words.contains("buffer.max_size"))
    });
    let some = lines_of(&home.read("other.ndjson"));
    assert!(some > 0 && some < visible(&running).len(), "{some}");
    fs::remove_file(home.path("later")).unwrap();
    wait_until("all", || {
        lines_of(&home.read("other.ndjson")) == visible(&running).len()
    });
    wait_until("all", || {
        lines_of(&home.read("later/all.ndjson")) == visible(&running).len()
    });
    // The sink may have been behind once more, while it caught up.
    wait_until("the end of the pause", || last_error(&home).is_none());
    let ran = service.terminate();
    once_each(&home.read("later/all.ndjson"), &visible(&running));
    once_each(&home.read("other.ndjson"), &visible(&running));
    said_twice(&ran, "wait for the sink all");
    said_twice(&ran, "later/all.ndjson: ");
}

#[test]
fn a_service_that_is_down_is_waited_for() {
    for (fault, words) in [
        ("token:drop", "login service"),
        ("detections:503", "the API (endpoint) answered 503"),
        ("detections:drop", "the API (endpoint)"),
    ] {
        let running = start(busy());
        running.add_fault(fault.parse().unwrap());
        let home = Home::with(&to_file(&running, "since = \"PT1H\""));
        let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
        wait_until("the refusal", || has_failed(&home));
        running.clear_faults();
        wait_until("all", || has_all(&home, &running));
        let ran = service.terminate();
        once_each(&home.read("all.ndjson"), &visible(&running));
        said_twice(&ran, words);
    }
}

#[test]
fn a_service_whose_process_was_gone_is_waited_for() {
    // Not where others listen, so that nobody takes the port meanwhile.
    let config = Config {
        listen: "127.0.0.9:0".parse().unwrap(),
        ..busy()
    };
    let running = start(config.clone());
    let listen = running.addr();
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("what there was", || has_all(&home, &running));
    let before = visible(&running).len();
    stop(running);
    wait_until("the refusal", || has_failed(&home));
    let running = start(Config {
        listen,
        end: Some(Utc::now()),
        ..config
    });
    assert!(visible(&running).len() > before);
    wait_until("what came meanwhile", || has_all(&home, &running));
    let ran = service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&running));
    assert!(ran.stderr.contains("the API (endpoint)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("over, after"), "{}", ran.stderr);
}

#[test]
fn a_clock_that_is_wrong_for_a_while_is_said_and_loses_nothing() {
    let running = start(Config {
        clock: Clock::Offset(TimeDelta::minutes(-5)),
        ..busy()
    });
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("its words", || {
        service.stderr().contains("this machine's clock")
    });
    running.set_clock(Clock::default());
    wait_until("all", || has_all(&home, &running));
    wait_until("its end", || service.stderr().contains("over, after"));
    let ran = service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&running));
    said_twice(&ran, "this machine's clock is");
}

fn has_failed(home: &Home) -> bool {
    last_error(home).is_some()
}

fn has_all(home: &Home, running: &Running) -> bool {
    lines_of(&home.read("all.ndjson")) == visible(running).len()
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

/// The program with all it writes on a disk of 24 MB in a mount namespace of its own, of
/// which `filled` MB are taken.
struct SmallDisk {
    home: Home,
    service: Service,
}

impl SmallDisk {
    /// None where there can be no mount namespace.
    fn new(config: &str, filled: u32) -> Option<Self> {
        let Some(way) = namespace() else {
            println!("not run: this machine allows no mount namespace");
            return None;
        };
        let config = config
            .replace("\"data\"", "\"disk/data\"")
            .replace("all.ndjson", "disk/all.ndjson");
        let home = Home::with(&config);
        fs::create_dir(home.path("disk")).unwrap();
        let script = format!(
            "mount -t tmpfs -o size=24m tmpfs disk && \
             head -c {filled}m /dev/zero > disk/filler; \
             (while [ -e watchbell.toml ]; do \
                [ -e room ] && rm -f disk/filler && cp disk/all.ndjson copying && mv copying copy; \
                sleep 0.3; \
              done) 2>/dev/null & \
             exec \"$@\""
        );
        let program = home.watchbell(["run", "-c", "watchbell.toml"]);
        let mut command = Command::new("unshare");
        command
            .args(way)
            .args(["sh", "-c", &script, "sh"])
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(home.path(""))
            .env("XDG_CACHE_HOME", home.path("cache"));
        let service = Service::start(&mut command);
        Some(Self { home, service })
    }

    fn make_room(&self) {
        self.home.write("room", "");
    }

    /// The file as it was a moment ago.
    fn delivered(&self) -> String {
        self.home.read("copy")
    }

    /// Until all was delivered and some polls since brought nothing twice.
    #[track_caller]
    fn ends_with_all(self, running: &Running) -> Ran {
        let want = visible(running);
        wait_until("all", || lines_of(&self.delivered()) >= want.len());
        let polls = running.stats().detection_requests;
        wait_until("more polls", || {
            running.stats().detection_requests >= polls + 3
        });
        fs::remove_file(self.home.path("copy")).unwrap();
        wait_until("the copy", || self.home.path("copy").exists());
        once_each(&self.delivered(), &want);
        self.service.terminate()
    }
}

#[test]
fn a_full_disk_loses_nothing_and_is_recovered_from() {
    let running = start(busy());
    let config = to_file(&running, "since = \"PT1H\"\nmax_window_secs = 20");
    // Room for the compiled component and the ledger, not for what is delivered: a disk that
    // is full before the first commit ends the start instead.
    let Some(disk) = SmallDisk::new(&config, 20) else {
        return;
    };
    wait_until("the disk is full", || {
        let said = disk.service.stderr();
        said.contains("full") || said.contains("No space")
    });
    // Let it fail a few times.
    std::thread::sleep(std::time::Duration::from_secs(2));
    disk.make_room();
    let ran = disk.ends_with_all(&running);
    assert!(ran.stderr.contains("over, after"), "{}", ran.stderr);
}

#[test]
fn polling_goes_on_when_the_disk_has_the_room_that_it_must() {
    let running = start(ended());
    let config =
        to_file(&running, "since = \"PT1H\"").replace("min_free = 1\n", "min_free = \"12 MB\"\n");
    let Some(disk) = SmallDisk::new(&config, 18) else {
        return;
    };
    wait_until("its words", || disk.service.stderr().contains("min_free"));
    assert_eq!(running.stats().detection_requests, 0);
    disk.make_room();
    let ran = disk.ends_with_all(&running);
    said_twice(&ran, "min_free");
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
