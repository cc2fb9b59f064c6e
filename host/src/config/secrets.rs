//! `[secret.NAME]`: where secrets are, named as Vector names it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use watchbell_settings::{KeyPath, Node, Report, Seconds, Table, Value, decode, instead};

use watchbell_secrets::{Secret, SecretSettings};

/// The `type`s of backend there are.
const TYPES: &[&str] = &["env", "file", "directory", "exec"];

/// As Vector has it.
const DEFAULT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// A key is the name of an environment variable.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawEnv {}

/// A key is a member of the JSON object in a file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawFile {
    /// The file that holds the JSON object. A relative path is relative to the configuration
    /// file.
    path: PathBuf,
}

/// A key is a file in a folder.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawDirectory {
    /// The folder. A relative path is relative to the configuration file.
    path: PathBuf,
}

/// A program is asked for the keys, by the protocol of Vector's exec backend.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawExec {
    /// The program and its arguments. It reads the keys as JSON on standard input and writes the
    /// secrets as JSON to standard output.
    #[schemars(length(min = 1), extend("examples" = [["/usr/local/bin/vault-get", "--team", "security"]]))]
    command: Vec<String>,
    /// Environment variables of the program, beside `PATH`. It gets no others.
    #[serde(default)]
    environment: BTreeMap<String, Secret>,
    /// Seconds that the program may take. Default: 5.
    timeout: Option<Seconds>,
}

/// The schema of each type of backend, with its name.
pub(super) fn schemas(generator: &mut SchemaGenerator) -> [(&'static str, Schema); 4] {
    [
        ("env", generator.subschema_for::<RawEnv>()),
        ("file", generator.subschema_for::<RawFile>()),
        ("directory", generator.subschema_for::<RawDirectory>()),
        ("exec", generator.subschema_for::<RawExec>()),
    ]
}

/// Reads the backend that stands at `path`.
pub(super) fn read(
    node: &Node,
    table: &Table,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<SecretSettings> {
    let kind = match table.get("type").map(|entry| &entry.node.value) {
        Some(Value::String(text)) => text.as_str(),
        _ => "",
    };
    let not_empty = |found: PathBuf, report: &mut Report<'_>| {
        if found.as_os_str().is_empty() {
            report.error(&path.key("path"), "is empty; set it");
        }
        found
    };
    match kind {
        "env" => decode(node, path, &["type"], report).map(|RawEnv {}| SecretSettings::Env),
        "file" => {
            let RawFile { path: found } = decode(node, path, &["type"], report)?;
            let path = not_empty(found, report);
            Some(SecretSettings::File { path })
        }
        "directory" => {
            let RawDirectory { path: found } = decode(node, path, &["type"], report)?;
            let path = not_empty(found, report);
            Some(SecretSettings::Directory { path })
        }
        "exec" => {
            let raw: RawExec = decode(node, path, &["type"], report)?;
            if raw.command.first().is_none_or(String::is_empty) {
                report.error(
                    &path.key("command"),
                    "is empty; name the program and its arguments",
                );
            }
            for name in raw.environment.keys() {
                if name.is_empty() || name.contains(['=', '\0']) {
                    let words = "is not a variable's name; write one without = in it";
                    report.error(&path.key("environment").key(name), words);
                }
            }
            Some(SecretSettings::Exec {
                command: raw.command,
                environment: raw.environment,
                timeout: raw.timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.0),
            })
        }
        "" => {
            let words = format!("is missing; add it ({})", TYPES.join(", "));
            report.error(&path.key("type"), words);
            None
        }
        other => {
            let words = format!("is not a type of secret backend; {}", instead(other, TYPES));
            report.error(&path.key("type"), words);
            None
        }
    }
}
