//! What may remain in a string once its `${VAR}` is replaced.
//!
//! `SECRET[backend.key]` is left alone in the settings that are secrets and refused
//! everywhere else. Where text goes to the network, whatever still looks like either form
//! is refused, so that nothing unresolved is ever sent to anyone.

use watchbell_settings::{Env, Interpolation, KeyPath, Node, Problem, Table};

use crate::{sinks, sources};
use watchbell_secrets::{SecretRef, is_unresolved};

/// The settings of a source that are secrets, whatever its type.
fn secrets_of_sources() -> impl Iterator<Item = &'static str> {
    sources::TYPES.iter().flat_map(|one| one.secrets).copied()
}

/// The settings of a section that are secrets; of another than the sinks, the sources'.
fn secrets(section: Option<&&str>) -> Vec<String> {
    match section {
        Some(&"sinks") => {
            let settings = sinks::TYPES.iter().flat_map(|one| one.secrets);
            settings.map(|setting| setting.join(".")).collect()
        }
        _ => secrets_of_sources().map(str::to_owned).collect(),
    }
}

/// Replaces every reference below `table` and reports those that cannot be.
pub(super) fn table(table: &mut Table, path: &KeyPath, env: &Env<'_>, problems: &mut Vec<Problem>) {
    interpolation(env).table(table, path, problems);
}

/// Replaces every reference in `node` and below, and reports those that cannot be.
pub(super) fn node(node: &mut Node, path: &KeyPath, env: &Env<'_>, problems: &mut Vec<Problem>) {
    interpolation(env).node(node, path, problems);
}

fn interpolation<'e>(env: &'e Env<'e>) -> Interpolation<'e> {
    Interpolation {
        env,
        check: &refuse_unresolved,
    }
}

/// Refuses what nothing will replace: it would be sent as it stands, or end up in a log.
fn refuse_unresolved(text: &str, path: &KeyPath) -> Result<(), String> {
    let path: Vec<&str> = path.segments().iter().map(String::as_str).collect();
    let wants_secret = match path.as_slice() {
        ["sources", _, key] => secrets_of_sources().any(|secret| secret == *key),
        ["sinks", _, setting @ ..] => sinks::TYPES
            .iter()
            .any(|one| one.secrets.contains(&setting)),
        _ => false,
    };
    if wants_secret && text.parse::<SecretRef>().is_ok() {
        return Ok(());
    }
    // Elsewhere a filter may say `.SECRET[0]`, and a command `${x}`.
    let is_sent = matches!(path.first(), Some(&("sources" | "proxy" | "sinks")));
    if wants_secret && is_unresolved(text) {
        Err("holds SECRET[ or ${ that nothing replaces; write SECRET[backend.key] and nothing else: letters, digits, _, - and . in the key".to_owned())
    } else if SecretRef::stands_in(text) {
        Err(format!(
            "refers to a secret backend; that may stand in {} only",
            secrets(path.first()).join(" and ")
        ))
    } else if is_sent && is_unresolved(text) {
        Err("holds SECRET[ or ${ that nothing replaces, so it would be sent as it stands; remove it".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_a_secret_backend_stands_where_a_secret_is_wanted_and_nowhere_else() {
        let source = KeyPath::default().key("sources").key("a");
        let secret = source.key("client_secret");
        let filter = KeyPath::default().key("transforms").key("t").key("filter");
        assert!(refuse_unresolved("SECRET[vault.contoso]", &secret).is_ok());
        for place in [
            &source.key("until"),
            &source.key("options").key("client_secret"),
            &source.key("machine_groups").index(0),
            &filter,
        ] {
            assert!(
                refuse_unresolved("SECRET[vault.contoso]", place).is_err(),
                "{place}"
            );
        }
        assert!(refuse_unresolved(".SECRET[0] as $x | \"${x}\"", &filter).is_ok());
    }

    #[test]
    fn what_nothing_replaces_is_refused_wherever_it_would_be_sent() {
        let source = KeyPath::default().key("sources").key("a");
        for text in [
            "SECRET[vault.team/contoso]",
            "SECRET[vault]",
            "SECRET[vault.a ",
            "Bearer SECRET[vault.a]!",
            "${NAME}",
            "a${",
        ] {
            for place in [
                &source.key("client_secret"),
                &source.key("machine_groups").index(0),
                &source.key("options").key("x"),
                &source.key("proxy").key("https"),
                &KeyPath::default().key("proxy").key("http"),
                &KeyPath::default().key("sinks").key("a").key("uri"),
                &KeyPath::default().dotted("sinks.a.auth.token"),
            ] {
                let refused = refuse_unresolved(text, place).unwrap_err();
                assert!(!refused.contains("vault"), "{place}: {refused}");
            }
        }
        for text in ["SECRET", "secret[a.b]", "a$b", "{x}"] {
            assert!(refuse_unresolved(text, &source.key("client_secret")).is_ok());
        }
    }
}
