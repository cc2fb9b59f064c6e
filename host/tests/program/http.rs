//! The sink `http` against a server of somebody else.

mod receiver;

use super::support::{
    Home, Ran, Service, ended, ids, lines_of, once_each, source, start, visible, wait_until,
};
use receiver::{Answer, Received, Receiver};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use watchbell_simulator::{Config, Running};

/// A hundred detections, all there.
fn few() -> Config {
    Config {
        rate: 10.0,
        ..ended()
    }
}

/// One source and the sink `siem` with `settings`.
fn to_siem(running: &Running, receiver: &Receiver, settings: &str) -> String {
    format!(
        "data_dir = \"data\"\nmin_free = 1\n{}scrape_interval_secs = 1\nsince = \"PT1H\"\n\
         [sinks.siem]\ntype = \"http\"\ninputs = [\"contoso\"]\nuri = \"http://{}/ingest?x=1\"\n\
         batch.timeout_secs = 0.1\n{settings}\n",
        source(running),
        receiver.address,
    )
}

/// The lines of all bodies that were taken.
fn taken_lines(receiver: &Receiver) -> String {
    let bodies = receiver.taken().into_iter().map(|one| one.body);
    bodies.collect()
}

/// A detection in the middle of those that there are.
fn one_of(running: &Running) -> String {
    let all = visible(running);
    all.iter().nth(all.len() / 2).unwrap().clone()
}

fn quarantined(home: &Home) -> usize {
    let list = home.run("state", &["quarantine", "list", "--json"]).ok();
    let list: Value = serde_json::from_str(&list).unwrap();
    list.as_array().unwrap().len()
}

fn log(service: &Service, words: &str) -> bool {
    service.stderr().contains(words)
}

#[test]
fn every_detection_arrives_once_in_each_form() {
    for (settings, content_type, encoding) in [
        ("", "application/x-ndjson", None),
        (
            "compression = \"gzip\"",
            "application/x-ndjson",
            Some("gzip"),
        ),
        (
            "compression = \"zstd\"\nmethod = \"put\"",
            "application/x-ndjson",
            Some("zstd"),
        ),
        ("batch.max_events = 7", "application/x-ndjson", None),
        ("batch.max_bytes = \"4 kB\"", "application/x-ndjson", None),
        ("framing.method = \"json_array\"", "application/json", None),
        ("framing.method = \"none\"", "application/json", None),
        (
            "request.headers.content-type = \"text/plain\"",
            "text/plain",
            None,
        ),
    ] {
        let (running, receiver) = (start(few()), Receiver::start());
        let home = Home::with(&to_siem(&running, &receiver, settings));
        home.run_once();
        let taken = receiver.taken();
        let mut lines = String::new();
        for one in &taken {
            assert_eq!(one.header("content-type"), Some(content_type), "{settings}");
            assert_eq!(one.header("content-encoding"), encoding, "{settings}");
            assert!(one.header("user-agent").unwrap().starts_with("watchbell/"));
            let method = if settings.contains("put") {
                "PUT"
            } else {
                "POST"
            };
            assert_eq!(one.method, method);
            if settings.contains("json_array") {
                let events: Vec<Value> = serde_json::from_str(&one.body).unwrap();
                lines.extend(events.iter().map(|event| format!("{event}\n")));
            } else if settings.contains("none") {
                let _: Value = serde_json::from_str(&one.body).unwrap();
                lines.push_str(&format!("{}\n", one.body));
            } else {
                lines.push_str(&one.body);
            }
            if settings.contains("max_events") {
                assert!(lines_of(&one.body) <= 7);
            }
            if settings.contains("max_bytes") {
                assert!(one.body.len() <= 4000 || lines_of(&one.body) == 1);
            }
        }
        once_each(&lines, &visible(&running));
    }
}

