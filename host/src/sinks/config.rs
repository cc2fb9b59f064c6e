//! What the rest of the program must know of a sink before it runs.
//!
//! Adding a type of sink: its own file or folder here, and its line in [`TYPES`].

use super::{Format, SinkFactory, console, file, http};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watchbell_egress::{Egress, Proxies};
use watchbell_secrets::{SecretLocation, Secrets};
use watchbell_settings::{KeyPath, Node, Report, decode};

/// The types of sink there are.
pub(crate) static TYPES: &[SinkType] = &[
    SinkType::of::<console::Settings>(),
    SinkType::of::<file::Settings>(),
    SinkType::of::<http::Settings>(),
];

/// The settings of a sink.
pub trait SinkConfig: fmt::Debug + Send + Sync + SameAs {
    /// Reports what only shows when all settings are there.
    fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        let _ = (path, report);
    }

    /// Whether each tenant has a place of its own there.
    fn is_partitioned(&self) -> bool {
        false
    }

    /// Whether it prints to standard output.
    fn prints(&self) -> bool {
        false
    }

    /// The file that it writes, for a tenant where each has one. No two sinks may write one.
    fn writes(&self, tenant: Option<&str>) -> Option<PathBuf> {
        let _ = tenant;
        None
    }

    /// Where a disk must be mounted before it writes.
    fn require_mount(&self) -> Option<&Path> {
        None
    }

    /// The files that it reads when it is built.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The secrets that it needs.
    fn secrets(&self) -> Vec<&SecretLocation> {
        Vec::new()
    }

    /// Makes what opens it.
    ///
    /// # Errors
    /// [`BuildError`], naming the setting.
    fn build(&self, context: &SinkContext<'_>) -> Result<Arc<dyn SinkFactory>, BuildError>;
}

/// The settings of one type of sink. The words that describe them in the schema are the
/// comments on the type and its fields.
pub(crate) trait SinkSettings:
    SinkConfig + DeserializeOwned + JsonSchema + PartialEq + 'static
{
    /// What `type` says.
    const TYPE: &'static str;

    /// The settings that are paths, relative to the file that they are written in.
    const PATHS: &'static [&'static [&'static str]] = &[];

    /// The settings that are secrets, where `SECRET[backend.key]` may be written.
    const SECRETS: &'static [&'static [&'static str]] = &[];
}

/// What a sink is built with.
pub struct SinkContext<'c> {
    /// Its name.
    pub name: &'c str,
    /// How its events become a file.
    pub format: &'c Format,
    /// The way out.
    pub egress: &'c Egress,
    /// Through whom requests go out.
    pub proxies: &'c Proxies,
    /// Where secrets are.
    pub secrets: &'c Secrets,
}

/// A sink that cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {message}")]
pub struct BuildError {
    /// The setting.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
}

impl BuildError {
    pub(super) fn new(field: &'static str, message: impl fmt::Display) -> Self {
        Self {
            field,
            message: message.to_string(),
        }
    }
}

/// A type of sink.
pub(crate) struct SinkType {
    /// What `type` says.
    pub(crate) name: &'static str,
    /// See [`SinkSettings::PATHS`].
    pub(crate) paths: &'static [&'static [&'static str]],
    /// See [`SinkSettings::SECRETS`].
    pub(crate) secrets: &'static [&'static [&'static str]],
    /// What a person may write beside what every sink has.
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    read: Read,
}

type Read = fn(&Node, &KeyPath, &[&str], &mut Report<'_>) -> Option<Arc<dyn SinkConfig>>;

impl SinkType {
    const fn of<S: SinkSettings>() -> Self {
        Self {
            name: S::TYPE,
            paths: S::PATHS,
            secrets: S::SECRETS,
            schema: SchemaGenerator::subschema_for::<S>,
            read: read::<S>,
        }
    }

    /// The type of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        TYPES.iter().find(|one| one.name == name)
    }

    /// Reads the settings of a sink, beside the keys that were read already.
    pub(crate) fn read(
        &self,
        node: &Node,
        path: &KeyPath,
        read_already: &[&str],
        report: &mut Report<'_>,
    ) -> Option<Arc<dyn SinkConfig>> {
        (self.read)(node, path, read_already, report)
    }
}

fn read<S: SinkSettings>(
    node: &Node,
    path: &KeyPath,
    read_already: &[&str],
    report: &mut Report<'_>,
) -> Option<Arc<dyn SinkConfig>> {
    let settings: S = decode(node, path, read_already, report)?;
    settings.check(path, report);
    Some(Arc::new(settings))
}

/// Equality of settings whose types are not known.
pub trait SameAs {
    /// As [`Any`].
    fn as_any(&self) -> &dyn Any;

    /// Whether another one is of the same type and says the same.
    fn is_same_as(&self, other: &dyn Any) -> bool;
}

impl<T: PartialEq + 'static> SameAs for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is_same_as(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

impl PartialEq for dyn SinkConfig {
    fn eq(&self, other: &Self) -> bool {
        self.is_same_as(other.as_any())
    }
}
