//! What a reload changes, and what it leaves alone.

use super::support::{
    Home, Service, ended, ids, lines_of, once_each, source, start, to_file, visible, wait_long,
    wait_until,
};
use chrono::{SecondsFormat, TimeDelta, Utc};
use watchbell_simulator::{CLIENT_SECRET, Running, TENANT_ID};

/// Two certificates that sign nothing.
const ROOTS: [&str; 2] = [
    "-----BEGIN CERTIFICATE-----\n\
     MIIBjTCCATOgAwIBAgIUMwpzV28fpbkw49GM56KlXPsWDOowCgYIKoZIzj0EAwIw\n\
     GzEZMBcGA1UEAwwQd2F0Y2hiZWxsIHRlc3QgMTAgFw0yNjExMjUxODM0MTJaGA8y\n\
     MTI2MTEwMTE4MzQxMlowGzEZMBcGA1UEAwwQd2F0Y2hiZWxsIHRlc3QgMTBZMBMG\n\
     ByqGSM49AgEGCCqGSM49AwEHA0IABJDm3/3QUU7VCLgfy/S9CD/fomU/CO7bRyqJ\n\
     EPHe4zduqpE2jruGjlr74w1WJInTlFDH+Ry6r9BkOOMIHqOstNqjUzBRMB0GA1Ud\n\
     DgQWBBT0sgkI2/OiZeWil0lC2dvls7vcWjAfBgNVHSMEGDAWgBT0sgkI2/OiZeWi\n\
     l0lC2dvls7vcWjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIBSh\n\
     KnV71cBXvWF9GyB5TkNAwh7xbYNNc5Kz76OTZ76fAiEA9Q5uPAeRd9SPYuoYrnn/\n\
     ac1RkEarMCsrskjfStlDhjI=\n\
     -----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\n\
     MIIBjTCCATOgAwIBAgIUdfzYTt4elteLV4XAutr179Nac5QwCgYIKoZIzj0EAwIw\n\
     GzEZMBcGA1UEAwwQd2F0Y2hiZWxsIHRlc3QgMjAgFw0yNjExMjUxODM0MTJaGA8y\n\
     MTI2MTEwMTE4MzQxMlowGzEZMBcGA1UEAwwQd2F0Y2hiZWxsIHRlc3QgMjBZMBMG\n\
     ByqGSM49AgEGCCqGSM49AwEHA0IABKfTGyW5gZDqkeIZCybOaflP8eTwhc88UNlA\n\
     wMwBJF4RynnmU8Ryr4SWHLUaDs+da/JavMpNmW2N244SfgHPIbCjUzBRMB0GA1Ud\n\
     DgQWBBTG/c0FTaO/7saw4UB2KTNXF/o0PzAfBgNVHSMEGDAWgBTG/c0FTaO/7saw\n\
     4UB2KTNXF/o0PzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQC/\n\
     NGtJImrrT3kEhIklQEs39xtKUL5J+4M445OBPsEThAIgf4QYAjKubyf7BqtROk8I\n\
     nMyypTkc54hhkgBCcUJXzG0=\n\
     -----END CERTIFICATE-----\n",
];

/// A process that read everything to `all.ndjson`.
fn running(home: &Home, running: &Running, args: &[&str]) -> Service {
    let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
    let service = Service::start(command.args(args));
    wait_until("everything", || {
        lines_of(&home.read("all.ndjson")) == visible(running).len()
    });
    service
}

fn wait_for(service: &Service, words: &str) {
    wait_until(words, || service.stderr().contains(words));
}

