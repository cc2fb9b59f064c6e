//! A sink: where alerts go, and in which format.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::decode::decode;
use super::names::Name;
use super::options::Options;
use super::path::KeyPath;
use super::report::Report;
use super::suggest::instead;
use super::tree::Node;

/// The `type`s of sink there are.
pub(super) const TYPES: &[&str] = &["console", "file"];

/// The codecs that need no file of a component.
const CODECS: &[&str] = &["json", "csv"];

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
}

/// Where a sink puts events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Standard output.
    Console,
    /// A file, which is appended to.
    File {
        /// The file.
        path: PathBuf,
    },
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
    },
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
    encoding: RawEncoding,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    inputs: Vec<Name>,
    path: PathBuf,
    #[serde(default)]
    encoding: RawEncoding,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawEncoding {
    codec: Option<String>,
    csv: Option<RawCsv>,
    options: Option<Options>,
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
    let (inputs, target, encoding) = if kind == "file" {
        let raw: RawFile = decode(node, path, &["type"], report)?;
        if raw.path.as_os_str().is_empty() {
            report.error(&path.key("path"), "is empty; write the file's path");
        }
        (raw.inputs, Target::File { path: raw.path }, raw.encoding)
    } else {
        let raw: RawConsole = decode(node, path, &["type"], report)?;
        (raw.inputs, Target::Console, raw.encoding)
    };
    let encoding = encoding_of(encoding, &path.key("encoding"), report)?;
    Some(Sink {
        inputs,
        target,
        encoding,
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
    if raw.options.is_some() && !is_component {
        let message = "goes with a component as codec only; remove it";
        report.error(&path.key("options"), message);
    }
    match codec {
        "json" => Some(Encoding::Json),
        "csv" => Some(Encoding::Csv(csv(raw.csv, &path.key("csv"), report))),
        _ if is_component => Some(Encoding::Component {
            path: codec.into(),
            options: raw.options.unwrap_or_default(),
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