#[test]
fn csv_is_sent_with_its_header() {
    let (running, receiver) = (start(few()), Receiver::start());
    let home = Home::with(&to_siem(&running, &receiver, "encoding.codec = \"csv\""));
    home.run_once();
    let taken = receiver.taken();
    let header = taken[0].body.lines().next().unwrap();
    assert!(header.contains("AlertTitle"), "{header}");
    assert!(
        taken[0]
            .header("content-type")
            .unwrap()
            .starts_with("text/csv")
    );
    let rows = |one: &Received| {
        csv::Reader::from_reader(one.body.as_bytes())
            .records()
            .count()
    };
    let rows: usize = taken.iter().map(rows).sum();
    assert_eq!(rows, visible(&running).len());
}

#[test]
fn what_is_refused_for_good_is_found_and_quarantined_alone_and_can_be_tried_again() {
    for status in [400, 413, 422] {
        let (running, receiver) = (start(few()), Receiver::start());
        let bad = one_of(&running);
        let refused = bad.clone();
        receiver.answer(move |_, _, body| match body.contains(&refused) {
            true => Answer {
                body: "{\"error\":\"no such severity\"}".to_owned(),
                ..Answer::status(status)
            },
            false => Answer::default(),
        });
        let home = Home::with(&to_siem(&running, &receiver, ""));
        let ran = home.run("run", &["--once"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains("no such severity"), "{}", ran.stderr);
        let mut want = visible(&running);
        want.remove(&bad);
        once_each(&taken_lines(&receiver), &want);
        assert_eq!(quarantined(&home), 1);
        // As few requests as halves take.
        assert!(
            receiver.received().len() < 30,
            "{}",
            receiver.received().len()
        );
        receiver.answer(|_, _, _| Answer::default());
        home.run("state", &["quarantine", "retry"]).ok();
        home.run_once();
        once_each(&taken_lines(&receiver), &visible(&running));
        assert_eq!(quarantined(&home), 0);
    }
}

#[test]
fn a_receiver_that_refuses_everything_gets_it_later_and_nothing_is_quarantined() {
    let (running, receiver) = (start(few()), Receiver::start());
    receiver.answer(|_, _, _| Answer::status(400));
    let home = Home::with(&to_siem(&running, &receiver, ""));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the refusal", || log(&service, "handled nothing yet"));
    assert_eq!(quarantined(&home), 0);
    receiver.answer(|_, _, _| Answer::default());
    wait_until("all", || {
        lines_of(&taken_lines(&receiver)) == visible(&running).len()
    });
    let ran = service.terminate();
    once_each(&taken_lines(&receiver), &visible(&running));
    is_one_incident(&ran, "answered 400");
}

/// It began in one line and ended in one.
#[track_caller]
fn is_one_incident(ran: &Ran, words: &str) {
    let lines: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.contains(words) && !line.contains("health check"))
        .collect();
    assert_eq!(lines.len(), 2, "{}", ran.stderr);
    assert!(lines[1].contains("over, after"), "{}", ran.stderr);
}

#[test]
fn a_receiver_that_is_busy_is_left_alone_as_long_as_it_asks() {
    let (running, receiver) = (start(few()), Receiver::start());
    receiver.answer(|_, _, _| Answer {
        headers: vec![("retry-after", "3".to_owned())],
        ..Answer::status(429)
    });
    let home = Home::with(&to_siem(&running, &receiver, "healthcheck.enabled = false"));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the refusal", || log(&service, "answered 429"));
    // The next would come within a second.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(receiver.received().len(), 1);
    receiver.answer(|_, _, _| Answer::default());
    wait_until("all", || {
        lines_of(&taken_lines(&receiver)) == visible(&running).len()
    });
    let ran = service.terminate();
    is_one_incident(&ran, "answered 429");
    assert_eq!(receiver.health_checks(), 0);
}

