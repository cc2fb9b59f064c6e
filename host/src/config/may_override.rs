//! What a tenant's entry may say over its source.
//!
//! The file of tenants may be written by somebody else than the configuration: by the
//! tenants, or by the system that onboards them. So an entry may set what concerns its
//! tenant alone: its identity, credentials, tags and groups; and its interval and limits as
//! long as they ask for no more than the source's. All else needs leave of the source, in
//! `tenants.may_override`:
//!
//! - a setting by its name, such as `region` or `endpoint`;
//! - `variables` for `${VAR}`, since the environment holds other tenants' secrets too;
//! - `secrets.BACKEND` for `SECRET[BACKEND.key]`, or `secrets` for all backends. A reference
//!   that is the source's own, word for word, needs no leave.
//!
//! Whatever is listed, a secret that an entry inherits is not sent to an authority that the
//! entry alone chose.

use std::borrow::Cow;
use std::collections::HashSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::interpolate;
use super::paths;
use super::sections::Kind;
use super::tenants::{Entry, KEY, Setting};
use crate::sources::{Source, SourceType, TYPES};
use watchbell_sandbox::Limits;
use watchbell_secrets::SecretRef;
use watchbell_settings::{At, Env, KeyPath, Node, Problem, Table, Value, instead};

/// What it may set as long as it asks for no more than the source.
const INTERVAL: &str = "scrape_interval_secs";
const LIMITS: &str = "limits";

/// What it may set where the source lists it, of what every source has.
const LISTED: &[&str] = &[
    "limit",
    "max_window_secs",
    "overlap_secs",
    "rescan",
    "settle_secs",
    "since",
    "until",
];

/// Leave to use the environment, and secret backends.
const VARIABLES: &str = "variables";
const SECRETS: &str = "secrets";

/// What may be listed, whatever the type of the source.
fn listed() -> impl Iterator<Item = &'static str> {
    let of_types = TYPES.iter().flat_map(|kind| kind.tenants.listed);
    let more = [INTERVAL, LIMITS, VARIABLES, SECRETS];
    LISTED.iter().chain(of_types).copied().chain(more)
}

/// `tenants.may_override`.
#[derive(Debug, Clone, Default)]
pub(super) struct MayOverride(HashSet<String>);

impl JsonSchema for MayOverride {
    fn schema_name() -> Cow<'static, str> {
        "MayOverride".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let own = TYPES.iter().flat_map(|kind| kind.tenants.own).copied();
        let names: Vec<&str> = listed().chain(own).collect();
        json_schema!({
            "type": "array",
            "items": {
                "anyOf": [
                    { "type": "string", "enum": names },
                    { "type": "string", "pattern": r"^secrets\.." },
                ],
            },
        })
    }
}

impl MayOverride {
    /// Reads the list.
    pub(super) fn read(node: &Node, path: &KeyPath, problems: &mut Vec<Problem>) -> Self {
        let wrong = |at: &At, path: &KeyPath, words: String| {
            Problem::new(at.clone(), path.to_string(), words)
        };
        let Value::Array(items) = &node.value else {
            let words = format!(
                "expected an array of settings' names, found {}; write it like [\"region\"]",
                node.value.kind()
            );
            problems.push(wrong(&node.at, path, words));
            return Self::default();
        };
        let mut may = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let path = path.index(index);
            let Value::String(text) = &item.value else {
                let words = format!("expected a setting's name, found {}", item.value.kind());
                problems.push(wrong(&item.at, &path, words));
                continue;
            };
            let name = text.as_str();
            let of_backend = name.strip_prefix(SECRETS).and_then(|n| n.strip_prefix('.'));
            let known: Vec<&str> = listed().collect();
            if known.contains(&name)
                || TYPES.iter().any(|kind| kind.tenants.own.contains(&name))
                || of_backend.is_some_and(|backend| !backend.is_empty())
            {
                may.insert(name.to_owned());
                continue;
            }
            let words = format!(
                "is nothing that a tenant's entry can be given leave for; {}",
                instead(name, &known)
            );
            problems.push(wrong(&item.at, &path, words));
        }
        Self(may)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn has_backend(&self, backend: &str) -> bool {
        self.has(SECRETS) || self.0.contains(&format!("{SECRETS}.{backend}"))
    }
}

/// Judges the entries of one source.
pub(super) struct Judge<'s> {
    source: &'s Table,
    kind: &'static SourceType,
    may: &'s MayOverride,
    /// `sources.NAME`.
    path: KeyPath,
    is_csv: bool,
    /// Columns that were told already: what is wrong with one is wrong in every row.
    told: HashSet<String>,
}

