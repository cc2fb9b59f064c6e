//! Tenants: one source, and for each tenant what it has of its own.
//!
//! `tenants = "PATH"`, or `tenants = { path = "PATH", may_override = […] }`, names a file with an entry for each tenant, or a folder with a
//! file for each. An entry is laid over the source's settings, and what comes of it is a
//! source of its own that shares the name. In TOML, YAML and JSON an entry is a table
//! under the tenant's name; in CSV it is a row whose other columns are settings, written
//! with dots.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use watchbell_settings::{
    At, ConfigError, Env, Format, KeyPath, MAX_DEPTH, Node, Problem, Table, Text, Value, instead,
    nearest,
};

use super::PARSER;
use super::interpolate;
use super::may_override::MayOverride;
use crate::names::Name;
use crate::sources::SourceType;
use crate::sources::defender::TenantId;
use watchbell_secrets::files;

/// The setting that names the file or folder.
pub(super) const KEY: &str = "tenants";

/// What it holds when it is a table.
const PATH: &str = "path";
const MAY_OVERRIDE: &str = "may_override";

/// The column of a CSV file that holds the tenant's name.
const NAME_COLUMN: &str = "tenant";

/// What the source says for all.
const NOT_OWN: &[&str] = &["type", KEY];

/// The settings that `key` excludes in a source: where an entry has it, those of the source
/// below it go.
pub(super) fn rivals(source: &Table, key: &str) -> impl Iterator<Item = &'static str> {
    let rivals = SourceType::of(source).tenants.rivals.iter();
    let of_key = rivals.filter(move |(one, _)| *one == key);
    of_key.flat_map(|(_, others)| others.iter().copied())
}

/// The same as it may be written, for the schema: it is read by hand, since a path in it may
/// be a part's own.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema alone is made of it")]
pub(super) enum TenantsSchema {
    /// The file or folder.
    Path(PathBuf),
    /// The file or folder, and what entries may set.
    Table(TenantsTable),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema alone is made of it")]
pub(super) struct TenantsTable {
    /// A file (TOML, YAML, JSON or CSV) with an entry for each tenant, or a folder with a file
    /// for each. A relative path is relative to the configuration file.
    path: PathBuf,
    /// What entries may set beside what is their own: names of the source's settings,
    /// `variables` for `${VAR}`, `secrets` for every secret backend or `secrets.NAME` for one.
    /// Default: nothing.
    may_override: Option<MayOverride>,
}

/// `tenants`: a path, or a table with one.
pub(super) struct Setting {
    /// The file or folder.
    pub(super) path: PathBuf,
    /// What entries may say beside what is their own.
    pub(super) may: MayOverride,
}

impl Setting {
    pub(super) fn is_csv(&self) -> bool {
        is_csv(&self.path)
    }
}

/// One tenant's entry.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) table: Table,
}

impl Entry {
    /// The source's settings with this tenant's over them.
    pub(super) fn over(self, source: &Table) -> Table {
        let own: Vec<String> = self.table.keys().map(str::to_owned).collect();
        let excluded: Vec<&str> = own.iter().flat_map(|key| rivals(source, key)).collect();
        let mut merged = Table::default();
        for (key, entry) in source.iter() {
            if key != KEY && !excluded.contains(&key) {
                merged.insert(key.to_owned(), entry.at.clone(), entry.node.clone());
            }
        }
        merged.merge(self.table);
        merged
    }
}

