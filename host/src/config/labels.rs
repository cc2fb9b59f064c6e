//! What tenants are called downstream: a name must mean one tenant wherever it is read.
//!
//! The same name in two sources is right when both are of one tenant: its alerts of two
//! services, say. Of two tenants it would put the alerts of one under the other's name, in
//! the same file too where the path holds it.

use std::collections::{HashMap, HashSet};

use watchbell_settings::{KeyPath, Report};

use super::root::Config;
use super::sections::Kind;
use super::tenants;
use crate::names::Name;
use crate::sources::Source;

/// What the tenants are called that lead to `inputs`.
pub(super) fn leading_to<'c>(
    config: &'c Config,
    inputs: &'c [Name],
) -> impl Iterator<Item = &'c str> {
    feeds(config, inputs).map(|(_, source)| source.tenant.as_str())
}

/// Refuses a name that means two tenants in one place.
pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    let (consoles, files): (Vec<_>, Vec<_>) = config
        .sinks
        .values()
        .partition(|sink| sink.settings.prints());
    // What is printed is one place.
    let printed: Vec<Name> = consoles
        .into_iter()
        .flat_map(|sink| sink.inputs.iter().cloned())
        .collect();
    let mut told = HashSet::new();
    let places = files.into_iter().map(|sink| &sink.inputs);
    for inputs in places.chain([&printed]) {
        let mut called: HashMap<&str, (&Name, &Source)> = HashMap::new();
        let mut owners: HashMap<&str, (&Name, &Source)> = HashMap::new();
        for (name, source) in feeds(config, inputs) {
            owners
                .entry(source.settings.tenant_id())
                .or_insert((name, source));
            let (other, first) = *called.entry(&source.tenant).or_insert((name, source));
            if first.settings.tenant_id() != source.settings.tenant_id()
                && told.insert((name, &source.tenant))
            {
                let words = format!(
                    "calls two tenants {}: {} here and {} in the source {other}, and both lead to one sink; give each a name of its own",
                    source.tenant,
                    source.settings.tenant_id(),
                    first.settings.tenant_id()
                );
                report.error(&place(name), words);
            }
        }
        for (name, source) in feeds(config, inputs) {
            let label = source.tenant.to_ascii_lowercase();
            if let Some((other, owner)) = owners.get(label.as_str())
                && owner.settings.tenant_id() != source.settings.tenant_id()
                && told.insert((name, &source.tenant))
            {
                let words = format!(
                    "calls {} by the id of another tenant, {label}, which is in the source {other}; give it a name of its own",
                    source.settings.tenant_id()
                );
                report.error(&place(name), words);
            }
        }
    }
}

fn place(source: &Name) -> KeyPath {
    Kind::Source.path().key(source.as_str()).key(tenants::KEY)
}

/// The sources that lead to `inputs`, each once.
pub(super) fn sources_of<'c>(
    config: &'c Config,
    inputs: &'c [Name],
) -> impl Iterator<Item = &'c Name> {
    let mut met = HashSet::new();
    let mut work: Vec<&Name> = inputs.iter().rev().collect();
    std::iter::from_fn(move || {
        while let Some(input) = work.pop() {
            if !met.insert(input) {
                continue;
            }
            if let Some(transform) = config.transforms.get(input) {
                work.extend(transform.inputs.iter().rev());
            }
            if let Some((name, _)) = config.sources.get_key_value(input) {
                return Some(name);
            }
        }
        None
    })
}

/// Every tenant of every source that leads to `inputs`, each source once.
fn feeds<'c>(
    config: &'c Config,
    inputs: &'c [Name],
) -> impl Iterator<Item = (&'c Name, &'c Source)> {
    let tenants = |name: &'c Name| {
        let all = config.sources.get(name).into_iter().flatten();
        all.map(move |source| (name, &**source))
    };
    sources_of(config, inputs).flat_map(tenants)
}

/// Whether alerts of more than one tenant meet behind `inputs`, now or when one is added.
pub(super) fn is_shared(config: &Config, inputs: &[Name]) -> bool {
    let ids: HashSet<&str> = feeds(config, inputs)
        .map(|(_, source)| source.settings.tenant_id())
        .collect();
    ids.len() > 1 || sources_of(config, inputs).any(|name| config.multi_tenant.contains(name))
}
