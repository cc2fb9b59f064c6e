//! Many tenants behind one source: what each has of its own, and how they come and go.

use super::support::{
    Home, Service, ended, fifo, ids, lines_of, once_each, run, source, start, visible, wait_until,
};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use watchbell_simulator::{CLIENT_SECRET, Config, Running, TENANT_ID};

pub(crate) const OTHER: &str = "99999999-2222-3333-4444-555555555555";

/// A source whose tenants are in `tenants.toml`, and a file for each.
pub(crate) fn configuration(running: &Running) -> String {
    let shared = source(running).replace(&format!("tenant_id = \"{TENANT_ID}\"\n"), "");
    format!(
        "data_dir = \"data\"\nmin_free = 1\n{shared}scrape_interval_secs = 1\nsince = \"PT1H\"\ntenants = \"tenants.toml\"\n\
         [sinks.each]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"{{{{ tenant }}}}/alerts.ndjson\"\n\
         [sinks.all]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"all.ndjson\"\n"
    )
}

pub(crate) fn two() -> String {
    format!("[north]\ntenant_id = \"{TENANT_ID}\"\n[south]\ntenant_id = \"{OTHER}\"\n")
}

/// The lines of one tenant among those of all.
fn of_tenant(text: &str, tenant: &str) -> String {
    let is_of = |line: &&str| {
        let object: Value = serde_json::from_str(line).unwrap();
        object["tenant"] == tenant
    };
    text.lines()
        .filter(is_of)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn each_tenant_has_its_own_cursor_and_file_and_its_name_on_every_line() {
    let running = start(ended());
    let home = Home::with(&configuration(&running));
    home.write("tenants.toml", &two());
    home.run_once();
    let all = home.read("all.ndjson");
    for tenant in ["north", "south"] {
        let own = home.read(&format!("{tenant}/alerts.ndjson"));
        once_each(&own, &visible(&running));
        assert_eq!(of_tenant(&own, tenant), own);
        assert_eq!(ids(&of_tenant(&all, tenant)).len(), ids(&own).len());
    }
    let state = home.state();
    let sources = state["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 2, "{state}");
    assert_eq!(sources[0]["tenant"], "north");
    assert_eq!(sources[1]["tenant_id"], OTHER);
    let text = home.run("state", &[]).ok();
    assert!(text.contains("source contoso (2 tenants)"), "{text}");
}

#[test]
fn a_tenant_that_fails_is_named_with_its_cause_and_delays_no_other() {
    let running = start(ended());
    running.add_fault(format!("detections:403:tenant={OTHER}").parse().unwrap());
    let home = Home::with(&configuration(&running));
    home.write("tenants.toml", &two());
    let ran = home.run("run", &["--once"]);
    assert_eq!(ran.code, Some(77), "{ran:?}");
    once_each(&home.read("north/alerts.ndjson"), &visible(&running));
    assert!(ran.stderr.contains("tenant=south"), "{}", ran.stderr);
    assert!(ran.stderr.contains("contoso (south)"), "{}", ran.stderr);
    let text = home.run("state", &[]).ok();
    assert!(
        text.contains(
            "failing      1 detections_forbidden (south): the API (endpoint) answered 403"
        ),
        "{text}"
    );
}

#[test]
fn a_place_that_cannot_be_written_holds_up_its_tenant_alone() {
    let running = start(ended());
    let home = Home::with(&configuration(&running));
    home.write("tenants.toml", &two());
    // A file stands where the folder should.
    home.write("south", "");
    let mut command = home.watchbell([
        "run",
        "-c",
        "watchbell.toml",
        "--graceful-shutdown-limit-secs",
        "1",
    ]);
    let service = Service::start(&mut command);
    wait_until("the other's", || {
        lines_of(&home.read("north/alerts.ndjson")) == visible(&running).len()
    });
    wait_until("the refusal", || {
        service
            .stderr()
            .contains("sink{sink=\"each\" tenant=\"south\"}")
    });
    std::fs::remove_file(home.path("south")).unwrap();
    wait_until("its own", || {
        lines_of(&home.read("south/alerts.ndjson")) == visible(&running).len()
    });
    service.terminate();
    once_each(&home.read("south/alerts.ndjson"), &visible(&running));
}

#[test]
fn tenants_come_and_go_at_a_signal_and_an_invalid_file_changes_nothing() {
    let running = start(ended());
    let home = Home::with(&configuration(&running));
    home.write(
        "tenants.toml",
        &format!("[north]\ntenant_id = \"{TENANT_ID}\"\n"),
    );
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the first", || {
        lines_of(&home.read("north/alerts.ndjson")) == visible(&running).len()
    });
    home.write("tenants.toml", "[north]\ntenant_id = \"nobody\"\n");
    service.reload();
    wait_until("the refusal", || {
        service.stderr().contains("the old one goes on")
    });
    assert!(
        service.stderr().contains("tenants.toml:2"),
        "{}",
        service.stderr()
    );
    home.write("tenants.toml", &two());
    service.reload();
    wait_until("the second", || {
        lines_of(&home.read("south/alerts.ndjson")) == visible(&running).len()
    });
    wait_until("what changed", || {
        service.stderr().contains("tenants=\"added contoso/south\"")
    });
    home.write(
        "tenants.toml",
        &format!("[south]\ntenant_id = \"{OTHER}\"\n"),
    );
    service.reload();
    wait_until("the going", || {
        service
            .stderr()
            .contains("tenants=\"removed contoso/north\"")
    });
    let forget = |tenant: &str| {
        let args = [
            "state",
            "forget",
            "-c",
            "watchbell.toml",
            "--source",
            "contoso",
            "--tenant",
        ];
        run(home.watchbell(args).arg(tenant))
    };
    // It is kept until somebody says so, and not while it is polled.
    assert_eq!(home.state()["sources"].as_array().unwrap().len(), 2);
    assert!(forget("south").failed(64).contains("take it out first"));
    let forgotten = forget("north");
    assert!(
        forgotten.stderr.contains("north is forgotten"),
        "{forgotten:?}"
    );
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    once_each(&home.read("north/alerts.ndjson"), &visible(&running));
    once_each(&home.read("south/alerts.ndjson"), &visible(&running));
}

