//! Files that somebody else wrote: what they may say, and how deep they may nest.

use std::path::PathBuf;

use tempfile::TempDir;
use watchbell::config::{Config, Document, load, process_env};
use watchbell::sources::defender::Credential;
use watchbell_secrets::SecretLocation;

const ID: &str = "11111111-2222-3333-4444-55555555555a";
const OTHER: &str = "99999999-2222-3333-4444-555555555555";

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// With tenants in `file` whose text is `entries`, and `may` in `may_override`.
    fn tenants(&self, own: &str, may: &str, file: &str, entries: &str) -> Result<Config, String> {
        self.write(file, entries);
        self.write(
            "w.toml",
            &format!(
                "[sources.s]\ntype = \"defender\"\n{own}client_id = \"{ID}\"\ntenants = {{ path = \"{file}\", may_override = [{may}] }}\n\
                 [secret.vault]\ntype = \"env\"\n[secret.other]\ntype = \"env\"\n"
            ),
        );
        let env = |name: &str| (name == "SET").then(|| "value".to_owned());
        load(&self.path("w.toml"), &env)
            .map(|loaded| loaded.config)
            .map_err(|error| error.to_string())
    }
}

const OWN: &str = "region = \"eu\"\nclient_secret = \"SECRET[vault.shared]\"\n";

#[test]
fn an_entry_says_what_is_its_own_and_all_else_with_leave_only() {
    let files = Files::new();
    let with = |may: &str, line: &str| {
        let entry = format!("[north]\ntenant_id = \"{OTHER}\"\n{line}\n");
        files.tenants(OWN, may, "t.toml", &entry)
    };
    for line in [
        "client_secret = \"own\"",
        "client_secret_file = \"own\"",
        "client_secret = \"SECRET[vault.shared]\"",
        "machine_groups = [\"a\"]",
        "device_created_machine_tags = \"a$$b\"",
        "scrape_interval_secs = 60",
        "scrape_interval_secs = 300",
        "limits.max_response_bytes = \"64 MiB\"",
        "limits = { max_connections = 8, max_cpu_secs = 1 }",
    ] {
        assert!(with("", line).is_ok(), "{line}: {:?}", with("", line));
    }
    for (line, leave) in [
        ("component = \"x.wasm\"", "component"),
        ("options.x = 1", "options"),
        ("egress.allow_addresses = [\"10.0.0.0/8\"]", "egress"),
        ("proxy.https = \"http://a:1\"", "proxy"),
        ("tls.ca_file = \"x\"", "tls"),
        ("timeouts.total_secs = 5", "timeouts"),
        ("since = \"P2D\"", "since"),
        ("overlap_secs = 5", "overlap_secs"),
        ("region = \"uk\"", "region"),
        ("device_created_machine_tags = \"${SET}\"", "variables"),
        ("client_secret = \"SECRET[vault.north]\"", "secrets.vault"),
        ("client_secret = \"SECRET[other.north]\"", "secrets"),
        ("scrape_interval_secs = 59", "scrape_interval_secs"),
        ("limits.max_response_bytes = \"65 MiB\"", "limits"),
        ("limits.max_connections = 9", "limits"),
        ("limits.max_cpu_secs = 100", "limits"),
    ] {
        let refused = with("", line).unwrap_err();
        assert!(refused.contains("t.toml:3: north."), "{line}: {refused}");
        let remedy = format!("\"{leave}");
        assert!(
            refused.contains(&remedy) && refused.contains("to sources.s.tenants.may_override"),
            "{line}: {refused}"
        );
        let allowed = with(&format!("\"{leave}\""), line);
        assert!(allowed.is_ok(), "{line}: {allowed:?}");
    }
    let refused = with("\"secrets.other\"", "client_secret = \"SECRET[vault.a]\"").unwrap_err();
    assert!(refused.contains("secrets.vault"), "{refused}");
    for (may, words) in [
        ("\"endpiont\"", "did you mean endpoint?"),
        ("5", "expected a setting's name"),
        ("\"type\"", "is nothing that"),
        ("\"secrets.\"", "is nothing that"),
    ] {
        let refused = with(may, "").unwrap_err();
        assert!(
            refused.contains("w.toml:6: sources.s.tenants.may_override[0]: ")
                && refused.contains(words),
            "{may}: {refused}"
        );
    }
}

