//! What the rest of the program must know of a sink before it runs.
//!
//! Adding a type of sink: its own file or folder here, and its line in `TYPES`.

use super::{Format, SinkFactory, console, file, http};
use crate::component::{BuildError, ComponentConfig, component_types};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watchbell_egress::{Egress, Proxies};
use watchbell_secrets::Secrets;

component_types!(SinkConfig: console::Settings, file::Settings, http::Settings);

/// The settings of a sink.
pub trait SinkConfig: ComponentConfig {
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

    /// Makes what opens it.
    ///
    /// # Errors
    /// [`BuildError`], naming the setting.
    fn build(&self, context: &SinkContext<'_>) -> Result<Arc<dyn SinkFactory>, BuildError>;
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
