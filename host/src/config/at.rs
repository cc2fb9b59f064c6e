//! Places: what a message names so that a person finds the setting.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where something stands: a line of a file, or a flag of the command line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    origin: Arc<str>,
    line: u32,
    column: u32,
}

impl At {
    /// The first line of a file.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self {
            origin: path.to_string_lossy().into(),
            line: 1,
            column: 1,
        }
    }

    /// A flag or a variable, which has no lines.
    #[must_use]
    pub fn flag(name: &str) -> Self {
        Self {
            origin: name.into(),
            line: 0,
            column: 0,
        }
    }

    /// Another place in the same file.
    pub(super) fn line_column(&self, line: usize, column: usize) -> Self {
        Self {
            origin: Arc::clone(&self.origin),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    /// The file's path or the flag's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The line, from 1; 0 for a flag.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column in characters, from 1; 0 for a flag.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.column
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        Ok(())
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
