//! Every verb and every failure with a marked secret: neither it nor a token is in
//! anything that comes out.

use super::support::{Home, SINCE, Service, at_noon, ended, run, source, start, wait_until};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use watchbell_simulator::{CLIENT_SECRET, Client, Config, Running, TENANT_ID};

/// Odd enough that each way of quoting or encoding it shows.
const MARK: &str = "MARKED0secret";

/// All that can go wrong with either answer.
const FAULTS: [&str; 22] = [
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
];

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
    let tenant = ["--source", "contoso", "--tenant", TENANT_ID];
    orders("forget", &["state", "forget"], &tenant);
    orders("quarantine", &["state", "quarantine", "list"], &[]);
    for fault in FAULTS {
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
    clean_folder(&home.path("data"));
}

/// Every file below a folder: the ledger, compiled code, what sinks wrote.
fn clean_folder(folder: &Path) {
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            clean_folder(&path);
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            clean(
                &path.display().to_string(),
                &String::from_utf8_lossy(&bytes),
            );
        }
    }
}

fn fetch(listen: SocketAddr) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(listen) {
        let ask = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(ask.as_bytes()).unwrap();
        let _ = stream.read_to_string(&mut text);
    }
    text
}

/// A service whose one client has the marked secret, and a home whose program says
/// everything: with its own folder for data, so that all in it can be searched.
fn marked(sinks: &str) -> (Running, Home, String) {
    let clients = vec![Client {
        secret: MARK.to_owned(),
        ..Client::default()
    }];
    let running = start(Config { clients, ..ended() });
    let right = source(&running).replace(CLIENT_SECRET, MARK);
    let text =
        format!("data_dir = \"data\"\nmin_free = 1\n{right}scrape_interval_secs = 1\n{sinks}");
    let home = Home::with(&text);
    (running, home, text)
}

const FILE_SINK: &str =
    "[sinks.out]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"out/all.ndjson\"\n";

#[test]
fn neither_is_in_what_run_leaves_behind_under_any_failure() {
    let (running, home, _) = marked(FILE_SINK);
    std::fs::create_dir(home.path("out")).unwrap();
    for fault in FAULTS {
        let struck = running.stats().faults;
        running.add_fault(fault.parse().unwrap());
        let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
        command.args(["--graceful-shutdown-limit-secs", "2"]);
        let service = Service::start(command.env("WATCHBELL_LOG", "trace"));
        wait_until(fault, || running.stats().faults > struck);
        // What it says of that comes after it.
        wait_until(fault, || {
            let said = service.stderr();
            fault == "detections:expire-tokens" || said.contains("ERROR") || said.contains("WARN")
        });
        let ran = service.terminate();
        clean(fault, &ran.stdout);
        clean(fault, &ran.stderr);
        running.clear_faults();
        let state = home.run("state", &["--json"]);
        clean(fault, &state.stdout);
        clean_folder(&home.path("data"));
        clean_folder(&home.path("out"));
    }
    // What the last of them left is there to be looked at.
    let verbs: [&[&str]; 4] = [&["list"], &["show"], &["retry"], &["drop"]];
    for verb in verbs {
        let id: &[&str] = if verb == ["list"] { &[] } else { &["1"] };
        let all = ["state", "quarantine"].iter().chain(verb);
        let mut command = home.watchbell(all.chain(&["-c", "watchbell.toml"]).chain(id));
        let ran = run(command.env("WATCHBELL_LOG", "trace"));
        assert_eq!(ran.code, Some(0), "{verb:?}: {ran:?}");
        clean("quarantine", &ran.stdout);
        clean("quarantine", &ran.stderr);
    }
    clean_folder(&home.path("data"));
    assert!(home.path("data/compiled").is_dir());
    assert!(
        !home.read("out/all.ndjson").is_empty(),
        "it was delivered too"
    );
}

#[test]
fn neither_is_in_metrics_replies_or_the_words_of_a_reload() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = port.local_addr().unwrap();
    drop(port);
    let (running, home, text) = marked(FILE_SINK);
    let text = format!("metrics.listen = \"{listen}\"\n{text}");
    std::fs::create_dir(home.path("out")).unwrap();
    home.write("watchbell.toml", &text);
    running.add_fault("detections:bad-element".parse().unwrap());
    let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
    let service = Service::start(command.env("WATCHBELL_LOG", "trace"));
    wait_until("the quarantine", || {
        service.stderr().contains("they are in quarantine")
    });
    running.clear_faults();
    running.add_fault("token:400".parse().unwrap());
    running.add_fault("detections:401".parse().unwrap());
    wait_until("the refusal", || {
        fetch(listen).contains("error_type=\"token")
    });
    clean("metrics", &fetch(listen));
    // Each of these goes to the process by its socket.
    assert!(home.path("data/control.sock").exists());
    let orders: [(&[&str], &[&str]); 6] = [
        (&["state", "quarantine", "show"], &["1"]),
        (&["state", "quarantine", "retry"], &["1"]),
        (&["state", "quarantine", "drop"], &["1"]),
        (
            &["state", "set-cursor"],
            &["--source", "contoso", "--to", "PT1H"],
        ),
        (
            &["state", "forget"],
            &["--source", "contoso", "--tenant", TENANT_ID],
        ),
        (
            &["backfill"],
            &["--source", "contoso", "--from", "PT2H", "--to", "PT1H"],
        ),
    ];
    for (verb, args) in orders {
        let verb = verb.iter().chain(&["-c", "watchbell.toml"]).chain(args);
        let ran = run(home.watchbell(verb).env("WATCHBELL_LOG", "trace"));
        clean("an order", &ran.stdout);
        clean("an order", &ran.stderr);
    }
    for line in [
        "tenant_id = \"a b\"\n",
        "client_secret = \"MARKED0secret\"\n",
    ] {
        let bad = text.replace(
            "scrape_interval_secs",
            &format!("{line}scrape_interval_secs"),
        );
        let before = service.stderr().matches("the old one goes on").count();
        home.write("watchbell.toml", &bad);
        service.reload();
        wait_until("the refusal", || {
            service.stderr().matches("the old one goes on").count() > before
        });
    }
    let ran = service.terminate();
    clean("run", &ran.stdout);
    clean("run", &ran.stderr);
    clean_folder(&home.path("data"));
    clean_folder(&home.path("out"));
}

#[test]
fn neither_is_in_what_sealing_a_refresh_token_says() {
    let (running, home, text) = marked("");
    let own = format!("client_secret = \"{MARK}\"");
    let text = text.replace(
        &own,
        &format!("{own}\nrefresh_token_file = \"sealed\"\nrefresh_token_key = \"MARKED0secret-0123456789-0123456789\""),
    );
    home.write("watchbell.toml", &text);
    home.write("given", &running.refresh_token());
    home.write("long", &format!("{MARK}\n{MARK}\n"));
    for (given, code) in [("long", 64), ("given", 0)] {
        let mut command = home.watchbell(["token", "-c", "watchbell.toml", "--seal-refresh-token"]);
        command.stdin(File::open(home.path(given)).unwrap());
        let ran = run(command.env("WATCHBELL_LOG", "trace"));
        assert_eq!(ran.code, Some(code), "{ran:?}");
        clean(given, &ran.stdout);
        clean(given, &ran.stderr);
    }
    for _ in 0..2 {
        let mut command = home.watchbell(["token", "-c", "watchbell.toml"]);
        let ran = run(command.env("WATCHBELL_LOG", "trace"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for text in [&ran.stdout, &ran.stderr] {
            clean("token", text);
            assert!(!text.contains("0.refresh-"), "{text}");
        }
    }
}
