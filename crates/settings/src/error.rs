//! What is wrong with a configuration, said so that a person can mend it: which key,
//! in which file and line, what is wrong, and what would be right.
//!
//! All problems that can be found in one reading are reported together. No message
//! repeats a value, because a secret may stand in the wrong place; names are repeated.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::at::At;
use crate::text::escaped;

/// Problems that are printed: a generated file may have thousands.
const SHOWN: usize = 50;

/// Why a configuration was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", escaped(&path.to_string_lossy()))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file is no configuration of any format: by its name, its size or its bytes.
    #[error("{}: {}", escaped(&path.to_string_lossy()), escaped(reason))]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The file was read and its content is wrong. Printed one problem a line.
    #[error("{0}")]
    Invalid(Problems),
}

impl ConfigError {
    /// These problems as one error, in the order of the file, each once.
    #[must_use]
    pub fn invalid(problems: Vec<Problem>) -> Self {
        Self::Invalid(Problems(in_order(problems)))
    }

    /// The problems one by one; empty when the file could not be read at all.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) => &problems.0,
            Self::Read { .. } | Self::Format { .. } => &[],
        }
    }
}

/// Everything wrong with a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Sorted by place, each once.
pub(crate) fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|one, other| one.at.cmp(&other.at));
    // A table that is read several times has the same problem each time.
    problems.dedup();
    problems
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        match self.0.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, "\nand {more} more"),
            _ => Ok(()),
        }
    }
}

/// One thing that is wrong, or worth a warning. Printed as
/// `file:line: key: what; remedy`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where it stands.
    pub at: At,
    /// The key, e.g. `server.port`; empty when a file as a whole is meant.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem with the setting `key`, which stands at `at`.
    #[must_use]
    pub fn new(at: At, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            at,
            key: key.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names of files and keys are what somebody wrote, a line end among it.
        write!(f, "{}: ", escaped(&self.at.to_string()))?;
        // A flag is its own name.
        if !self.key.is_empty() && !self.at.is_own_name() {
            write!(f, "{}: ", escaped(&self.key))?;
        }
        f.write_str(&escaped(&self.message))
    }
}
