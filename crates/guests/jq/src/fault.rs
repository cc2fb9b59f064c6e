//! Where a filter is wrong, and in what words.
//!
//! jaq reports faults as slices of the filter's text. Here each becomes a byte offset
//! and a sentence. Of several the first in the text is told: the others often follow
//! from it.

use jaq_core::compile::Undefined;
use jaq_core::load::{self, lex, parse};

use crate::refused;

/// A fault in a filter's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Bytes from the filter's start.
    pub(crate) offset: u32,
    /// What is wrong there.
    pub(crate) message: String,
}

impl Fault {
    /// A fault at `part`, which is a slice of `filter`; at its start when it is not.
    pub(crate) fn new(filter: &str, part: &str, message: String) -> Self {
        let offset = (part.as_ptr() as usize)
            .checked_sub(filter.as_ptr() as usize)
            .filter(|offset| *offset <= filter.len())
            .and_then(|offset| u32::try_from(offset).ok())
            .unwrap_or(0);
        Self { offset, message }
    }

    /// The first of the faults that kept `filter` from being loaded.
    pub(crate) fn from_load(filter: &str, errors: &load::Errors<&str, ()>) -> Self {
        first(errors.iter().flat_map(|(_, error)| {
            match error {
                load::Error::Lex(faults) => faults
                    .iter()
                    .map(|(expected, found)| lexed(filter, expected, found))
                    .collect::<Vec<_>>(),
                load::Error::Parse(faults) => faults
                    .iter()
                    .map(|(expected, found)| parsed(filter, expected, found))
                    .collect(),
                load::Error::Io(faults) => faults
                    .iter()
                    .map(|(path, _)| {
                        Self::new(filter, path, "there are no modules here".to_owned())
                    })
                    .collect(),
            }
        }))
    }

    /// The first of the faults that kept `filter` from being compiled.
    pub(crate) fn from_compile(filter: &str, errors: &jaq_core::compile::Errors<&str, ()>) -> Self {
        let errors = errors.iter().flat_map(|(_, errors)| errors);
        first(errors.map(|(name, kind)| undefined(filter, name, kind)))
    }
}

fn first(faults: impl Iterator<Item = Fault>) -> Fault {
    faults
        .min_by_key(|fault| fault.offset)
        .unwrap_or_else(|| Fault {
            offset: 0,
            message: "the filter does not compile".to_owned(),
        })
}

fn lexed(filter: &str, expected: &lex::Expect<&str>, found: &str) -> Fault {
    let message = format!("expected {} but found {}", expected.as_str(), shown(found));
    Fault::new(filter, found, message)
}

fn parsed(filter: &str, expected: &parse::Expect<&str>, found: &str) -> Fault {
    let expected = match expected {
        parse::Expect::Just(text) => format!("`{text}`"),
        parse::Expect::Nothing => "the end".to_owned(),
        other => other.as_str().to_owned(),
    };
    let message = format!("expected {expected} but found {}", shown(found));
    Fault::new(filter, found, message)
}

fn undefined(filter: &str, name: &str, kind: &Undefined) -> Fault {
    let message = match (refused::reason(name), kind) {
        (Some(reason), _) => format!("`{name}` may not be used: {reason}"),
        (None, Undefined::Filter(0)) => format!("there is no filter `{name}`"),
        (None, Undefined::Filter(1)) => {
            format!("there is no filter `{name}` that takes 1 argument")
        }
        (None, Undefined::Filter(arguments)) => {
            format!("there is no filter `{name}` that takes {arguments} arguments")
        }
        (None, kind) => format!("there is no {} `{name}`", kind.as_str()),
    };
    Fault::new(filter, name, message)
}

/// The start of what was found, short enough for one line.
fn shown(found: &str) -> String {
    const LONGEST: usize = 20;
    let line = found.trim_start().lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST) {
        None if line.is_empty() => "the end".to_owned(),
        None => format!("`{line}`"),
        Some((end, _)) => format!("`{}…`", line.get(..end).unwrap_or_default()),
    }
}
