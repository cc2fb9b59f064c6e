//! A sink: where alerts go, and in which format.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_settings::{ByteSize, KeyPath, Node, Report, Table, Value, decode, instead};

use super::limits::{CallLimits, PluginLimits, RawLimits};
use super::names::Name;
use super::options::Options;
use crate::sinks::{SinkConfig, SinkType};

/// The codecs that need no file of a component.
const CODECS: &[&str] = &["json", "csv"];

/// Compressed; some five million detections.
const DEFAULT_BUFFER: u64 = 1 << 30;

/// A configured sink.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sink {
    /// What type it is.
    pub kind: &'static str,
    /// The sources and transforms whose alerts it gets. Not empty.
    pub inputs: Vec<Name>,
    /// Where they go: the settings of its type.
    pub target: Arc<dyn SinkConfig>,
    /// What they look like there.
    pub encoding: Encoding,
    /// What one call of its encoder may use.
    pub limits: CallLimits,
    /// Bytes that may wait for it on disk before its sources are not polled any more.
    pub max_buffer: u64,
}

impl PartialEq for Sink {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.inputs == other.inputs
            && *self.target == *other.target
            && self.encoding == other.encoding
            && self.limits == other.limits
            && self.max_buffer == other.max_buffer
    }
}

/// How a sink writes an alert.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// The detection's JSON, one object a line.
    #[default]
    Json,
    /// The bundled CSV component.
    Csv(Csv),
    /// A component of the world `alert-encoder`.
    Component {
        /// Its file.
        path: PathBuf,
        /// What it gets.
        options: Options,
        /// Whether its events may hold line ends between its quotes, which is to believe
        /// that it quotes.
        quoted_line_ends: bool,
    },
}

impl Encoding {
    /// The component's file; none of a bundled one.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Component { path, .. } => Some(path),
            Self::Json | Self::Csv(_) => None,
        }
    }
}

/// Settings of the CSV encoder, named as Vector names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Csv {
    /// The columns; none leaves them to the encoder.
    pub fields: Option<Vec<String>>,
    /// What stands between them, an ASCII character; none leaves it to the encoder.
    pub delimiter: Option<char>,
}

/// What every sink has, whatever its type.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Common {
    /// The sources and transforms whose detections it gets, by name.
    #[schemars(length(min = 1))]
    inputs: Vec<Name>,
    /// What may wait for the sink on disk.
    #[serde(default)]
    buffer: RawBuffer,
    /// How a detection is written.
    #[serde(default)]
    encoding: RawEncoding,
    /// What one call of the encoder may use.
    #[serde(default)]
    #[schemars(with = "PluginLimits")]
    limits: RawLimits,
}

/// Its settings, and the type's name.
const COMMON: &[&str] = &["type", "inputs", "buffer", "encoding", "limits"];

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawBuffer {
    /// Bytes that may wait for the sink, compressed; then its sources are not polled. Default:
    /// 1 GiB.
    max_size: Option<ByteSize>,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawEncoding {
    /// The format: `json` (one object a line), `csv`, or the file of a component (.wasm).
    /// Default: json.
    #[schemars(
        regex(pattern = r"^(json|csv)$|\.wasm$|\$\{"),
        extend("examples" = ["json", "csv", "encoder.wasm"])
    )]
    codec: Option<String>,
    /// Settings of the codec `csv`.
    csv: Option<RawCsv>,
    /// What the component gets that `codec` names.
    options: Option<Options>,
    /// Whether the events of the component may hold line ends between quotes, which is to trust
    /// it. Default: false.
    quoted_line_ends: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawCsv {
    /// The columns: members of a detection, each once. Default: those of the service's answers.
    #[schemars(length(min = 1), extend("examples" = [["AlertTime", "Severity", "AlertTitle"]]))]
    fields: Option<Vec<String>>,
    /// What stands between two columns: one ASCII character other than a quote or a line end.
    /// Default: a comma.
    #[schemars(with = "Option<String>", regex(pattern = r"^[^\x22\n\r]$|\$\{"), extend("examples" = [";"]))]
    delimiter: Option<char>,
}

/// Reads the sink of a type that stands at `path`.
pub(super) fn read(
    node: &Node,
    kind: &'static SinkType,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Sink> {
    let others: Vec<&str> = match &node.value {
        Value::Table(table) => {
            let keys = Table::keys(table);
            keys.filter(|key| *key == "type" || !COMMON.contains(key))
                .collect()
        }
        _ => Vec::new(),
    };
    let common: Option<Common> = decode(node, path, &others, report);
    let target = kind.read(node, path, COMMON, report);
    let (common, target) = common.zip(target)?;
    Some(Sink {
        kind: kind.name,
        inputs: common.inputs,
        target,
        encoding: encoding_of(common.encoding, &path.key("encoding"), report)?,
        limits: common.limits.of_plugin(&path.key("limits"), report),
        max_buffer: common.buffer.max_size.map_or(DEFAULT_BUFFER, |size| size.0),
    })
}

fn encoding_of(raw: RawEncoding, path: &KeyPath, report: &mut Report<'_>) -> Option<Encoding> {
    let codec = raw.codec.as_deref().unwrap_or("json");
    if raw.csv.is_some() && codec != "csv" {
        report.error(
            &path.key("csv"),
            "goes with codec = \"csv\" only; set that or remove it",
        );
    }
    let is_component = Path::new(codec)
        .extension()
        .is_some_and(|extension| extension == "wasm");
    for (key, is_set) in [
        ("options", raw.options.is_some()),
        ("quoted_line_ends", raw.quoted_line_ends.is_some()),
    ] {
        if is_set && !is_component {
            let message = "goes with a component as codec only; remove it";
            report.error(&path.key(key), message);
        }
    }
    match codec {
        "json" => Some(Encoding::Json),
        "csv" => Some(Encoding::Csv(csv(raw.csv, &path.key("csv"), report))),
        _ if is_component => Some(Encoding::Component {
            path: codec.into(),
            options: raw.options.unwrap_or_default(),
            quoted_line_ends: raw.quoted_line_ends.unwrap_or_default(),
        }),
        _ => {
            let hint = instead(codec, CODECS);
            let message = format!("must be json, csv or a component's file (.wasm); {hint}");
            report.error(&path.key("codec"), message);
            None
        }
    }
}

fn csv(raw: Option<RawCsv>, path: &KeyPath, report: &mut Report<'_>) -> Csv {
    let Some(RawCsv { fields, delimiter }) = raw else {
        return Csv::default();
    };
    if let Some(fields) = &fields {
        let at = path.key("fields");
        if fields.is_empty() {
            report.error(&at, "is empty; name at least one, or remove it");
        }
        for (index, field) in fields.iter().enumerate() {
            if field.is_empty() {
                report.error(&at.index(index), "is empty; write a member's name");
            } else if fields.iter().take(index).any(|other| other == field) {
                report.error(&at.index(index), "stands there twice; remove one");
            }
        }
    }
    let usable = |c: char| c.is_ascii() && !matches!(c, '"' | '\n' | '\r' | '\0');
    if delimiter.is_some_and(|delimiter| !usable(delimiter)) {
        let message = "must be one ASCII character other than a quote or a line end";
        report.error(&path.key("delimiter"), message);
    }
    Csv { fields, delimiter }
}
