//! A configuration on its way from text to types: read, overridden by flags, its
//! variables replaced, decoded, checked.
//!
//! The steps are in this order for a reason. Flags go over the file before variables
//! are replaced, so that a flag can stand in for a variable that is not set. All
//! decoding follows all merging, so that the merged whole is judged and each problem
//! is still told with the place its value came from.

use std::path::{Path, PathBuf};

use super::at::At;
use super::check;
use super::decode::decode;
use super::error::{ConfigError, Problem};
use super::interpolate::{self, Env};
use super::names::Name;
use super::parse::{self, Format};
use super::path::KeyPath;
use super::report::{Report, invalid};
use super::sections::{self, Kind, Loaded};
use super::source::Source;
use super::suggest::nearest;
use super::tree::{Entry, Node, Table, Value};

/// Settings of a source that exclude each other: a flag for the first removes the
/// others that stand in the file.
const RIVALS: &[(&str, &[&str])] = &[
    ("region", &["endpoint", "authority"]),
    ("endpoint", &["region"]),
    ("authority", &["region"]),
    ("client_secret", &["client_secret_file"]),
    ("client_secret_file", &["client_secret"]),
];

/// A configuration that has been read and not yet decoded.
#[derive(Debug)]
pub struct Document {
    root: Table,
    origin: At,
}

impl Document {
    /// Reads a file; its extension says the format.
    ///
    /// # Errors
    /// When it cannot be read or is not of its format.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self {
            root: parse::file(path)?,
            origin: At::file(path),
        })
    }

    /// Parses text; `origin` is the file's name in messages.
    ///
    /// # Errors
    /// When it is not of that format.
    pub fn parse(text: &str, format: Format, origin: &Path) -> Result<Self, ConfigError> {
        let origin = At::file(origin);
        Ok(Self {
            root: parse::text_of(text, format, &origin)?,
            origin,
        })
    }

    /// One source of type defender called `name`, all of whose settings come from
    /// flags.
    #[must_use]
    pub fn from_flags(name: &Name) -> Self {
        let origin = At::flag("command line");
        let leaf = Node {
            at: origin.clone(),
            value: Value::text("defender"),
        };
        Self {
            root: Table::nested(&["sources", name.as_str(), "type"], &origin, leaf),
            origin,
        }
    }

    /// The names of the sources, in the file's order.
    pub fn source_names(&self) -> impl Iterator<Item = &str> {
        Kind::Source
            .table(&self.root)
            .into_iter()
            .flat_map(Table::keys)
    }

    /// Lays a flag's value over the setting `key` of a source, e.g.
    /// `egress.allow_addresses`. A setting in the file that excludes it goes.
    /// `${VAR}` is not replaced in it.
    ///
    /// # Errors
    /// When there is no such source.
    pub fn override_source(
        &mut self,
        source: &str,
        key: &str,
        value: Value,
        flag: &str,
    ) -> Result<(), ConfigError> {
        let path = [Kind::Source.section(), source];
        self.find_source(source)?;
        let rivals = RIVALS.iter().filter(|(one, _)| *one == key);
        for rival in rivals.flat_map(|(_, others)| *others) {
            let full = Kind::Source.path().key(source).key(rival);
            let at = self.root.locate(full.segments(), At::flag(flag));
            // A second flag stays, and the two are refused together.
            if at.line() > 0 {
                self.lay(&path, rival, Value::Null, &At::flag(flag));
            }
        }
        self.lay(&path, key, value, &At::flag(flag));
        Ok(())
    }

    fn lay(&mut self, path: &[&str], key: &str, value: Value, at: &At) {
        let path: Vec<&str> = path.iter().copied().chain(key.split('.')).collect();
        let leaf = Node {
            at: at.clone(),
            value,
        };
        self.root.merge(Table::nested(&path, at, leaf));
    }

    fn find_source(&self, name: &str) -> Result<&Entry, ConfigError> {
        let table = Kind::Source.table(&self.root);
        table.and_then(|table| table.get(name)).ok_or_else(|| {
            let remedy = match nearest(name, self.source_names()) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => {
                    let names: Vec<&str> = self.source_names().collect();
                    format!("sources here: {}", names.join(", "))
                }
            };
            let key = Kind::Source.path().key(name).to_string();
            let message = format!("there is no such source; {remedy}");
            invalid(vec![Problem::new(self.origin.clone(), key, message)])
        })
    }

    /// Decodes one source and looks at nothing else, so that `poll` of one needs no
    /// variable of another.
    ///
    /// # Errors
    /// Every problem of that source.
    pub fn source(mut self, name: &str, env: &Env<'_>) -> Result<Source, ConfigError> {
        self.find_source(name)?;
        let path = Kind::Source.path().key(name);
        let mut problems = Vec::new();
        if let Some(Value::Table(sources)) = self
            .root
            .get_mut(Kind::Source.section())
            .map(|entry| &mut entry.node.value)
            && let Some(entry) = sources.get_mut(name)
        {
            interpolate::node(&mut entry.node, &path, env, &mut problems);
        }
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        let entry = self.find_source(name)?;
        let mut report = Report::new(&self.root, self.origin.clone());
        let source = sections::read_source(name, &entry.node, &mut report);
        match report.finish(source)? {
            (Some(source), _) => Ok(source),
            (None, _) => {
                let message = "cannot be decoded";
                Err(invalid(vec![Problem::new(
                    entry.at.clone(),
                    path.to_string(),
                    message,
                )]))
            }
        }
    }

    /// `data_dir` alone, for verbs that use one source and look at nothing else.
    ///
    /// # Errors
    /// When it holds a variable that is not set, or is no text.
    pub fn data_dir(&self, env: &Env<'_>) -> Result<Option<PathBuf>, ConfigError> {
        let mut root = self.root.clone();
        let path = KeyPath::default().key("data_dir");
        let Some(entry) = root.get_mut("data_dir") else {
            return Ok(None);
        };
        let mut problems = Vec::new();
        interpolate::node(&mut entry.node, &path, env, &mut problems);
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        let node = entry.node.clone();
        let mut report = Report::new(&root, self.origin.clone());
        let folder: Option<PathBuf> = decode(&node, &path, &[], &mut report);
        report.finish(folder).map(|(folder, _)| folder)
    }

    /// Replaces variables, decodes and checks everything.
    ///
    /// # Errors
    /// Every problem that one reading finds.
    pub fn decode(mut self, env: &Env<'_>) -> Result<Loaded, ConfigError> {
        let mut problems = Vec::new();
        interpolate::table(&mut self.root, &KeyPath::default(), env, &mut problems);
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        let mut report = Report::new(&self.root, self.origin.clone());
        let config = sections::read(&self.root, &mut report);
        let declared = check::declared(&self.root, &mut report);
        check::graph(&config, &declared, &mut report);
        let (config, warnings) = report.finish(config)?;
        Ok(Loaded { config, warnings })
    }
}