#[test]
fn a_part_that_was_taken_is_not_sent_again_when_the_next_is_not() {
    let (running, receiver) = (start(few()), Receiver::start());
    let (bad, failures) = (one_of(&running), std::sync::atomic::AtomicUsize::new(0));
    receiver.answer(move |_, _, body| {
        let fails =
            body.contains(&bad) && failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2;
        Answer::status(if fails { 503 } else { 200 })
    });
    let home = Home::with(&to_siem(&running, &receiver, "batch.max_events = 5"));
    home.run_once();
    once_each(&taken_lines(&receiver), &visible(&running));
}

#[test]
fn credentials_are_sent_and_seen_nowhere() {
    for (auth, name, want) in [
        (
            "auth.strategy = \"bearer\"\nauth.token = \"SECRET[own.token]\"",
            "authorization",
            "Bearer hunter22-of-the-siem",
        ),
        (
            "auth.strategy = \"basic\"\nauth.user = \"u\"\nauth.password = \"SECRET[own.token]\"",
            "authorization",
            // u:hunter22-of-the-siem
            "Basic dTpodW50ZXIyMi1vZi10aGUtc2llbQ==",
        ),
        (
            "auth.strategy = \"header\"\nauth.header = \"X-Api-Key\"\nauth.value = \"hunter22-of-the-siem\"",
            "x-api-key",
            "hunter22-of-the-siem",
        ),
    ] {
        let (running, receiver) = (start(few()), Receiver::start());
        // It repeats what it got.
        receiver.answer(move |_, headers, _| Answer {
            body: headers[name].to_str().unwrap().to_owned(),
            ..Answer::status(403)
        });
        let config = format!(
            "{}[secret.own]\ntype = \"directory\"\npath = \"secrets\"\n",
            to_siem(&running, &receiver, auth)
        );
        let home = Home::with(&config);
        std::fs::create_dir(home.path("secrets")).unwrap();
        home.write("secrets/token", "hunter22-of-the-siem\n");
        let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
        wait_until("the refusal", || log(&service, "answered 403"));
        let state = home.run("state", &["--json"]).stdout;
        receiver.answer(|_, _, _| Answer::default());
        wait_until("all", || {
            lines_of(&taken_lines(&receiver)) == visible(&running).len()
        });
        let ran = service.terminate();
        for text in [&ran.stderr, &state] {
            assert!(!text.contains("hunter22"), "{text}");
            assert!(!text.contains("dTpodW50ZXIy"), "{text}");
        }
        for one in receiver.received() {
            assert_eq!(one.header(name), Some(want));
        }
    }
}