#[test]
fn a_tenant_that_was_away_goes_on_where_it_was() {
    let running = start(ended());
    let home = Home::with(&configuration(&running));
    for tenants in [
        two(),
        format!("[north]\ntenant_id = \"{TENANT_ID}\"\n"),
        two(),
    ] {
        home.write("tenants.toml", &tenants);
        home.run_once();
    }
    once_each(&home.read("south/alerts.ndjson"), &visible(&running));
}

#[test]
fn a_table_of_tenants_in_csv_overrides_any_setting_and_one_is_polled_by_name() {
    let running = start(ended());
    let text = configuration(&running).replace(
        "\"tenants.toml\"",
        "{ path = \"tenants.csv\", may_override = [\"since\"] }",
    );
    let home = Home::with(&text);
    home.write(
        "tenants.csv",
        &format!("tenant,tenant_id,since,limits.max_response_bytes\nnorth,{TENANT_ID},PT10M,\nsouth,{OTHER},,2 MiB\n"),
    );
    home.run_once();
    let south = ids(&home.read("south/alerts.ndjson")).len();
    assert!(ids(&home.read("north/alerts.ndjson")).len() < south);
    let refused = home.run("poll", &["--ago", "PT1H"]).failed(78);
    assert!(
        refused.contains("say which with --tenant: north, south"),
        "{refused}"
    );
    let refused = home.run("poll", &["--tenant", "nort"]).failed(78);
    assert!(refused.contains("did you mean north?"), "{refused}");
    assert_eq!(
        ids(&home.run("poll", &["--tenant", "south"]).ok()).len(),
        south
    );
}

#[test]
fn secrets_come_from_their_backend_and_a_rotated_one_needs_no_restart() {
    let running = start(ended());
    let text = configuration(&running).replace(
        &format!("client_secret = \"{CLIENT_SECRET}\""),
        "client_secret = \"SECRET[vault.demo]\"",
    );
    let home = Home::with(&format!(
        "{text}[secret.vault]\ntype = \"file\"\npath = \"secrets.json\"\n"
    ));
    home.write("tenants.toml", &two());
    home.write("secrets.json", "{\"demo\": \"MARKED-wrong\"}");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the refusal", || {
        service
            .stderr()
            .contains("check tenant_id, client_id and the secret")
    });
    home.write(
        "secrets.json",
        &format!("{{\"demo\": \"{CLIENT_SECRET}\"}}"),
    );
    wait_until("both", || {
        ["north", "south"].iter().all(|tenant| {
            lines_of(&home.read(&format!("{tenant}/alerts.ndjson"))) == visible(&running).len()
        })
    });
    let ran = service.terminate();
    assert!(
        ran.stderr.contains("the secret has changed"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("MARKED") && !ran.stderr.contains(CLIENT_SECRET));
    home.write("secrets.json", "{}");
    let refused = home.run("token", &["--tenant", "north"]).failed(78);
    assert!(
        refused.contains("SECRET[vault.demo]: the file has no such member"),
        "{refused}"
    );
}

