//! What no part of a configuration can know alone: that inputs exist and lead
//! somewhere, that nothing goes round in a circle, that no two sinks share a file.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::labels;
use super::names::Name;
use super::path::KeyPath;
use super::report::Report;
use super::sections::{Config, Kind};
use super::sink::Target;
use super::suggest::nearest;
use super::tree::Table;

/// Every name that the file declares, well or not, and what it names.
pub(super) type Declared<'t> = IndexMap<&'t str, Kind>;

/// Collects the names, each of which may be given once.
pub(super) fn declared<'t>(root: &'t Table, report: &mut Report<'_>) -> Declared<'t> {
    let mut declared = Declared::new();
    for kind in Kind::ALL {
        for name in kind.table(root).into_iter().flat_map(Table::keys) {
            if let Some(other) = declared.get(name) {
                let message = format!("is the name of a {other} too; give each its own name");
                report.error(&kind.path().key(name), message);
            } else {
                declared.insert(name, kind);
            }
        }
    }
    declared
}

/// Checks how the parts fit together.
pub(super) fn graph(config: &Config, declared: &Declared<'_>, report: &mut Report<'_>) {
    let transforms = config
        .transforms
        .iter()
        .map(|(name, t)| (Kind::Transform, name, &t.inputs));
    let sinks = config
        .sinks
        .iter()
        .map(|(name, s)| (Kind::Sink, name, &s.inputs));
    let mut used = HashSet::new();
    for (kind, name, inputs) in transforms.chain(sinks) {
        let path = kind.path().key(name.as_str()).key("inputs");
        check_inputs(inputs, &path, declared, report);
        used.extend(inputs.iter().map(Name::as_str));
    }
    cycles(config, report);
    shared_files(config, report);
    labels::check(config, report);

    // A file with sources alone is one for `poll`, which needs nothing more.
    if config.transforms.is_empty() && config.sinks.is_empty() {
        return;
    }
    for (name, kind) in declared {
        if *kind != Kind::Sink && !used.contains(name) {
            let path = kind.path().key(name);
            report.warn(&path, "is the input of nothing; its alerts go nowhere");
        }
    }
}

fn check_inputs(inputs: &[Name], path: &KeyPath, declared: &Declared<'_>, report: &mut Report<'_>) {
    if inputs.is_empty() {
        report.error(path, "is empty; name a source or a transform");
    }
    for (index, input) in inputs.iter().enumerate() {
        let at = path.index(index);
        if inputs.iter().take(index).any(|other| other == input) {
            report.error(&at, format!("{input} stands there twice; remove one"));
            continue;
        }
        match declared.get(input.as_str()) {
            Some(Kind::Source | Kind::Transform) => {}
            Some(Kind::Sink) => {
                let message = format!(
                    "{input} is a sink, and nothing comes out of one; name a source or a transform"
                );
                report.error(&at, message);
            }
            None => {
                let could_be = declared.iter().filter(|(_, kind)| **kind != Kind::Sink);
                let remedy = match nearest(input.as_str(), could_be.map(|(name, _)| *name)) {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => "name a source or a transform of this file".to_owned(),
                };
                report.error(&at, format!("there is no {input}; {remedy}"));
            }
        }
    }
}

/// Reports each circle of transforms once.
fn cycles(config: &Config, report: &mut Report<'_>) {
    let mut done: HashSet<&str> = HashSet::new();
    for start in config.transforms.keys() {
        // A walk with its own stack: a chain may be long.
        let mut trail: Vec<&str> = Vec::new();
        let mut work = vec![(start.as_str(), false)];
        while let Some((name, leaving)) = work.pop() {
            if leaving {
                trail.pop();
                done.insert(name);
                continue;
            }
            if let Some(begin) = trail.iter().position(|other| *other == name) {
                let circle: Vec<&str> = trail.iter().skip(begin).copied().chain([name]).collect();
                let path = Kind::Transform.path().key(name).key("inputs");
                let message = format!(
                    "goes round in a circle ({}); remove one of these inputs",
                    circle.join(" <- ")
                );
                report.error(&path, message);
                continue;
            }
            let Some(transform) = config.transforms.get(name).filter(|_| !done.contains(name))
            else {
                continue;
            };
            trail.push(name);
            work.push((name, true));
            work.extend(transform.inputs.iter().map(|input| (input.as_str(), false)));
        }
    }
}

/// Two sinks that append to one file would cut into each other's lines: as they are
/// written, and as they are filled in for each tenant that leads there.
fn shared_files(config: &Config, report: &mut Report<'_>) {
    let mut owners: HashMap<PathBuf, &Name> = HashMap::new();
    for (name, sink) in &config.sinks {
        let Target::File(settings) = &sink.target else {
            continue;
        };
        let at = Kind::Sink.path().key(name.as_str()).key("path");
        let paths: Vec<PathBuf> = if settings.is_parted() {
            let labels = labels::leading_to(config, &sink.inputs);
            labels.map(|label| settings.of(label).path).collect()
        } else {
            vec![settings.path.clone()]
        };
        for path in paths {
            let file = resolved(&path);
            match owners.get(&file) {
                Some(other) if *other != name => {
                    let words = format!("is the file of sink {other} too; give each its own");
                    report.error(&at, words);
                    break;
                }
                _ => {
                    owners.insert(file, name);
                }
            }
        }
    }
}

/// The file that a path means, as far as its folder exists already.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(existing) = absolute.canonicalize() {
        return existing;
    }
    match (
        absolute.parent().map(Path::canonicalize),
        absolute.file_name(),
    ) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => absolute,
    }
}