impl<'s> Judge<'s> {
    pub(super) fn new(name: &str, source: &'s Table, setting: &'s Setting) -> Self {
        Self {
            source,
            kind: SourceType::of(source),
            may: &setting.may,
            path: Kind::Source.path().key(name),
            is_csv: setting.is_csv(),
            told: HashSet::new(),
        }
    }

    /// The entry with its variables replaced and its paths made relative to its file; none
    /// when it says what it may not.
    pub(super) fn entry(
        &mut self,
        mut entry: Entry,
        env: &Env<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<Entry> {
        let before = problems.len();
        let may_say = self.keys(&entry, problems);
        if !self.may.has(VARIABLES) {
            for (key, one) in entry.table.iter() {
                if names_variable(&one.node) {
                    let words = format!(
                        "holds ${{, and the entries of this file may use no variables; write the value itself, or {}",
                        self.remedy(VARIABLES)
                    );
                    problems.push(self.problem(&entry, key, &one.node.at, words));
                }
            }
        }
        if !may_say || problems.len() > before {
            return None;
        }
        interpolate::table(&mut entry.table, &self.path, env, problems);
        paths::of_source(&mut entry.table);
        self.secrets(&entry, problems);
        self.inherited(&entry, problems);
        (problems.len() == before).then_some(entry)
    }

    /// Whether each setting is one that an entry may set.
    fn keys(&mut self, entry: &Entry, problems: &mut Vec<Problem>) -> bool {
        let mut may_say = true;
        for (key, one) in entry.table.iter() {
            let is_listed = LISTED.contains(&key) || self.kind.tenants.listed.contains(&key);
            if !is_listed || self.may.has(key) {
                continue;
            }
            may_say = false;
            if !self.is_csv || self.told.insert(key.to_owned()) {
                let words = format!(
                    "is the source's to set, and not one tenant's; remove it, or {}",
                    self.remedy(key)
                );
                problems.push(self.problem(entry, key, &one.at, words));
            }
        }
        may_say
    }

    fn secrets(&self, entry: &Entry, problems: &mut Vec<Problem>) {
        for key in self.kind.secrets {
            let Some(one) = entry.table.get(key) else {
                continue;
            };
            let Some(reference) = reference(&one.node) else {
                continue;
            };
            let of_source = self
                .source
                .get(key)
                .and_then(|one| self::reference(&one.node));
            if of_source.as_ref() == Some(&reference) || self.may.has_backend(&reference.backend) {
                continue;
            }
            let words = format!(
                "refers to the secret backend {}, which the entries of this file may not use; write the secret itself or a file, or {}",
                reference.backend,
                self.remedy(&format!("{SECRETS}.{}", reference.backend))
            );
            problems.push(self.problem(entry, key, &one.node.at, words));
        }
    }

    /// Refuses to send a secret of the source to whom the entry alone chose.
    fn inherited(&self, entry: &Entry, problems: &mut Vec<Problem>) {
        let merged = entry.clone().over(self.source);
        let is_inherited = |key: &&str| is_set(&merged, key) && !is_set(&entry.table, key);
        let rules = &self.kind.tenants;
        let mut inherited = rules.inherited.iter().copied();
        let Some(secret) = inherited.find(is_inherited) else {
            return;
        };
        let mut chosen = rules.receivers.iter().copied();
        let key = match chosen.find(|key| is_set(&entry.table, key)) {
            Some(key) if !self.is_authority_of_source(&merged, key) => key,
            // It would see all that is sent, as the authority does.
            _ if is_set(&entry.table, "proxy") && is_set(&entry.table, "tls") => "proxy",
            _ => return,
        };
        let Some(one) = entry.table.get(key) else {
            return;
        };
        let words = format!(
            "chooses who gets the {secret} that this entry inherits from its source; give the entry a secret of its own, or remove this"
        );
        problems.push(self.problem(entry, key, &one.at, words));
    }

    /// Whether what an entry comes to asks the same login service as its source. Where the
    /// source names none, a region stands for one of Microsoft's.
    fn is_authority_of_source(&self, merged: &Table, key: &str) -> bool {
        let receiver = self.kind.tenants.receiver;
        match (receiver(self.source), receiver(merged)) {
            (Some(own), Some(chosen)) => own == chosen,
            (None, _) => key == "region",
            (Some(_), None) => false,
        }
    }

    /// The settings that an entry's interval and limits are held against, and where these
    /// stand; none when it has none that are bounded.
    pub(super) fn base_of(&self, entry: &Entry) -> Option<(Table, Places)> {
        let bounded = [INTERVAL, LIMITS];
        let mut held: Vec<&str> = bounded.to_vec();
        held.retain(|key| entry.table.get(key).is_some() && !self.may.has(key));
        if held.is_empty() {
            return None;
        }
        let mut without = entry.clone();
        let mut places = Vec::new();
        for key in held {
            if let Some(one) = without.table.remove(key) {
                places.push((key, one.node));
            }
        }
        let name = entry.name.clone();
        Some((without.over(self.source), Places { name, places }))
    }

    /// Each of an entry's interval and limits that asks for more than the source's.
    pub(super) fn exceeding(&self, base: &Source, own: &Source, places: &Places) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, node) in &places.places {
            let mut refuse = |path: KeyPath, at: &At, words: &str| {
                let words = format!("{words}; change it, or {}", self.remedy(key));
                problems.push(Problem::new(at.clone(), path.to_string(), words));
            };
            let path = self.entry_path(&places.name).key(key);
            if *key == INTERVAL {
                if own.polling.scrape_interval < base.polling.scrape_interval {
                    refuse(path, &node.at, "is shorter than the source's");
                }
                continue;
            }
            for (limit, of) in BOUNDS {
                if of(own) > of(base) {
                    let place = match &node.value {
                        Value::Table(table) => table.get(limit).map(|one| one.node.at.clone()),
                        _ => None,
                    };
                    let at = place.unwrap_or_else(|| node.at.clone());
                    refuse(path.key(limit), &at, "is above the source's");
                }
            }
        }
        problems
    }

    fn problem(&self, entry: &Entry, key: &str, at: &At, words: String) -> Problem {
        let path = self.entry_path(&entry.name).key(key);
        Problem::new(at.clone(), path.to_string(), words)
    }

    /// Where an entry's settings are, as whoever wrote it would say. With the columns of a
    /// CSV file swapped its name may be a secret.
    fn entry_path(&self, name: &str) -> KeyPath {
        if self.is_csv {
            KeyPath::default()
        } else {
            KeyPath::default().key(name)
        }
    }

    fn remedy(&self, name: &str) -> String {
        format!("add \"{name}\" to {}.{KEY}.may_override", self.path)
    }
}