#[test]
fn two_hundred_tenants_are_read_once_each() {
    let running = start(Config {
        rate: 1.0,
        ..ended()
    });
    let home = Home::with(&configuration(&running));
    let tenants: String = (0..200)
        .map(|n| format!("[t{n}]\ntenant_id = \"00000000-0000-0000-0000-{n:012}\"\n"))
        .collect();
    home.write("tenants.toml", &tenants);
    home.run_once();
    for n in [0, 99, 199] {
        once_each(
            &home.read(&format!("t{n}/alerts.ndjson")),
            &visible(&running),
        );
    }
    let all = ids(&home.read("all.ndjson")).len();
    assert_eq!(all, 200 * visible(&running).len());
}

#[test]
fn a_transform_cannot_say_whose_an_alert_is() {
    let running = start(ended());
    let filter = "[transforms.liar]\ntype = \"jq\"\ninputs = [\"contoso\"]\nfilter = '.tenant = \"north\"'\n";
    let text = configuration(&running).replace("inputs = [\"contoso\"]", "inputs = [\"liar\"]");
    let home = Home::with(&format!("{text}{filter}"));
    home.write("tenants.toml", &two());
    let ran = home.run_once();
    assert!(
        ran.stderr.contains("liar") && ran.stderr.contains("member that names the tenant"),
        "{}",
        ran.stderr
    );
    assert!(
        !home.path("south/alerts.ndjson").exists(),
        "nothing of it leaves"
    );
    let all = home.read("all.ndjson");
    once_each(&all, &visible(&running));
    assert_eq!(
        of_tenant(&all, "north"),
        all,
        "and nothing under another's name"
    );
    // It is kept, and arrives once the filter is mended.
    home.write("watchbell.toml", &configuration(&running));
    let retry = ["state", "quarantine", "retry", "-c", "watchbell.toml"];
    let retried = run(&mut home.watchbell(retry));
    assert_eq!(retried.code, Some(0), "{retried:?}");
    home.run_once();
    once_each(&home.read("south/alerts.ndjson"), &visible(&running));
    let all = home.read("all.ndjson");
    once_each(&of_tenant(&all, "south"), &visible(&running));
}

#[test]
fn a_file_that_changes_is_read_again_where_that_was_asked_for() {
    let running = start(ended());
    let home = Home::with(&configuration(&running));
    home.write(
        "tenants.toml",
        &format!("[north]\ntenant_id = \"{TENANT_ID}\"\n"),
    );
    let mut command = home.watchbell(["run", "-c", "watchbell.toml", "--watch-config"]);
    let service = Service::start(&mut command);
    wait_until("the first", || {
        lines_of(&home.read("north/alerts.ndjson")) == visible(&running).len()
    });
    home.write("tenants.toml", &two());
    wait_until("the second", || {
        lines_of(&home.read("south/alerts.ndjson")) == visible(&running).len()
    });
    assert!(
        service.stderr().contains("added contoso/south"),
        "{}",
        service.stderr()
    );
    service.terminate();
    once_each(&home.read("south/alerts.ndjson"), &visible(&running));
}

#[test]
fn an_application_asks_a_tenant_no_more_often_than_it_may() {
    let running = start(ended());
    let text = configuration(&running);
    let home = Home::with(&text.replace(
        "scrape_interval_secs = 1\n",
        "scrape_interval_secs = 1\nlimits.max_requests_per_minute = 3\n",
    ));
    home.write("tenants.toml", &two());
    let begun = std::time::Instant::now();
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the first three of both", || {
        running.stats().detection_requests >= 6
    });
    std::thread::sleep(std::time::Duration::from_secs(5));
    // Another one of each is due after 20 seconds, not before; however slow this is.
    let asked = running.stats().detection_requests;
    let most = 6 + 2 * (begun.elapsed().as_secs() / 20);
    assert!(
        (6..=most).contains(&asked),
        "{asked}: three for each tenant, though polls are due each second"
    );
    service.terminate();
    once_each(&home.read("north/alerts.ndjson"), &visible(&running));
}

