//! `watchbell poll`: one query, data on stdout, words on stderr, an exit code to act on.

use super::support::{Home, NOON, Ran, SINCE, at_noon, expected, lines, run, source, start};
use std::fs::File;
use std::process::Stdio;
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, Config, Running, TENANT_ID};

fn poll(running: &Running, args: &[&str]) -> Ran {
    Home::with(&source(running)).run("poll", args)
}

#[test]
fn ndjson_is_every_detection_as_it_was_served() {
    let running = start(at_noon());
    let want = expected(&running, SINCE);
    assert_eq!(want.len(), 60);
    let ran = poll(&running, &["--since", SINCE, "--until", NOON]);
    assert_eq!(ran.stderr, "", "a poll that went well has nothing to say");
    assert_eq!(ran.ok(), lines(&want));
}

#[test]
fn json_is_one_array_of_the_same() {
    let running = start(at_noon());
    let text = poll(&running, &["--since", SINCE, "--output", "json"]).ok();
    let array: Vec<&serde_json::value::RawValue> = serde_json::from_str(&text).unwrap();
    let got: String = array.iter().map(|one| format!("{}\n", one.get())).collect();
    assert_eq!(got, lines(&expected(&running, SINCE)));
    let none = poll(&running, &["--ago", "PT0S", "--output", "json"]).ok();
    assert!(serde_json::from_str::<Vec<u8>>(&none).unwrap().is_empty());
}

#[test]
fn csv_has_a_header_and_a_row_for_each() {
    let running = start(at_noon());
    let text = poll(&running, &["--since", SINCE, "-o", "csv"]).ok();
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    assert_eq!(header.len(), 50);
    for one in expected(&running, SINCE) {
        assert_eq!(text.matches(&one.full_id).count(), 1, "{}", one.full_id);
    }
}

#[test]
fn all_settings_can_be_flags() {
    let running = start(at_noon());
    let home = Home::new();
    let secret = home.write("secret", &format!("{CLIENT_SECRET}\n"));
    let (endpoint, authority) = (running.endpoint(), running.authority());
    let mut command = home.watchbell([
        "poll",
        "--endpoint",
        &endpoint,
        "--authority",
        &authority,
        "--api",
        "siem",
        "--tenant-id",
        TENANT_ID,
        "--client-id",
        CLIENT_ID,
        "--allow-address",
        "127.0.0.0/8",
        "--since",
        SINCE,
        "--client-secret-file",
    ]);
    let ran = run(command.arg(secret));
    assert_eq!(ran.ok(), lines(&expected(&running, SINCE)));
}

#[test]
fn all_settings_can_be_environment() {
    let running = start(at_noon());
    let home = Home::new();
    let mut command = home.watchbell(["poll", "--since", SINCE]);
    command
        .env("WATCHBELL_ENDPOINT", running.endpoint())
        .env("WATCHBELL_AUTHORITY", running.authority())
        .env("WATCHBELL_API", "siem")
        .env("WATCHBELL_TENANT_ID", TENANT_ID)
        .env("WATCHBELL_CLIENT_ID", CLIENT_ID)
        .env("WATCHBELL_CLIENT_SECRET", CLIENT_SECRET)
        .env("WATCHBELL_ALLOW_ADDRESS", "10.0.0.0/8,127.0.0.0/8");
    assert_eq!(run(&mut command).ok(), lines(&expected(&running, SINCE)));
}

#[test]
fn flags_go_over_the_file_and_a_file_without_sinks_is_enough() {
    let running = start(at_noon());
    let config = source(&running).replace(CLIENT_ID, TENANT_ID);
    let home = Home::with(&config);
    let wrong = home.run("poll", &[]).failed(77);
    assert!(
        wrong.contains("check tenant_id, client_id and the secret"),
        "{wrong}"
    );
    let right = home.run("poll", &["--client-id", CLIENT_ID, "--since", SINCE]);
    assert_eq!(right.ok(), lines(&expected(&running, SINCE)));
}

