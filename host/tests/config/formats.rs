//! The same content means the same in TOML, YAML and JSON.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use watchbell::config::{Config, Document, load};
use watchbell::sources::defender::{Api, Credential};
use watchbell_secrets::SecretLocation;
use watchbell_settings::Format;

const ID: &str = "11111111-2222-3333-4444-555555555555";

fn decode(text: &str, format: Format) -> Config {
    Document::parse(text, format, Path::new("w"))
        .and_then(|document| document.decode(&|_| None))
        .unwrap_or_else(|error| panic!("{format:?}: {error}\n{text}"))
        .config
}

/// Block style, strings as JSON writes them, which YAML reads too.
fn yaml(value: &Value, indent: usize, out: &mut String) {
    let Value::Object(table) = value else {
        writeln!(out, " {value}").unwrap();
        return;
    };
    out.push('\n');
    for (key, value) in table {
        write!(out, "{}{key}:", " ".repeat(indent)).unwrap();
        match value {
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                for item in items {
                    writeln!(out, "{}- {item}", " ".repeat(indent)).unwrap();
                }
            }
            Value::Object(table) if table.is_empty() => out.push_str(" {}\n"),
            value => yaml(value, indent + 2, out),
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-zäß☃ :#\"'\\\\-]{1,12}"
}

prop_compose! {
    fn source()(
        region in prop::sample::select(vec!["eu", "us", "uk", "gcc", "gcc-high", "dod"]),
        secret in "[!-#%-~]{1,30}",
        interval in 1u32..=86_400,
        limit in prop::option::of(1u32..),
        since in prop::sample::select(vec!["PT2H", "P1DT30M", "2026-03-01T00:00:00.1234567Z", "2026-03-01"]),
        groups in prop::collection::hash_set(word(), 0..4),
        tag in prop::option::of(word()),
        bytes in 1u64..4_000_000_000,
        seconds in prop::option::of(1u32..=3600),
        private in any::<bool>(),
    ) -> Value {
        let mut source = json!({
            "type": "defender", "region": region, "api": "siem",
            "tenant_id": ID, "client_id": ID, "client_secret": secret,
            "scrape_interval_secs": interval, "since": since, "machine_groups": groups,
            "limits": {"max_response_bytes": bytes},
            "egress": {"allow_addresses": if private { vec!["10.0.0.0/8", "::1"] } else { vec![] }},
        });
        let table = source.as_object_mut().unwrap();
        if let Some(limit) = limit {
            table.insert("limit".to_owned(), limit.into());
        }
        if let Some(tag) = tag {
            table.insert("device_created_machine_tags".to_owned(), tag.into());
        }
        if let Some(seconds) = seconds {
            table.insert("timeouts".to_owned(), json!({"total_secs": f64::from(seconds) / 2.0}));
        }
        source
    }
}

prop_compose! {
    fn configuration()(
        sources in prop::collection::btree_map("[a-z][a-z0-9_-]{0,8}", source(), 1..4),
        filter in word(),
        csv in any::<bool>(),
        delimiter in "[,;|\t]",
        options in prop::collection::btree_map("[a-z]{1,5}", word(), 0..3),
    ) -> Value {
        let inputs: Vec<&String> = sources.keys().collect();
        let encoding = if csv {
            json!({"codec": "csv", "csv": {"fields": ["AlertId", "Severity"], "delimiter": delimiter}})
        } else {
            json!({"codec": "mine.wasm", "options": options})
        };
        json!({
            "data_dir": "/var/lib/watchbell",
            "sources": sources,
            "transforms": {"T0": {"type": "jq", "inputs": inputs, "filter": format!(".{filter}")}},
            "sinks": {
                "S0": {"type": "file", "inputs": ["T0"], "path": "/x/y", "encoding": encoding},
                "S1": {"type": "console", "inputs": ["T0"]},
            },
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_three_formats_of_one_content_decode_equal(content in configuration()) {
        let json = serde_json::to_string_pretty(&content).unwrap();
        let toml = toml::to_string(&content).unwrap();
        let mut block = String::new();
        yaml(&content, 0, &mut block);
        let want = decode(&json, Format::Json);
        prop_assert_eq!(&decode(&toml, Format::Toml), &want);
        prop_assert_eq!(&decode(&block, Format::Yaml), &want);
        // JSON is YAML as well, where no escape is a pair and no tab indents.
        prop_assert_eq!(&decode(&json, Format::Yaml), &want);
    }
}

#[test]
fn the_documented_example_decodes_to_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("watchbell.toml");
    std::fs::write(
        &file,
        r#"
data_dir = "/var/lib/watchbell"

[sources.contoso]
type = "defender"
api = "siem"
region = "gcc-high"
tenant_id = "contoso.onmicrosoft.com"
client_id = "11111111-2222-3333-4444-555555555555"
client_secret = "${CONTOSO:-fallback}"
since = "PT2H"
machine_groups = ["UKMachines", "FranceMachines"]
egress.allow_addresses = []

[transforms.urgent]
type = "jq"
inputs = ["contoso"]
filter = 'select(.Severity == "High")'

[transforms.salted]
component = "hash.wasm"
inputs = ["urgent"]
options = { salt = "x", rounds = 3, fields = ["a", "b"] }

[sinks.siem]
type = "file"
inputs = ["salted"]
path = "/var/log/watchbell/alerts.ndjson"
"#,
    )
    .unwrap();
    let loaded = load(&file, &|_| None).unwrap();
    assert!(loaded.warnings.is_empty());
    let config = loaded.config;

    let source = &config.sources.get("contoso").unwrap()[0];
    let defender = source.defender().unwrap();
    assert_eq!(defender.settings.api, Api::Siem);
    assert_eq!(
        defender.endpoint.as_str(),
        "https://wdatp-alertexporter-us.securitycenter.windows.us"
    );
    assert_eq!(
        defender.authority.as_str(),
        "https://login.microsoftonline.us"
    );
    let polling = source.polling;
    assert_eq!(polling.scrape_interval.duration(), Duration::from_secs(60));
    assert_eq!(polling.max_response_bytes(), 64 << 20);
    assert_eq!(
        defender.settings.machine_groups,
        ["UKMachines", "FranceMachines"]
    );
    let Credential::ClientSecret(SecretLocation::Inline(secret)) = &defender.credential else {
        panic!()
    };
    assert_eq!(secret.expose(), "fallback");

    let salted = config.transforms.get("salted").unwrap().settings.plugin();
    let options: Vec<_> = salted.options.iter().collect();
    assert_eq!(
        options,
        [("salt", "x"), ("rounds", "3"), ("fields", r#"["a","b"]"#)]
    );

    let sink = config.sinks.get("siem").unwrap();
    assert!(
        sink.settings
            .writes(None)
            .unwrap()
            .ends_with("alerts.ndjson")
    );
    assert_eq!(sink.codec.encoder(None), None);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = |name: &str, bytes: Option<&[u8]>| {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        load(&path, &|_| None).unwrap_err().to_string()
    };
    assert!(message("none.toml", None).contains("none.toml: cannot be read: "));
    assert!(
        message("x.ini", Some(b""))
            .ends_with("x.ini: the format is not known; name it .toml, .yaml, .yml or .json")
    );
    assert!(
        message("x.toml", Some(b"a = \"\xff\"")).ends_with("x.toml: is not UTF-8 text, at byte 5")
    );
    let large = vec![b' '; 16 * 1024 * 1024 + 1];
    assert!(message("l.json", Some(&large)).ends_with("l.json: is larger than 16 MiB"));
}
