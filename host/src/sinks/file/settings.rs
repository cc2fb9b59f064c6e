//! What a person writes for a `file` sink, and what it may not write to.

use super::sink::Factory;
use super::{Rotate, template};
use crate::component::{BuildError, ComponentConfig, ComponentSettings, SettingPaths};
use crate::sinks::{SinkConfig, SinkContext, SinkFactory};
use schemars::JsonSchema;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use watchbell_settings::{InvalidValue, KeyPath, Report, deserialize_from_text, json_schemas};

/// Appends each event to a file, exactly once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The file. `{{ tenant }}` in it makes a file for each tenant. No two sinks may write one
    /// file. Folders that are missing are made. A relative path is relative to the configuration
    /// file.
    #[schemars(
        length(min = 1),
        extend("examples" = ["alerts.ndjson", "alerts/{{ tenant }}.ndjson"])
    )]
    pub(super) path: PathBuf,
    /// The permissions of the file when it is made, in octal, less the umask. Default: 0640.
    #[serde(default)]
    pub(super) mode: FileMode,
    /// When a new file is begun. Default: never.
    #[serde(default)]
    pub(super) rotate: Rotate,
    /// Whether `path` may be a symbolic link. It is refused otherwise, since whoever can change
    /// the link chooses the file. Links among its folders are followed always. Default: false.
    #[serde(default)]
    pub(super) follow_symlinks: bool,
    /// A folder on which a disk must be mounted before anything is written. Default: none.
    #[schemars(length(min = 1), extend("examples" = ["/mnt/alerts"]))]
    pub(super) require_mount: Option<PathBuf>,
}

/// Permissions, in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileMode(pub(super) u32);

impl Default for FileMode {
    /// Who may read a new file: its owner and its group, as log shippers need it.
    fn default() -> Self {
        Self(0o640)
    }
}

impl FromStr for FileMode {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| (0o200..=0o777).contains(mode))
            .map(Self)
            .ok_or_else(|| InvalidValue::new("is not a file's mode; write one like \"0640\""))
    }
}

deserialize_from_text!(FileMode);

json_schemas! {
    FileMode: {
        "description": "Permissions of a file, in octal, with write permission for the owner.",
        "type": "string",
        "pattern": r"^0*[2-7][0-7]{2}$|\$\{",
        "examples": ["0640", "0600"]
    };
}

impl ComponentSettings for Settings {
    const TYPE: &'static str = "file";
    const PATHS: SettingPaths = &[&["path"], &["require_mount"]];
}

impl ComponentConfig for Settings {
    fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        if self.path.as_os_str().is_empty() {
            report.error(&path.key("path"), "is empty; write the file's path");
        }
        if let Err(message) = template::check_template(&self.path) {
            report.error(&path.key("path"), message);
        }
        let mount = self.require_mount.as_ref();
        if mount.is_some_and(|mount| mount.as_os_str().is_empty()) {
            let message = "is empty; write the folder on which a disk must be mounted";
            report.error(&path.key("require_mount"), message);
        }
    }
}

impl SinkConfig for Settings {
    fn is_partitioned(&self) -> bool {
        template::is_one(&self.path)
    }

    fn writes(&self, tenant: Option<&str>) -> Option<PathBuf> {
        match tenant {
            Some(tenant) => Some(template::fill(&self.path, tenant)),
            None => Some(self.path.clone()),
        }
    }

    fn require_mount(&self) -> Option<&Path> {
        self.require_mount.as_deref()
    }

    fn build(&self, context: &SinkContext<'_>) -> Result<Arc<dyn SinkFactory>, BuildError> {
        Ok(Arc::new(Factory::new(context.name, self.clone())))
    }
}

impl Settings {
    /// For one tenant.
    pub(super) fn of(&self, tenant: &str) -> Self {
        Self {
            path: template::fill(&self.path, tenant),
            ..self.clone()
        }
    }
}

/// What stands at the path cannot be a file of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("is no regular file, so what was written cannot be told; use type = \"console\"")]
    NotRegular,
    #[error(
        "is a symbolic link; write the path that it leads to, or set follow_symlinks = true if nobody else can change the link"
    )]
    Link,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(io::ErrorKind::InvalidInput, refused)
    }
}
