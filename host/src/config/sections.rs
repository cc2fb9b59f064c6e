//! The configuration as a whole and its three sections: sources, transforms, sinks.
//!
//! Each part of a section is read by itself, so that one that is wrong hides nothing
//! of the others.

use std::fmt;
use std::path::PathBuf;

use indexmap::IndexMap;

use super::decode::decode;
use super::error::Problem;
use super::names::Name;
use super::path::KeyPath;
use super::report::Report;
use super::sink::{self, Sink};
use super::source::{self, Source};
use super::suggest::instead;
use super::transform::{self, Transform};
use super::tree::{Node, Table, Value};
use super::values::ByteSize;

/// A whole configuration, checked.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Where state and compiled components are kept.
    pub data_dir: Option<PathBuf>,
    /// Bytes that must be free on its disk for polling to go on; none is the default.
    pub min_free: Option<ByteSize>,
    /// Where alerts come from.
    pub sources: IndexMap<Name, Source>,
    /// What happens to them.
    pub transforms: IndexMap<Name, Transform>,
    /// Where they go; none is enough for `poll`.
    pub sinks: IndexMap<Name, Sink>,
}

impl Config {
    /// Bytes that must be free on the disk for polling to go on.
    #[must_use]
    pub fn min_free(&self) -> u64 {
        self.min_free.map_or(DEFAULT_MIN_FREE, |size| size.0)
    }
}

/// A configuration and what is worth saying about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What stops nothing, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// The three kinds of part a configuration has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Source,
    Transform,
    Sink,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Source, Self::Transform, Self::Sink];

    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Transform => "transforms",
            Self::Sink => "sinks",
        }
    }

    pub(super) fn path(self) -> KeyPath {
        KeyPath::default().key(self.section())
    }

    /// The section's table, when it is one.
    pub(super) fn table(self, root: &Table) -> Option<&Table> {
        match &root.get(self.section())?.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What may stand in place of `type`.
    fn types(self) -> &'static [&'static str] {
        match self {
            Self::Source => source::TYPES,
            Self::Transform => transform::TYPES,
            Self::Sink => sink::TYPES,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.section().trim_end_matches('s'))
    }
}

/// The settings outside the sections.
const DATA_DIR: &str = "data_dir";
const MIN_FREE: &str = "min_free";

/// Room on the disk that is left for acknowledgements: 256 MiB.
const DEFAULT_MIN_FREE: u64 = 256 << 20;

/// Reads all there is. What is wrong is in the report and missing from the result.
pub(super) fn read<'t>(root: &'t Table, report: &mut Report<'t>) -> Config {
    let mut config = Config::default();
    let known: Vec<&str> = [DATA_DIR, MIN_FREE]
        .into_iter()
        .chain(Kind::ALL.map(Kind::section))
        .collect();
    for (key, entry) in root.iter() {
        let path = KeyPath::default().key(key);
        if key == DATA_DIR {
            config.data_dir = decode::<Option<PathBuf>>(&entry.node, &path, &[], report).flatten();
            if config
                .data_dir
                .as_ref()
                .is_some_and(|path| path.as_os_str().is_empty())
            {
                report.error(&path, "is empty; set it or remove it");
            }
        } else if key == MIN_FREE {
            config.min_free = decode(&entry.node, &path, &[], report);
        } else if !known.contains(&key) {
            report.error(&path, format!("is not a setting; {}", instead(key, &known)));
        }
    }
    section(Kind::Source, root, report, |name, node, report| {
        if let Some(source) = read_source(name, node, report) {
            config.sources.extend(named(name, source));
        }
    });
    section(Kind::Transform, root, report, |name, node, report| {
        if let Some(transform) = read_transform(name, node, report) {
            config.transforms.extend(named(name, transform));
        }
    });
    section(Kind::Sink, root, report, |name, node, report| {
        if let Some(sink) = read_sink(name, node, report) {
            config.sinks.extend(named(name, sink));
        }
    });
    config
}

fn named<T>(name: &str, part: T) -> Option<(Name, T)> {
    name.parse().ok().map(|name| (name, part))
}

/// Hands each part of a section to `read`.
fn section<'t>(
    kind: Kind,
    root: &'t Table,
    report: &mut Report<'t>,
    mut read: impl FnMut(&str, &'t Node, &mut Report<'t>),
) {
    let Some(entry) = root.get(kind.section()) else {
        return;
    };
    match &entry.node.value {
        Value::Null => {}
        Value::Table(parts) => {
            for (name, entry) in parts.iter() {
                read(name, &entry.node, report);
            }
        }
        other => {
            let message = format!(
                "expected a table of {}, found {}",
                kind.section(),
                other.kind()
            );
            report.error(&kind.path(), message);
        }
    }
}

/// Reads one source, its name included.
pub(super) fn read_source(name: &str, node: &Node, report: &mut Report<'_>) -> Option<Source> {
    let path = part_path(Kind::Source, name, report);
    let table = part_table(node, &path, report)?;
    // The settings are the same whichever component runs.
    if table.get("component").is_none() || table.get("type").is_some() {
        type_of(Kind::Source, table, &path, report)?;
    }
    source::read(node, &path, report)
}

fn read_transform(name: &str, node: &Node, report: &mut Report<'_>) -> Option<Transform> {
    let path = part_path(Kind::Transform, name, report);
    let table = part_table(node, &path, report)?;
    let kind = match (
        table.get("component").is_some(),
        table.get("type").is_some(),
    ) {
        (true, false) => None,
        (true, true) => {
            report.error(
                &path.key("type"),
                "stands beside component; keep one of the two",
            );
            return None;
        }
        (false, _) => Some(type_of(Kind::Transform, table, &path, report)?),
    };
    transform::read(node, kind, &path, report)
}

fn read_sink(name: &str, node: &Node, report: &mut Report<'_>) -> Option<Sink> {
    let path = part_path(Kind::Sink, name, report);
    let table = part_table(node, &path, report)?;
    let kind = type_of(Kind::Sink, table, &path, report)?;
    sink::read(node, kind, &path, report)
}

/// The part's path; reports a name that cannot be one.
fn part_path(kind: Kind, name: &str, report: &mut Report<'_>) -> KeyPath {
    let path = kind.path().key(name);
    if let Err(error) = name.parse::<Name>() {
        report.error(&path, error.to_string());
    }
    path
}

fn part_table<'t>(node: &'t Node, path: &KeyPath, report: &mut Report<'_>) -> Option<&'t Table> {
    match &node.value {
        Value::Table(table) => Some(table),
        other => {
            report.error(
                path,
                format!("expected a table of settings, found {}", other.kind()),
            );
            None
        }
    }
}

/// Reads `type`, which says what the other settings may be.
fn type_of<'t>(
    kind: Kind,
    table: &'t Table,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<&'t str> {
    let types = kind.types();
    let all = types.join(", ");
    let Some(entry) = table.get("type") else {
        let plugin = if kind == Kind::Sink {
            ""
        } else {
            ", or component"
        };
        report.error(
            &path.key("type"),
            format!("is missing; add it ({all}){plugin}"),
        );
        return None;
    };
    match &entry.node.value {
        Value::String(text) if types.contains(&text.text.as_str()) => Some(&text.text),
        Value::String(text) => {
            let message = format!("is not a type of {kind}; {}", instead(&text.text, types));
            report.error(&path.key("type"), message);
            None
        }
        other => {
            let message = format!("expected a string ({all}), found {}", other.kind());
            report.error(&path.key("type"), message);
            None
        }
    }
}
