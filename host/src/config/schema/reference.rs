//! The reference of all settings as a page of Markdown, made of the schema: its words are the
//! comments on the settings in the code, so that the page and the program cannot differ.

use serde_json::Value;
use std::fmt::Write;

/// What stands on the page before the tables.
const HEAD: &str = "\
<!-- Made by `watchbell schema --format markdown`. The words are the comments on the settings in the code. -->
# Settings
Every setting of a configuration. Dots in a name lead into tables: `egress.allow_addresses` is `allow_addresses` in the
table `egress`. [Configuration](configuration.md) says how a file is read, and what variables, paths and secrets are.
";

/// The sections whose entries have names.
const SECTIONS: [&str; 4] = ["secret", "sources", "transforms", "sinks"];

/// The page.
pub(super) fn page(schema: &Value) -> String {
    let mut page = HEAD.to_owned();
    let mut rows = Vec::new();
    for (name, setting) in members(&schema["properties"]) {
        if !SECTIONS.contains(&name.as_str()) {
            row(name, setting, false, &mut rows);
        }
    }
    page.push_str("\n## At the top of the file\n");
    table(&rows, &mut page);
    for section in SECTIONS {
        let parts = at(
            schema,
            &format!("/properties/{section}/additionalProperties"),
        );
        let _ = write!(page, "\n## `[{section}.NAME]`\n{}\n", words(parts));
        let types: Vec<&Value> = parts["oneOf"].as_array().into_iter().flatten().collect();
        let shared = shared(&types);
        if !shared.is_empty() {
            let _ = write!(page, "\n### Every one\n");
            table(&shared, &mut page);
        }
        for one in &types {
            let title = match at(one, "/properties/type/const").as_str() {
                Some(name) => format!("`type = \"{name}\"`"),
                None => "`component`".to_owned(),
            };
            let _ = write!(page, "\n### {title}\n{}\n", words(one));
            let mut own = settings(one);
            own.retain(|row| !shared.contains(row));
            table(&own, &mut page);
        }
    }
    page
}

/// A setting: its name, what it means, and an example.
type Row = [String; 3];

/// What all of several types have, if there are several.
fn shared(types: &[&Value]) -> Vec<Row> {
    let Some((first, others)) = types.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Vec::new();
    };
    let others: Vec<Vec<Row>> = others.iter().map(|one| settings(one)).collect();
    let mut shared = settings(first);
    shared.retain(|row| others.iter().all(|other| other.contains(row)));
    shared
}

/// The settings of a type, without `type` itself.
fn settings(schema: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, setting) in members(&schema["properties"]) {
        if name != "type" {
            row(name, setting, is_required(schema, name), &mut rows);
        }
    }
    rows
}

/// A setting's row, or those of a table's settings.
fn row(path: &str, setting: &Value, is_required: bool, rows: &mut Vec<Row>) {
    let mut alternatives = ["anyOf", "oneOf"]
        .iter()
        .filter_map(|key| setting[*key].as_array())
        .flatten();
    let table = [setting]
        .into_iter()
        .chain(alternatives.clone())
        .find(|one| one["properties"].is_object());
    let is_value = table.is_none() || alternatives.any(|one| one["type"] == "string");
    if is_value {
        let mut meaning = words(setting);
        let values = values(setting);
        if !values.is_empty() {
            let _ = write!(meaning, " One of {}.", values.join(", "));
        }
        if is_required && !meaning.contains("Required") {
            meaning.push_str(" Required.");
        }
        rows.push([format!("`{path}`"), meaning, example(setting)]);
    }
    let table = table.unwrap_or(&Value::Null);
    for (name, below) in members(&table["properties"]) {
        row(
            &format!("{path}.{name}"),
            below,
            self::is_required(table, name),
            rows,
        );
    }
}

/// The values that may be chosen from, with what is said of each.
fn values(setting: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for key in ["anyOf", "oneOf"] {
        for one in setting[key].as_array().into_iter().flatten() {
            match one["const"].as_str() {
                Some(value) => {
                    let meaning = words(one);
                    let meaning = meaning.trim_end_matches('.');
                    found.push(format!("`{value}` ({meaning})"));
                }
                None => found.extend(values(one)),
            }
        }
    }
    found
}

fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    required.into_iter().any(|one| one == name)
}

fn example(setting: &Value) -> String {
    match at(setting, "/examples/0") {
        Value::Null => String::new(),
        example => format!("`{example}`"),
    }
}

/// What stands at a JSON pointer; null where there is nothing.
fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn words(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn members(properties: &Value) -> impl Iterator<Item = (&String, &Value)> {
    properties.as_object().into_iter().flatten()
}

fn table(rows: &[Row], page: &mut String) {
    if rows.is_empty() {
        return;
    }
    page.push_str("\n| setting | meaning | example |\n|---|---|---|\n");
    for row in rows {
        let [name, meaning, example] = row.each_ref().map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(page, "| {name} | {meaning} | {example} |");
    }
}
