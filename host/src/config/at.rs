//! Places: what a message names so that a person finds the setting.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::telemetry::printable;

/// What is named where a flag is missing.
pub(super) const COMMAND_LINE: &str = "command line";

/// Where something stands: a line of a file, or a flag of the command line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    origin: Arc<Origin>,
    line: u32,
    column: u32,
}

/// A file, or a flag.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Origin {
    name: String,
    /// The file's folder; none of a flag.
    folder: Option<PathBuf>,
}

impl At {
    /// The first line of a file.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        let origin = Origin {
            name: path.to_string_lossy().into_owned(),
            folder: path.parent().map(Path::to_owned),
        };
        Self {
            origin: Arc::new(origin),
            line: 1,
            column: 1,
        }
    }

    /// A flag or a variable, which has no lines.
    #[must_use]
    pub fn flag(name: &str) -> Self {
        let origin = Origin {
            name: name.to_owned(),
            folder: None,
        };
        Self {
            origin: Arc::new(origin),
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
        &self.origin.name
    }

    /// The file's folder, to which paths in it are relative; none of a flag, whose paths
    /// are relative to the working directory.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.origin.folder.as_deref()
    }

    /// Whether it is a flag or a variable of the program's own, which says all that the key
    /// of a setting would.
    pub(super) fn is_own_name(&self) -> bool {
        self.line == 0
            && (self.origin.name.starts_with("--") || self.origin.name.starts_with("WATCHBELL_"))
    }

    /// Whether it is the command line, or a flag or variable on it.
    #[must_use]
    pub fn is_command_line(&self) -> bool {
        self.is_own_name() || self.origin.name == COMMAND_LINE
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
        f.write_str(&printable(&self.origin.name))?;
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
