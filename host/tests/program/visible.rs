//! What an operator can see: sinks that fail, a ledger without the configuration's rest,
//! what a reload changed, and lines that nobody can forge.

use super::support::{
    Home, Service, ended, lines_of, once_each, run, start, to_file, visible, wait_until,
};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use watchbell_simulator::CLIENT_SECRET;

fn fetch(listen: SocketAddr) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(listen) {
        let _ = write!(stream, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
        let _ = stream.read_to_string(&mut text);
    }
    text
}

fn sink(home: &Home) -> Value {
    let ran = home.run("state", &["--json"]);
    let state: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    state["sinks"][0].clone()
}

/// It used to be invisible: no metric, no error in `state`, and "handed on" beside what
/// waited.
#[test]
fn a_sink_that_cannot_write_is_seen_in_state_and_in_metrics_until_it_can() {
    let running = start(ended());
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = port.local_addr().unwrap();
    drop(port);
    let config = to_file(&running, "since = \"PT1H\"").replace("all.ndjson", "wall/all.ndjson");
    let home = Home::with(&format!("metrics.listen = \"{listen}\"\n{config}"));
    home.write("wall", "");
    let begin = || Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    let service = begin();
    let all = visible(&running).len();
    wait_until("its error", || sink(&home)["last_error"].is_string());
    let seen = sink(&home);
    assert!(
        seen["last_error"]
            .as_str()
            .unwrap()
            .contains("wall/all.ndjson"),
        "{seen}"
    );
    assert_eq!(seen["last_error_kind"], "write_failed", "{seen}");
    assert_eq!(seen["waiting"], all, "{seen}");
    let since = seen["failing_since"].clone();
    let text = home.run("state", &[]).ok();
    assert!(text.contains(&format!("{all} received")), "{text}");
    assert!(
        text.contains(&format!("waiting      {all} detections")),
        "{text}"
    );
    assert!(text.contains("failing      since "), "{text}");
    let labels = "component_kind=\"sink\",component_id=\"all\",component_type=\"file\"";
    wait_until("metrics", || {
        let text = fetch(listen);
        text.contains(&format!(
            "component_errors_total{{{labels},stage=\"sending\",error_type=\"write_failed\"}}"
        )) && text.contains(&format!(
            "buffer_events{{{labels},buffer_type=\"disk\"}} {all}\n"
        ))
    });
    service.kill();
    assert_eq!(sink(&home)["failing_since"], since, "after its end");

    // It fails on with the next process, since the first.
    let service = begin();
    wait_until("the same", || service.stderr().contains("wall/all.ndjson"));
    assert_eq!(sink(&home)["failing_since"], since);
    fs::remove_file(home.path("wall")).unwrap();
    fs::create_dir(home.path("wall")).unwrap();
    wait_until("delivery", || sink(&home)["last_error"].is_null());
    let seen = sink(&home);
    assert_eq!(seen["waiting"], 0, "{seen}");
    assert!(seen["failing_since"].is_null(), "{seen}");
    wait_until("metrics", || {
        let text = fetch(listen);
        text.contains(&format!("component_sent_events_total{{{labels}}} {all}\n"))
            && text.contains(&format!(
                "buffer_events{{{labels},buffer_type=\"disk\"}} 0\n"
            ))
            && text.contains(&format!("component_sent_bytes_total{{{labels}}} "))
    });
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    once_each(&home.read("wall/all.ndjson"), &visible(&running));
}

