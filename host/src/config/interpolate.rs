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
//! `SECRET[backend.key]` is left alone in the settings that are secrets, and refused
//! everywhere else, so that an unresolved reference is never sent to anyone.

use zeroize::Zeroizing;

use super::error::Problem;
use super::path::KeyPath;
use super::tree::{Node, Table, Value};
use crate::secret::SecretRef;

/// The settings that are secrets.
const SECRET_KEYS: &[&str] = &["client_secret", "refresh_token_key"];

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
            if let Err(message) = result.and_then(|()| refuse_secret(&text.text, path)) {
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

/// Refuses `SECRET[backend.key]` where no secret is wanted: there it would be sent as it
/// stands, or end up in a log.
fn refuse_secret(text: &str, path: &KeyPath) -> Result<(), String> {
    if !SecretRef::stands_in(text) {
        return Ok(());
    }
    let key = path.segments().last().map_or("", String::as_str);
    if !SECRET_KEYS.contains(&key) {
        return Err(format!(
            "refers to a secret backend; that may stand in {} only",
            SECRET_KEYS.join(" and ")
        ));
    }
    text.parse::<SecretRef>()
        .map(drop)
        .map_err(|_| "must be SECRET[backend.key] and nothing else".to_owned())
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
        let secret = KeyPath::default().key("client_secret");
        let other = KeyPath::default().key("until");
        assert!(refuse_secret("SECRET[vault.contoso]", &secret).is_ok());
        assert!(refuse_secret("SECRET[vault.contoso]", &other).is_err());
        assert!(refuse_secret("Bearer SECRET[vault.a.b-c]!", &secret).is_err());
        for text in [
            "SECRET",
            "SECRET[x]",
            "SECRET[.x]",
            "SECRET[a b.c]",
            "secret[a.b]",
        ] {
            assert!(refuse_secret(text, &other).is_ok(), "{text}");
        }
    }
}
