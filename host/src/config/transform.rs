//! A transform: whose detections it gets, and what happens to them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_settings::{KeyPath, Node, Report, decode};

use crate::component::{CallLimits, ComponentConfig, ComponentType, PluginLimits, keys_of_others};
use crate::names::Name;
use crate::transforms::{TransformConfig, WasmSettings};

/// A configured transform.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Transform {
    /// The sources and transforms whose detections it gets. Not empty.
    pub inputs: Vec<Name>,
    /// What happens to them: the settings of its type.
    pub settings: Arc<dyn TransformConfig>,
    /// What one call of it may use.
    pub limits: CallLimits,
}

impl PartialEq for Transform {
    fn eq(&self, other: &Self) -> bool {
        self.inputs == other.inputs
            && *self.settings == *other.settings
            && self.limits == other.limits
    }
}

/// What every transform has, whatever its type.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Common {
    /// The sources and transforms whose detections it gets, by name.
    #[schemars(length(min = 1))]
    inputs: Vec<Name>,
    /// What one call of the component may use.
    #[serde(default)]
    #[schemars(with = "PluginLimits")]
    limits: CallLimits,
}

/// What it is written as.
const COMMON: &[&str] = &["inputs", "limits"];

/// What the settings of a type need not read.
const READ_ALREADY: &[&str] = &["type", "inputs", "limits"];

/// Reads the transform that stands at `path`: of a type, or a component's.
pub(super) fn read(
    node: &Node,
    kind: Option<&ComponentType<dyn TransformConfig>>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Transform> {
    let common: Option<Common> = decode(node, path, &keys_of_others(node, COMMON), report);
    let settings = match kind {
        Some(kind) => (kind.read)(node, path, READ_ALREADY, report),
        None => component(node, path, report),
    };
    let (common, settings) = common.zip(settings)?;
    common.limits.check_plugin(&path.key("limits"), report);
    Some(Transform {
        inputs: common.inputs,
        settings,
        limits: common.limits,
    })
}

fn component(
    node: &Node,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Arc<dyn TransformConfig>> {
    let settings: WasmSettings = decode(node, path, READ_ALREADY, report)?;
    settings.check(path, report);
    Some(Arc::new(settings))
}