#[test]
fn an_inherited_secret_is_not_sent_to_an_authority_that_the_tenant_chose() {
    let files = Files::new();
    let all = "\"authority\", \"endpoint\", \"region\", \"proxy\", \"tls\"";
    let with = |own: &str, lines: &str| {
        let entry = format!("[north]\ntenant_id = \"{OTHER}\"\n{lines}\n");
        files.tenants(own, all, "t.toml", &entry)
    };
    let elsewhere = "endpoint = \"https://e.example\"\nauthority = \"https://a.example\"\n";
    let through = "proxy.https = \"http://p:1\"\ntls.ca_file = \"x\"\n";
    for lines in [elsewhere, "region = \"dod\"", through] {
        for own in [
            OWN,
            "region = \"eu\"\nclient_secret_file = \"x\"\n",
            "region = \"eu\"\nrefresh_token_file = \"x\"\nrefresh_token_key = \"SECRET[vault.k]\"\n",
        ] {
            let refused = with(own, lines).unwrap_err();
            assert!(
                refused.contains("inherits from its source"),
                "{lines}: {refused}"
            );
        }
        let with_own = format!("{lines}\nclient_secret = \"own\"\n");
        // What stands in a table's dotted keys may stand before it.
        assert!(with(OWN, &with_own).is_ok(), "{:?}", with(OWN, &with_own));
    }
    for (own, lines) in [
        (OWN, "region = \"uk\""),
        ("client_secret = \"s\"\n", "region = \"dod\""),
        (
            "endpoint = \"https://e.example\"\nauthority = \"https://a.example/\"\nclient_secret = \"s\"\n",
            "authority = \"https://A.example\"",
        ),
    ] {
        assert!(
            with(own, lines).is_ok(),
            "{own}{lines}: {:?}",
            with(own, lines)
        );
    }
}

#[test]
fn one_tenant_chosen_by_name_may_say_no_more() {
    let files = Files::new();
    let choose = |may: &str, line: &str| {
        let entry = format!("[north]\ntenant_id = \"{OTHER}\"\n{line}\n");
        let _ = files.tenants(OWN, may, "t.toml", &entry);
        let mut document = Document::read(&files.path("w.toml")).unwrap();
        document
            .choose_tenant("s", Some("north"), &process_env)
            .map_err(|error| error.to_string())
    };
    for line in [
        "since = \"P2D\"",
        "device_created_machine_tags = \"${HOME}\"",
        "client_secret = \"SECRET[vault.north]\"",
    ] {
        let refused = choose("", line).unwrap_err();
        assert!(refused.contains("may_override"), "{refused}");
        assert!(choose("\"since\", \"variables\", \"secrets\"", line).is_ok());
    }
}

#[test]
fn lines_are_counted_as_an_editor_counts_them_whatever_ends_them() {
    let files = Files::new();
    for end in ["\n", "\r\n"] {
        for (rows, words) in [
            (vec!["tenant,tenant_id", "a,x y", "b,z z"], "t.csv:2: "),
            (
                vec!["tenant,tenant_id", "", "a,contoso.com", "b,z z"],
                "t.csv:4: ",
            ),
            (
                vec!["tenant,tenant_id", "a,contoso.com", "b"],
                "t.csv:3: has 1 cells where",
            ),
            (
                vec![
                    "tenant,tenant_id,machine_groups",
                    "a,contoso.com,\"x;",
                    "y\"",
                    "b,z z,",
                ],
                "t.csv:4: ",
            ),
            (
                vec!["tenant,tenant_id", "a,a.com", "a,b.com"],
                "is the tenant of line 2 once more",
            ),
        ] {
            let text = rows.join(end) + end;
            let refused = files.tenants(OWN, "", "t.csv", &text).unwrap_err();
            assert!(refused.contains(words), "{text:?}: {refused}");
        }
    }
}

