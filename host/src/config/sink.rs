//! A sink: whose detections it gets, where they go, and in which format.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_settings::{ByteSize, KeyPath, Node, Report, Value, decode};

use crate::codecs::{self, CodecConfig};
use crate::component::{CallLimits, ComponentType, PluginLimits, keys_of_others};
use crate::names::Name;
use crate::sinks::SinkConfig;

/// Compressed; some five million detections.
const DEFAULT_BUFFER: ByteSize = ByteSize(1 << 30);

/// A configured sink.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sink {
    /// What type it is.
    pub kind: &'static str,
    /// The sources and transforms whose detections it gets. Not empty.
    pub inputs: Vec<Name>,
    /// Where they go: the settings of its type.
    pub settings: Arc<dyn SinkConfig>,
    /// What they look like there.
    pub codec: Arc<dyn CodecConfig>,
    /// What one call of its encoder may use.
    pub limits: CallLimits,
    /// Bytes that may wait for it on disk before its sources are not polled any more.
    pub max_buffer: u64,
}

impl Sink {
    /// The files that it and its codec read when they are built.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = self.codec.files();
        files.extend(self.settings.files());
        files
    }
}

impl PartialEq for Sink {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.inputs == other.inputs
            && *self.settings == *other.settings
            && *self.codec == *other.codec
            && self.limits == other.limits
            && self.max_buffer == other.max_buffer
    }
}

/// What every sink has, whatever its type, beside its codec.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Common {
    /// The sources and transforms whose detections it gets, by name.
    #[schemars(length(min = 1))]
    inputs: Vec<Name>,
    /// What may wait for the sink on disk.
    #[serde(default)]
    buffer: Buffer,
    /// What one call of the encoder may use.
    #[serde(default)]
    #[schemars(with = "PluginLimits")]
    limits: CallLimits,
}

/// The codec's table.
pub(super) const ENCODING: &str = "encoding";

/// What [`Common`] is written as.
const COMMON: &[&str] = &["inputs", "buffer", "limits"];

/// What the settings of a type need not read.
const READ_ALREADY: &[&str] = &["type", "inputs", "buffer", ENCODING, "limits"];

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Buffer {
    /// Bytes that may wait for the sink, compressed; then its sources are not polled. Default:
    /// 1 GiB.
    max_size: Option<ByteSize>,
}

/// Reads the sink of a type that stands at `path`.
pub(super) fn read(
    node: &Node,
    kind: &ComponentType<dyn SinkConfig>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Sink> {
    let common: Option<Common> = decode(node, path, &keys_of_others(node, COMMON), report);
    let settings = (kind.read)(node, path, READ_ALREADY, report);
    let encoding = match &node.value {
        Value::Table(table) => table.get(ENCODING),
        _ => None,
    };
    let codec = match encoding {
        Some(entry) => codecs::read(&entry.node, &path.key(ENCODING), report),
        None => Some(codecs::json()),
    };
    let (common, settings) = common.zip(settings)?;
    common.limits.check_plugin(&path.key("limits"), report);
    Some(Sink {
        kind: kind.name,
        inputs: common.inputs,
        settings,
        codec: codec?,
        limits: common.limits,
        max_buffer: common.buffer.max_size.unwrap_or(DEFAULT_BUFFER).0,
    })
}
