//! Each mistake with the exact line that a person sees.

use std::path::Path;

use watchbell::config::{Document, Loaded};
use watchbell_settings::Format;

const ID: &str = "11111111-2222-3333-4444-555555555555";

fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("marked-secret".to_owned()),
        "INTERVAL" => Some("30".to_owned()),
        "SINK" => Some("marked-secret".to_owned()),
        _ => None,
    }
}

fn decode(text: &str, format: Format) -> Result<Loaded, String> {
    let name = match format {
        Format::Toml => "w.toml",
        Format::Yaml => "w.yaml",
        _ => "w.json",
    };
    Document::parse(text, format, Path::new(name))
        .and_then(|document| document.decode(&env))
        .map_err(|error| error.to_string())
}

/// A source that is right, on lines 1 to 6.
fn source() -> String {
    format!(
        "[sources.contoso]\ntype = \"defender\"\nregion = \"eu\"\ntenant_id = \"{ID}\"\nclient_id = \"{ID}\"\nclient_secret = \"${{SECRET}}\"\n"
    )
}

/// What is said of the source above with more lines, from line 7 on.
fn said(more: &str) -> String {
    let text = source() + more;
    match decode(&text, Format::Toml) {
        Ok(loaded) => loaded
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
        Err(message) => message,
    }
}

#[test]
fn the_source_itself_is_right() {
    assert_eq!(said(""), "");
}

#[test]
fn an_unknown_key_is_told_with_the_key_that_was_meant_in_every_format() {
    let want = |file: &str| {
        format!("{file}: sources.contoso.regoin: is not a setting; did you mean region?")
    };
    let toml = source() + "regoin = \"us\"\n";
    let yaml = format!(
        "sources:\n  contoso:\n    type: defender\n    region: eu\n    tenant_id: {ID}\n    client_id: {ID}\n    client_secret: ${{SECRET}}\n    regoin: us\n"
    );
    let json = format!(
        "{{\"sources\": {{\"contoso\": {{\n\t\"type\": \"defender\", \"region\": \"eu\",\n\t\"tenant_id\": \"{ID}\", \"client_id\": \"{ID}\",\n\t\"client_secret\": \"${{SECRET}}\",\n\t\"regoin\": \"us\"}}}}}}"
    );
    assert_eq!(decode(&toml, Format::Toml).unwrap_err(), want("w.toml:7"));
    assert_eq!(decode(&yaml, Format::Yaml).unwrap_err(), want("w.yaml:8"));
    assert_eq!(decode(&json, Format::Json).unwrap_err(), want("w.json:5"));
}

