//! Flags over a file, and one source by itself.

use std::path::Path;

use watchbell::config::Document;
use watchbell::names::Name;
use watchbell::sources::Source;
use watchbell::sources::defender::Credential;
use watchbell_secrets::SecretLocation;
use watchbell_settings::{At, Format, Node, Value};

const ID: &str = "11111111-2222-3333-4444-555555555555";

fn document() -> Document {
    let text = format!(
        "[sources.a]\ntype = \"defender\"\nregion = \"eu\"\ntenant_id = \"{ID}\"\nclient_id = \"{ID}\"\nclient_secret = \"${{A}}\"\n\
         [sources.b]\ntype = \"defender\"\nclient_secret = \"${{B}}\"\n[sinks.broken]\n"
    );
    Document::parse(&text, Format::Toml, Path::new("w.toml")).unwrap()
}

fn env(name: &str) -> Option<String> {
    (name == "A").then(|| "secret-a".to_owned())
}

fn with(flags: &[(&str, Value, &str)]) -> Result<Source, String> {
    let mut document = document();
    for (key, value, flag) in flags {
        document
            .override_source("a", key, value.clone(), flag)
            .unwrap();
    }
    document
        .source("a", &env)
        .map_err(|error| error.to_string())
}

#[test]
fn one_source_needs_nothing_of_the_others() {
    assert_eq!(
        with(&[]).unwrap().defender().unwrap().endpoint.as_str(),
        "https://wdatp-alertexporter-eu.windows.com"
    );
    assert!(document().decode(&env).is_err());
    assert_eq!(document().source_names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_flag_goes_over_the_file_and_is_named_when_it_is_wrong() {
    let source = with(&[("limit", Value::Integer(5), "--limit")]).unwrap();
    assert_eq!(source.polling.limit.map(u32::from), Some(5));
    assert_eq!(
        with(&[("since", Value::text("soon"), "--since")]).unwrap_err(),
        "--since: is not a time; write an instant such as 2026-03-01T12:00:00Z, or a duration back such as PT2H or 2h"
    );
}

#[test]
fn a_flag_that_nothing_replaces_is_refused() {
    for (key, text, flag) in [
        ("client_secret", "SECRET[vault]", "WATCHBELL_CLIENT_SECRET"),
        ("client_secret", "${A}", "WATCHBELL_CLIENT_SECRET"),
        (
            "device_created_machine_tags",
            "${A}",
            "--device-created-machine-tags",
        ),
    ] {
        let refused = with(&[(key, Value::text(text), flag)]).unwrap_err();
        assert!(
            refused.starts_with(flag) && refused.contains("that nothing replaces"),
            "{refused}"
        );
    }
}

#[test]
fn a_flag_removes_what_it_excludes_from_the_file_but_not_another_flag() {
    let url = || Value::text("http://127.0.0.1:9");
    let source = with(&[
        ("endpoint", url(), "--endpoint"),
        ("authority", url(), "--authority"),
    ])
    .unwrap();
    assert_eq!(
        source.defender().unwrap().endpoint.as_str(),
        "http://127.0.0.1:9"
    );

    let source = with(&[(
        "client_secret_file",
        Value::text("/run/s"),
        "--client-secret-file",
    )])
    .unwrap();
    assert_eq!(
        source.defender().unwrap().credential,
        Credential::ClientSecret(SecretLocation::File("/run/s".into()))
    );

    let both = [
        ("region", Value::text("uk"), "--region"),
        ("endpoint", url(), "--endpoint"),
        ("authority", url(), "--authority"),
    ];
    assert_eq!(
        with(&both).unwrap_err(),
        "--region: stands beside endpoint or authority; keep region, or those two"
    );
}

#[test]
fn a_flag_stands_in_for_a_variable_that_is_not_set_and_is_taken_as_it_is() {
    let mut document = document();
    let secret = "pa$$word$X";
    document
        .override_source(
            "a",
            "client_secret",
            Value::text(secret),
            "WATCHBELL_CLIENT_SECRET",
        )
        .unwrap();
    let source = document.source("a", &|_| None).unwrap();
    let Credential::ClientSecret(SecretLocation::Inline(found)) =
        &source.defender().unwrap().credential
    else {
        panic!()
    };
    assert_eq!(found.expose(), secret);
}

#[test]
fn a_source_can_come_from_flags_alone() {
    let name: Name = "poll".parse().unwrap();
    let mut document = Document::from_flags(&name);
    let at = |document: &mut Document, key, text: &str, flag| {
        document
            .override_source("poll", key, Value::text(text), flag)
            .unwrap();
    };
    at(&mut document, "region", "us", "--region");
    at(&mut document, "tenant_id", ID, "--tenant-id");
    at(&mut document, "client_id", ID, "--client-id");
    at(
        &mut document,
        "client_secret",
        "s",
        "WATCHBELL_CLIENT_SECRET",
    );
    let range = Node {
        at: At::flag("--allow-address"),
        value: Value::text("127.0.0.1"),
    };
    document
        .override_source(
            "poll",
            "egress.allow_addresses",
            Value::Array(vec![range]),
            "--allow-address",
        )
        .unwrap();
    let source = document.source("poll", &|_| None).unwrap();
    let egress = &source.defender().unwrap().settings.egress;
    assert_eq!(egress.allow_addresses.len(), 1);

    let message = Document::from_flags(&name)
        .source("poll", &|_| None)
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("command line: sources.poll.region: is missing; add it"),
        "{message}"
    );
}

#[test]
fn a_source_that_is_not_there_is_told_with_the_nearest() {
    let message = |name: &str| document().source(name, &env).unwrap_err().to_string();
    assert_eq!(
        message("A"),
        "w.toml:1: sources.A: there is no such source; did you mean a?"
    );
    assert_eq!(
        message("zz"),
        "w.toml:1: sources.zz: there is no such source; sources here: a, b"
    );
}
