//! The reference has every setting that there is, and no other: `watchbell schema` says which
//! those are.

use super::super::support::{Home, run};
use super::pages::{Page, page, pages};
use serde_json::Value;
use std::collections::BTreeSet;

/// The settings of a schema, by their dotted paths: those that are no tables.
fn settings(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    let mut is_table = false;
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        is_table = true;
        settings(&format!("{path}.{name}"), property, found);
    }
    if schema["additionalProperties"]["properties"].is_object()
        || schema["additionalProperties"]["oneOf"].is_array()
    {
        is_table = true;
        settings(&format!("{path}.*"), &schema["additionalProperties"], found);
    }
    for key in ["oneOf", "anyOf"] {
        for one in schema[key].as_array().into_iter().flatten() {
            if one["properties"].is_object() {
                is_table = true;
                settings(path, one, found);
            }
        }
    }
    if !is_table {
        found.insert(path.trim_start_matches('.').to_owned());
    }
}

fn all_settings() -> BTreeSet<String> {
    let home = Home::new();
    let printed = run(&mut home.watchbell(["schema"])).ok();
    let schema: Value = serde_json::from_str(&printed).unwrap();
    let mut found = BTreeSet::new();
    settings("", &schema, &mut found);
    assert!(found.len() > 100, "{found:?}");
    found
}

/// The pages that describe settings.
fn reference() -> Vec<Page> {
    let mut all = vec![page("docs/reference/configuration.md")];
    let sinks = pages().into_iter();
    all.extend(sinks.filter(|page| page.name.starts_with("docs/reference/sinks/")));
    all
}

/// A setting's path without the section and the name of its part.
fn below_its_part(path: &str) -> &str {
    path.split_once(".*.").map_or(path, |(_, setting)| setting)
}

#[test]
fn every_setting_is_in_the_reference() {
    let spans: BTreeSet<String> = reference()
        .iter()
        .flat_map(Page::code_spans)
        .map(|(_, span)| span)
        .collect();
    let is_named = |path: &String| {
        let setting = below_its_part(path);
        let last = setting.rsplit('.').next().unwrap();
        spans.contains(setting) || spans.contains(last)
    };
    let missing: Vec<String> = all_settings()
        .into_iter()
        .filter(|path| !is_named(path))
        .collect();
    assert!(missing.is_empty(), "the reference lacks {missing:#?}");
}

/// The first cells of the tables of settings are settings.
#[test]
fn every_setting_of_the_reference_exists() {
    let all = all_settings();
    let is_one = |span: &str| {
        all.iter().any(|path| {
            let setting = below_its_part(path);
            let ends = [setting, path.as_str()]
                .iter()
                .any(|path| *path == span || path.ends_with(&format!(".{span}")));
            // A table of settings.
            ends || setting.starts_with(&format!("{span}."))
        })
    };
    let mut seen = 0;
    for page in reference() {
        let mut is_inside = false;
        for (number, line) in page.text.lines().enumerate() {
            is_inside = line.starts_with("| key |") || (is_inside && line.starts_with('|'));
            let cell = line.split('|').nth(1).filter(|_| is_inside);
            let spans = cell.unwrap_or_default().split('`').skip(1).step_by(2);
            for span in spans {
                seen += 1;
                let place = format!("{}:{}", page.name, number + 1);
                assert!(is_one(span), "{place}: there is no setting {span}");
            }
        }
    }
    assert!(seen > 80, "{seen} settings were found");
}