/// Where a source's tenants are; none for a source of one tenant.
pub(super) fn setting_of(
    source: &Table,
    path: &KeyPath,
    env: &Env<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Setting> {
    let mut node = source.get(KEY)?.node.clone();
    let path = path.key(KEY);
    // What was put in once is not looked at again.
    if !is_interpolated(&node) {
        interpolate::node(&mut node, &path, env, problems);
    }
    if let Value::Table(table) = &mut node.value {
        let keys = [PATH, MAY_OVERRIDE];
        for (key, entry) in table.iter().filter(|(key, _)| !keys.contains(key)) {
            let words = format!("is not a setting; {}", instead(key, &keys));
            problems.push(Problem::new(
                entry.at.clone(),
                path.key(key).to_string(),
                words,
            ));
        }
        let may = table.get(MAY_OVERRIDE).map(|entry| &entry.node);
        let may = may.map(|may| MayOverride::read(may, &path.key(MAY_OVERRIDE), problems));
        let Some(entry) = table.get_mut(PATH) else {
            let words = "is missing; add it: a file or a folder";
            problems.push(Problem::new(node.at, path.key(PATH).to_string(), words));
            return None;
        };
        let found = path_of(&mut entry.node, &path.key(PATH), problems)?;
        return Some(Setting {
            path: found,
            may: may.unwrap_or_default(),
        });
    }
    let found = path_of(&mut node, &path, problems)?;
    Some(Setting {
        path: found,
        may: MayOverride::default(),
    })
}

fn is_interpolated(node: &Node) -> bool {
    let is_text =
        |node: &Node| matches!(&node.value, Value::String(text) if text.is_interpolated());
    match &node.value {
        Value::Table(table) => table.get(PATH).is_some_and(|entry| is_text(&entry.node)),
        _ => is_text(node),
    }
}

fn path_of(node: &mut Node, path: &KeyPath, problems: &mut Vec<Problem>) -> Option<PathBuf> {
    node.rebase();
    let words = match &node.value {
        Value::Null => return None,
        Value::String(text) if !text.as_str().is_empty() => {
            return Some(PathBuf::from(text.as_str()));
        }
        Value::String(_) => "is empty; name a file or a folder, or remove it".to_owned(),
        other => format!(
            "expected the path of a file or a folder, found {}",
            other.kind()
        ),
    };
    problems.push(Problem::new(node.at.clone(), path.to_string(), words));
    None
}

/// Reads every entry, in the file's order, or a folder's by name.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let named = path.to_owned();
    let about = files::run(path, move || std::fs::metadata(named));
    let told = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let about = about.and_then(|about| about).map_err(told)?;
    let entries = if about.is_dir() {
        folder(path)?
    } else if is_csv(path) {
        csv(path)?
    } else {
        let table = PARSER.file(path)?;
        table
            .into_entries()
            .map(|(name, entry)| entry_of(name, entry.node))
            .collect::<Result<_, _>>()
            .map_err(|problem| ConfigError::invalid(vec![problem]))?
    };
    if entries.is_empty() {
        let words = if about.is_dir() {
            "holds no file of a tenant; add one, named NAME.toml, NAME.yaml or NAME.json"
        } else {
            "holds no tenant; add one"
        };
        return Err(ConfigError::invalid(vec![Problem::new(
            At::file(path),
            "",
            words,
        )]));
    }
    let mut problems = Vec::new();
    for entry in &entries {
        if entry.name.parse::<Name>().is_err() && entry.name.parse::<TenantId>().is_err() {
            let words = "is no tenant's name; use letters, digits, _ and -, at most 64, or its id";
            // With columns swapped it may be a secret that stands there.
            let key = if is_csv(path) {
                NAME_COLUMN
            } else {
                &entry.name
            };
            problems.push(Problem::new(entry.at.clone(), key, words));
        }
        for key in NOT_OWN {
            if let Some(own) = entry.table.get(key) {
                let path = match is_csv(path) {
                    true => KeyPath::default().key(key),
                    false => KeyPath::default().key(&entry.name).key(key),
                };
                let words = "is the source's, not one tenant's; remove it";
                problems.push(Problem::new(own.at.clone(), path.to_string(), words));
            }
        }
    }
    if problems.is_empty() {
        Ok(entries)
    } else {
        Err(ConfigError::invalid(problems))
    }
}

/// The entry called `name`, or what there is instead.
pub(super) fn find(entries: Vec<Entry>, name: &str, path: &Path) -> Result<Entry, ConfigError> {
    let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    entries
        .into_iter()
        .find(|entry| entry.name == name)
        .ok_or_else(|| {
            let words = match nearest(name, names.iter().map(String::as_str)) {
                Some(nearest) => format!("there is no such tenant; did you mean {nearest}?"),
                None => format!("there is no such tenant among {}", names.len()),
            };
            ConfigError::invalid(vec![Problem::new(At::file(path), name, words)])
        })
}

fn entry_of(name: String, node: Node) -> Result<Entry, Problem> {
    match node.value {
        Value::Table(table) => Ok(Entry {
            name,
            at: node.at,
            table,
        }),
        Value::Null => Ok(Entry {
            name,
            at: node.at,
            table: Table::default(),
        }),
        other => {
            let words = format!(
                "expected a table of this tenant's settings, found {}",
                other.kind()
            );
            Err(Problem::new(node.at, name, words))
        }
    }
}