#[test]
fn tenants_that_are_not_there_are_told() {
    let files = Files::new();
    let with = |file: &str, text: &str| files.tenants(OWN, "", file, text).unwrap_err();
    for (file, text) in [
        ("t.toml", ""),
        ("t.yaml", "# none\n"),
        ("t.json", "{}"),
        ("t.csv", "tenant,tenant_id\n"),
    ] {
        let refused = with(file, text);
        assert!(
            refused.contains("holds no tenant; add one"),
            "{file}: {refused}"
        );
    }
    files.write("empty/notes.txt", "");
    let at = |path: &str| {
        files.write(
            "w.toml",
            &format!("[sources.s]\ntype = \"defender\"\n{OWN}client_id = \"{ID}\"\ntenants = \"{path}\"\n"),
        );
        load(&files.path("w.toml"), &|_| None)
            .unwrap_err()
            .to_string()
    };
    assert!(
        at("empty").contains("holds no file of a tenant"),
        "{}",
        at("empty")
    );
    let missing = at("gone");
    assert!(missing.contains("gone: cannot be read"), "{missing}");
    let groups = format!("[north]\ntenant_id = \"{OTHER}\"\nmachine_groups = \"UKMachines\"\n");
    let refused = with("t.toml", &groups);
    assert!(
        refused.contains("t.toml:3: ")
            && refused.contains("expected an array, found a string; put it in brackets"),
        "{refused}"
    );
}

/// 20,000 dots in a column's name overflowed the stack.
#[test]
fn no_nesting_overflows_the_stack_in_any_format() {
    let files = Files::new();
    for depth in [100, 20_000, 1_000_000] {
        let dots = vec!["a"; depth].join(".");
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let tables = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        for (file, text) in [
            (
                "t.csv",
                format!("tenant,tenant_id,{dots}\nnorth,{OTHER},1\n"),
            ),
            (
                "t.csv",
                format!("tenant,tenant_id,{}\nnorth,{OTHER},1\n", ".".repeat(depth)),
            ),
            ("t.json", format!("{{\"north\": {{\"{dots}\": 1}}}}")),
            (
                "t.json",
                format!("{{\"north\": {{\"options\": {open}{close}}}}}"),
            ),
            ("t.json", tables),
            ("t.yaml", format!("north:\n  {dots}: 1\n")),
            ("t.yaml", format!("north: {open}{close}\n")),
            ("t.yaml", format!("north: {}\n", "- ".repeat(depth))),
            ("t.toml", format!("[north]\nx = {open}{close}\n")),
            ("t.toml", format!("[north]\n{dots} = 1\n")),
            ("t.toml", format!("[{dots}]\n")),
        ] {
            let refused = files.tenants(OWN, "", file, &text);
            assert!(refused.is_err(), "{depth} in {file}");
        }
        let variables = format!(
            "[north]\ntenant_id = \"{OTHER}\"\ndevice_created_machine_tags = \"{}\"\n",
            "${A:-".repeat(depth) + &"}".repeat(depth)
        );
        assert!(
            files
                .tenants(OWN, "\"variables\"", "t.toml", &variables)
                .is_err()
        );
    }
}

