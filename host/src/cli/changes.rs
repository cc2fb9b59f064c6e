//! What a configuration that was read again changed, in words.

use crate::config::Config;
use crate::names::Name;
use crate::topology::{Changed, Difference};
use indexmap::IndexMap;
use std::collections::BTreeSet;

/// Names that are shown of each group.
const NAMES: usize = 5;

/// What is new, other or gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    sources: Difference<String>,
    /// Of sources that stay and have several.
    tenants: Difference<String>,
    transforms: Difference<String>,
    sinks: Difference<String>,
}

impl Changes {
    /// Between two configurations, of which the service says which feeds and sinks it
    /// began anew.
    pub(super) fn between(old: &Config, new: &Config, changed: Changed) -> Self {
        let mut changes = Self {
            transforms: difference(&old.transforms, &new.transforms),
            sinks: changed.sinks,
            ..Self::default()
        };
        let feeds = changed.feeds;
        let touched: BTreeSet<&String> = [&feeds.added, &feeds.changed, &feeds.removed]
            .into_iter()
            .flatten()
            .map(|(source, _)| source)
            .collect();
        for source in touched {
            let of = |config: &Config| config.sources.get(source.as_str()).map(Vec::len);
            match (of(old), of(new)) {
                (None, _) => changes.sources.added.push(source.clone()),
                (_, None) => changes.sources.removed.push(source.clone()),
                (Some(before), Some(after)) => {
                    if before <= 1 && after <= 1 {
                        changes.sources.changed.push(source.clone());
                        continue;
                    }
                    let tenants = |all: &[(String, String)]| {
                        let of_source = all.iter().filter(|(one, _)| one == source);
                        let named = of_source.map(|(_, tenant)| format!("{source}/{tenant}"));
                        named.collect::<Vec<_>>()
                    };
                    changes.tenants.added.extend(tenants(&feeds.added));
                    changes.tenants.changed.extend(tenants(&feeds.changed));
                    changes.tenants.removed.extend(tenants(&feeds.removed));
                }
            }
        }
        changes
    }

    /// Says so in the log.
    pub(super) fn say(&self) {
        if *self == Self::default() {
            tracing::info!("the configuration was read again; nothing changed");
            return;
        }
        tracing::info!(
            sources = words(&self.sources),
            tenants = words(&self.tenants),
            transforms = words(&self.transforms),
            sinks = words(&self.sinks),
            "the configuration was read again"
        );
    }
}

fn difference<T: PartialEq>(
    old: &IndexMap<Name, T>,
    new: &IndexMap<Name, T>,
) -> Difference<String> {
    let mut found = Difference::default();
    for (name, settings) in new {
        match old.get(name) {
            None => found.added.push(name.to_string()),
            Some(before) if before != settings => found.changed.push(name.to_string()),
            Some(_) => {}
        }
    }
    let is_gone = |name: &&Name| !new.contains_key(*name);
    found.removed = old.keys().filter(is_gone).map(Name::to_string).collect();
    found
}

/// `added a, b; removed c`; none when nothing changed.
fn words(difference: &Difference<String>) -> Option<String> {
    let groups = [
        ("added", &difference.added),
        ("changed", &difference.changed),
        ("removed", &difference.removed),
    ];
    let groups = groups.into_iter().filter(|(_, names)| !names.is_empty());
    let said: Vec<String> = groups
        .map(|(verb, names)| match names.get(..NAMES) {
            Some(few) if names.len() > NAMES => {
                format!("{verb} {} ({}, …)", names.len(), few.join(", "))
            }
            _ => format!("{verb} {}", names.join(", ")),
        })
        .collect();
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named_and_many_are_counted() {
        let names = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
        let difference = Difference {
            added: names(2),
            changed: Vec::new(),
            removed: names(7),
        };
        assert_eq!(
            words(&difference).unwrap(),
            "added t0, t1; removed 7 (t0, t1, t2, t3, t4, …)"
        );
        assert_eq!(words(&Difference::default()), None);
    }
}
