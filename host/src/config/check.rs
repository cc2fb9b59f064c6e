//! What no part of a configuration can know alone: that inputs exist and lead
//! somewhere, that nothing goes round in a circle, that no two sinks share a file.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use watchbell_ledger::private_folder;
use watchbell_settings::{KeyPath, Report, Table, nearest};

use super::labels;
use super::root::Config;
use super::sections::Kind;
use crate::names::{Name, TenantKeys};
use watchbell_secrets::{SecretLocation, SecretSettings};

/// Ways from sources to a sink, and transforms on the longest of them.
const MAX_WAYS: u64 = 1000;
const MAX_STEPS: u64 = 64;

/// Every name that the file declares, well or not, and what it names.
pub(super) type Declared<'t> = IndexMap<&'t str, Kind>;

/// Collects the names, each of which may be given once.
pub(super) fn declared<'t>(root: &'t Table, report: &mut Report<'_>) -> Declared<'t> {
    let mut declared = Declared::new();
    for kind in Kind::ALL {
        for name in kind.table(root).into_iter().flat_map(Table::keys) {
            if let Some(other) = declared.get(name) {
                let message = format!("is the name of a {other} too; give each its own name");
                report.error(&kind.path().key(name), message);
            } else {
                declared.insert(name, kind);
            }
        }
    }
    declared
}

/// Checks how the parts fit together.
pub(super) fn graph(config: &Config, declared: &Declared<'_>, report: &mut Report<'_>) {
    let transforms = config
        .transforms
        .iter()
        .map(|(name, t)| (Kind::Transform, name, &t.inputs));
    let sinks = config
        .sinks
        .iter()
        .map(|(name, s)| (Kind::Sink, name, &s.inputs));
    for (kind, name, inputs) in transforms.chain(sinks) {
        let path = kind.path().key(name.as_str()).key("inputs");
        check_inputs(inputs, &path, declared, report);
    }
    if !cycles(config, report) {
        ways(config, report);
    }
    shared_files(config, report);
    labels::check(config, report);
    without_tenant(config, report);
    leads_nowhere(config, declared, report);
}

/// Reports sources and transforms that lead to no sink. Of such a source nothing would be
/// delivered, while its cursor moves.
fn leads_nowhere(config: &Config, declared: &Declared<'_>, report: &mut Report<'_>) {
    // A file without sinks is one for `poll`, which needs none; `run` refuses it. And one
    // with a part that could not be read has been told of already.
    let count = |kind: Kind| declared.values().filter(|other| **other == kind).count();
    let is_read = config.sinks.len() == count(Kind::Sink)
        && config.transforms.len() == count(Kind::Transform);
    if config.sinks.is_empty() || !is_read {
        return;
    }
    let mut leading: HashSet<&str> = HashSet::new();
    let mut work: Vec<&Name> = config.sinks.values().flat_map(|s| &s.inputs).collect();
    while let Some(name) = work.pop() {
        if leading.insert(name.as_str())
            && let Some(transform) = config.transforms.get(name)
        {
            work.extend(&transform.inputs);
        }
    }
    for (name, kind) in declared {
        if *kind == Kind::Sink || leading.contains(name) {
            continue;
        }
        let path = kind.path().key(name);
        if *kind == Kind::Source {
            let message = "leads to no sink, so nothing of it would be delivered; name it in the inputs of a sink or of a transform that leads to one, or remove it";
            report.error(&path, message);
        } else {
            report.warn(&path, "leads to no sink; nothing comes of it");
        }
    }
}

/// Refuses records that do not say whose they are where those of several tenants meet.
fn without_tenant(config: &Config, report: &mut Report<'_>) {
    if config.tenant_keys != TenantKeys::Nowhere {
        return;
    }
    for (name, sink) in &config.sinks {
        if !sink.settings.is_partitioned() && labels::is_shared(config, &sink.inputs) {
            let message = format!(
                "is empty, and in sink {name} the records of several tenants meet, which nothing else would tell apart; remove it, or put {{{{ tenant }}}} into the path of that sink"
            );
            report.error(&KeyPath::default().dotted("log_schema.tenant_key"), message);
        }
    }
}