#[test]
fn transforms_that_multiply_the_ways_to_a_sink_are_refused() {
    let layers = |count: usize, wide: usize| {
        let mut text = format!(
            "[sources.s]\ntype = \"defender\"\nregion = \"eu\"\ntenant_id = \"{ID}\"\nclient_id = \"{ID}\"\nclient_secret = \"s\"\n"
        );
        let mut below = vec!["s".to_owned()];
        for layer in 0..count {
            let inputs = below
                .iter()
                .map(|name| format!("\"{name}\""))
                .collect::<Vec<_>>();
            below = (0..wide).map(|n| format!("t{layer}-{n}")).collect();
            for name in &below {
                text += &format!(
                    "[transforms.{name}]\ntype = \"jq\"\ninputs = [{}]\nfilter = \".\"\n",
                    inputs.join(",")
                );
            }
        }
        text += &format!(
            "[sinks.out]\ntype = \"console\"\ninputs = [\"{}\"]\n",
            below[0]
        );
        let files = Files::new();
        files.write("w.toml", &text);
        load(&files.path("w.toml"), &|_| None)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(layers(20, 1), Ok(()));
    assert!(layers(20, 2).unwrap_err().contains("more than 1000 ways"));
    assert!(layers(5000, 1).unwrap_err().contains("in a row"));
}

/// A key with a line feed forged a line of the log.
#[test]
fn no_key_or_value_breaks_the_line_that_tells_of_it() {
    let files = Files::new();
    for text in [
        "[\"a\\nERROR forged\"]\nx = 1\n".to_owned(),
        format!("[north]\ntenant_id = \"{OTHER}\"\n\"a\\n\\u001b[31mERROR forged\" = 1\n"),
        "[north]\n\"client_id\\nERROR forged\".x = 1\n".to_owned(),
    ] {
        let refused = files.tenants(OWN, "", "t.toml", &text).unwrap_err();
        assert!(refused.contains("forged"), "{refused}");
        for line in refused.lines() {
            assert!(
                !line.starts_with("ERROR") && !line.contains('\u{1b}'),
                "{refused}"
            );
        }
    }
}

#[test]
fn paths_are_relative_to_the_file_that_they_stand_in() {
    let files = Files::new();
    files.write(
        "etc/t/north.toml",
        &format!("tenant_id = \"{OTHER}\"\nclient_secret_file = \"north\"\n"),
    );
    files.write(
        "etc/w.toml",
        &format!(
            "data_dir = \"data\"\n[sources.s]\ntype = \"defender\"\nregion = \"eu\"\nclient_id = \"{ID}\"\nclient_secret_file = \"/run/s\"\ncomponent = \"c.wasm\"\ntls.ca_file = \"ca\"\ntenants = \"t\"\n\
             [sinks.out]\ntype = \"file\"\ninputs = [\"s\"]\npath = \"../log/x\"\nencoding.codec = \"e.wasm\"\n\
             [secret.a]\ntype = \"exec\"\ncommand = [\"./p\", \"./arg\"]\n[secret.b]\ntype = \"exec\"\ncommand = [\"p\"]\n[secret.c]\ntype = \"file\"\npath = \"f\"\n"
        ),
    );
    let config = load(&files.path("etc/w.toml"), &|_| None).unwrap().config;
    let etc = |name: &str| files.path("etc").join(name);
    assert_eq!(config.data_dir, Some(etc("data")));
    assert_eq!(config.tenant_files, [etc("t")]);
    let (_, source) = config.feeds().next().unwrap();
    let source = source.defender().unwrap();
    assert_eq!(source.settings.component, Some(etc("c.wasm")));
    assert_eq!(source.settings.tls.ca_file, Some(etc("ca")));
    assert_eq!(
        source.credential,
        Credential::ClientSecret(SecretLocation::File(etc("t").join("north")))
    );
    let sink = config.sinks.values().next().unwrap();
    assert_eq!(sink.settings.writes(None), Some(etc("../log/x")));
    assert_eq!(sink.codec.files(), [etc("e.wasm")]);
    let said = format!("{:?}", config.secrets);
    assert!(
        said.contains(&format!("{:?}, \"./arg\"", etc("./p"))),
        "{said}"
    );
    assert!(
        said.contains("[\"p\"]") && said.contains(&format!("{:?}", etc("f"))),
        "{said}"
    );
}
