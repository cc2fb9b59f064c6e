//! A component of the user's own.

use super::TransformConfig;
use crate::component::{ComponentConfig, Options, Plugin, PluginComponent};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use watchbell_settings::{KeyPath, Report};

/// Runs a component of your own on each detection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The file of the component (.wasm). A relative path is relative to the configuration file.
    component: PathBuf,
    /// What the component gets. Default: nothing.
    #[serde(default)]
    options: Options,
}

impl ComponentConfig for Settings {
    fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        if self.component.as_os_str().is_empty() {
            let message = "is empty; write the component's file";
            report.error(&path.key("component"), message);
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.component.clone()]
    }
}

impl TransformConfig for Settings {
    fn plugin(&self) -> Plugin {
        Plugin {
            component: PluginComponent::File(self.component.clone()),
            options: self.options.clone(),
        }
    }
}
