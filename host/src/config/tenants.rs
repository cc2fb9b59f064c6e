//! Tenants: one source, and for each tenant what it has of its own.
//!
//! `tenants = "PATH"` names a file with an entry for each tenant, or a folder with a
//! file for each. An entry is laid over the source's settings, and what comes of it is a
//! source of its own that shares the name. In TOML, YAML and JSON an entry is a table
//! under the tenant's name; in CSV it is a row whose other columns are settings, written
//! with dots.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::at::At;
use super::error::{ConfigError, Problem};
use super::interpolate::{self, Env};
use super::names::{Name, TenantId};
use super::parse::{self, Format};
use super::path::KeyPath;
use super::report::invalid;
use super::suggest::nearest;
use super::tree::{Node, Table, Text, Value};

/// The setting that names the file or folder.
pub(super) const KEY: &str = "tenants";

/// The column of a CSV file that holds the tenant's name.
const NAME_COLUMN: &str = "tenant";

/// What the source says for all.
const NOT_OWN: &[&str] = &["type", KEY];

/// Settings that exclude each other: where an entry has the first, the others of the
/// source below it go.
const RIVALS: &[(&str, &[&str])] = &[
    ("region", &["endpoint", "authority"]),
    ("endpoint", &["region"]),
    ("authority", &["region"]),
    ("client_secret", &["client_secret_file"]),
    ("client_secret_file", &["client_secret"]),
];

/// The settings that `key` excludes.
pub(super) fn rivals(key: &str) -> impl Iterator<Item = &'static str> {
    let of_key = RIVALS.iter().filter(move |(one, _)| *one == key);
    of_key.flat_map(|(_, others)| others.iter().copied())
}

/// One tenant's entry.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) at: At,
    table: Table,
}

impl Entry {
    /// Replaces variables in it.
    pub(super) fn interpolate(
        &mut self,
        path: &KeyPath,
        env: &Env<'_>,
        problems: &mut Vec<Problem>,
    ) {
        interpolate::table(&mut self.table, path, env, problems);
    }

    /// The source's settings with this tenant's over them.
    pub(super) fn over(self, source: &Table) -> Table {
        let own: Vec<String> = self.table.keys().map(str::to_owned).collect();
        let excluded: Vec<&str> = own.iter().flat_map(|key| rivals(key)).collect();
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
pub(super) fn path_of(
    source: &Table,
    path: &KeyPath,
    env: &Env<'_>,
    problems: &mut Vec<Problem>,
) -> Option<PathBuf> {
    let mut node = source.get(KEY)?.node.clone();
    let path = path.key(KEY);
    // What was put in once is not looked at again.
    if !matches!(&node.value, Value::String(text) if text.interpolated) {
        interpolate::node(&mut node, &path, env, problems);
    }
    let words = match &node.value {
        Value::Null => return None,
        Value::String(text) if !text.text.is_empty() => {
            return Some(PathBuf::from(text.text.as_str()));
        }
        Value::String(_) => "is empty; name a file or a folder, or remove it".to_owned(),
        other => format!(
            "expected the path of a file or a folder, found {}",
            other.kind()
        ),
    };
    problems.push(Problem::new(node.at, path.to_string(), words));
    None
}

/// Reads every entry, in the file's order, or a folder's by name.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let entries = if path.is_dir() {
        folder(path)?
    } else if is_csv(path) {
        csv(path)?
    } else {
        let table = parse::file(path)?;
        table
            .into_entries()
            .map(|(name, entry)| entry_of(name, entry.node))
            .collect::<Result<_, _>>()
            .map_err(|problem| invalid(vec![problem]))?
    };
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
        Err(invalid(problems))
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
            invalid(vec![Problem::new(At::file(path), name, words)])
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
    for file in std::fs::read_dir(path).map_err(told)? {
        let file = file.map_err(told)?.path();
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
            return Err(invalid(vec![Problem::new(At::file(path), one, words)]));
        }
    }
    let entry = |(name, file): (String, PathBuf)| {
        Ok(Entry {
            name,
            at: At::file(&file),
            table: parse::file(&file)?,
        })
    };
    files.into_iter().map(entry).collect()
}

fn is_csv(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

/// A row for each tenant. An empty cell sets nothing; text may stand for a number.
fn csv(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let text = parse::text(path)?;
    let start = At::file(path);
    let wrong = |line: u64, words: String| {
        let line = usize::try_from(line).unwrap_or(1);
        invalid(vec![Problem::new(start.line_column(line, 1), "", words)])
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let of_csv = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        // The library's words would repeat nothing of the file.
        wrong(line, format!("is not CSV: {error}"))
    };
    let header = reader.headers().map_err(of_csv)?.clone();
    let Some(name_at) = header.iter().position(|column| column == NAME_COLUMN) else {
        let words = format!("there is no column {NAME_COLUMN}, which names each tenant; add it");
        return Err(wrong(1, words));
    };
    let mut entries = Vec::new();
    let mut met: HashMap<String, u64> = HashMap::new();
    for row in reader.records() {
        let row = row.map_err(of_csv)?;
        let line = row.position().map_or(1, csv::Position::line);
        let at = start.line_column(usize::try_from(line).unwrap_or(1), 1);
        let mut table = Table::default();
        for (column, cell) in header.iter().zip(&row) {
            if column == NAME_COLUMN || cell.is_empty() {
                continue;
            }
            let keys: Vec<&str> = column.split('.').collect();
            let leaf = Node {
                at: at.clone(),
                value: Value::String(Text::written_out(cell)),
            };
            table.merge(Table::nested(&keys, &at, leaf));
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