#[test]
fn metrics_have_source_and_tenant_and_no_secret() {
    let running = start(ended());
    running.add_fault(format!("detections:403:tenant={OTHER}").parse().unwrap());
    // A port that is free now; whoever takes it meanwhile fails this test with words.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = port.local_addr().unwrap();
    drop(port);
    let text = format!("metrics.listen = \"{listen}\"\n{}", configuration(&running));
    let home = Home::with(&text);
    home.write("tenants.toml", &two());
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    let fetch = || {
        let mut text = String::new();
        if let Ok(mut stream) = TcpStream::connect(listen) {
            let ask = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            stream.write_all(ask.as_bytes()).unwrap();
            let _ = stream.read_to_string(&mut text);
        }
        text
    };
    let of = |name: &str, tenant: &str| {
        format!(
            "{name}{{component_kind=\"source\",component_id=\"contoso\",component_type=\"defender\",tenant=\"{tenant}\""
        )
    };
    let all = visible(&running).len();
    wait_until("counts", || {
        let text = fetch();
        let new = format!("{}}} {all}", of("component_received_events_total", "north"));
        text.contains(&new) && text.contains(&of("component_errors_total", "south"))
    });
    let text = fetch();
    assert!(
        text.contains("error_type=\"detections_forbidden\""),
        "{text}"
    );
    assert!(
        text.contains(&of("watchbell_cursor_timestamp_seconds", "north")),
        "{text}"
    );
    assert!(
        !text.contains(CLIENT_SECRET) && !text.contains("eyJ"),
        "{text}"
    );
    let is_figure = |line: &&str| line.contains("component_kind=\"source\"");
    assert!(text.lines().filter(is_figure).count() > 10, "{text}");
    for line in text.lines().filter(is_figure) {
        assert!(line.contains("tenant=\""), "{line}");
    }
    service.terminate();
}

#[test]
fn a_component_whose_file_changed_is_loaded_again() {
    let running = start(ended());
    let text = configuration(&running).replace(
        "type = \"defender\"\n",
        "type = \"defender\"\ncomponent = \"own.wasm\"\n",
    );
    assert!(text.contains("own.wasm"), "{text}");
    let home = Home::with(&text);
    let write = |bytes: &[u8]| std::fs::write(home.path("own.wasm"), bytes).unwrap();
    write(watchbell_components::DEFENDER);
    home.write("tenants.toml", &two());
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("the first", || {
        lines_of(&home.read("north/alerts.ndjson")) == visible(&running).len()
    });
    write(b"no component");
    service.reload();
    wait_until("the refusal", || {
        service.stderr().contains("not a WebAssembly component")
    });
    let asked = running.stats().detection_requests;
    wait_until("polls with the old one", || {
        running.stats().detection_requests > asked + 2
    });
    // A custom section more: the same code in another file.
    let custom = [0, 3, 1, b'x', 0];
    write(&[watchbell_components::DEFENDER, &custom].concat());
    service.reload();
    wait_until("the other one", || {
        let said = service.stderr();
        said.contains("tenants=\"changed contoso/north, contoso/south\"")
    });
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    once_each(&home.read("south/alerts.ndjson"), &visible(&running));
}

/// Two tenants with such a file held both threads of a machine of two: nobody was polled,
/// and SIGTERM was not answered.
#[test]
fn secret_files_that_never_answer_hold_up_neither_other_tenants_nor_the_end() {
    let running = start(ended());
    let home = Home::with(&configuration(&running).replace(
        "tenants = \"tenants.toml\"\n",
        "tenants = { path = \"tenants.toml\", may_override = [\"secrets.folder\"] }\n",
    ));
    let ids: Vec<String> = (0..4)
        .map(|n| format!("00000000-0000-4000-8000-{n:012}"))
        .collect();
    std::fs::create_dir(home.path("folder")).unwrap();
    fifo(&home.path("fifo"));
    fifo(&home.path("folder/fifo"));
    let backend = "[secret.folder]\ntype = \"directory\"\npath = \"folder\"\n";
    let text = home.read("watchbell.toml");
    home.write("watchbell.toml", &format!("{text}{backend}"));
    home.write(
        "tenants.toml",
        &format!(
            "[a]\ntenant_id = \"{}\"\nclient_secret_file = \"fifo\"\n[b]\ntenant_id = \"{}\"\nclient_secret_file = \"fifo\"\n\
             [c]\ntenant_id = \"{}\"\nclient_secret = \"SECRET[folder.fifo]\"\n[d]\ntenant_id = \"{}\"\nrefresh_token_file = \"fifo\"\nrefresh_token_key = \"01234567890123456789012345678901\"\n\
             [north]\ntenant_id = \"{TENANT_ID}\"\n",
            ids[0], ids[1], ids[2], ids[3]
        ),
    );
    let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
    let service = Service::start(command.env("TOKIO_WORKER_THREADS", "2"));
    wait_until("the refusals", || {
        let said = service.stderr();
        ["a", "b", "c", "d"].iter().all(|tenant| {
            said.lines().any(|line| {
                line.contains(&format!("tenant={tenant}")) && line.contains("is a named pipe")
            })
        })
    });
    wait_until("the other's", || {
        lines_of(&home.read("north/alerts.ndjson")) == visible(&running).len()
    });
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
