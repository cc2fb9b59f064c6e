//! `[secret.NAME]`: where secrets are, named as Vector names it.

use std::path::Path;

use schemars::{Schema, SchemaGenerator};
use watchbell_secrets::{
    DirectorySettings, EnvSettings, ExecSettings, FileSettings, SecretSettings,
};
use watchbell_settings::{KeyPath, Node, Report, Table, Value, decode, instead};

/// The `type`s of backend there are.
const TYPES: &[&str] = &["env", "file", "directory", "exec"];

/// The schema of each type of backend, with its name.
pub(super) fn schemas(generator: &mut SchemaGenerator) -> [(&'static str, Schema); 4] {
    [
        ("env", generator.subschema_for::<EnvSettings>()),
        ("file", generator.subschema_for::<FileSettings>()),
        ("directory", generator.subschema_for::<DirectorySettings>()),
        ("exec", generator.subschema_for::<ExecSettings>()),
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
    let not_empty = |found: &Path, report: &mut Report<'_>| {
        if found.as_os_str().is_empty() {
            report.error(&path.key("path"), "is empty; set it");
        }
    };
    match kind {
        "env" => decode(node, path, &["type"], report).map(SecretSettings::Env),
        "file" => {
            let file: FileSettings = decode(node, path, &["type"], report)?;
            not_empty(&file.path, report);
            Some(SecretSettings::File(file))
        }
        "directory" => {
            let folder: DirectorySettings = decode(node, path, &["type"], report)?;
            not_empty(&folder.path, report);
            Some(SecretSettings::Directory(folder))
        }
        "exec" => {
            let exec: ExecSettings = decode(node, path, &["type"], report)?;
            if exec.command.first().is_none_or(String::is_empty) {
                report.error(
                    &path.key("command"),
                    "is empty; name the program and its arguments",
                );
            }
            for name in exec.environment.keys() {
                if name.is_empty() || name.contains(['=', '\0']) {
                    let words = "is not a variable's name; write one without = in it";
                    report.error(&path.key("environment").key(name), words);
                }
            }
            Some(SecretSettings::Exec(exec))
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