#[test]
fn a_token_that_was_replaced_is_fetched_again() {
    let (running, receiver) = (start(few()), Receiver::start());
    receiver.answer(|_, headers, _| {
        let is_new = headers["authorization"] == "Bearer second-token";
        Answer::status(if is_new { 200 } else { 401 })
    });
    let auth = "auth.strategy = \"bearer\"\nauth.token = \"SECRET[own.token]\"";
    let home = Home::with(&format!(
        "{}[secret.own]\ntype = \"exec\"\ncommand = [\"./secret.sh\"]\n",
        to_siem(&running, &receiver, auth)
    ));
    let script = home.write(
        "secret.sh",
        "#!/bin/sh\nif test -e asked; then t=second-token; else t=first-token; touch asked; fi\n\
         echo \"{\\\"token\\\": {\\\"value\\\": \\\"$t\\\", \\\"error\\\": null}}\"\n",
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(script, mode).unwrap();
    home.run_once();
    once_each(&taken_lines(&receiver), &visible(&running));
}

#[test]
fn whether_the_receiver_is_well_is_asked_at_the_start_and_said() {
    let (running, receiver) = (start(few()), Receiver::start());
    // Many who take a POST know no HEAD.
    receiver.answer(|method, _, _| Answer::status(if method == "HEAD" { 405 } else { 200 }));
    let home = Home::with(&to_siem(&running, &receiver, ""));
    let ran = home.run_once();
    assert!(!ran.stderr.contains("health check"), "{}", ran.stderr);
    let named = format!("healthcheck.uri = \"http://{}/health\"", receiver.address);
    for (settings, status) in [("", 500), ("", 401), (named.as_str(), 404)] {
        receiver.answer(move |method, _, _| {
            Answer::status(if method == "HEAD" { status } else { 200 })
        });
        let home = Home::with(&to_siem(&running, &receiver, settings));
        let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
        wait_until("the health check", || log(&service, "health check failed"));
        assert!(log(&service, &format!("answered {status}")));
        wait_until("all the same", || {
            lines_of(&home.run("state", &[]).stdout) > 0 && !receiver.taken().is_empty()
        });
        service.terminate();
    }
}

#[test]
fn killed_while_it_sends_it_sends_again_with_the_same_keys() {
    let running = start(Config {
        rate: 600.0,
        ..ended()
    });
    let receiver = Receiver::start();
    let settings = "batch.max_events = 1\nrequest.idempotency_header = \"Idempotency-Key\"";
    let home = Home::with(&to_siem(&running, &receiver, settings));
    let mut kills = 0;
    while taken_keys(&receiver).len() < visible(&running).len() {
        let before = receiver.received().len();
        let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
        wait_until("some", || {
            receiver.received().len() > before + 400
                || taken_keys(&receiver).len() == visible(&running).len()
        });
        service.kill();
        kills += 1;
    }
    assert!(kills > 1, "it was not killed in the middle");
    home.run_once();
    let keys = taken_keys(&receiver);
    let all: BTreeSet<String> = keys.values().flatten().cloned().collect();
    assert_eq!(all, visible(&running), "some were lost");
    for (key, ids) in &keys {
        assert_eq!(ids.len(), 1, "{key} is of {ids:?}");
    }
    assert_eq!(keys.len(), all.len(), "a detection has two keys");
}

/// What each key was of.
fn taken_keys(receiver: &Receiver) -> BTreeMap<String, BTreeSet<String>> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in receiver.taken() {
        let key = one.header("idempotency-key").unwrap().to_owned();
        keys.entry(key).or_default().extend(ids(&one.body));
    }
    keys
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_runs() {
    let (running, receiver) = (start(few()), Receiver::start());
    for (uri, settings, words) in [
        ("http://169.254.169.254/x", "", "siem: uri: "),
        ("https://u:p@a.example/", "", "go into auth"),
        ("ftp://a.example/", "", "is not a URL"),
        (
            "",
            "framing.method = \"json_array\"\nencoding.codec = \"csv\"",
            "json_array goes with",
        ),
        ("", "tls.crt_file = \"crt\"", "tls.key_file: is missing"),
        ("", "tls.ca_file = \"nowhere\"", "nowhere"),
        ("", "auth.strategy = \"bearer\"", "auth.token: is missing"),
        (
            "",
            "auth.strategy = \"basic\"\nauth.user = \"u\"\nauth.password = \"SECRET[no.x]\"",
            "there is no backend no",
        ),
        (
            "",
            "auth.strategy = \"bearer\"\nauth.token = \"x\"\nauth.user = \"u\"",
            "auth.user: goes with another strategy",
        ),
        (
            "",
            "request.headers.Authorization = \"x\"",
            "goes into auth",
        ),
        ("", "compresion = \"gzip\"", "did you mean compression?"),
        ("", "bufer.max_size = \"1 GB\"", "did you mean buffer?"),
        (
            "",
            "framing.method = \"none\"\nbatch.max_events = 2",
            "each request has one event",
        ),
    ] {
        let mut config = to_siem(&running, &receiver, settings);
        if !uri.is_empty() {
            let own = format!("http://{}/ingest?x=1", receiver.address);
            config = config.replace(&own, uri);
        }
        let said = Home::with(&config).run("validate", &[]).failed(78);
        assert!(said.contains(words), "{settings}{uri}: {said}");
    }
}
