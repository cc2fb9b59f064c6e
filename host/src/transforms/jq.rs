//! A jq filter.

use super::TransformConfig;
use crate::component::{ComponentConfig, ComponentSettings, Options, Plugin, PluginComponent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watchbell_components::JQ;

/// Runs a jq filter on each detection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The jq filter. No output drops a detection, several outputs make several of it. A filter
    /// that uses `now`, `env`, `halt` or inputs is refused.
    #[schemars(extend("examples" = ["select(.Severity == \"High\")"]))]
    filter: String,
}

impl ComponentSettings for Settings {
    const TYPE: &'static str = "jq";
}

impl ComponentConfig for Settings {}

impl TransformConfig for Settings {
    fn plugin(&self) -> Plugin {
        Plugin {
            component: PluginComponent::Bundled(JQ),
            options: Options::of(self),
        }
    }
}
