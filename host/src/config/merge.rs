//! A source with tenants, read as one source for each.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use watchbell_settings::{At, ConfigError, Env, Node, Problem, Report, Table, Value};

use super::may_override::Judge;
use super::sections::{Kind, read_source};
use super::tenants::{self, Entry};
use crate::sources::Source;

/// What a source came to.
#[derive(Default)]
pub(super) struct Found {
    /// The file or folder of its tenants; none for a source of one.
    pub(super) file: Option<PathBuf>,
    pub(super) sources: Vec<Arc<Source>>,
}

/// Reads a source for each of its tenants.
pub(super) fn read(name: &str, node: &Node, env: &Env<'_>, report: &mut Report<'_>) -> Found {
    let path = Kind::Source.path().key(name);
    let mut problems = Vec::new();
    let setting = match &node.value {
        Value::Table(table) => {
            tenants::setting_of(table, &path, env, &mut problems).map(|setting| (table, setting))
        }
        _ => None,
    };
    if !problems.is_empty() {
        report.extend(problems);
        return Found::default();
    }
    let Some((table, setting)) = setting else {
        let source = read_source(name, node, report);
        return Found {
            file: None,
            sources: source.into_iter().map(Arc::new).collect(),
        };
    };
    let sources = match tenants::read(&setting.path) {
        Ok(entries) => {
            let judge = Judge::new(name, table, &setting);
            each(name, table, entries, judge, env, report)
        }
        Err(ConfigError::Invalid(problems)) => {
            report.extend(problems);
            Vec::new()
        }
        Err(error) => {
            report.error(&path.key(tenants::KEY), error.to_string());
            Vec::new()
        }
    };
    Found {
        file: Some(setting.path),
        sources,
    }
}

fn each(
    name: &str,
    table: &Table,
    entries: Vec<Entry>,
    mut judge: Judge<'_>,
    env: &Env<'_>,
    report: &mut Report<'_>,
) -> Vec<Arc<Source>> {
    let path = Kind::Source.path().key(name);
    let mut sources: Vec<Arc<Source>> = Vec::new();
    let mut met: HashMap<(String, &str), At> = HashMap::new();
    for entry in entries {
        let mut problems = Vec::new();
        let entry = judge.entry(entry, env, &mut problems);
        report.extend(problems);
        let Some(entry) = entry else { continue };
        let (label, at) = (entry.name.clone(), entry.at.clone());
        let limits = judge.base_of(&entry);
        let (source, problems) = decode(name, &at, entry.over(table));
        report.extend(problems);
        let Some(mut source) = source else { continue };
        if let Some((base, places)) = limits {
            // What is wrong with the source itself was told with its entry.
            if let (Some(base), _) = decode(name, &at, base) {
                report.extend(judge.exceeding(&base, &source, &places));
            }
        }
        source.tenant = label;
        let key = (
            source.settings.tenant_id().to_owned(),
            source.settings.api(),
        );
        if let Some(other) = met.insert(key, at.clone()) {
            let words = format!(
                "is the tenant of {other} once more: the same tenant_id and api; remove one"
            );
            report.extend([Problem::new(at, path.key("tenant_id").to_string(), words)]);
        }
        sources.push(Arc::new(source));
    }
    sources
}

/// What is wrong is told where it stands: in the entry or in the source.
fn decode(name: &str, at: &At, merged: Table) -> (Option<Source>, Vec<Problem>) {
    let merged = Node {
        at: at.clone(),
        value: Value::Table(merged),
    };
    let root = Table::nested(&[Kind::Source.section(), name], at, merged);
    let mut report = Report::new(&root, at.clone());
    let node = root.find(&[Kind::Source.section(), name]);
    let source = node.and_then(|node| read_source(name, node, &mut report));
    (source, report.into_problems())
}
