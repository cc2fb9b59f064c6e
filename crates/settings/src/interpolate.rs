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
//! What has been replaced, the program judges: it may know of references that it resolves
//! later, and of settings in which nothing unresolved may remain.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::Problem;
use crate::path::KeyPath;
use crate::tree::{Node, Table, Value};

/// Looks a variable up; none when it is not set.
pub type Env<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// Says what is wrong with a text after its references were replaced, by where it stands.
pub type CheckText<'c> = dyn Fn(&str, &KeyPath) -> Result<(), String> + 'c;

/// Replaces references: from where, and what may come of it.
#[derive(Clone, Copy)]
pub struct Interpolation<'i> {
    /// Looks variables up.
    pub env: &'i Env<'i>,
    /// Checks every string, also one without a reference.
    pub check: &'i CheckText<'i>,
}

impl fmt::Debug for Interpolation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interpolation").finish_non_exhaustive()
    }
}

impl Interpolation<'_> {
    /// Replaces every reference below `table`, which stands at `path`, and reports those that
    /// cannot be.
    pub fn table(&self, table: &mut Table, path: &KeyPath, problems: &mut Vec<Problem>) {
        for (key, entry) in table.values_mut() {
            self.node(&mut entry.node, &path.key(key), problems);
        }
    }

    /// Replaces every reference in `node` and below, and reports those that cannot be.
    pub fn node(&self, node: &mut Node, path: &KeyPath, problems: &mut Vec<Problem>) {
        match &mut node.value {
            Value::String(text) => {
                // A flag's `$` was the shell's business.
                let result = if node.at.line() > 0 && text.text.contains('$') {
                    substitute(&text.text, self.env).map(|replaced| {
                        text.interpolated = text.text.contains("${");
                        text.text = replaced;
                    })
                } else {
                    Ok(())
                };
                if let Err(message) = result.and_then(|()| (self.check)(&text.text, path)) {
                    problems.push(Problem::new(node.at.clone(), path.to_string(), message));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &path.index(index), problems);
                }
            }
            Value::Table(below) => self.table(below, path, problems),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {}
        }
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
}