/// Where the bounded settings of an entry stand.
pub(super) struct Places {
    name: String,
    places: Vec<(&'static str, Node)>,
}

/// A limit, as a number of which less is less.
type Bound = fn(&Source) -> u128;

/// Each limit of a source. One that is not set is what it is without it.
const BOUNDS: &[(&str, Bound)] = &[
    ("max_response_bytes", |s| {
        s.polling.max_response_bytes().into()
    }),
    ("max_quarantine_bytes", |s| {
        s.polling.max_quarantine_bytes().into()
    }),
    ("max_requests_per_minute", |s| {
        s.polling
            .limits
            .max_requests_per_minute
            .map_or(u128::MAX, |n| n.get().into())
    }),
    ("max_connections", |s| {
        let usual = u128::try_from(watchbell_egress::REQUESTS_AT_ONCE).unwrap_or(u128::MAX);
        s.polling
            .limits
            .max_connections
            .map_or(usual, |n| n.get().into())
    }),
    ("max_memory_bytes", |s| count(limits(s).memory_bytes)),
    ("max_table_elements", |s| count(limits(s).table_elements)),
    ("max_instances", |s| count(limits(s).instances)),
    ("max_handles", |s| count(limits(s).handles)),
    ("max_cpu_secs", |s| limits(s).cpu.as_nanos()),
    ("max_wall_secs", |s| limits(s).wall.as_nanos()),
    ("max_output_bytes", |s| count(limits(s).transfer_bytes)),
    ("max_host_call_bytes", |s| count(limits(s).host_call_bytes)),
    ("max_output_count", |s| count(limits(s).output_count)),
    ("max_header_bytes", |s| count(limits(s).header_bytes)),
];

fn limits(source: &Source) -> Limits {
    let (polling, total) = (&source.polling, source.settings.request_timeout());
    let usual = Limits::for_source(polling.max_response_bytes(), total);
    polling.limits.over(usual)
}

fn count(number: usize) -> u128 {
    u128::try_from(number).unwrap_or(u128::MAX)
}

fn is_set(table: &Table, key: &str) -> bool {
    let set = table.get(key).map(|one| &one.node.value);
    set.is_some_and(|value| !matches!(value, Value::Null))
}

fn reference(node: &Node) -> Option<SecretRef> {
    match &node.value {
        Value::String(text) => text.as_str().parse().ok(),
        _ => None,
    }
}

/// Whether `${` stands in a text anywhere below, other than as `$${`.
fn names_variable(node: &Node) -> bool {
    match &node.value {
        Value::String(text) => text.as_str().replace("$$", "").contains("${"),
        Value::Array(items) => items.iter().any(names_variable),
        Value::Table(table) => table.iter().any(|(_, entry)| names_variable(&entry.node)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => false,
    }
}