#[test]
fn a_file_with_two_sources_wants_to_know_which() {
    let running = start(at_noon());
    let one = source(&running);
    let home = Home::with(&format!("{one}{}", one.replace("contoso", "fabrikam")));
    let words = home.run("poll", &["--since", SINCE]).failed(64);
    assert!(
        words.contains("--source") && words.contains("fabrikam"),
        "{words}"
    );
    let right = home.run("poll", &["--source", "fabrikam", "--since", SINCE]);
    assert_eq!(right.ok(), lines(&expected(&running, SINCE)));
}

#[test]
fn the_secret_is_no_flag() {
    let words = run(&mut Home::new().watchbell(["poll", "--client-secret", "x"])).failed(64);
    assert!(words.contains("--client-secret"), "{words}");
}

#[test]
fn the_query_is_what_was_asked_for() {
    let running = start(at_noon());
    let args = [
        "--since",
        SINCE,
        "--until",
        "2026-05-01T13:00:00+01:00",
        "--limit",
        "7",
        "--machine-group",
        "UKMachines",
        "--machine-group",
        "Überwachung 東京",
        "--device-created-machine-tags",
        "a b",
        "--cloud-created-machine-tags",
        "c&d",
    ];
    poll(&running, &args).ok();
    let query = running.exchanges().pop().unwrap().query;
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let want = [
        ("sinceTimeUtc", "2026-05-01T11:54:00.0000000Z"),
        ("untilTimeUtc", "2026-05-01T12:00:00.0000000Z"),
        ("limit", "7"),
        ("machinegroups", "UKMachines"),
        ("machinegroups", "Überwachung 東京"),
        ("DeviceCreatedMachineTags", "a b"),
        ("CloudCreatedMachineTags", "c&d"),
    ];
    for (name, value) in want {
        assert!(
            pairs.contains(&(name.to_owned(), value.to_owned())),
            "{name}: {query}"
        );
    }
    assert_eq!(pairs.len(), want.len(), "{query}");
}

#[test]
fn since_takes_a_duration_back_and_ago_is_sent_as_it_is() {
    let running = start(Config {
        clock: watchbell_simulator::Clock::default(),
        start: None,
        ..at_noon()
    });
    let before = running.now();
    poll(&running, &["--since", "PT10M", "--until", "PT1M"]).ok();
    let query = running.exchanges().pop().unwrap().query;
    let sent: Vec<chrono::DateTime<chrono::Utc>> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(_, value)| value.parse().unwrap())
        .collect();
    let back = |minutes| {
        (before - chrono::TimeDelta::minutes(minutes) - sent[if minutes == 10 { 0 } else { 1 }])
            .num_seconds()
            .abs()
    };
    assert!(back(10) < 60 && back(1) < 60, "{query}");
    poll(&running, &["--ago", "PT10M"]).ok();
    assert_eq!(running.exchanges().pop().unwrap().query, "ago=PT10M");
    let words = poll(&running, &["--ago", "PT10M", "--since", "PT1H"]).failed(64);
    assert!(words.contains("--since"), "{words}");
}

