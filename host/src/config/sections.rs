//! The configuration as a whole and its three sections: sources, transforms, sinks.
//!
//! Each part of a section is read by itself, so that one that is wrong hides nothing
//! of the others.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use super::labels;
use super::merge;
use super::secrets;
use super::sink::{self, Sink};
use super::transform::{self, Transform};
use crate::component::{ProxySettings, proxies_from_env};
use crate::names::{Name, TenantKey, TenantKeys};
use crate::sinks;
use crate::sources::{self, Source, SourceType};
use crate::transforms;
use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_egress::Proxies;
use watchbell_secrets::{SecretLocation, SecretSettings, Secrets};
use watchbell_settings::{
    ByteSize, ConfigError, Env, KeyPath, Listen, Node, Problem, Report, Table, Value, decode,
    instead,
};

/// A whole configuration, checked.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Where state and compiled components are kept.
    pub data_dir: Option<PathBuf>,
    /// A folder on which a disk must be mounted before anything is made or read there.
    pub require_mount: Option<PathBuf>,
    /// Bytes that must be free on its disk for polling to go on; none is the default.
    pub min_free: Option<ByteSize>,
    /// Calls of components that may run at one time; none is the default.
    pub max_concurrency: Option<NonZeroU32>,
    /// Bytes of answers that may be in memory at one time; none is the default.
    pub max_in_flight: Option<ByteSize>,
    /// Which records have a member that names their tenant.
    pub tenant_keys: TenantKeys,
    /// The sources that have `tenants`.
    pub multi_tenant: BTreeSet<Name>,
    /// Where Prometheus may fetch metrics; none: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Through whom requests go out; none is as the environment says.
    pub proxy: Option<Proxies>,
    /// Where secrets are.
    pub secrets: IndexMap<Name, SecretSettings>,
    /// The files and folders of `tenants`.
    pub tenant_files: Vec<PathBuf>,
    /// Where alerts come from: for each source its tenants, one or more.
    pub sources: IndexMap<Name, Vec<Arc<Source>>>,
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

    /// Through whom requests go out: what `proxy` says, else the environment.
    ///
    /// # Errors
    /// When a variable names no proxy.
    pub fn proxies(&self) -> Result<Proxies, ConfigError> {
        self.proxy.clone().map_or_else(proxies_from_env, Ok)
    }

    /// The backends of secrets, for those who need these secrets; those that were
    /// there `before` and are the same stay.
    #[must_use]
    pub fn secrets(&self, before: &Secrets, named: &[SecretLocation]) -> Secrets {
        let backends = self.secrets.iter();
        let backends = backends.map(|(name, settings)| (name.to_string(), settings.clone()));
        let secrets = before.changed_to(backends);
        secrets.expect(named);
        secrets
    }

    /// Where the secrets are that it needs.
    #[must_use]
    pub fn secret_locations(&self) -> Vec<SecretLocation> {
        let of_sources = self
            .feeds()
            .flat_map(|(_, source)| source.settings.secrets());
        let of_sinks = self.sinks.values().flat_map(|sink| sink.settings.secrets());
        of_sources.chain(of_sinks).collect()
    }

    /// Every source once for each of its tenants.
    pub fn feeds(&self) -> impl Iterator<Item = (&Name, &Arc<Source>)> {
        let tenants = self.sources.iter();
        tenants.flat_map(|(name, all)| all.iter().map(move |one| (name, one)))
    }

    /// What the tenants are called whose alerts a sink gets.
    pub fn tenants_of<'c>(&'c self, sink: &'c Sink) -> impl Iterator<Item = &'c str> {
        labels::leading_to(self, &sink.inputs)
    }

    /// The member that names the tenant in what a sink writes; none: records as they came.
    ///
    /// It is decided for a sink as a whole: where the alerts of several tenants meet, the
    /// source of one of them must not be able to say that an alert is another's.
    #[must_use]
    pub fn tenant_key_of(&self, sink: &Sink) -> Option<TenantKey> {
        match &self.tenant_keys {
            TenantKeys::Everywhere(key) => Some(key.clone()),
            TenantKeys::Nowhere => None,
            TenantKeys::WhereTenantsAre => {
                let has_tenants = |name: &Name| self.multi_tenant.contains(name);
                labels::sources_of(self, &sink.inputs)
                    .any(has_tenants)
                    .then(TenantKey::default)
            }
        }
    }

    /// The member that names the tenant wherever a source's alerts go, which it may not send.
    #[must_use]
    pub fn tenant_key_from(&self, source: &Name) -> Option<TenantKey> {
        let sinks = self.sinks.values();
        let mut its =
            sinks.filter(|sink| labels::sources_of(self, &sink.inputs).any(|name| name == source));
        its.find_map(|sink| self.tenant_key_of(sink))
    }

    /// The member that names the tenant in what a transform gets, of whichever sink.
    #[must_use]
    pub fn tenant_key_through(&self, transform: &Transform) -> Option<TenantKey> {
        labels::sources_of(self, &transform.inputs).find_map(|source| self.tenant_key_from(source))
    }

    /// Every file that says what is polled, how and where it goes, beside the
    /// configuration's own: those of tenants, of components and of certificates.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let of_sources = self.feeds().flat_map(|(_, source)| source.settings.files());
        let transforms = self.transforms.values();
        let of_transforms = transforms.flat_map(|transform| transform.settings.files());
        let of_sinks = self.sinks.values().flat_map(Sink::files);
        let components = of_sources.chain(of_transforms).chain(of_sinks);
        let mut files: Vec<PathBuf> = self
            .tenant_files
            .iter()
            .cloned()
            .chain(components)
            .collect();
        files.sort();
        files.dedup();
        files
    }

    /// Calls of components that may run at one time.
    #[must_use]
    pub fn max_concurrency(&self) -> u32 {
        self.max_concurrency.map_or(DEFAULT_CONCURRENCY, u32::from)
    }

    /// Bytes of answers that may be in memory at one time.
    #[must_use]
    pub fn max_in_flight(&self) -> u64 {
        self.max_in_flight.map_or(DEFAULT_IN_FLIGHT, |size| size.0)
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

/// A poll that waits for its service holds a slot, so there are many more than cores.
const DEFAULT_CONCURRENCY: u32 = 256;

/// The pool reserves address space for each.
pub(super) const MAX_CONCURRENCY_LIMIT: u32 = 4096;

/// 256 MiB: four answers of the largest size, and thousands of the usual one.
const DEFAULT_IN_FLIGHT: u64 = 256 << 20;

/// Names that downstream reads.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogSchema {
    /// The member that names the tenant in each object that leaves, and its column in CSV. "" is
    /// none. Default: `tenant` in sinks that a source with `tenants` leads to, none in others.
    #[serde(default)]
    tenant_key: TenantKeys,
}

/// Where metrics are.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetrics {
    /// The address and the port where Prometheus may fetch `/metrics`.
    listen: Listen,
}

/// Room on the disk that is left for acknowledgements: 256 MiB.
const DEFAULT_MIN_FREE: u64 = 256 << 20;

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
            let schema: Option<RawLogSchema> = decode(&entry.node, &path, &[], report);
            config.tenant_keys = schema.unwrap_or_default().tenant_key;
        } else if key == METRICS {
            config.metrics =
                decode::<RawMetrics>(&entry.node, &path, &[], report).map(|raw| raw.listen.0);
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
    let kind = kind.and_then(|kind| transforms::TYPES.iter().find(|one| one.name == kind));
    transform::read(node, kind, &path, report)
}

fn read_sink(name: &str, node: &Node, report: &mut Report<'_>) -> Option<Sink> {
    let path = part_path(Kind::Sink, name, report);
    let table = part_table(node, &path, report)?;
    let kind = type_of(Kind::Sink, table, &path, report)?;
    let kind = sinks::TYPES.iter().find(|one| one.name == kind)?;
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