/// Bounds the ways from sources to a sink: the pipeline follows each of them, by recursion,
/// and where two transforms of one layer feed both of the next their number doubles.
fn ways(config: &Config, report: &mut Report<'_>) {
    let mut known: HashMap<&Name, (u64, u64)> = HashMap::new();
    for (name, sink) in &config.sinks {
        for input in &sink.inputs {
            measure(config, input, &mut known);
        }
        let (count, steps) = behind(&sink.inputs, &known);
        let message = if count > MAX_WAYS {
            format!("is reached in more than {MAX_WAYS} ways; join some of its transforms")
        } else if steps > MAX_STEPS {
            format!("has more than {MAX_STEPS} transforms in a row before it; join some of them")
        } else {
            continue;
        };
        report.error(&Kind::Sink.path().key(name.as_str()).key("inputs"), message);
    }
}

/// How many ways lead to each part, and the steps of the longest. With a stack of its own: a
/// chain may be long.
fn measure<'c>(config: &'c Config, start: &'c Name, known: &mut HashMap<&'c Name, (u64, u64)>) {
    let mut work = vec![start];
    while let Some(name) = work.last().copied() {
        let Some(transform) = config.transforms.get(name) else {
            known.insert(name, (1, 0));
            work.pop();
            continue;
        };
        let inputs = transform.inputs.iter();
        let unknown: Vec<&Name> = inputs.filter(|input| !known.contains_key(input)).collect();
        if known.contains_key(name) || unknown.is_empty() {
            let (count, steps) = behind(&transform.inputs, known);
            known.insert(name, (count, steps.saturating_add(1)));
            work.pop();
        } else {
            work.extend(unknown);
        }
    }
}

fn behind(inputs: &[Name], known: &HashMap<&Name, (u64, u64)>) -> (u64, u64) {
    let all = inputs.iter().filter_map(|input| known.get(input));
    all.fold((0, 0), |(count, steps), (more, longer)| {
        (count.saturating_add(*more), steps.max(*longer))
    })
}

fn check_inputs(inputs: &[Name], path: &KeyPath, declared: &Declared<'_>, report: &mut Report<'_>) {
    if inputs.is_empty() {
        report.error(path, "is empty; name a source or a transform");
    }
    for (index, input) in inputs.iter().enumerate() {
        let at = path.index(index);
        if inputs.iter().take(index).any(|other| other == input) {
            report.error(&at, format!("{input} stands there twice; remove one"));
            continue;
        }
        match declared.get(input.as_str()) {
            Some(Kind::Source | Kind::Transform) => {}
            Some(Kind::Sink) => {
                let message = format!(
                    "{input} is a sink, and nothing comes out of one; name a source or a transform"
                );
                report.error(&at, message);
            }
            None => {
                let could_be = declared.iter().filter(|(_, kind)| **kind != Kind::Sink);
                let remedy = match nearest(input.as_str(), could_be.map(|(name, _)| *name)) {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => "name a source or a transform of this file".to_owned(),
                };
                report.error(&at, format!("there is no {input}; {remedy}"));
            }
        }
    }
}

/// Reports each circle of transforms once; whether there was one.
fn cycles(config: &Config, report: &mut Report<'_>) -> bool {
    let mut found = false;
    let mut done: HashSet<&str> = HashSet::new();
    for start in config.transforms.keys() {
        // A walk with its own stack: a chain may be long.
        let mut trail: Vec<&str> = Vec::new();
        let mut work = vec![(start.as_str(), false)];
        while let Some((name, leaving)) = work.pop() {
            if leaving {
                trail.pop();
                done.insert(name);
                continue;
            }
            if let Some(begin) = trail.iter().position(|other| *other == name) {
                let circle: Vec<&str> = trail.iter().skip(begin).copied().chain([name]).collect();
                let path = Kind::Transform.path().key(name).key("inputs");
                let message = format!(
                    "goes round in a circle ({}); remove one of these inputs",
                    circle.join(" <- ")
                );
                report.error(&path, message);
                found = true;
                continue;
            }
            let Some(transform) = config.transforms.get(name).filter(|_| !done.contains(name))
            else {
                continue;
            };
            trail.push(name);
            work.push((name, true));
            work.extend(transform.inputs.iter().map(|input| (input.as_str(), false)));
        }
    }
    found
}

