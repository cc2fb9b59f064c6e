//! Component files that are replaced, at work, by what must not be loaded: the old one goes
//! on, the log says why, and nobody misses anything.

use super::support::{Home, Service, lines_of, once_each, source, start, visible, wait_until};
use chrono::{TimeDelta, Utc};
use std::fs;
use std::process::Command;
use watchbell_simulator::{Config, Late};
use watchbell_tests::{EXAMPLE_PROCESSOR, bombs};

/// Half a minute of waiting for the service to notice each.
#[test]
fn a_component_that_is_replaced_by_a_bomb_goes_on() {
    let now = Utc::now();
    let running = start(Config {
        rate: 300.0,
        start: Some(now - TimeDelta::minutes(2)),
        late: Late {
            rate: 0.0,
            ..Late::default()
        },
        ..Config::default()
    });
    let home = Home::with(&format!(
        "data_dir = \"data\"\nmin_free = 1\n{}scrape_interval_secs = 1\nsince = \"PT1H\"\n\
         [transforms.plugin]\ninputs = [\"contoso\"]\ncomponent = \"plugin.wasm\"\n\
         options.at_least = \"informational\"\n\
         [sinks.through]\ntype = \"file\"\ninputs = [\"plugin\"]\npath = \"through.ndjson\"\n\
         [sinks.beside]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"beside.ndjson\"\n",
        source(&running),
    ));
    let plugin = home.path("plugin.wasm");
    fs::write(&plugin, EXAMPLE_PROCESSOR).unwrap();
    let mut command = home.watchbell(["run", "-c", "watchbell.toml", "--watch-config"]);
    let service = Service::start(&mut command);
    let lines = |name| lines_of(&home.read(name));
    wait_until("the first", || lines("through.ndjson") > 0);
    let subtype = "(component (core module (type (sub (func)))))";
    for (bytes, words) in [
        (bombs::nested_instances(27, 2), "268435455 instances"),
        (bombs::nested_instances(2, 1500), "2251501 instances"),
        (bombs::local_variables(4000), "local variables"),
        (bombs::empty_functions(400_000), "400000 functions"),
        (bombs::parse(subtype), "gc"),
    ] {
        replace(&home, &bytes);
        refused(&service, words);
        let (through, beside) = (lines("through.ndjson"), lines("beside.ndjson"));
        wait_until("both go on", || {
            lines("through.ndjson") > through && lines("beside.ndjson") > beside
        });
    }
    // Nobody writes to it: opening it used to wait, and with it the reload.
    fs::remove_file(&plugin).unwrap();
    let made = Command::new("mkfifo").arg(&plugin).status().unwrap();
    assert!(made.success());
    refused(&service, "not a regular file");
    // And once more one that is good.
    fs::remove_file(&plugin).unwrap();
    fs::write(&plugin, EXAMPLE_PROCESSOR).unwrap();
    let is_good = |line: &str| {
        line.contains("the configuration was read again") && !line.contains("cannot be used")
    };
    wait_until("a good one", || service.stderr().lines().any(is_good));
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // What comes to an end before the last poll is there.
    let all = visible(&running);
    for name in ["through.ndjson", "beside.ndjson"] {
        let text = home.read(name);
        assert!(lines_of(&text) > 600, "{name}");
        let delivered = super::support::ids(&text).into_iter().collect();
        once_each(&text, &delivered);
        assert!(delivered.is_subset(&all), "{name}");
    }
}

/// As tools write files: beside it and renamed, so that there is always a whole one.
fn replace(home: &Home, bytes: &[u8]) {
    fs::write(home.path("new.wasm"), bytes).unwrap();
    fs::rename(home.path("new.wasm"), home.path("plugin.wasm")).unwrap();
}

#[track_caller]
fn refused(service: &Service, words: &str) {
    wait_until(words, || {
        let said = service.stderr();
        let mut lines = said.lines();
        lines.any(|line| line.contains("the old one goes on") && line.contains(words))
    });
}

/// At a start there is no old one.
#[test]
fn a_bomb_ends_a_start_with_words() {
    let running = start(super::support::ended());
    let home = Home::with(&format!(
        "data_dir = \"data\"\n{}component = \"bomb.wasm\"\n\
         [sinks.all]\ntype = \"console\"\ninputs = [\"contoso\"]\n",
        source(&running)
    ));
    fs::write(home.path("bomb.wasm"), bombs::nested_instances(27, 2)).unwrap();
    for verb in ["run", "validate", "poll"] {
        let words = home.run(verb, &[]).failed(78);
        assert!(
            words.contains("bomb.wasm") && words.contains("268435455 instances"),
            "{words}"
        );
    }
}

#[test]
fn the_compilers_verb_is_for_the_program_itself() {
    let ran = super::support::run(&mut Home::new().watchbell(["compile-component"]));
    let words = ran.failed(64);
    assert!(words.contains("not a parent's socket"), "{words}");
}
