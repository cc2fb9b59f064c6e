//! A transform: what happens to alerts on their way from sources to sinks.

use std::path::PathBuf;

use serde::Deserialize;
use watchbell_settings::{KeyPath, Node, Report, decode};

use super::limits::{CallLimits, RawLimits};
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJq {
    inputs: Vec<Name>,
    filter: String,
    #[serde(default)]
    limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawComponent {
    inputs: Vec<Name>,
    component: PathBuf,
    #[serde(default)]
    options: Options,
    #[serde(default)]
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
