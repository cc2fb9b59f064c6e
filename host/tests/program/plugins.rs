//! Hostile and broken plugins on the way to a sink: what leaves, what is quarantined, and
//! what comes of it in the end.

use super::support::{Home, ended, ids, lines_of, once_each, run, source, start, visible};
use chrono::{TimeDelta, Utc};
use serde_json::Value;
use std::collections::BTreeSet;
use watchbell_simulator::{Config, Running, TENANT_ID};
use watchbell_tests::server::Server;
use watchbell_tests::{HOSTILE_ENCODER, HOSTILE_PROCESSOR};

const OTHER: &str = "99999999-2222-3333-4444-555555555555";

/// The tenants of `tenants.toml`, through `sections`, to one file.
fn home(running: &Running, sections: &str) -> Home {
    let home = Home::with(&configuration(running, sections));
    std::fs::write(home.path("processor.wasm"), HOSTILE_PROCESSOR).unwrap();
    std::fs::write(home.path("encoder.wasm"), HOSTILE_ENCODER).unwrap();
    home.write("tenants.toml", &both());
    home
}

fn configuration(running: &Running, sections: &str) -> String {
    let shared = source(running).replace(&format!("tenant_id = \"{TENANT_ID}\"\n"), "");
    format!(
        "data_dir = \"data\"\nmin_free = 1\n{shared}scrape_interval_secs = 1\nsince = \"PT1H\"\n\
         tenants = \"tenants.toml\"\n{sections}"
    )
}

/// Sixty detections for each tenant: a busy machine takes seconds to try hundreds alone.
fn few() -> Config {
    Config {
        rate: 6.0,
        ..ended()
    }
}

fn north() -> String {
    format!("[north]\ntenant_id = \"{TENANT_ID}\"\n")
}

fn south() -> String {
    format!("[south]\ntenant_id = \"{OTHER}\"\n")
}

fn both() -> String {
    north() + &south()
}

/// A processor that does `attack`, before `all.ndjson`.
fn processor(attack: &str) -> String {
    format!(
        "[transforms.hostile]\ninputs = [\"contoso\"]\ncomponent = \"processor.wasm\"\n\
         options.attack = \"{attack}\"\n{}",
        sink("hostile")
    )
}

/// An encoder that does `attack`, before `all.ndjson`.
fn encoder(attack: &str) -> String {
    format!(
        "{}encoding.codec = \"encoder.wasm\"\nencoding.options.attack = \"{attack}\"\n",
        sink("contoso")
    )
}

fn sink(input: &str) -> String {
    format!("[sinks.all]\ntype = \"file\"\ninputs = [\"{input}\"]\npath = \"all.ndjson\"\n")
}

/// Reads and delivers what can be, and leaves the rest waiting: what was said.
#[track_caller]
fn something_waits(home: &Home) -> String {
    let ran = home.run("run", &["--once", "--graceful-shutdown-limit-secs", "2"]);
    assert_eq!(ran.code, Some(75), "{ran:?}");
    ran.stderr
}

fn quarantine(home: &Home) -> Vec<Value> {
    let args = [
        "state",
        "quarantine",
        "list",
        "-c",
        "watchbell.toml",
        "--json",
    ];
    let listed = run(&mut home.watchbell(args)).ok();
    serde_json::from_str(&listed).unwrap()
}

fn retry(home: &Home) -> String {
    let args = ["state", "quarantine", "retry", "-c", "watchbell.toml"];
    let ran = run(&mut home.watchbell(args));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    format!("{}{}", ran.stdout, ran.stderr)
}

#[test]
fn a_processor_cannot_say_whose_an_alert_is() {
    for attack in ["other_tenant", "hidden_tenant"] {
        let running = start(ended());
        let home = home(&running, &processor(attack));
        let said = something_waits(&home);
        assert!(
            said.contains("transforms.hostile") && said.contains("member that names the tenant"),
            "{attack}: {said}"
        );
        assert_eq!(home.read("all.ndjson"), "", "{attack}");
        assert_eq!(quarantine(&home), [Value::Null; 0], "it may be broken");
    }
}

