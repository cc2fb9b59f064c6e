//! A sink: where alerts go, and in which format.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use watchbell_settings::{
    ByteSize, InvalidValue, KeyPath, Node, Report, TimeBound, decode, deserialize_from_text,
    instead,
};

use super::limits::{CallLimits, RawLimits};
use super::names::Name;
use super::options::Options;
use crate::sinks::{Rotate, Settings};

/// The `type`s of sink there are.
pub(super) const TYPES: &[&str] = &["console", "file"];

/// The codecs that need no file of a component.
const CODECS: &[&str] = &["json", "csv"];

/// Who may read a new file: its owner and its group, as log shippers need it.
const DEFAULT_MODE: u32 = 0o640;

/// Compressed; some five million detections.
const DEFAULT_BUFFER: u64 = 1 << 30;

/// A configured sink.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sink {
    /// The sources and transforms whose alerts it gets. Not empty.
    pub inputs: Vec<Name>,
    /// Where they go.
    pub target: Target,
    /// What they look like there.
    pub encoding: Encoding,
    /// What one call of its encoder may use.
    pub limits: CallLimits,
    /// Bytes that may wait for it on disk before its sources are not polled any more.
    pub max_buffer: u64,
}

/// Where a sink puts events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Standard output.
    Console,
    /// A file, which is appended to.
    File(crate::sinks::Settings),
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConsole {
    inputs: Vec<Name>,
    #[serde(default)]
    buffer: RawBuffer,
    #[serde(default)]
    encoding: RawEncoding,
    #[serde(default)]
    limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    inputs: Vec<Name>,
    path: PathBuf,
    mode: Option<Mode>,
    #[serde(default)]
    follow_symlinks: bool,
    require_mount: Option<PathBuf>,
    #[serde(default)]
    rotate: RawRotate,
    #[serde(default)]
    buffer: RawBuffer,
    #[serde(default)]
    encoding: RawEncoding,
    #[serde(default)]
    limits: RawLimits,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawBuffer {
    max_size: Option<ByteSize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawRotate {
    max_size: Option<ByteSize>,
    every: Option<TimeBound>,
    keep: Option<usize>,
}

/// Permissions, in octal.
struct Mode(u32);

impl std::str::FromStr for Mode {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| (0o200..=0o777).contains(mode))
            .map(Self)
            .ok_or_else(|| InvalidValue::new("is not a file's mode; write one like \"0640\""))
    }
}

deserialize_from_text!(Mode);

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawEncoding {
    codec: Option<String>,
    csv: Option<RawCsv>,
    options: Option<Options>,
    quoted_line_ends: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCsv {
    fields: Option<Vec<String>>,
    delimiter: Option<char>,
}

/// Reads the sink of type `kind` that stands at `path`.
pub(super) fn read(
    node: &Node,
    kind: &str,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Sink> {
    let (inputs, target, encoding, limits, buffer) = if kind == "file" {
        let raw: RawFile = decode(node, path, &["type"], report)?;
        if raw.path.as_os_str().is_empty() {
            report.error(&path.key("path"), "is empty; write the file's path");
        }
        if let Err(message) = crate::sinks::check_template(&raw.path) {
            report.error(&path.key("path"), message);
        }
        if raw
            .require_mount
            .as_ref()
            .is_some_and(|mount| mount.as_os_str().is_empty())
        {
            let message = "is empty; write the folder on which a disk must be mounted";
            report.error(&path.key("require_mount"), message);
        }
        let settings = Settings {
            path: raw.path,
            mode: raw.mode.map_or(DEFAULT_MODE, |mode| mode.0),
            rotate: rotate(&raw.rotate, &path.key("rotate"), report),
            follow_symlinks: raw.follow_symlinks,
            require_mount: raw.require_mount,
        };
        let target = Target::File(settings);
        (raw.inputs, target, raw.encoding, raw.limits, raw.buffer)
    } else {
        let raw: RawConsole = decode(node, path, &["type"], report)?;
        let target = Target::Console;
        (raw.inputs, target, raw.encoding, raw.limits, raw.buffer)
    };
    let encoding = encoding_of(encoding, &path.key("encoding"), report)?;
    Some(Sink {
        inputs,
        target,
        encoding,
        limits: limits.of_plugin(&path.key("limits"), report),
        max_buffer: buffer.max_size.map_or(DEFAULT_BUFFER, |size| size.0),
    })
}

fn rotate(raw: &RawRotate, path: &KeyPath, report: &mut Report<'_>) -> Rotate {
    let every = raw.every.and_then(|every| match every {
        TimeBound::Back(time) if time.num_seconds() >= 1 => time.to_std().ok(),
        _ => {
            let message = "must be a duration such as PT1H or P1D, at least a second";
            report.error(&path.key("every"), message);
            None
        }
    });
    Rotate {
        max_size: raw.max_size.map(|size| size.0),
        every,
        keep: raw.keep,
    }
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