/// Two minutes of what was delivered, once more.
fn deliver_again(home: &Home) {
    let back = |minutes| {
        let time = Utc::now() - TimeDelta::minutes(minutes);
        time.to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    let (from, to) = (back(8), back(6));
    let range = [
        "--source", "contoso", "--again", "--from", &from, "--to", &to,
    ];
    let ran = home.run("backfill", &range);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn another_rate_counts_from_the_reload_on() {
    let simulator = start(ended());
    let slow = to_file(&simulator, "limits.max_requests_per_minute = 2");
    let home = Home::with(&slow);
    let service = running(&home, &simulator, &[]);
    // As many as it may; from now on a poll is due each second and has to wait.
    wait_until("two", || simulator.stats().detection_requests >= 2);
    home.write(
        "watchbell.toml",
        &slow.replace("per_minute = 2", "per_minute = 6000"),
    );
    service.reload();
    wait_for(&service, "sources=\"changed contoso\"");
    let asked = simulator.stats().detection_requests;
    let begun = std::time::Instant::now();
    wait_long("eight more", || {
        simulator.stats().detection_requests >= asked + 8
    });
    // With the old one, eight take four minutes.
    assert!(begun.elapsed() < std::time::Duration::from_secs(180));
    service.terminate();
}

#[test]
fn rotated_certificates_are_used_and_their_file_is_watched() {
    let simulator = start(ended());
    let home = Home::with(&to_file(&simulator, "tls.ca_file = \"roots.pem\""));
    home.write("roots.pem", ROOTS[0]);
    let service = running(&home, &simulator, &["--watch-config"]);
    home.write("roots.pem", ROOTS[1]);
    wait_for(&service, "sources=\"changed contoso\"");
    service.terminate();
}

#[test]
fn what_a_source_does_not_use_replaces_no_feed() {
    let simulator = start(ended());
    let text = to_file(&simulator, "proxy.enabled = false").replace(
        &format!("client_secret = \"{CLIENT_SECRET}\""),
        "client_secret = \"SECRET[vault.demo]\"",
    );
    let vault = "[secret.vault]\ntype = \"file\"\npath = \"vault.json\"\n";
    let home = Home::with(&format!("{text}{vault}"));
    home.write("vault.json", &format!("{{\"demo\": \"{CLIENT_SECRET}\"}}"));
    let service = running(&home, &simulator, &[]);
    let other = "[secret.other]\ntype = \"env\"\n";
    home.write(
        "watchbell.toml",
        &format!("proxy.http = \"http://127.0.0.1:1\"\n{text}{vault}{other}"),
    );
    service.reload();
    wait_for(&service, "nothing changed");
    home.write(
        "watchbell.toml",
        &format!("{text}{}", vault.replace("vault.json", "./vault.json")),
    );
    service.reload();
    wait_for(&service, "sources=\"changed contoso\"");
    service.terminate();
}

#[test]
fn what_needs_a_restart_is_told() {
    let simulator = start(ended());
    let text = to_file(&simulator, "");
    let home = Home::with(&text);
    let service = running(&home, &simulator, &[]);
    home.write(
        "watchbell.toml",
        &text.replace("min_free = 1\n", "min_free = 2\n"),
    );
    service.reload();
    wait_for(&service, "min_free changes with a restart only");
    service.terminate();
}

#[test]
fn a_new_file_that_was_wrong_is_watched_until_it_is_mended() {
    let simulator = start(ended());
    let home = Home::with(&to_file(&simulator, ""));
    let service = running(&home, &simulator, &["--watch-config"]);
    home.write("tenants.toml", "[north]\ntenant_id = \"nobody\"\n");
    home.write(
        "watchbell.toml",
        &to_file(&simulator, "tenants = \"tenants.toml\""),
    );
    wait_for(&service, "the old one goes on");
    home.write(
        "tenants.toml",
        "[north]\ntenant_id = \"99999999-2222-3333-4444-555555555555\"\n",
    );
    wait_for(&service, "sources=\"changed contoso\"");
    service.terminate();
}

#[test]
fn a_sink_that_moves_goes_on_where_it_was_and_one_that_is_new_is_begun() {
    let simulator = start(ended());
    let text = to_file(&simulator, "");
    let home = Home::with(&text);
    let service = running(&home, &simulator, &[]);
    let more = "[sinks.more]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"more.ndjson\"\n";
    home.write(
        "watchbell.toml",
        &format!("{}{more}", text.replace("all.ndjson", "moved.ndjson")),
    );
    service.reload();
    wait_for(&service, "sinks=\"added more; changed all\"");
    // What was delivered is not delivered again; what is new goes to both.
    deliver_again(&home);
    wait_until("the same in both", || {
        let moved = home.read("moved.ndjson");
        lines_of(&moved) > 100 && moved == home.read("more.ndjson")
    });
    service.terminate();
    once_each(&home.read("all.ndjson"), &visible(&simulator));
    let moved = ids(&home.read("moved.ndjson"));
    assert!(moved.len() < visible(&simulator).len(), "{}", moved.len());
}

#[test]
fn a_filter_that_changes_counts_from_the_reload_on() {
    let simulator = start(ended());
    let filter = |filter: &str| {
        to_file(&simulator, "").replace("[\"contoso\"]", "[\"t\"]")
            + &format!(
                "[transforms.t]\ntype = \"jq\"\ninputs = [\"contoso\"]\nfilter = \"{filter}\"\n"
            )
    };
    let home = Home::with(&filter("empty"));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("all is dropped", || {
        let state = home.run("state", &[]).stdout;
        simulator.stats().detections > 0 && state.contains("nothing waits")
    });
    home.write("watchbell.toml", &filter("."));
    service.reload();
    wait_for(&service, "transforms=\"changed t\" sinks=\"changed all\"");
    deliver_again(&home);
    wait_until("what passes", || lines_of(&home.read("all.ndjson")) > 100);
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_sink_with_something_waiting_is_not_taken_out() {
    let simulator = start(ended());
    let text = to_file(&simulator, "");
    let stuck =
        "[sinks.stuck]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"wall/stuck.ndjson\"\n";
    let home = Home::with(&format!("{text}{stuck}"));
    home.write("wall", "");
    let service = running(&home, &simulator, &["--graceful-shutdown-limit-secs", "1"]);
    home.write("watchbell.toml", &text);
    service.reload();
    wait_for(&service, "the old one goes on");
    assert!(
        service.stderr().contains("sink stuck"),
        "{}",
        service.stderr()
    );
    std::fs::remove_file(home.path("wall")).unwrap();
    wait_until("what waited", || {
        lines_of(&home.read("wall/stuck.ndjson")) == visible(&simulator).len()
    });
    wait_until("its acknowledgement", || {
        home.run("state", &[])
            .stdout
            .matches("nothing waits")
            .count()
            == 2
    });
    service.reload();
    wait_until("its going", || {
        let said = service.stderr();
        said.matches("the configuration was read again").count() == 2
            && said.matches("the old one goes on").count() == 1
    });
    service.terminate();
    once_each(&home.read("wall/stuck.ndjson"), &visible(&simulator));
}

/// A source whose secret is in a backend, and the backend.
fn secret_in(simulator: &Running, backend: &str) -> String {
    let secret = format!("client_secret = \"{CLIENT_SECRET}\"");
    let text = to_file(simulator, "").replace(&secret, "client_secret = \"SECRET[vault.demo]\"");
    format!("{text}[secret.vault]\n{backend}\n")
}

#[test]
fn a_backend_that_fails_for_a_moment_delays_its_tenants_by_moments() {
    let simulator = start(ended());
    let home = Home::with(&secret_in(
        &simulator,
        "type = \"file\"\npath = \"vault.json\"",
    ));
    // Somebody is in the middle of writing it.
    home.write("vault.json", "{\"demo\": \"MARKED");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_for(&service, "is not a JSON object of usable strings");
    home.write("vault.json", &format!("{{\"demo\": \"{CLIENT_SECRET}\"}}"));
    // A minute at most; what a person must mend is tried again after five.
    wait_until("everything", || {
        lines_of(&home.read("all.ndjson")) == visible(&simulator).len()
    });
    assert!(!service.terminate().stderr.contains("MARKED"));
}

#[test]
fn a_secret_that_was_rotated_in_a_folder_or_a_program_is_found_while_it_runs() {
    let simulator = start(ended());
    let home = Home::with(&secret_in(
        &simulator,
        "type = \"directory\"\npath = \"vault\"",
    ));
    std::fs::create_dir(home.path("vault")).unwrap();
    home.write("vault/demo", "MARKED-old\n");
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_for(&service, "check tenant_id, client_id and the secret");
    home.write("vault/new", CLIENT_SECRET);
    std::fs::rename(home.path("vault/new"), home.path("vault/demo")).unwrap();
    wait_until("everything", || {
        lines_of(&home.read("all.ndjson")) == visible(&simulator).len()
    });
    service.terminate();

    // The program has the old one once, and it is refused.
    let script = home.path("vault.sh");
    let answer =
        |secret: &str| format!("echo '{{\"demo\":{{\"value\":\"{secret}\",\"error\":null}}}}'");
    home.write(
        "vault.sh",
        &format!(
            "cat > /dev/null\nif [ -e {0}/asked ]; then {1}; else : > {0}/asked; {2}; fi\n",
            home.path("").display(),
            answer(CLIENT_SECRET),
            answer("MARKED-old"),
        ),
    );
    let exec = format!("type = \"exec\"\ncommand = [\"/bin/sh\", {script:?}]");
    home.write(
        "watchbell.toml",
        &secret_in(&simulator, &exec).replace("\"data\"", "\"other\""),
    );
    std::fs::remove_file(home.path("all.ndjson")).unwrap();
    let service = running(&home, &simulator, &[]);
    let ran = service.terminate();
    assert!(
        ran.stderr.contains("there is another; trying that"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("MARKED"), "{}", ran.stderr);
}

#[test]
fn a_tenants_id_in_other_letters_is_the_same_tenant() {
    let simulator = start(ended());
    let text = to_file(&simulator, "").replace(TENANT_ID, "contoso.onmicrosoft.com");
    assert!(source(&simulator).contains(TENANT_ID));
    let home = Home::with(&text);
    home.run_once();
    home.write(
        "watchbell.toml",
        &text.replace("contoso.onmicrosoft.com", "Contoso.OnMicrosoft.COM"),
    );
    home.run_once();
    let all = ids(&home.read("all.ndjson"));
    assert_eq!(all.len(), visible(&simulator).len(), "each once");
}