#[test]
fn an_encoder_cannot_say_whose_an_alert_is() {
    for (attack, words) in [
        ("other_tenant", "member that names the tenant"),
        ("hidden_tenant", "member that names the tenant"),
        ("two_records", "not one JSON object"),
        ("second_line", "holds a line end"),
        ("quoted_line", "holds a line end"),
        ("zero_separator", "holds a line end"),
    ] {
        let running = start(ended());
        let home = home(&running, &encoder(attack));
        let said = something_waits(&home);
        assert!(
            said.contains("sinks.all.encoding") && said.contains(words),
            "{attack}: {said}"
        );
        assert_eq!(home.read("all.ndjson"), "", "{attack}");
    }
}

/// Line ends between quotes are for who asks for them, and then quotes must be closed.
#[test]
fn quotes_of_an_encoder_are_believed_where_that_was_asked_for() {
    let running = start(ended());
    let asked = |attack: &str| format!("{}encoding.quoted_line_ends = true\n", encoder(attack));
    let home = home(&running, &asked("unclosed_quote"));
    assert!(something_waits(&home).contains("opens a quote"));
    home.write(
        "watchbell.toml",
        &configuration(&running, &asked("quoted_line")),
    );
    home.run_once();
    let written = home.read("all.ndjson");
    let lines = written.lines();
    let lines = lines.filter(|line| *line == r#"{"tenant":"other"}"#);
    assert_eq!(lines.count(), 2 * visible(&running).len());
}

#[test]
fn an_encoder_that_describes_what_no_format_is_is_refused_at_load() {
    let running = start(ended());
    for attack in [
        "absurd_separator",
        "escapes_in_describe",
        "huge_header",
        "header_of_two_lines",
        "header_that_is_a_record",
    ] {
        let home = home(&running, &encoder(attack));
        let ran = home.run("run", &["--once"]);
        assert_eq!(ran.code, Some(78), "{ran:?}");
        assert!(ran.stderr.contains("sinks.all: "), "{ran:?}");
        assert!(ran.stderr.contains("describe: the "), "{ran:?}");
        let is_plain = |c: char| c == '\n' || !c.is_control();
        assert!(ran.stderr.chars().all(is_plain), "{ran:?}");
    }
}

/// One used to stop its sink for all tenants and for ever.
#[test]
fn alerts_that_a_plugin_cannot_handle_are_quarantined_alone_and_can_be_tried_again() {
    let running = start(ended());
    let home = home(&running, &processor("panic_at_some"));
    let ran = home.run_once();
    let all = visible(&running);
    let is_poison = |id: &&String| id.bytes().map(u32::from).sum::<u32>().is_multiple_of(23);
    let poison: BTreeSet<&String> = all.iter().filter(is_poison).collect();
    assert!(poison.len() > 3, "{}", poison.len());
    let fine: BTreeSet<&String> = all.iter().filter(|id| !is_poison(id)).collect();
    for tenant in ["north", "south"] {
        let own = of_tenant(&home.read("all.ndjson"), tenant);
        assert_eq!(ids(&own).iter().collect::<BTreeSet<_>>(), fine, "{tenant}");
    }
    let quarantined = quarantine(&home);
    assert_eq!(quarantined.len(), 2 * poison.len());
    for one in &quarantined {
        assert_eq!(
            (&one["kind"], &one["sink"]),
            (&"rejected".into(), &"all".into())
        );
        let reason = one["reason"].as_str().unwrap();
        assert!(reason.contains("transforms.hostile"), "{reason}");
    }
    let lines = ran.stderr.lines();
    let told = lines.filter(|line| line.contains("quarantined (watchbell state"));
    assert_eq!(
        told.count(),
        1,
        "one line, not one for each: {}",
        ran.stderr
    );

    let of_one = ["state", "quarantine", "list", "-c", "watchbell.toml"];
    let of_one = run(home.watchbell(of_one).args(["--tenant", "north"])).ok();
    assert_eq!(of_one.lines().count(), poison.len(), "{of_one}");

    let id = quarantined[0]["id"].to_string();
    let show = ["state", "quarantine", "show", "-c", "watchbell.toml", &id];
    let shown = run(&mut home.watchbell(show)).ok();
    assert!(
        poison.iter().any(|id| shown.contains(id.as_str())),
        "{shown}"
    );

    // Once the filter is gone they arrive, and the others do not come again.
    home.write("watchbell.toml", &configuration(&running, &sink("contoso")));
    let retried = retry(&home);
    let count = format!("{} will be tried again", quarantined.len());
    assert!(retried.contains(&count), "{retried}");
    home.run_once();
    for tenant in ["north", "south"] {
        once_each(&of_tenant(&home.read("all.ndjson"), tenant), &all);
    }
    assert_eq!(quarantine(&home), [Value::Null; 0]);
}

#[test]
fn a_plugin_that_fails_for_everything_makes_its_sink_wait_and_nothing_is_quarantined() {
    let running = start(few());
    let home = home(&running, &processor("panic"));
    let said = something_waits(&home);
    assert!(said.contains("it has handled nothing yet"), "{said}");
    assert!(said.contains("none of the sample detections"), "{said}");
    assert_eq!(quarantine(&home), [Value::Null; 0]);
    home.write("watchbell.toml", &configuration(&running, &sink("contoso")));
    home.run_once();
    let all = home.read("all.ndjson");
    once_each(&of_tenant(&all, "south"), &visible(&running));
}

/// It used to stall its sink: after a start nothing was known of the plugin.
#[test]
fn the_first_alert_that_a_plugin_cannot_handle_is_quarantined_like_any_other() {
    let running = start(ended());
    let home = home(&running, &processor("panic_for_south"));
    home.write("tenants.toml", &south());
    home.run_once();
    let quarantined = quarantine(&home);
    assert_eq!(quarantined.len(), visible(&running).len());
    assert!(quarantined.iter().all(|one| one["tenant"] == "south"));
    home.write("tenants.toml", &both());
    home.run_once();
    let all = home.read("all.ndjson");
    once_each(&of_tenant(&all, "north"), &visible(&running));
    assert_eq!(of_tenant(&all, "south"), "");
}

/// Of one that cannot handle the bundled sample nothing is known after a start, and what a
/// hostile tenant sent may be first.
#[test]
fn a_tenant_whose_every_alert_is_poison_delays_others_only_until_one_of_theirs_comes() {
    let running = start(few());
    let home = home(&running, &processor("panic_unless_north"));
    home.write("tenants.toml", &south());
    something_waits(&home);
    assert_eq!(quarantine(&home), [Value::Null; 0]);
    home.write("tenants.toml", &both());
    home.run_once();
    let all = home.read("all.ndjson");
    once_each(&of_tenant(&all, "north"), &visible(&running));
    assert_eq!(of_tenant(&all, "south"), "");
    let quarantined = quarantine(&home);
    assert_eq!(quarantined.len(), visible(&running).len());
    assert!(quarantined.iter().all(|one| one["tenant"] == "south"));
}

#[test]
fn what_a_batch_grows_to_is_bounded_and_what_does_not_fit_is_quarantined() {
    let running = start(ended());
    let limit = "options.attack = \"grown_results\"\nlimits.max_output_bytes = \"1 MiB\"";
    let sections = processor("grown_results");
    let sections = sections.replace("options.attack = \"grown_results\"", limit);
    let home = home(&running, &sections);
    home.write("tenants.toml", &north());
    home.run_once();
    let all = home.read("all.ndjson");
    assert!(all.len() <= 1 << 20, "{}", all.len());
    assert!(lines_of(&all) > 0);
    let quarantined = quarantine(&home);
    assert_eq!(quarantined.len() + lines_of(&all), visible(&running).len());
    let reason = quarantined[0]["reason"].as_str().unwrap();
    assert!(reason.contains("limits.max_output_bytes"), "{reason}");
}

/// The readable rest of an answer used to be taken without a look at that.
#[test]
fn a_service_that_says_whose_an_alert_is_is_refused_beside_what_cannot_be_read_too() {
    let running = start(ended());
    let time = (Utc::now() - TimeDelta::minutes(5)).format("%Y-%m-%dT%H:%M:%S.0000000Z");
    let body = format!(
        "[{{\"FullId\":\"a\",\"LastProcessedTimeUtc\":\"{time}\",\"tenant\":\"victim\"}},{{\"FullId\":nonsense}}]"
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let header = "Content-Type: application/json\r\n";
    let liar = runtime.block_on(Server::answering("200 OK", header, &body));
    let text = configuration(&running, &sink("contoso"));
    let endpoint = format!("endpoint = \"{}\"", running.endpoint());
    assert!(text.contains(&endpoint), "{text}");
    let home = Home::with(&text.replace(&endpoint, &format!("endpoint = \"{}\"", liar.url())));
    home.write("tenants.toml", &north());
    let ran = home.run("run", &["--once"]);
    assert_eq!(ran.code, Some(70), "{ran:?}");
    let said = ran.stderr;
    assert!(said.contains("has a member tenant"), "{said}");
    assert_eq!(home.read("all.ndjson"), "");
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