/// A sink, or one tenant's part of it.
type Owner<'c> = (&'c Name, Option<&'c str>);

/// The files that this program keeps or reads: written over, they would be lost.
fn own_files(config: &Config, file: Option<&Path>) -> HashSet<PathBuf> {
    let sealed = config
        .feeds()
        .filter_map(|(_, source)| source.sealed_file());
    let secrets = config.secret_locations().into_iter();
    let secrets = secrets.filter_map(|secret| match secret {
        SecretLocation::File(path) => Some(path),
        _ => None,
    });
    let backends = config.secrets.values().filter_map(|backend| match backend {
        SecretSettings::File(file) => Some(file.path.clone()),
        _ => None,
    });
    let read = config.files().into_iter().chain(file.map(Path::to_owned));
    let all = read.chain(sealed).chain(secrets).chain(backends);
    all.map(|path| resolved(&path)).collect()
}

/// Two sinks that append to one file would cut into each other's lines: as they are
/// written, and as they are filled in for each tenant that leads there. So would two
/// tenants. What only the file system knows to be one file is refused by the sinks.
fn shared_files(config: &Config, report: &mut Report<'_>) {
    let mut files: IndexMap<PathBuf, Owner<'_>> = IndexMap::new();
    let own = own_files(config, report.file());
    let kept_in = config.data_dir.as_deref();
    let kept_in = kept_in.map(|folder| resolved(&private_folder(folder)));
    for (name, sink) in &config.sinks {
        let at = Kind::Sink.path().key(name.as_str()).key("path");
        let parts: Vec<Option<&str>> = if sink.settings.is_partitioned() {
            labels::leading_to(config, &sink.inputs).map(Some).collect()
        } else {
            vec![None]
        };
        for tenant in parts {
            let Some(path) = sink.settings.writes(tenant) else {
                continue;
            };
            let owner = (name, tenant);
            let file = resolved(&path);
            let is_kept = kept_in
                .as_ref()
                .is_some_and(|folder| file.starts_with(folder));
            if is_kept || own.contains(&file) {
                let message = "is a file that this program keeps or reads itself, or one in data_dir; write another";
                report.error(&at, message);
                break;
            }
            let other = *files.entry(file).or_insert(owner);
            if other != owner {
                report.error(&at, shared_words(owner, other, &path));
                break;
            }
        }
    }
    moved_names(&files, report);
}

fn shared_words((name, tenant): Owner<'_>, other: Owner<'_>, path: &Path) -> String {
    match (other, tenant) {
        ((sink, Some(before)), Some(tenant)) if sink == name => format!(
            "gives the tenants {before} and {tenant} one file, {}; call one of them otherwise",
            path.display()
        ),
        ((sink, _), _) => format!("is the file of sink {sink} too; give each its own"),
    }
}

/// A tenant whose file is called as another's is once that is moved away: it would be
/// removed as an old one.
fn moved_names(files: &IndexMap<PathBuf, Owner<'_>>, report: &mut Report<'_>) {
    for (path, (name, _)) in files {
        let of = path.file_name().and_then(crate::sinks::moved_from);
        let of = of.map(|of| path.with_file_name(of));
        if let Some((of, (other, _))) = of.and_then(|of| files.get_key_value(&of)) {
            let words = format!(
                "gives a file the name {}, which a file of sink {other}, {}, gets when it is moved away; call it otherwise",
                path.display(),
                of.display()
            );
            let at = Kind::Sink.path().key(name.as_str()).key("path");
            report.error(&at, words);
        }
    }
}

/// The file that a path means, as far as its folder exists already.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(existing) = absolute.canonicalize() {
        return existing;
    }
    match (
        absolute.parent().map(Path::canonicalize),
        absolute.file_name(),
    ) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => absolute,
    }
}
