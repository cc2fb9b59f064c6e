//! A configuration on its way from text to types: read, overridden by flags, its
//! variables replaced, decoded, checked.
//!
//! The steps are in this order for a reason. Flags go over the file before variables
//! are replaced, so that a flag can stand in for a variable that is not set. All
//! decoding follows all merging, so that the merged whole is judged and each problem
//! is still told with the place its value came from.

use std::path::{Path, PathBuf};

use watchbell_settings::{
    At, COMMAND_LINE, ConfigError, Entry, Env, Format, KeyPath, Node, Problem, Report, Table,
    Value, nearest,
};

use super::PARSER;
use super::check;
use super::interpolate;
use super::may_override::Judge;
use super::paths;
use super::root::{Config, Loaded};
use super::sections::{self, Kind};
use super::tenants;
use crate::names::Name;
use crate::sources::Source;

/// A configuration that has been read and not yet decoded.
#[derive(Debug)]
pub struct Document {
    root: Table,
    origin: At,
    /// The one tenant that a source was cut down to.
    tenant: Option<String>,
}

impl Document {
    /// Reads a file; its extension says the format.
    ///
    /// # Errors
    /// When it cannot be read or is not of its format.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self {
            root: PARSER.file(path)?,
            origin: At::file(path),
            tenant: None,
        })
    }

    /// Parses text; `origin` is the file's name in messages.
    ///
    /// # Errors
    /// When it is not of that format.
    pub fn parse(text: &str, format: Format, origin: &Path) -> Result<Self, ConfigError> {
        let origin = At::file(origin);
        Ok(Self {
            root: PARSER.parse(text, format, &origin)?,
            origin,
            tenant: None,
        })
    }

    /// One source of type defender called `name`, all of whose settings come from
    /// flags.
    #[must_use]
    pub fn from_flags(name: &Name) -> Self {
        let origin = At::flag(COMMAND_LINE);
        let leaf = Node {
            at: origin.clone(),
            value: Value::text("defender"),
        };
        Self {
            root: Table::nested(&["sources", name.as_str(), "type"], &origin, leaf),
            origin,
            tenant: None,
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
        let rivals: Vec<&str> = match &self.find_source(source)?.node.value {
            Value::Table(table) => tenants::rivals(table, key).collect(),
            _ => Vec::new(),
        };
        for rival in rivals {
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
            ConfigError::invalid(vec![Problem::new(self.origin.clone(), key, message)])
        })
    }

    /// Cuts a source that has tenants down to one of them, so that flags go over its
    /// entry and no other tenant's variable is needed.
    ///
    /// # Errors
    /// When there is no such source or tenant, when the source has tenants and none is
    /// named, or has none and one is.
    pub fn choose_tenant(
        &mut self,
        source: &str,
        tenant: Option<&str>,
        env: &Env<'_>,
    ) -> Result<(), ConfigError> {
        let path = Kind::Source.path().key(source);
        let entry = self.find_source(source)?;
        let refuse = |at: &At, words: &str| {
            let key = path.key(tenants::KEY).to_string();
            Err(ConfigError::invalid(vec![Problem::new(
                at.clone(),
                key,
                words,
            )]))
        };
        let Value::Table(settings) = &entry.node.value else {
            return Ok(());
        };
        let at = entry.at.clone();
        let mut problems = Vec::new();
        let found = tenants::setting_of(settings, &path, env, &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::invalid(problems));
        }
        let merged = match (found, tenant) {
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                return refuse(
                    &at,
                    "is missing, so there is one tenant; leave --tenant out",
                );
            }
            (Some(setting), None) => {
                let entries = tenants::read(&setting.path)?;
                let names: Vec<&str> = entries.iter().take(5).map(|e| e.name.as_str()).collect();
                let more = if entries.len() > 5 { ", …" } else { "" };
                let words = format!(
                    "has {} tenants; say which with --tenant: {}{more}",
                    entries.len(),
                    names.join(", ")
                );
                return refuse(&at, &words);
            }
            (Some(setting), Some(tenant)) => {
                let file = &setting.path;
                let entry = tenants::find(tenants::read(file)?, tenant, file)?;
                // The entry is judged now, as it is written; its variables are replaced with
                // the source's, after flags were laid over it.
                let judged =
                    Judge::new(source, settings, &setting).entry(entry.clone(), env, &mut problems);
                if judged.is_none() {
                    return Err(ConfigError::invalid(problems));
                }
                entry.over(settings)
            }
        };
        if let Some(Value::Table(sources)) = self
            .root
            .get_mut(Kind::Source.section())
            .map(|entry| &mut entry.node.value)
            && let Some(entry) = sources.get_mut(source)
        {
            entry.node.value = Value::Table(merged);
        }
        self.tenant = tenant.map(str::to_owned);
        Ok(())
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
            if let Value::Table(table) = &mut entry.node.value {
                paths::of_source(table);
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError::invalid(problems));
        }
        let entry = self.find_source(name)?;
        let mut report = Report::new(&self.root, self.origin.clone());
        let source = sections::read_source(name, &entry.node, &mut report);
        match report.finish(source)? {
            (Some(mut source), _) => {
                if let Some(tenant) = self.tenant {
                    source.tenant = tenant;
                }
                Ok(source)
            }
            (None, _) => {
                let message = "cannot be decoded";
                Err(ConfigError::invalid(vec![Problem::new(
                    entry.at.clone(),
                    path.to_string(),
                    message,
                )]))
            }
        }
    }

    /// What stands outside the sections, for verbs that use one source and look at
    /// nothing else: where state is, and where secrets are.
    ///
    /// # Errors
    /// Every problem there.
    pub fn surroundings(&self, env: &Env<'_>) -> Result<Config, ConfigError> {
        self.only(env, |key| {
            Kind::ALL.iter().all(|kind| kind.section() != key)
        })
    }

    /// Where state is kept, for verbs that look at that and at nothing else: nothing that
    /// is wrong elsewhere is in their way.
    ///
    /// # Errors
    /// Every problem with `data_dir` and `require_mount`.
    pub fn only_data_dir(&self, env: &Env<'_>) -> Result<Config, ConfigError> {
        self.only(env, |key| {
            key == sections::DATA_DIR || key == sections::REQUIRE_MOUNT
        })
    }

    /// What these keys say, at the top of the file.
    fn only(&self, env: &Env<'_>, is_wanted: impl Fn(&str) -> bool) -> Result<Config, ConfigError> {
        let mut root = self.root.clone();
        let others: Vec<&str> = self.root.keys().filter(|key| !is_wanted(key)).collect();
        for key in others {
            root.remove(key);
        }
        let mut problems = Vec::new();
        interpolate::table(&mut root, &KeyPath::default(), env, &mut problems);
        paths::of_root(&mut root);
        if !problems.is_empty() {
            return Err(ConfigError::invalid(problems));
        }
        let mut report = Report::new(&root, self.origin.clone());
        let config = sections::read(&root, env, &mut report);
        report.finish(config).map(|(config, _)| config)
    }

    /// Replaces variables, decodes and checks everything.
    ///
    /// # Errors
    /// Every problem that one reading finds.
    pub fn decode(self, env: &Env<'_>) -> Result<Loaded, ConfigError> {
        self.try_decode(env).1
    }

    /// As [`Document::decode`], and the files that it names, as far as it can be read.
    pub(super) fn try_decode(
        mut self,
        env: &Env<'_>,
    ) -> (Vec<PathBuf>, Result<Loaded, ConfigError>) {
        let mut problems = Vec::new();
        interpolate::table(&mut self.root, &KeyPath::default(), env, &mut problems);
        paths::of_root(&mut self.root);
        if !problems.is_empty() {
            return (Vec::new(), Err(ConfigError::invalid(problems)));
        }
        let mut report = Report::new(&self.root, self.origin.clone());
        let config = sections::read(&self.root, env, &mut report);
        let declared = check::declared(&self.root, &mut report);
        check::graph(&config, &declared, &mut report);
        let files = config.files();
        let finished = report.finish(config);
        let loaded = finished.map(|(config, warnings)| Loaded { config, warnings });
        (files, loaded)
    }
}
