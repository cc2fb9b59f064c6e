//! What all types of component have in common: sources, transforms, codecs and sinks.
//!
//! A type of component is one settings type, which says in one place what a person may
//! write (serde, and a JSON Schema by schemars), what of that is wrong, and what must be
//! known of it before it runs: its files and its secrets. Each kind of component has a trait
//! of its own for the rest, and a registry, `TYPES`, with a line for each type.

mod limits;
mod options;
mod proxy;

pub use limits::CallLimits;
pub(crate) use limits::PluginLimits;
pub use options::Options;
pub use proxy::ProxySettings;
pub(crate) use proxy::from_env as proxies_from_env;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use watchbell_secrets::SecretLocation;
use watchbell_settings::{KeyPath, Node, Report, Value};

/// The settings of a component, whatever its kind.
pub trait ComponentConfig: fmt::Debug + Send + Sync + SameAs {
    /// Reports what only shows when all settings are there.
    fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        let _ = (path, report);
    }

    /// The files that it reads when it is built.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The secrets that it needs.
    fn secrets(&self) -> Vec<SecretLocation> {
        Vec::new()
    }
}

/// The settings of one type of component. The words that describe them in the schema are the
/// comments on the type and its fields.
pub(crate) trait ComponentSettings:
    ComponentConfig + DeserializeOwned + JsonSchema + PartialEq + 'static
{
    /// What `type` says.
    const TYPE: &'static str;

    /// The settings that are paths, relative to the file that they are written in.
    const PATHS: SettingPaths = &[];

    /// The settings that are secrets, where `SECRET[backend.key]` may be written.
    const SECRETS: SettingPaths = &[];
}

/// Settings, each as the keys that lead to it.
pub(crate) type SettingPaths = &'static [&'static [&'static str]];

/// Reads the settings of a component, beside the keys that were read already.
pub(crate) type ReadSettings<C> = fn(&Node, &KeyPath, &[&str], &mut Report<'_>) -> Option<Arc<C>>;

/// A type of component: `C` is the trait of its kind.
pub(crate) struct ComponentType<C: ?Sized + 'static> {
    /// What `type` says.
    pub(crate) name: &'static str,
    /// See [`ComponentSettings::PATHS`].
    pub(crate) paths: SettingPaths,
    /// See [`ComponentSettings::SECRETS`].
    pub(crate) secrets: SettingPaths,
    /// What a person may write beside what every component of its kind has.
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads and checks what a person wrote.
    pub(crate) read: ReadSettings<C>,
}

impl<C: ?Sized> ComponentType<C> {
    /// The line of a registry.
    pub(crate) const fn of<S: ComponentSettings>(read: ReadSettings<C>) -> Self {
        Self {
            name: S::TYPE,
            paths: S::PATHS,
            secrets: S::SECRETS,
            schema: SchemaGenerator::subschema_for::<S>,
            read,
        }
    }

    /// The type of that name in a registry.
    pub(crate) fn named<'t>(types: &'t [Self], name: &str) -> Option<&'t Self> {
        types.iter().find(|one| one.name == name)
    }
}

/// The keys of a table that are read by others than those who read `own`.
pub(crate) fn keys_of_others<'n>(node: &'n Node, own: &[&str]) -> Vec<&'n str> {
    match &node.value {
        Value::Table(table) => table.keys().filter(|key| !own.contains(key)).collect(),
        _ => Vec::new(),
    }
}

/// The registry of a kind of component: its trait, and the settings of each type.
macro_rules! component_types {
    ($kind:ident: $($settings:ty),* $(,)?) => {
        /// The types there are.
        pub(crate) static TYPES: &[$crate::component::ComponentType<dyn $kind>] = &[$(
            $crate::component::ComponentType::of::<$settings>(|node, path, read_already, report| {
                let settings: $settings =
                    watchbell_settings::decode(node, path, read_already, report)?;
                $crate::component::ComponentConfig::check(&settings, path, report);
                Some(std::sync::Arc::new(settings))
            })
        ),*];

        impl PartialEq for dyn $kind {
            fn eq(&self, other: &Self) -> bool {
                self.is_same_as(other.as_any())
            }
        }
    };
}

pub(crate) use component_types;

/// A component that cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {message}")]
pub struct BuildError {
    /// The setting.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
}

impl BuildError {
    pub(crate) fn new(field: &'static str, message: impl fmt::Display) -> Self {
        Self {
            field,
            message: message.to_string(),
        }
    }
}

/// A WebAssembly component, and what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Where it is.
    pub component: PluginComponent,
    /// What it gets, which it judges itself when it is loaded.
    pub options: Options,
}

/// Where a component is.
#[derive(Clone, PartialEq, Eq)]
pub enum PluginComponent {
    /// One that comes with the program.
    Bundled(&'static [u8]),
    /// In a file.
    File(PathBuf),
}

impl fmt::Debug for PluginComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled(_) => f.write_str("Bundled"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
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