#[test]
fn each_mistake_in_a_source_is_told_by_line_key_and_remedy() {
    for (more, want) in [
        (
            "limit = \"5\"\n",
            "w.toml:7: sources.contoso.limit: expected a whole number from 1 to 4294967295, found a string; take the quotes off",
        ),
        (
            "limit = 0\n",
            "w.toml:7: sources.contoso.limit: is out of range; write a whole number from 1 to 4294967295",
        ),
        (
            "limit = -1\n",
            "w.toml:7: sources.contoso.limit: is out of range; write a whole number from 1 to 4294967295",
        ),
        (
            "api = \"seim\"\n",
            "w.toml:7: sources.contoso.api: must be one of siem, graph; did you mean siem?",
        ),
        (
            "api = 3\n",
            "w.toml:7: sources.contoso.api: expected a string, found an integer",
        ),
        (
            "scrape_interval_secs = 0\n",
            "w.toml:7: sources.contoso.scrape_interval_secs: must be from 1 to 86400 (a day)",
        ),
        (
            "scrape_interval_secs = 1.5\n",
            "w.toml:7: sources.contoso.scrape_interval_secs: expected a whole number from 0 to 4294967295, found a number",
        ),
        (
            "since = \"P1M\"\n",
            "w.toml:7: sources.contoso.since: must not count years or months, whose length varies; write days (P30D), or minutes with a T (PT15M)",
        ),
        (
            "since = \"yesterday\"\n",
            "w.toml:7: sources.contoso.since: is not a time; write an instant such as 2026-03-01T12:00:00Z, or a duration back such as PT2H or 2h",
        ),
        (
            "since = 2026-03-01T00:00:00Z\nuntil = 2026-02-01\n",
            "w.toml:8: sources.contoso.until: is not after since; make it later, or leave it out",
        ),
        (
            "machine_groups = [\n  \"a\",\n  5,\n]\n",
            "w.toml:9: sources.contoso.machine_groups[1]: expected a string, found an integer; put it in quotes",
        ),
        (
            "machine_groups = [\"a\", \"a\"]\n",
            "w.toml:7: sources.contoso.machine_groups[1]: stands there twice; remove one",
        ),
        (
            "egress.allow_addresses = [\n\"127.0.0.0/8\",\n\"localhost\"]\n",
            "w.toml:9: sources.contoso.egress.allow_addresses[1]: is not an address range; write one like 127.0.0.0/8 or ::1/128",
        ),
        (
            "egress.allow_address = []\n",
            "w.toml:7: sources.contoso.egress.allow_address: is not a setting; did you mean allow_addresses?",
        ),
        (
            "egress = 5\n",
            "w.toml:7: sources.contoso.egress: expected a table, found an integer",
        ),
        (
            "tls.ca_file = \"\"\n",
            "w.toml:7: sources.contoso.tls.ca_file: is empty; set it or remove it",
        ),
        (
            "limits.max_response_bytes = \"64 apples\"\n",
            "w.toml:7: sources.contoso.limits.max_response_bytes: is not a size; write bytes, or a whole number with KiB, MiB or GiB",
        ),
        (
            "limits.max_response_bytes = \"5GiB\"\n",
            "w.toml:7: sources.contoso.limits.max_response_bytes: must be from 1 byte to 4 GiB, which is all a component can hold",
        ),
        (
            "limits.max_table_elements = 20001\n",
            "w.toml:7: sources.contoso.limits.max_table_elements: can be 20000 at most",
        ),
        (
            "limits.max_instances = 9\n",
            "w.toml:7: sources.contoso.limits.max_instances: can be 8 at most",
        ),
        (
            "limits.max_header_bytes = \"65 KiB\"\n",
            "w.toml:7: sources.contoso.limits.max_header_bytes: can be 64 KiB at most",
        ),
        (
            "timeouts.connect_secs = 0\n",
            "w.toml:7: sources.contoso.timeouts.connect_secs: must be above 0 and at most 3600 seconds",
        ),
        (
            "endpoint = \"https://x.example\"\n",
            "w.toml:3: sources.contoso.region: stands beside endpoint or authority; keep region, or those two",
        ),
        (
            "client_secret_file = \"/s\"\n",
            "w.toml:7: sources.contoso.client_secret_file: stands beside client_secret; keep one of the two",
        ),
        (
            "until = \"${NONE}\"\n",
            "w.toml:7: sources.contoso.until: environment variable NONE is not set; set it or write ${NONE:-default}",
        ),
        (
            "until = \"${NONE:?ask Anna}\"\n",
            "w.toml:7: sources.contoso.until: environment variable NONE is not set or empty; ask Anna",
        ),
        (
            "until = \"SECRET[vault.contoso]\"\n",
            "w.toml:7: sources.contoso.until: refers to a secret backend; that may stand in client_secret and refresh_token_key only",
        ),
        (
            "options.client_secret = \"SECRET[vault.contoso]\"\n",
            "w.toml:7: sources.contoso.options.client_secret: refers to a secret backend; that may stand in client_secret and refresh_token_key only",
        ),
        (
            "machine_groups = [\"SECRET[vault.team/a]\"]\n",
            "w.toml:7: sources.contoso.machine_groups[0]: holds SECRET[ or ${ that nothing replaces, so it would be sent as it stands; remove it",
        ),
        (
            "options.key = \"$${A}\"\n",
            "w.toml:7: sources.contoso.options.key: holds SECRET[ or ${ that nothing replaces, so it would be sent as it stands; remove it",
        ),
    ] {
        assert_eq!(said(more), want);
    }
}

#[test]
fn what_is_like_a_reference_and_none_is_no_secret() {
    for written in [
        "SECRET[vault.team/contoso]",
        "SECRET[vault]",
        "SECRET[vault.a ",
        "${LIKE_ONE}",
        "$${NONE}",
    ] {
        let text = source().replace("${SECRET}", written);
        let env = |name: &str| (name == "LIKE_ONE").then(|| "xSECRET[vault.a]".to_owned());
        let refused = Document::parse(&text, Format::Toml, Path::new("w.toml"))
            .and_then(|document| document.decode(&env))
            .unwrap_err()
            .to_string();
        assert_eq!(
            refused,
            "w.toml:6: sources.contoso.client_secret: holds SECRET[ or ${ that nothing replaces; write SECRET[backend.key] and nothing else: letters, digits, _, - and . in the key",
            "{written}"
        );
    }
}

