//! From a file's text to a [`Table`], for each of the three formats.
//!
//! Each front end is a thin layer over the format's own parser and adds nothing but
//! positions and bounds. Keys with dots (`server.port`) are tables inside
//! tables in TOML by its own rules; here the same is made true for YAML and JSON, so
//! that an example can be copied from one format to another.
//!
//! A configuration may come from elsewhere, so what it can cost is bounded: bytes of a
//! file, depth, and the number of nodes that YAML's aliases may add.

mod json;
mod toml;
mod yaml;

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::at::At;
use crate::error::{ConfigError, Problem};
use crate::tree::{Node, Table, Value};

/// The largest file that is read: room for 10,000 tables of 1,600 bytes each.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Tables and arrays inside each other. Configurations need some five; the TOML parser
/// stops at 80 by itself.
pub const MAX_DEPTH: usize = 64;

/// How a file's text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.1 (`.toml`).
    Toml,
    /// YAML 1.2, core schema (`.yaml`, `.yml`).
    Yaml,
    /// JSON (`.json`).
    Json,
}

impl Format {
    /// The format that a file's name says.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Reads the first bytes of a file, at most so many.
pub type ReadFile = fn(&Path, u64) -> io::Result<Zeroizing<Vec<u8>>>;

/// Reads files and texts into a [`Table`], by what a program says of its own.
#[derive(Debug, Clone, Copy)]
pub struct Parser {
    /// How a file is read. The program says it, since a file of a mount may hang whoever
    /// reads it plainly.
    pub read_file: ReadFile,
    /// Tables in which a dot in a key means what the key's owner says, and no nesting.
    pub verbatim_tables: &'static [&'static str],
}

impl Parser {
    /// Reads a file in the format that its name says.
    ///
    /// # Errors
    /// When it cannot be read or is not of its format.
    pub fn file(&self, path: &Path) -> Result<Table, ConfigError> {
        let format = Format::of(path).ok_or_else(|| ConfigError::Format {
            path: path.to_owned(),
            reason: "the format is not known; name it .toml, .yaml, .yml or .json".to_owned(),
        })?;
        self.parse(&self.text(path)?, format, &At::file(path))
    }

    /// Reads a file's text, whatever its format.
    ///
    /// # Errors
    /// When it cannot be read, is larger than 16 MiB or is not UTF-8.
    pub fn text(&self, path: &Path) -> Result<Zeroizing<String>, ConfigError> {
        let refuse = |reason: &str| ConfigError::Format {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let read = (self.read_file)(path, MAX_FILE_BYTES + 1);
        let bytes = read.map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
            return Err(refuse("is larger than 16 MiB"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let offset = error.valid_up_to();
            refuse(&format!("is not UTF-8 text, at byte {offset}"))
        })?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Reads text in a format; `at` names where it comes from.
    ///
    /// # Errors
    /// When it is not of that format.
    pub fn parse(&self, text: &str, format: Format, at: &At) -> Result<Table, ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let nest = |table| nest_dotted(table, self.verbatim_tables);
        let parsed = match format {
            Format::Toml => toml::parse(text, at),
            Format::Yaml => yaml::parse(text, at).and_then(nest),
            Format::Json => json::parse(text, at).and_then(nest),
        };
        parsed.map_err(|problem| ConfigError::invalid(vec![problem]))
    }
}

/// The root as a table.
fn root(node: Node) -> Result<Table, Problem> {
    match node.value {
        Value::Table(table) => Ok(table),
        Value::Null => Ok(Table::default()),
        other => Err(Problem::new(
            node.at,
            "",
            format!("expected a table of settings, found {}", other.kind()),
        )),
    }
}

fn duplicate(at: &At, key: &str) -> Problem {
    Problem::new(
        at.clone(),
        key,
        "stands here a second time; remove one of the two",
    )
}

fn too_deep(at: At) -> Problem {
    let message = format!("tables and arrays are more than {MAX_DEPTH} deep; write it flatter");
    Problem::new(at, "", message)
}

/// Turns `a.b: 1` into `a: {b: 1}`, everywhere but in tables that are verbatim.
fn nest_dotted(table: Table, verbatim: &[&str]) -> Result<Table, Problem> {
    let mut nested = Table::default();
    for (key, mut entry) in table.into_entries() {
        if let Value::Table(below) = entry.node.value {
            let below = if verbatim.contains(&key.as_str()) {
                below
            } else {
                nest_dotted(below, verbatim)?
            };
            entry.node.value = Value::Table(below);
        }
        let path: Vec<&str> = key.split('.').collect();
        if path.iter().any(|part| part.is_empty()) {
            return Err(Problem::new(
                entry.at,
                key,
                "has an empty part; write a.b or a: {b: …}",
            ));
        }
        if path.len() > MAX_DEPTH {
            return Err(too_deep(entry.at));
        }
        let branch = Table::nested(&path, &entry.at, entry.node);
        join(&mut nested, branch, &key)?;
    }
    Ok(nested)
}

/// Merges, but refuses to replace anything.
fn join(table: &mut Table, other: Table, full_key: &str) -> Result<(), Problem> {
    for (key, entry) in other.into_entries() {
        let Some(present) = table.get_mut(&key) else {
            table.insert(key, entry.at, entry.node);
            continue;
        };
        match (&mut present.node.value, entry.node.value) {
            (Value::Table(below), Value::Table(above)) => join(below, above, full_key)?,
            _ => return Err(duplicate(&entry.at, full_key)),
        }
    }
    Ok(())
}

/// Finds lines and columns of byte offsets.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    at: At,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str, at: &At) -> Self {
        let newlines = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(newlines).collect(),
            at: at.clone(),
        }
    }

    fn at(&self, offset: usize) -> At {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|index| self.starts.get(index))
            .copied()
            .unwrap_or(0);
        let column = self
            .text
            .get(start..offset)
            .map_or(0, |before| before.chars().count());
        self.at.line_column(line, column + 1)
    }
}

#[cfg(test)]
mod tests;
