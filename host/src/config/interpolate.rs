//! `${VAR}` in string values, replaced after parsing.
//!
//! After, so that a value from the environment can hold quotes, line ends or a `#`
//! and can never become a key, a table or a second setting. Keys are left alone.
//!
//! | written | becomes |
//! |---|---|
//! | `${NAME}` | the variable; not set is an error |
//! | `${NAME:-text}` | the variable; `text` when it is not set or empty |
//! | `${NAME:?text}` | the variable; not set or empty is an error that says `text` |
//! | `$$` | one `$` |
//!
//! Any other `$` stays as it is, so that a filter may say `. as $x`. What was put in
//! is not looked at again. The text ends at the first `}`.
//!
//! `SECRET[backend.key]` is left alone in the settings that are secrets and refused
//! everywhere else. Where text goes to the network, whatever still looks like either form
//! is refused, so that nothing unresolved is ever sent to anyone.

use zeroize::Zeroizing;

use super::error::Problem;
use super::path::KeyPath;
use super::tree::{Node, Table, Value};
use crate::secret::{SecretRef, is_unresolved};

/// The settings of a source that are secrets.
pub(super) const SECRET_KEYS: &[&str] = &["client_secret", "refresh_token_key"];

/// Looks a variable up; none when it is not set.
pub type Env<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// Replaces every reference below `table` and reports those that cannot be.
pub(super) fn table(table: &mut Table, path: &KeyPath, env: &Env<'_>, problems: &mut Vec<Problem>) {
    for (key, entry) in table.values_mut() {
        node(&mut entry.node, &path.key(key), env, problems);
    }
}

/// Replaces every reference in `node` and below, and reports those that cannot be.
pub(super) fn node(node: &mut Node, path: &KeyPath, env: &Env<'_>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::String(text) => {
            // A flag's `$` was the shell's business.
            let result = if node.at.line() > 0 && text.text.contains('$') {
                substitute(&text.text, env).map(|replaced| {
                    text.interpolated = text.text.contains("${");
                    text.text = replaced;
                })
            } else {
                Ok(())
            };
            if let Err(message) = result.and_then(|()| refuse_unresolved(&text.text, path)) {
                problems.push(Problem::new(node.at.clone(), path.to_string(), message));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                self::node(item, &path.index(index), env, problems);
            }
        }
        Value::Table(below) => table(below, path, env, problems),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {}
    }
}

/// The text with every reference replaced, or what is wrong with the first that
/// cannot be.
fn substitute(text: &str, env: &Env<'_>) -> Result<Zeroizing<String>, String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let Some((reference, after)) = after.split_once('}') else {
                return Err("`${` has no `}`; write ${NAME}, or $$ for a dollar sign".to_owned());
            };
            out.push_str(&resolve(reference, env)?);
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands between the braces, resolved.
fn resolve(reference: &str, env: &Env<'_>) -> Result<Zeroizing<String>, String> {
    let end = reference
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(reference.len());
    let (name, rest) = reference.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(malformed());
    }
    let value = env(name).map(Zeroizing::new);
    let filled = || value.clone().filter(|value| !value.is_empty());
    if rest.is_empty() {
        value.ok_or_else(|| {
            format!("environment variable {name} is not set; set it or write ${{{name}:-default}}")
        })
    } else if let Some(default) = rest.strip_prefix(":-") {
        Ok(filled().unwrap_or_else(|| Zeroizing::new(default.to_owned())))
    } else if let Some(message) = rest.strip_prefix(":?") {
        filled().ok_or_else(|| {
            let message = if message.is_empty() {
                "set it"
            } else {
                message
            };
            format!("environment variable {name} is not set or empty; {message}")
        })
    } else {
        Err(malformed())
    }
}

fn malformed() -> String {
    "a reference must be ${NAME}, ${NAME:-default} or ${NAME:?message}; write $$ for a dollar sign"
        .to_owned()
}

/// Refuses what nothing will replace: it would be sent as it stands, or end up in a log.
fn refuse_unresolved(text: &str, path: &KeyPath) -> Result<(), String> {
    let path: Vec<&str> = path.segments().iter().map(String::as_str).collect();
    let wants_secret = matches!(path.as_slice(), ["sources", _, key] if SECRET_KEYS.contains(key));
    if wants_secret && text.parse::<SecretRef>().is_ok() {
        return Ok(());
    }
    // Elsewhere a filter may say `.SECRET[0]`, and a command `${x}`.
    let is_sent = matches!(path.first(), Some(&("sources" | "proxy")));
    if wants_secret && is_unresolved(text) {
        Err("holds SECRET[ or ${ that nothing replaces; write SECRET[backend.key] and nothing else: letters, digits, _, - and . in the key".to_owned())
    } else if SecretRef::stands_in(text) {
        Err(format!(
            "refers to a secret backend; that may stand in {} only",
            SECRET_KEYS.join(" and ")
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

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("\"${A} $$ # [x]".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn each_form_becomes_what_the_table_says() {
        for (written, want) in [
            ("${A}", "alpha"),
            ("-${A}-${A}-", "-alpha-alpha-"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${NONE:-x y:-z?}", "x y:-z?"),
            ("${NONE:-}", ""),
            ("${A:?needed}", "alpha"),
            ("$$", "$"),
            ("$${A}", "${A}"),
            ("$$${A}", "$alpha"),
            ("select(. as $x | $x)", "select(. as $x | $x)"),
            ("5$", "5$"),
            ("${TRICKY}", "\"${A} $$ # [x]"),
            ("grüße ${A} ☃", "grüße alpha ☃"),
        ] {
            assert_eq!(
                substitute(written, &env).unwrap().as_str(),
                want,
                "{written}"
            );
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_an_error_that_names_the_variable() {
        for (written, want) in [
            ("${NONE}", "NONE is not set; set it"),
            ("${NONE:?ask Anna}", "NONE is not set or empty; ask Anna"),
            ("${EMPTY:?ask Anna}", "EMPTY is not set or empty; ask Anna"),
            ("${NONE:?}", "set it"),
            ("${A", "has no `}`"),
            ("${}", "a reference must be"),
            ("${1A}", "a reference must be"),
            ("${A-x}", "a reference must be"),
            ("${ A }", "a reference must be"),
        ] {
            let message = substitute(written, &env).unwrap_err();
            assert!(message.contains(want), "{written}: {message}");
        }
    }

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