#[test]
fn what_a_source_lacks_is_all_told_at_its_header() {
    let message = decode("\n[sources.contoso]\ntype = \"defender\"\n", Format::Toml).unwrap_err();
    assert_eq!(
        message,
        "w.toml:2: sources.contoso.region: is missing; add it (eu, us, uk, gcc, gcc-high or dod), or endpoint and authority\n\
         w.toml:2: sources.contoso.tenant_id: is missing; add it\n\
         w.toml:2: sources.contoso.client_id: is missing; add it\n\
         w.toml:2: sources.contoso.client_secret: is missing; add it as \"SECRET[backend.key]\" or \"${VARIABLE}\", or add client_secret_file"
    );
}

#[test]
fn several_mistakes_are_told_together_in_the_order_of_the_file() {
    let text = "data_dirr = \"x\"\n".to_owned()
        + &source()
        + "limit = true\ncolour = 1\nmachine_groups = 5\n[sinks.out]\ntype = \"consle\"\ninputs = [\"contoso\"]\n\
           [transforms.t]\ntype = \"jq\"\ninputs = [\"contosso\", \"out\"]\n";
    let message = decode(&text, Format::Toml).unwrap_err();
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), 6, "{message}");
    assert_eq!(
        lines[0],
        "w.toml:1: data_dirr: is not a setting; did you mean data_dir?"
    );
    assert_eq!(
        lines[1],
        "w.toml:8: sources.contoso.limit: expected a whole number from 1 to 4294967295, found a boolean"
    );
    assert!(lines[2].starts_with(
        "w.toml:9: sources.contoso.colour: is not a setting; known here: component, "
    ));
    assert_eq!(
        lines[3],
        "w.toml:10: sources.contoso.machine_groups: expected an array, found an integer"
    );
    assert_eq!(
        lines[4],
        "w.toml:12: sinks.out.type: is not a type of sink; did you mean console?"
    );
    assert_eq!(
        lines[5],
        "w.toml:14: transforms.t.filter: is missing; add it"
    );
}

#[test]
fn each_mistake_between_parts_is_told() {
    let jq = |name: &str, inputs: &str| {
        format!("[transforms.{name}]\ntype = \"jq\"\ninputs = {inputs}\nfilter = \".\"\n")
    };
    let sink = |name: &str, more: &str| {
        format!("[sinks.{name}]\ntype = \"file\"\ninputs = [\"contoso\"]\n{more}\n")
    };
    for (more, want) in [
        (
            jq("t", "[\"contosso\"]"),
            "w.toml:9: transforms.t.inputs[0]: there is no contosso; did you mean contoso?",
        ),
        (
            jq("t", "[\"elsewhere\"]"),
            "w.toml:9: transforms.t.inputs[0]: there is no elsewhere; name a source or a transform of this file",
        ),
        (
            jq("t", "[]"),
            "w.toml:9: transforms.t.inputs: is empty; name a source or a transform",
        ),
        (
            jq("t", "[\"contoso\", \"contoso\"]"),
            "w.toml:9: transforms.t.inputs[1]: contoso stands there twice; remove one",
        ),
        (
            jq("t", "[\"t\"]"),
            "w.toml:9: transforms.t.inputs: goes round in a circle (t <- t); remove one of these inputs",
        ),
        (
            jq("a", "[\"b\"]") + &jq("b", "[\"a\"]"),
            "w.toml:9: transforms.a.inputs: goes round in a circle (a <- b <- a); remove one of these inputs",
        ),
        (
            sink("contoso", "path = \"x\""),
            "w.toml:7: sinks.contoso: is the name of a source too; give each its own name",
        ),
        (
            jq("\"a.b\"", "[\"contoso\"]"),
            "w.toml:7: transforms.a.b: is not a name; use letters, digits, _ and -, at most 64, a letter or digit first",
        ),
        (
            sink("s", "path = \"\""),
            "w.toml:10: sinks.s.path: is empty; write the file's path",
        ),
        (sink("s", ""), "w.toml:7: sinks.s.path: is missing; add it"),
        (
            sink("s", "path = \"/nowhere/x\"") + &sink("z", "path = \"/nowhere/./x\""),
            "w.toml:14: sinks.z.path: is the file of sink s too; give each its own",
        ),
        (
            sink("s", "path = \"x\"\nencoding.codec = \"jsn\""),
            "w.toml:11: sinks.s.encoding.codec: must be json, csv or a component's file (.wasm); did you mean json?",
        ),
        (
            sink("s", "path = \"x\"\nencoding.csv.fields = [\"a\"]"),
            "w.toml:11: sinks.s.encoding.csv: goes with codec = \"csv\" only; set that or remove it",
        ),
        (
            "[transforms.t]\ninputs = [\"contoso\"]\n".to_owned(),
            "w.toml:7: transforms.t.type: is missing; add it (jq), or component",
        ),
        (
            "[transforms.t]\ntype = \"jq\"\ncomponent = \"x.wasm\"\ninputs = [\"contoso\"]\n"
                .to_owned(),
            "w.toml:8: transforms.t.type: stands beside component; keep one of the two",
        ),
        (
            "[sinks]\nx = 5\n".to_owned(),
            "w.toml:8: sinks.x: expected a table of settings, found an integer",
        ),
    ] {
        assert_eq!(said(&more), want);
    }
}

