//! Tenants in every form, and names that would mean two of them.

use std::path::PathBuf;

use tempfile::TempDir;
use watchbell::config::{Config, load};

const ID: &str = "11111111-2222-3333-4444-55555555555a";
const OTHER: &str = "99999999-2222-3333-4444-555555555555";

/// Files of a user's, the first of which is the configuration.
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

    /// A source called `name` whose tenants are in a file.
    fn source(&self, name: &str, tenants: &str) -> String {
        format!(
            "[sources.{name}]\ntype = \"defender\"\nregion = \"eu\"\nclient_id = \"{ID}\"\nclient_secret = \"s\"\ntenants = {:?}\n",
            self.path(tenants)
        )
    }

    fn sink(&self, name: &str, inputs: &str, path: &str) -> String {
        format!(
            "[sinks.{name}]\ntype = \"file\"\ninputs = [{inputs}]\npath = {:?}\n",
            self.path(path)
        )
    }

    fn load(&self, text: &str) -> Result<Config, String> {
        self.write("w.toml", text);
        load(&self.path("w.toml"), &|_| None)
            .map(|loaded| loaded.config)
            .map_err(|error| error.to_string())
    }

    /// Each tenant of the one source: its name, id, and groups.
    fn tenants(&self, file: &str) -> Result<Vec<(String, String, Vec<String>)>, String> {
        let config = self.load(&self.source("a", file))?;
        let told = config.feeds().map(|(_, one)| {
            let defender = one.defender().unwrap();
            let groups = defender.settings.machine_groups.clone();
            (one.tenant.clone(), defender.tenant_id.to_string(), groups)
        });
        Ok(told.collect())
    }
}

#[test]
fn tenants_are_the_same_in_toml_yaml_json_csv_and_a_folder() {
    let files = Files::new();
    files.write(
        "t.toml",
        &format!("[north]\ntenant_id = \"{ID}\"\nmachine_groups = [\"a\", \"b c\"]\n[south]\ntenant_id = \"{OTHER}\"\n"),
    );
    files.write(
        "t.yaml",
        &format!(
            "north:\n  tenant_id: {ID}\n  machine_groups: [a, b c]\nsouth:\n  tenant_id: {OTHER}\n"
        ),
    );
    files.write(
        "t.json",
        &format!("{{\"north\": {{\"tenant_id\": \"{ID}\", \"machine_groups\": [\"a\", \"b c\"]}}, \"south\": {{\"tenant_id\": \"{OTHER}\"}}}}"),
    );
    files.write(
        "t.csv",
        &format!("tenant,machine_groups,tenant_id\nnorth,a; b c,{ID}\nsouth,,{OTHER}\n"),
    );
    files.write(
        "t/north.yaml",
        &format!("tenant_id: {ID}\nmachine_groups: [a, b c]\n"),
    );
    files.write("t/south.toml", &format!("tenant_id = \"{OTHER}\"\n"));
    files.write("t/.hidden.toml", "tenant_id = 5\n");
    let want = vec![
        (
            "north".to_owned(),
            ID.to_owned(),
            vec!["a".to_owned(), "b c".to_owned()],
        ),
        ("south".to_owned(), OTHER.to_owned(), Vec::new()),
    ];
    for form in ["t.toml", "t.yaml", "t.json", "t.csv", "t"] {
        assert_eq!(files.tenants(form).as_ref(), Ok(&want), "{form}");
    }
}

#[test]
fn the_same_name_or_the_same_tenant_twice_is_refused_where_it_stands() {
    let files = Files::new();
    let upper = ID.to_uppercase();
    for (name, text, want) in [
        (
            "t.csv",
            format!("tenant,tenant_id\nnorth,{ID}\nnorth,{OTHER}\n"),
            "t.csv:3: is the tenant of line 2 once more",
        ),
        (
            "t.toml",
            format!("[north]\ntenant_id = \"{ID}\"\n[north]\n"),
            "t.toml:3",
        ),
        (
            "t.json",
            "{\"north\": {},\n\"north\": {}}".to_owned(),
            "t.json:2",
        ),
        (
            "t.csv",
            format!("tenant,tenant_id\nnorth,{ID}\nsouth,{ID}\n"),
            "once more: the same tenant_id and api",
        ),
        // The service knows no difference, so it would be delivered twice.
        (
            "t.csv",
            format!("tenant,tenant_id\nnorth,{ID}\nsouth,{upper}\n"),
            "t.csv:2 once more: the same tenant_id and api",
        ),
        (
            "t.csv",
            "tenant,tenant_id\nnorth,Contoso.com\nsouth,contoso.COM\n".to_owned(),
            "once more: the same tenant_id and api",
        ),
    ] {
        files.write(name, &text);
        let refused = files.tenants(name).unwrap_err();
        assert!(refused.contains(want), "{text}: {refused}");
    }
}

#[test]
fn swapped_columns_show_no_secret() {
    let files = Files::new();
    for text in [
        format!("tenant,client_secret,tenant_id\nMARKED~1,north,{ID}\n"),
        format!("tenant,client_secret,tenant_id\nMARKED1,north,{ID}\nMARKED1,north,{ID}\n"),
        format!("tenant,client_secret,tenant_id\nMARKED1,north,{ID}\nMARKED2,south,{ID}\n"),
        "tenant,type\nMARKED1,defender\n".to_owned(),
    ] {
        files.write("t.csv", &text);
        let refused = files.tenants("t.csv").unwrap_err();
        assert!(
            refused.contains("t.csv:") && !refused.contains("MARKED"),
            "{refused}"
        );
    }
}

