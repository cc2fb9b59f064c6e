//! What the rest of the program must know of a source before it runs.
//!
//! Adding a type of source: its own folder here, and its line in `TYPES`.

use super::defender::{self, Defender};
use super::{Polling, Runtime, SetupError, SourceClient};
use crate::component::{ComponentConfig, ReadSettings, SettingPaths, keys_of_others};
use crate::sources::defender::Credential;
use schemars::{Schema, SchemaGenerator};
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use watchbell_settings::{KeyPath, Node, Report, Table, Value, decode};

/// The types there are. A source without a `type` is read as the first one, since its settings
/// are the same whichever component runs.
pub(crate) static TYPES: [SourceType; 1] = [defender::TYPE];

/// The settings of a source that ask one service as one tenant.
pub trait SourceConfig: ComponentConfig + Any {
    /// The tenant, as the service knows it.
    fn tenant_id(&self) -> &str;

    /// Which API is asked.
    fn api(&self) -> &'static str;

    /// What proves who is asking.
    fn credential(&self) -> &Credential;

    /// The longest that one request may take.
    fn request_timeout(&self) -> Duration;

    /// Judges the addresses that it would reach, as far as that needs no resolving of names.
    ///
    /// # Errors
    /// The setting, and why the policy denies it.
    fn check_destinations(&self) -> Result<(), SetupError>;

    /// Makes what asks the service.
    ///
    /// # Errors
    /// When the component or a setting cannot be used.
    fn build(
        &self,
        source: &Arc<Source>,
        runtime: &Runtime,
    ) -> Result<Arc<dyn SourceClient>, SetupError>;
}

/// A configured source of one tenant.
#[derive(Debug, Clone)]
pub struct Source {
    /// What the tenant is called downstream, in logs and in metrics: its entry's name, else
    /// its id.
    pub tenant: String,
    /// How it is polled.
    pub polling: Polling,
    /// Which service is asked, and as whom: the settings of its type.
    pub settings: Arc<dyn SourceConfig>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.tenant == other.tenant
            && self.polling == other.polling
            && self.settings.is_same_as(other.settings.as_any())
    }
}

impl Source {
    /// The settings of a source of type `defender`; none of another's.
    #[must_use]
    pub fn defender(&self) -> Option<&Defender> {
        self.settings.as_any().downcast_ref()
    }

    /// Makes what asks the service.
    ///
    /// # Errors
    /// When the component or a setting cannot be used.
    pub fn build(self: &Arc<Self>, runtime: &Runtime) -> Result<Arc<dyn SourceClient>, SetupError> {
        self.settings.build(self, runtime)
    }

    /// The file of a refresh token, which each use replaces.
    #[must_use]
    pub fn sealed_file(&self) -> Option<PathBuf> {
        let sealed = self.settings.credential().sealed_file();
        sealed.map(|sealed| sealed.path.clone())
    }
}

/// A type of source.
pub(crate) struct SourceType {
    /// What `type` says.
    pub(crate) name: &'static str,
    /// The settings that are paths, relative to the file that they are written in.
    pub(crate) paths: SettingPaths,
    /// The settings that are secrets, where `SECRET[backend.key]` may be written.
    pub(crate) secrets: &'static [&'static str],
    /// What may be written beside what every source has.
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    /// What the entries of tenants may say.
    pub(crate) tenants: TenantRules,
    /// Reads and checks what was written, beside the keys that were read already.
    pub(crate) read: ReadSettings<dyn SourceConfig>,
}

/// What the entry of a tenant may say over its source.
pub(crate) struct TenantRules {
    /// What concerns the tenant alone, so that its entry may always set it.
    pub(crate) own: &'static [&'static str],
    /// What it may set where the source lists it.
    pub(crate) listed: &'static [&'static str],
    /// Settings that exclude each other: where an entry has the first, the others of the source
    /// below it go.
    pub(crate) rivals: &'static [(&'static str, &'static [&'static str])],
    /// The secrets that an entry inherits from its source.
    pub(crate) inherited: &'static [&'static str],
    /// What chooses who gets them.
    pub(crate) receivers: &'static [&'static str],
    /// Who gets them: none where the settings name nobody.
    pub(crate) receiver: fn(&Table) -> Option<String>,
}

impl SourceType {
    /// The type that a source's table is of.
    pub(crate) fn of(source: &Table) -> &'static Self {
        let named = source.get("type").map(|entry| &entry.node.value);
        let named = TYPES
            .iter()
            .find(|one| matches!(named, Some(Value::String(name)) if name.as_str() == one.name));
        let [first, ..] = &TYPES;
        named.unwrap_or(first)
    }

    /// Reads the source that stands at `path`.
    pub(crate) fn read(
        &self,
        node: &Node,
        path: &KeyPath,
        report: &mut Report<'_>,
    ) -> Option<Source> {
        let others = keys_of_others(node, Polling::KEYS);
        let polling: Option<Polling> = decode(node, path, &others, report);
        if let Some(polling) = &polling {
            polling.check(path, report);
        }
        let read_already: Vec<&str> = Polling::KEYS.iter().copied().chain(["type"]).collect();
        let settings = (self.read)(node, path, &read_already, report);
        let (polling, settings) = polling.zip(settings)?;
        Some(Source {
            tenant: settings.tenant_id().to_owned(),
            polling,
            settings,
        })
    }
}