/// Each file that has the name of a format is a tenant. Others, and hidden ones, which
/// editors and mounts leave, are none.
fn folder(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let told = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    let listed = path.to_owned();
    let list = move || std::fs::read_dir(listed)?.collect::<Result<Vec<_>, _>>();
    let all = files::run(path, list);
    for file in all.and_then(|all| all).map_err(told)? {
        let file = file.path();
        let name = file.file_stem().and_then(|name| name.to_str());
        if let Some(name) = name
            && !name.starts_with('.')
            && Format::of(&file).is_some()
        {
            files.push((name.to_owned(), file));
        }
    }
    files.sort();
    for pair in files.windows(2) {
        if let [(one, _), (other, path)] = pair
            && one == other
        {
            let words = "there are two files of this tenant; keep one";
            return Err(ConfigError::invalid(vec![Problem::new(
                At::file(path),
                one,
                words,
            )]));
        }
    }
    let entry = |(name, file): (String, PathBuf)| {
        Ok(Entry {
            name,
            at: At::file(&file),
            table: PARSER.file(&file)?,
        })
    };
    files.into_iter().map(entry).collect()
}

fn is_csv(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

/// Columns of a CSV file. A source has some fifty settings.
const MAX_COLUMNS: usize = 1000;

/// A row for each tenant. An empty cell sets nothing; text may stand for a number.
fn csv(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let text = PARSER.text(path)?;
    let start = At::file(path);
    let wrong = |line: usize, words: String| {
        ConfigError::invalid(vec![Problem::new(start.line_column(line, 1), "", words)])
    };
    let mut lines = RowLines::new(&text);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers();
    let header = header.map_err(|error| wrong(1, of_csv(&error)))?.clone();
    let columns = columns(&header).map_err(|words| wrong(1, words))?;
    let Some(name_at) = header.iter().position(|column| column == NAME_COLUMN) else {
        let words = format!("there is no column {NAME_COLUMN}, which names each tenant; add it");
        return Err(wrong(1, words));
    };
    let mut entries = Vec::new();
    let mut met: HashMap<String, usize> = HashMap::new();
    for row in reader.records() {
        let row = row.map_err(|error| wrong(lines.of(error.position()), of_csv(&error)))?;
        let line = lines.of(row.position());
        let at = start.line_column(line, 1);
        let mut table = Table::default();
        for (keys, cell) in columns.iter().zip(&row) {
            if keys.as_slice() == [NAME_COLUMN] || cell.is_empty() {
                continue;
            }
            let leaf = Node {
                at: at.clone(),
                value: Value::String(Text::written_out(cell)),
            };
            table.merge(Table::nested(keys, &at, leaf));
        }
        let name = row.get(name_at).unwrap_or_default().to_owned();
        if let Some(other) = met.insert(name.clone(), line) {
            let words = format!("is the tenant of line {other} once more; remove one");
            return Err(wrong(line, words));
        }
        entries.push(Entry { name, at, table });
    }
    Ok(entries)
}

/// The keys of each column, whose depth is bounded: tables are built, merged and dropped by
/// recursion.
fn columns(header: &csv::StringRecord) -> Result<Vec<Vec<&str>>, String> {
    if header.len() > MAX_COLUMNS {
        return Err(format!("has more than {MAX_COLUMNS} columns; remove some"));
    }
    let mut met = HashSet::new();
    let mut columns = Vec::new();
    for (index, column) in header.iter().enumerate() {
        let index = index + 1;
        // A bounded look: a name may have as many dots as the file has bytes.
        let keys: Vec<&str> = column.split('.').take(MAX_DEPTH + 1).collect();
        if keys.len() > MAX_DEPTH {
            let most = MAX_DEPTH;
            return Err(format!(
                "the name of column {index} has more than {most} parts; write a setting's name"
            ));
        }
        if keys.iter().any(|key| key.is_empty()) {
            return Err(format!(
                "the name of column {index} has an empty part; write a setting's name"
            ));
        }
        if !met.insert(column) {
            return Err(format!(
                "column {index} has the name of another; remove one"
            ));
        }
        columns.push(keys);
    }
    Ok(columns)
}

/// The library's words would repeat its own count of lines, and nothing of the file.
fn of_csv(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!(
            "has {len} cells where the header has {expected_len}; write one for each column"
        ),
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8 text".to_owned(),
        _ => "is not CSV".to_owned(),
    }
}

/// The lines of rows, which are asked for in their order. The library counts a line end of
/// two bytes to the row that follows it.
struct RowLines<'t> {
    text: &'t [u8],
    byte: usize,
    line: usize,
}

impl<'t> RowLines<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text: text.as_bytes(),
            byte: 0,
            line: 1,
        }
    }

    fn of(&mut self, position: Option<&csv::Position>) -> usize {
        let begins = position.map_or(0, csv::Position::byte);
        let begins = usize::try_from(begins).unwrap_or(usize::MAX);
        let rest = self.text.get(begins..).unwrap_or_default();
        let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let begins = begins.saturating_add(ends.count());
        let passed = self.text.get(self.byte..begins).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.byte = begins.max(self.byte);
        self.line
    }
}