#[test]
fn state_needs_neither_the_secrets_nor_the_tenants_of_its_configuration() {
    let running = start(ended());
    let text = to_file(&running, "since = \"PT1H\"");
    let home = Home::with(&text);
    home.run_once();
    let secret = format!("client_secret = \"{CLIENT_SECRET}\"");
    let variable = text.replace(&secret, "client_secret = \"${NOT_SET_HERE}\"");
    let tenants = text.replace("since =", "tenants = \"tenants.toml\"\nsince =");
    let unknown = "is not known";
    for (config, tenants_file, says) in [
        (&variable, "", ""),
        (&tenants, "[north]\ntenant_id = 7\n", unknown),
        (&tenants, "[north\n", unknown),
        (&format!("{text}nonsense = 1\n"), "", unknown),
    ] {
        home.write("watchbell.toml", config);
        home.write("tenants.toml", tenants_file);
        for args in [
            &["--json"][..],
            &[],
            &["--tenant", watchbell_simulator::TENANT_ID],
        ] {
            let ran = home.run("state", args);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert!(ran.stdout.contains("cursor"), "{ran:?}");
            assert!(!ran.stdout.contains("not in the configuration"), "{ran:?}");
            assert_eq!(ran.stderr.contains(unknown), !says.is_empty(), "{ran:?}");
            assert_eq!(
                lines_of(&ran.stderr),
                usize::from(!says.is_empty()),
                "{ran:?}"
            );
        }
        let gone = home.state()["sources"][0]["gone"].clone();
        assert_eq!(gone.is_null(), !says.is_empty(), "{gone}");
        let list = ["state", "-c", "watchbell.toml", "quarantine", "list"];
        run(&mut home.watchbell(list)).ok();
    }
    // An order to a process that runs needs no more either.
    home.write("watchbell.toml", &text);
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("its socket", || home.path("data/control.sock").exists());
    home.write("watchbell.toml", &tenants);
    let order = [
        "state",
        "set-cursor",
        "-c",
        "watchbell.toml",
        "--source",
        "contoso",
    ];
    let ran = run(home.watchbell(order).args(["--to", "PT1M"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    service.terminate();
}

#[test]
fn options_that_all_verbs_of_state_have_may_stand_before_and_behind_them() {
    let running = start(ended());
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    home.run_once();
    for args in [
        "state -c watchbell.toml quarantine list",
        "state quarantine -c watchbell.toml list",
        "state quarantine list -c watchbell.toml",
        "state --json -c watchbell.toml quarantine list",
        "-v state -c watchbell.toml",
        "state -v --log-format json -c watchbell.toml",
        "state quarantine list -c watchbell.toml --log-format json -q",
    ] {
        run(&mut home.watchbell(args.split(' '))).ok();
    }
    let said = run(&mut home.watchbell(["state", "quarantine", "list"])).failed(64);
    assert!(said.contains("--config: is missing"), "{said}");
    let args = "state --json -c watchbell.toml quarantine drop 1";
    let said = run(&mut home.watchbell(args.split(' '))).failed(64);
    assert!(said.contains("--json"), "{said}");
}

/// It used to say "nothing changed" of a sink that went.
#[test]
fn a_reload_says_what_was_added_changed_and_removed() {
    let running = start(ended());
    let text = to_file(&running, "since = \"PT1H\"");
    let more = |name: &str, input: &str| {
        format!("[sinks.{name}]\ntype = \"file\"\ninputs = [\"{input}\"]\npath = \"{name}\"\n")
    };
    let filter = |filter: &str| {
        format!("[transforms.t]\ntype = \"jq\"\ninputs = [\"contoso\"]\nfilter = \"{filter}\"\n")
    };
    let home = Home::with(&format!(
        "{text}{}{}{}",
        more("one", "contoso"),
        filter("."),
        more("two", "t")
    ));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    let nothing_waits = |count| {
        let text = home.run("state", &[]).stdout;
        text.matches("nothing waits").count() == count && running.stats().detections > 0
    };
    wait_until("delivery", || nothing_waits(3));
    let steps = [
        (
            format!("{text}{}{}", filter("."), more("two", "t")),
            "sinks=\"removed one\"",
        ),
        (
            format!("{text}{}{}", filter("empty"), more("two", "t")),
            "transforms=\"changed t\" sinks=\"changed two\"",
        ),
        (
            text.clone(),
            "transforms=\"removed t\" sinks=\"removed two\"",
        ),
        (
            format!("{text}{}", more("one", "contoso")),
            "sinks=\"added one\"",
        ),
        (
            text.replace("PT1H", "PT2H"),
            "sources=\"changed contoso\" sinks=\"removed one\"",
        ),
        (text.replace("PT1H", "PT2H"), "nothing changed"),
    ];
    for (step, (config, says)) in steps.into_iter().enumerate() {
        wait_until("nothing waits", || {
            !home.run("state", &[]).stdout.contains("waiting      1")
        });
        home.write("watchbell.toml", &config);
        service.reload();
        let lines = || {
            let said = service.stderr();
            let lines = said
                .lines()
                .filter(|line| line.contains("the configuration was read again"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        wait_until(says, || lines().len() > step);
        assert!(lines()[step].contains(says), "{says}: {:?}", lines());
    }
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// A key with a line end used to begin a line of the log of its own.
#[test]
fn a_name_in_a_tenants_file_forges_no_line_and_steers_no_terminal() {
    let running = start(ended());
    let good = to_file(&running, "tenants = \"tenants.toml\"").replace(
        &format!("tenant_id = \"{}\"\n", watchbell_simulator::TENANT_ID),
        "",
    );
    let home = Home::with(&good);
    let right = format!(
        "[north]\ntenant_id = \"{}\"\n",
        watchbell_simulator::TENANT_ID
    );
    home.write("tenants.toml", &right);
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("polls", || running.stats().detection_requests > 0);
    let forged = "\\n2026-01-01T00:00:00Z  INFO forged\\u001b[31m\\u061c\\u180e\\ufff9\\U000e0041";
    for table in [
        format!("{right}\"a{forged}\" = 1\n"),
        format!("[\"b{forged}\"]\ntenant_id = \"c\"\n"),
        format!("[north]\ntenant_id = \"d\"\n\"{forged}\".e = 2\n"),
    ] {
        home.write("tenants.toml", &table);
        let before = service.stderr().matches("the old one goes on").count();
        service.reload();
        wait_until("the refusal", || {
            service.stderr().matches("the old one goes on").count() > before
        });
        let said = [service.stderr(), home.run("validate", &[]).failed(78)];
        for said in said {
            assert!(said.contains("forged"), "{said}");
            assert!(
                !said.lines().any(|line| line.starts_with("2026-01-01")),
                "{said}"
            );
            let is_hostile =
                |c: char| "\u{1b}\u{61c}\u{180e}\u{fff9}\u{e0041}\r\u{2028}".contains(c);
            assert!(!said.contains(is_hostile), "{said}");
        }
    }
    service.terminate();
}