#[test]
fn each_refusal_has_its_exit_code_and_says_what_to_do() {
    for (fault, code, said) in [
        ("token:400", 77, "login service"),
        ("token:401", 77, "check tenant_id"),
        ("token:429:retry-after=9", 75, "retry after 9 s"),
        ("token:503", 75, "later"),
        ("token:garbage", 69, "login service"),
        ("detections:400", 69, "query"),
        ("detections:401", 77, "does not accept the token"),
        ("detections:403", 77, "grant"),
        ("detections:404", 69, "check endpoint"),
        ("detections:429", 75, "asked too often"),
        ("detections:500", 75, "in trouble"),
        ("detections:503", 75, "in trouble"),
        ("detections:drop", 75, "the API (endpoint)"),
        ("detections:garbage", 69, "not its documented JSON"),
        ("detections:sign-in-page", 69, "not its documented JSON"),
        ("detections:cut-short", 69, "byte "),
        ("detections:bad-element:end=lost", 69, "byte "),
        ("detections:redirect:to=http://127.0.0.1:1/", 69, "302"),
        ("detections:endless", 69, "limits.max_response_bytes"),
    ] {
        let faults = vec![fault.parse().unwrap()];
        let running = start(Config {
            faults,
            ..at_noon()
        });
        let home = Home::with(&format!(
            "{}limits.max_response_bytes = \"1MiB\"\n",
            source(&running)
        ));
        let words = home.run("poll", &["--since", SINCE]).failed(code);
        assert!(words.contains(said), "{fault}: {words}");
        let ends = words.lines().filter(|line| line.starts_with("watchbell:"));
        assert_eq!(ends.count(), 1, "one line: {words}");
    }
}

#[test]
fn what_cannot_be_reached_or_is_denied_says_which_and_why() {
    let running = start(at_noon());
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let refused = poll(&running, &["--endpoint", &gone]).failed(75);
    assert!(refused.contains("the API (endpoint)"), "{refused}");
    let closed = source(&running).replace("egress.allow_addresses = [\"127.0.0.0/8\"]\n", "");
    let denied = Home::with(&closed).run("poll", &[]).failed(77);
    assert!(denied.contains("egress.allow_addresses"), "{denied}");
    let slow = start(Config {
        faults: vec!["detections:delay:ms=5000".parse().unwrap()],
        ..at_noon()
    });
    let home = Home::with(&format!("{}timeouts.first_byte_secs = 1\n", source(&slow)));
    let late = home.run("poll", &[]).failed(75);
    assert!(late.contains("the API (endpoint)"), "{late}");
}

#[test]
fn a_configuration_that_is_wrong_is_78_and_a_command_line_64() {
    let running = start(at_noon());
    let words = Home::with(&source(&running).replace("tenant_id", "tennant_id"))
        .run("poll", &[])
        .failed(78);
    assert!(
        words.contains("watchbell.toml:5") && words.contains("did you mean tenant_id?"),
        "{words}"
    );
    for (args, words) in [
        (["--api", "graph"], "--api: is graph, which the bundled"),
        (["--machine-group", ""], "--machine-group: is empty"),
        (["--region", "mars"], "--region: must be one of"),
        (["--since", "soon"], "--since: is not a time"),
        (["--tenant-id", "a b"], "--tenant-id: is not a tenant"),
        (["--ca-file", "none.pem"], "--ca-file: "),
    ] {
        let said = poll(&running, &args).failed(64);
        assert!(said.contains(words) && !said.contains("sources."), "{said}");
    }
    run(&mut Home::new().watchbell(["poll", "--nonsense"])).failed(64);
    run(&mut Home::new().watchbell(["poll", "--limit", "many"])).failed(64);
    let missing = Home::new().run("poll", &[]).failed(78);
    assert!(missing.contains("watchbell.toml"), "{missing}");
    let nothing = run(&mut Home::new().watchbell(["poll"])).failed(64);
    for flag in [
        "--region: is missing",
        "--tenant-id: is missing",
        "--client-id: is missing",
        "--client-secret-file",
    ] {
        assert!(nothing.contains(flag), "{flag}: {nothing}");
    }
    assert!(!nothing.contains("sources."), "{nothing}");
}

#[test]
fn a_full_disk_is_told_and_a_reader_that_left_is_not_an_error() {
    let running = start(at_noon());
    let home = Home::with(&source(&running));
    let mut command = home.watchbell(["poll", "-c", "watchbell.toml", "--since", SINCE]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ran = run(command.stdout(Stdio::from(full)).stderr(Stdio::piped()));
    assert!(ran.failed(74).contains("stdout"));
    let mut left = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(left.stdout.take());
    assert_eq!(left.wait().unwrap().code(), Some(0));
}
