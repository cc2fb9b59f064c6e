//! `[secret.NAME]`: where secrets are, named as Vector names it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use watchbell_settings::{KeyPath, Node, Report, Seconds, Table, Value, decode, instead};

use crate::Secret;
use crate::secret::SecretSettings;

/// The `type`s of backend there are.
const TYPES: &[&str] = &["env", "file", "directory", "exec"];

/// As Vector has it.
const DEFAULT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnv {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPath {
    path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExec {
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, Secret>,
    timeout: Option<Seconds>,
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
    let read_path = |report: &mut Report<'_>| {
        let RawPath { path: found } = decode(node, path, &["type"], report)?;
        if found.as_os_str().is_empty() {
            report.error(&path.key("path"), "is empty; set it");
        }
        Some(found)
    };
    match kind {
        "env" => decode(node, path, &["type"], report).map(|RawEnv {}| SecretSettings::Env),
        "file" => read_path(report).map(|path| SecretSettings::File { path }),
        "directory" => read_path(report).map(|path| SecretSettings::Directory { path }),
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
