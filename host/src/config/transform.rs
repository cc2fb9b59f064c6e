//! A transform: what happens to alerts on their way from sources to sinks.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_settings::{KeyPath, Node, Report, decode};

use super::limits::{CallLimits, PluginLimits, RawLimits};
use super::names::Name;
use super::options::Options;

/// The `type`s of transform there are.
pub(super) const TYPES: &[&str] = &["jq"];

/// A configured transform.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transform {
    /// The sources and transforms whose alerts it gets. Not empty.
    pub inputs: Vec<Name>,
    /// What it does with them.
    pub processor: Processor,
    /// What one call of it may use.
    pub limits: CallLimits,
}

/// What a transform runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Processor {
    /// The bundled jq component.
    Jq {
        /// The filter, not judged yet: the component does that at load.
        filter: String,
    },
    /// A component of the world `alert-processor`.
    Component {
        /// Its file.
        path: PathBuf,
        /// What it gets.
        options: Options,
    },
}

impl Processor {
    /// The component's file; none of a bundled one.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Component { path, .. } => Some(path),
            Self::Jq { .. } => None,
        }
    }
}

/// Runs a jq filter on each detection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJq {
    /// The sources and transforms whose detections it gets, by name.
    #[schemars(length(min = 1))]
    inputs: Vec<Name>,
    /// The jq filter. No output drops a detection, several outputs make several of it. A filter
    /// that uses `now`, `env`, `halt` or inputs is refused.
    #[schemars(extend("examples" = ["select(.Severity == \"High\")"]))]
    filter: String,
    /// What one call of the filter may use.
    #[serde(default)]
    #[schemars(with = "PluginLimits")]
    limits: RawLimits,
}

/// Runs a component of your own on each detection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawComponent {
    /// The sources and transforms whose detections it gets, by name.
    #[schemars(length(min = 1))]
    inputs: Vec<Name>,
    /// The file of the component (.wasm). A relative path is relative to the configuration file.
    component: PathBuf,
    /// What the component gets. Default: nothing.
    #[serde(default)]
    options: Options,
    /// What one call of the component may use.
    #[serde(default)]
    #[schemars(with = "PluginLimits")]
    limits: RawLimits,
}

/// Reads the transform that stands at `path`: of type jq, or a component's.
pub(super) fn read(
    node: &Node,
    kind: Option<&str>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Transform> {
    if kind.is_some() {
        let RawJq {
            inputs,
            filter,
            limits,
        } = decode(node, path, &["type"], report)?;
        if filter.trim().is_empty() {
            report.error(
                &path.key("filter"),
                "is empty; write a filter, or `.` for everything",
            );
        }
        let processor = Processor::Jq { filter };
        return Some(Transform {
            inputs,
            processor,
            limits: limits.of_plugin(&path.key("limits"), report),
        });
    }
    let raw: RawComponent = decode(node, path, &["type"], report)?;
    if raw.component.as_os_str().is_empty() {
        report.error(
            &path.key("component"),
            "is empty; write the component's file",
        );
    }
    Some(Transform {
        inputs: raw.inputs,
        limits: raw.limits.of_plugin(&path.key("limits"), report),
        processor: Processor::Component {
            path: raw.component,
            options: raw.options,
        },
    })
}