#[test]
fn a_source_that_leads_nowhere_is_refused_a_transform_is_a_warning_and_a_file_of_sources_alone_is_neither()
 {
    let sink = |input: &str| format!("[sinks.s]\ntype = \"console\"\ninputs = [\"{input}\"]\n");
    let transform = "[transforms.t]\ntype = \"jq\"\ninputs = [\"contoso\"]\nfilter = \".\"\n";
    assert_eq!(
        said(&(transform.to_owned() + &sink("contoso"))),
        "w.toml:7: transforms.t: leads to no sink; nothing comes of it"
    );
    assert_eq!(said(transform), "");
    let other = source().replace("contoso", "other");
    let nowhere = "sources.contoso: leads to no sink, so nothing of it would be delivered";
    assert!(said(&(other.clone() + &sink("other"))).contains(nowhere));
    // By way of a transform that leads nowhere, too.
    assert!(said(&(other + transform + &sink("other"))).contains(nowhere));
}

#[test]
fn records_may_go_without_their_tenant_where_nothing_else_would_tell_them_apart() {
    let key = "[log_schema]\ntenant_key = \"\"\n";
    let sinks = "[sinks.s]\ntype = \"console\"\ninputs = [\"contoso\"]\n";
    assert_eq!(said(&(sinks.to_owned() + key)), "");
    let other = source()
        .replace("contoso", "other")
        .replace(ID, "99999999-2222-3333-4444-555555555555");
    let both = sinks.replace("\"contoso\"", "\"contoso\", \"other\"");
    let refused = said(&(other.clone() + &both + key));
    assert!(
        refused.contains(
            "log_schema.tenant_key: is empty, and in sink s the records of several tenants meet"
        ),
        "{refused}"
    );
    let parted = both.replace("console", "file") + "path = \"{{ tenant }}.nd\"\n";
    assert_eq!(said(&(other + &parted + key)), "");
}

#[test]
fn the_environment_can_give_a_number_and_text_cannot() {
    let text = source() + "scrape_interval_secs = \"${INTERVAL}\"\n";
    let loaded = decode(&text, Format::Toml).unwrap();
    let source = &loaded.config.sources.get("contoso").unwrap()[0];
    assert_eq!(source.polling.scrape_interval.duration().as_secs(), 30);
    assert!(said("scrape_interval_secs = \"30\"\n").contains("take the quotes off"));
}

#[test]
fn no_message_shows_a_secret_wherever_it_stands() {
    for key in [
        "type",
        "api",
        "region",
        "endpoint",
        "tenant_id",
        "client_id",
        "limit",
        "since",
        "until",
        "scrape_interval_secs",
        "machine_groups",
        "egress.allow_addresses",
        "egress",
        "tls.ca_file",
        "limits.max_response_bytes",
        "timeouts.total_secs",
        "colour",
        "options",
    ] {
        let text = format!(
            "[sources.contoso]\n{key} = \"${{SECRET}}\"\n[sinks.x]\ntype = \"console\"\nencoding.codec = \"${{SECRET}}\"\ninputs = \"${{SECRET}}\"\n"
        );
        let message = decode(&text, Format::Toml).unwrap_err();
        assert!(!message.contains("marked"), "{key}: {message}");
    }
    let loaded = decode(&source(), Format::Toml).unwrap();
    assert!(!format!("{loaded:?}").contains("marked"));
}