#[test]
fn a_name_means_one_tenant_wherever_it_is_read() {
    let files = Files::new();
    files.write("a.csv", &format!("tenant,tenant_id\nnorth,{ID}\n"));
    files.write("same.csv", &format!("tenant,tenant_id\nnorth,{ID}\n"));
    files.write("other.csv", &format!("tenant,tenant_id\nnorth,{OTHER}\n"));
    files.write(
        "id.csv",
        &format!("tenant,tenant_id\n{},{OTHER}\n", ID.to_uppercase()),
    );
    let with = |second: &str, sinks: &str| {
        let text = files.source("a", "a.csv") + &files.source("b", second) + sinks;
        files.load(&text)
    };
    let one = files.sink("all", "\"a\", \"b\"", "all.nd");
    assert!(with("same.csv", &one).is_ok());
    let refused = with("other.csv", &one).unwrap_err();
    for want in [
        "sources.b.tenants: calls two tenants north",
        ID,
        OTHER,
        "the source a",
    ] {
        assert!(refused.contains(want), "{want}: {refused}");
    }
    let refused = with("id.csv", &one).unwrap_err();
    assert!(refused.contains("by the id of another tenant"), "{refused}");
    let consoles = "[sinks.x]\ntype = \"console\"\ninputs = [\"a\"]\n[sinks.y]\ntype = \"console\"\ninputs = [\"t\"]\n\
                    [transforms.t]\ntype = \"jq\"\ninputs = [\"b\"]\nfilter = \".\"\n";
    assert!(with("other.csv", consoles).is_err(), "both are printed");
    let apart = files.sink("x", "\"a\"", "x.nd") + &files.sink("y", "\"b\"", "y.nd");
    assert!(with("other.csv", &apart).is_ok(), "they meet nowhere");
}

#[test]
fn no_two_sinks_share_a_file_however_their_paths_are_written() {
    let files = Files::new();
    files.write(
        "a.csv",
        &format!("tenant,tenant_id\nnorth,{ID}\nsouth,{OTHER}\n"),
    );
    let with = |one: &str, other: &str| {
        let text = files.source("a", "a.csv")
            + &files.sink("one", "\"a\"", one)
            + &files.sink("other", "\"a\"", other);
        files.load(&text)
    };
    for (one, other) in [
        ("x/{{tenant}}.nd", "x/{{ tenant }}.nd"),
        ("x/{{ tenant }}.nd", "x/south.nd"),
        ("x/south.nd", "x/{{ tenant }}.nd"),
        ("x/{{ tenant }}.nd", "./x/{{ tenant }}.nd"),
    ] {
        let refused = with(one, other).unwrap_err();
        assert!(
            refused.contains("sinks.other.path: is the file of sink one too"),
            "{one} {other}: {refused}"
        );
    }
    assert!(with("x/{{ tenant }}.nd", "x/east.nd").is_ok());
    assert!(with("x/{{ tenant }}.nd", "y/{{ tenant }}.nd").is_ok());
}

/// Once, the second tenant's batches cut the first one's lines off, and the other way round.
#[test]
fn no_two_tenants_of_a_sink_share_a_file() {
    let files = Files::new();
    files.write(
        "a.csv",
        &format!("tenant,tenant_id\nnorth,{ID}\nsouth,{OTHER}\n"),
    );
    let text = files.source("a", "a.csv") + &files.sink("one", "\"a\"", "x/{{ tenant }}/a.nd");
    std::fs::create_dir_all(files.path("x/north")).unwrap();
    assert!(files.load(&text).is_ok());
    std::os::unix::fs::symlink("north", files.path("x/south")).unwrap();
    let refused = files.load(&text).unwrap_err();
    assert!(
        refused.contains("sinks.one.path: gives the tenants north and south one file"),
        "{refused}"
    );
}

/// Once, `rotate.keep` of the one removed the other's file.
#[test]
fn no_tenant_has_a_file_that_is_called_as_anothers_old_one() {
    let files = Files::new();
    for (name, is_old) in [
        ("acme.2026-05-01T12-00-00.000000Z", true),
        ("acme.2026-05-01T12-00-00.00000Z", false),
        ("globex.2026-05-01T12-00-00.000000Z", false),
    ] {
        files.write(
            "a.csv",
            &format!("tenant,tenant_id\nacme,{ID}\n{name},{OTHER}\n"),
        );
        let load =
            |path| files.load(&(files.source("a", "a.csv") + &files.sink("one", "\"a\"", path)));
        let bare = load("x/{{ tenant }}");
        assert_eq!(bare.is_err(), is_old, "{name}");
        if let Err(refused) = bare {
            assert!(
                refused.contains("sinks.one.path") && refused.contains(name),
                "{refused}"
            );
        }
        assert!(load("x/{{ tenant }}.nd").is_ok() && load("x/{{ tenant }}/a").is_ok());
    }
}
