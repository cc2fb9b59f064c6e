//! `watchbell simulate`: what it prints is enough to go on with.

use super::support::{Home, Service, ids, run, wait_until};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;

/// Starts it with these flags, pastes the command that it prints into a shell that has
/// nothing set, and gives back what that prints.
#[track_caller]
fn pasted(flags: &[&str]) -> String {
    let home = Home::new();
    let service = Service::start(&mut home.watchbell([&["simulate"], flags].concat()));
    wait_until("what a person should know", || {
        service.stderr().ends_with("\n\n")
    });
    let about: Value = serde_json::from_str(&service.stdout()).unwrap();
    assert_eq!(service.stdout().lines().count(), 1, "stdout is data");
    let words = service.stderr();
    let command = words.lines().find(|line| line.contains(" poll ")).unwrap();
    assert!(command.contains(about["endpoint"].as_str().unwrap()));
    let ran = run(Command::new("sh")
        .args(["-c", command])
        .current_dir(home.path(""))
        .env_clear()
        .env("HOME", home.path("")));
    assert_eq!(ran.code, Some(0), "{command}\n{}", ran.stderr);
    ran.stdout
}

#[test]
fn the_command_that_it_prints_shows_detections() {
    assert!(ids(&pasted(&[])).len() > 50);
}

#[test]
fn the_command_fits_whatever_the_simulator_was_asked_to_be() {
    let start = ["--start", "2026-01-01T00:00:00Z"];
    let few = pasted(&[&start[..], &["--total", "5", "--late-rate", "0"]].concat());
    assert_eq!(ids(&few).len(), 5);
    for flags in [
        &["--rate", "0.02"][..],
        &["--rate", "200000"],
        &["--clock-offset-secs", "-100000"],
        &["--clock-offset-secs", "100000"],
        &["--listen", "0.0.0.0:0"],
        &["--tenants-differ", "--burst-every", "0"],
    ] {
        assert_ne!(pasted(flags), "", "{flags:?}");
    }
    // Not every machine has IPv6.
    if TcpListener::bind("[::1]:0").is_ok() {
        assert_ne!(pasted(&["--listen", "[::1]:0"]), "");
    }
}
