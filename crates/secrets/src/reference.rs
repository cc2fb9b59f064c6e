//! `SECRET[backend.key]`, as Vector writes it.

use std::fmt;
use std::str::FromStr;

const OPEN: &str = "SECRET[";
const CLOSE: char = ']';

/// Where a secret is: a backend of the configuration, and its key there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef {
    /// The backend's name.
    pub backend: String,
    /// What the secret is called there.
    pub key: String,
}

/// The text is something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not SECRET[backend.key]")]
pub struct NotAReference;

impl SecretRef {
    /// Whether one stands anywhere in a text.
    #[must_use]
    pub fn stands_in(text: &str) -> bool {
        text.split(OPEN).skip(1).any(|after| {
            after
                .split_once(CLOSE)
                .is_some_and(|(inside, _)| inside_of(inside).is_some())
        })
    }
}

/// Backend and key: a key holds letters, digits, `_`, `-` and `.`, and begins with no dot,
/// so that it is a file's name in a folder and nothing else.
fn inside_of(text: &str) -> Option<(&str, &str)> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (backend, key) = text.split_once('.')?;
    let is_one = !backend.is_empty()
        && backend.chars().all(|c| word(c) || c == '-')
        && key.starts_with(word)
        && key.chars().all(|c| word(c) || c == '.' || c == '-');
    is_one.then_some((backend, key))
}

/// Whether anything in a text looks as if something else should stand there: a reference,
/// well-formed or not, or a variable.
#[must_use]
pub fn is_unresolved(text: &str) -> bool {
    text.contains("${") || text.contains(OPEN)
}

impl FromStr for SecretRef {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let inside = text
            .strip_prefix(OPEN)
            .and_then(|rest| rest.strip_suffix(CLOSE));
        let (backend, key) = inside.and_then(inside_of).ok_or(NotAReference)?;
        Ok(Self {
            backend: backend.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OPEN}{}.{}{CLOSE}", self.backend, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_the_whole_text_and_nothing_like_it_is_one() {
        let reference: SecretRef = "SECRET[vault.contoso.prod-1]".parse().unwrap();
        assert_eq!(
            (reference.backend.as_str(), reference.key.as_str()),
            ("vault", "contoso.prod-1")
        );
        assert_eq!(reference.to_string(), "SECRET[vault.contoso.prod-1]");
        for text in [
            "SECRET[vault]",
            "SECRET[vault.]",
            "SECRET[vault..x]",
            "SECRET[vault.../x]",
            "SECRET[vault.a/b]",
            "xSECRET[vault.a]",
            "SECRET[vault.a] ",
        ] {
            assert!(text.parse::<SecretRef>().is_err(), "{text}");
        }
        assert!(SecretRef::stands_in("Bearer SECRET[vault.a]!"));
    }
}
