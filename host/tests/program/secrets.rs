//! Every verb and every failure with a marked secret: neither it nor a token is in
//! anything that comes out.

use super::support::{Home, SINCE, Service, at_noon, source, start, wait_until};
use watchbell_simulator::{CLIENT_SECRET, Client, Config};

/// Odd enough that each way of quoting or encoding it shows.
const MARK: &str = "MARKED0secret";

#[track_caller]
fn clean(what: &str, text: &str) {
    assert!(!text.contains(MARK), "the secret, {what}: {text}");
    // Each token is a JWT, whose header begins so.
    assert!(!text.contains("eyJ"), "a token, {what}: {text}");
}

#[test]
fn neither_secret_nor_token_comes_out_of_any_verb_or_failure() {
    let clients = vec![Client {
        secret: MARK.to_owned(),
        ..Client::default()
    }];
    let running = start(Config {
        clients,
        ..at_noon()
    });
    let right = source(&running).replace(CLIENT_SECRET, MARK);
    let sinks =
        "scrape_interval_secs = 1\n[sinks.out]\ntype = \"console\"\ninputs = [\"contoso\"]\n";
    let right = format!("data_dir = \"data\"\n{right}");
    let home = Home::with(&format!("{right}{sinks}"));
    let check = |what: &str, verb: &str, args: &[&str]| {
        let mut command = home.watchbell([verb, "-c", "watchbell.toml"]);
        let ran = super::support::run(command.args(args).env("WATCHBELL_LOG", "trace"));
        clean(what, &ran.stdout);
        clean(what, &ran.stderr);
        ran
    };
    check("poll", "poll", &["--since", SINCE]).ok();
    check("token", "token", &[]).ok();
    check("validate", "validate", &[]).ok();
    check("dry", "poll", &["--dry-run"]).ok();
    check("once", "run", &["--once"]).ok();
    check("state", "state", &[]).ok();
    check("state as JSON", "state", &["--json"]).ok();
    let range = ["--source", "contoso", "--from", "PT2H", "--to", "PT1H"];
    check("backfill", "backfill", &range);
    let orders = |what: &str, verbs: &[&str], args: &[&str]| {
        let verbs = verbs.iter().chain(&["-c", "watchbell.toml"]).chain(args);
        let ran = super::support::run(home.watchbell(verbs).env("WATCHBELL_LOG", "trace"));
        clean(what, &ran.stdout);
        clean(what, &ran.stderr);
    };
    let cursor = ["--source", "contoso", "--to", "PT1H"];
    orders("set-cursor", &["state", "set-cursor"], &cursor);
    orders("forget", &["state", "forget"], &["--source", "contoso"]);
    orders("quarantine", &["state", "quarantine", "list"], &[]);
    for fault in [
        "token:400",
        "token:401",
        "token:429",
        "token:500",
        "token:garbage",
        "token:sign-in-page",
        "token:redirect:to=http://127.0.0.1:1/",
        "token:drop",
        "token:truncate",
        "token:cut-short",
        "detections:400",
        "detections:401",
        "detections:403",
        "detections:429",
        "detections:500",
        "detections:garbage",
        "detections:sign-in-page",
        "detections:drop",
        "detections:truncate",
        "detections:redirect:to=http://127.0.0.1:1/",
        "detections:bad-element",
        "detections:expire-tokens",
    ] {
        running.add_fault(fault.parse().unwrap());
        check(fault, "poll", &["--since", SINCE]);
        check(fault, "token", &[]);
        running.clear_faults();
    }
    let bad = [
        ("tenant", "tenant_id = \"a b\"\n"),
        ("twice", "client_secret = \"MARKED0secret\"\n"),
        ("region", "region = \"nowhere\"\n"),
    ];
    for (what, line) in bad {
        home.write("watchbell.toml", &format!("{right}{line}{sinks}"));
        check(what, "validate", &[]).failed(78);
        check(what, "poll", &[]).failed(78);
    }
    // From each backend, found and not found.
    home.write("vault.json", &format!("{{\"demo\": \"{MARK}\"}}"));
    std::fs::create_dir(home.path("vault")).unwrap();
    home.write("vault/demo", MARK);
    let answer = format!("{{\\\"demo\\\":{{\\\"value\\\":\\\"{MARK}\\\",\\\"error\\\":null}}}}");
    for backend in [
        "type = \"file\"\npath = \"vault.json\"".to_owned(),
        "type = \"directory\"\npath = \"vault\"".to_owned(),
        format!("type = \"exec\"\ncommand = [\"echo\", \"{answer}\"]"),
        format!(
            "type = \"exec\"\ncommand = [\"sh\", \"-c\", \"echo {MARK}; echo {MARK} >&2; exit 1\"]"
        ),
    ] {
        for key in ["demo", "other"] {
            let named = right.replace(MARK, &format!("SECRET[vault.{key}]"));
            let all = format!("{named}{sinks}[secret.vault]\n{backend}\n");
            home.write("watchbell.toml", &all);
            let fetched = key == "demo" && !backend.contains("exit 1");
            let ran = check(&backend, "token", &[]);
            assert_eq!(ran.code == Some(0), fetched, "{backend}: {ran:?}");
            check(&backend, "poll", &["--since", SINCE]);
        }
    }
    home.write("watchbell.toml", &format!("{right}{sinks}"));
    let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
    let asked = running.stats().detection_requests;
    let service = Service::start(command.env("WATCHBELL_LOG", "trace"));
    wait_until("two polls", || {
        running.stats().detection_requests >= asked + 2
    });
    let ran = service.terminate();
    clean("run", &ran.stdout);
    clean("run", &ran.stderr);
    for file in std::fs::read_dir(home.path("data")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            clean(
                &path.display().to_string(),
                &String::from_utf8_lossy(&bytes),
            );
        }
    }
}
