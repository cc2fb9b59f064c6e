//! The top of a configuration and its three sections: sources, transforms, sinks.
//!
//! Each part of a section is read by itself, so that one that is wrong hides nothing
//! of the others.

use std::fmt;
use std::path::PathBuf;

use indexmap::IndexMap;

use super::merge;
use super::root::Config;
use super::secrets;
use super::sink::{self, Sink};
use super::transform::{self, Transform};
use crate::component::{ComponentType, ProxySettings};
use crate::names::{Name, TenantKeys};
use crate::sinks;
use crate::sources::{self, Source, SourceType};
use crate::transforms;
use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_secrets::SecretSettings;
use watchbell_settings::{Env, KeyPath, Listen, Node, Report, Table, Value, decode, instead};

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
    fn types(self) -> Vec<&'static str> {
        match self {
            Self::Source => sources::TYPES.iter().map(|one| one.name).collect(),
            Self::Transform => transforms::TYPES.iter().map(|one| one.name).collect(),
            Self::Sink => sinks::TYPES.iter().map(|one| one.name).collect(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.section().trim_end_matches('s'))
    }
}

/// The settings outside the sections.
pub(super) const DATA_DIR: &str = "data_dir";
pub(super) const REQUIRE_MOUNT: &str = "require_mount";
const MIN_FREE: &str = "min_free";
const MAX_CONCURRENCY: &str = "max_concurrency";
const MAX_IN_FLIGHT: &str = "max_in_flight";
const LOG_SCHEMA: &str = "log_schema";
const SECRET: &str = "secret";
const PROXY: &str = "proxy";
const METRICS: &str = "metrics";

/// Every key at the top of the file.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    let own = [
        DATA_DIR,
        REQUIRE_MOUNT,
        MIN_FREE,
        MAX_CONCURRENCY,
        MAX_IN_FLIGHT,
        LOG_SCHEMA,
        SECRET,
        PROXY,
        METRICS,
    ];
    own.into_iter().chain(Kind::ALL.map(Kind::section))
}

/// The pool reserves address space for each.
pub(super) const MAX_CONCURRENCY_LIMIT: u32 = 4096;

/// Names that downstream reads.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogSchema {
    /// The member that names the tenant in each object that leaves, and its column in CSV. "" is
    /// none. Default: `tenant` in sinks that a source with `tenants` leads to, none in others.
    #[serde(default)]
    tenant_key: TenantKeys,
}

/// Where metrics are.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsSettings {
    /// The address and the port where Prometheus may fetch `/metrics`.
    listen: Listen,
}

/// Reads all there is. What is wrong is in the report and missing from the result.
pub(super) fn read<'t>(root: &'t Table, env: &Env<'_>, report: &mut Report<'t>) -> Config {
    let mut config = Config::default();
    let known: Vec<&str> = keys().collect();
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
        } else if key == REQUIRE_MOUNT {
            config.require_mount =
                decode::<Option<PathBuf>>(&entry.node, &path, &[], report).flatten();
            if config
                .require_mount
                .as_ref()
                .is_some_and(|path| !path.is_absolute())
            {
                report.error(&path, "must be an absolute path, that of the mount point");
            }
        } else if key == MIN_FREE {
            config.min_free = decode(&entry.node, &path, &[], report);
        } else if key == MAX_CONCURRENCY {
            config.max_concurrency = decode(&entry.node, &path, &[], report);
            if config.max_concurrency() > MAX_CONCURRENCY_LIMIT {
                report.error(&path, format!("must be from 1 to {MAX_CONCURRENCY_LIMIT}"));
            }
        } else if key == MAX_IN_FLIGHT {
            config.max_in_flight = decode(&entry.node, &path, &[], report);
        } else if key == LOG_SCHEMA {
            let schema: Option<LogSchema> = decode(&entry.node, &path, &[], report);
            config.tenant_keys = schema.unwrap_or_default().tenant_key;
        } else if key == METRICS {
            config.metrics =
                decode::<MetricsSettings>(&entry.node, &path, &[], report).map(|raw| raw.listen.0);
        } else if key == PROXY {
            config.proxy = decode::<ProxySettings>(&entry.node, &path, &[], report)
                .and_then(|proxy| proxy.proxies(&path, report));
        } else if key == SECRET {
            config.secrets = read_secrets(&entry.node, &path, report);
        } else if !known.contains(&key) {
            report.error(&path, format!("is not a setting; {}", instead(key, &known)));
        }
    }
    section(Kind::Source, root, report, |name, node, report| {
        let found = merge::read(name, node, env, report);
        config.tenant_files.extend(found.file.iter().cloned());
        if found.file.is_some() {
            config.multi_tenant.extend(name.parse::<Name>());
        }
        config.sources.extend(named(name, found.sources));
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

/// Reads `[secret.NAME]`.
fn read_secrets(
    node: &Node,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> IndexMap<Name, SecretSettings> {
    let Some(table) = part_table(node, path, report) else {
        return IndexMap::default();
    };
    let mut found = IndexMap::default();
    for (name, entry) in table.iter() {
        let path = path.key(name);
        if let Err(error) = name.parse::<Name>() {
            report.error(&path, error.to_string());
        }
        let settings = part_table(&entry.node, &path, report)
            .and_then(|table| secrets::read(&entry.node, table, &path, report));
        if let Some(settings) = settings {
            found.extend(named(name, settings));
        }
    }
    found
}

/// Reads one source, its name included.
pub(super) fn read_source(name: &str, node: &Node, report: &mut Report<'_>) -> Option<Source> {
    let path = part_path(Kind::Source, name, report);
    let table = part_table(node, &path, report)?;
    // The settings are the same whichever component runs.
    if table.get("component").is_none() || table.get("type").is_some() {
        type_of(Kind::Source, table, &path, report)?;
    }
    SourceType::of(table).read(node, &path, report)
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
    let kind = kind.and_then(|kind| ComponentType::named(transforms::TYPES, kind));
    transform::read(node, kind, &path, report)
}

fn read_sink(name: &str, node: &Node, report: &mut Report<'_>) -> Option<Sink> {
    let path = part_path(Kind::Sink, name, report);
    let table = part_table(node, &path, report)?;
    let kind = type_of(Kind::Sink, table, &path, report)?;
    let kind = ComponentType::named(sinks::TYPES, kind)?;
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
        Value::String(text) if types.contains(&text.as_str()) => Some(text.as_str()),
        Value::String(text) => {
            let message = format!(
                "is not a type of {kind}; {}",
                instead(text.as_str(), &types)
            );
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
