//! Places: what a message names so that a person finds the setting.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::text::printable;

/// The name of the place of what a flag should have said and none did.
pub const COMMAND_LINE: &str = "command line";

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
    pub fn line_column(&self, line: usize, column: usize) -> Self {
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
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.origin.folder.as_deref()
    }

    /// Whether it is a flag (`--region`) or an environment variable (`APP_REGION`) that
    /// stands for one setting, and so says all that the setting's key would.
    pub(crate) fn is_own_name(&self) -> bool {
        let name = &self.origin.name;
        self.line == 0 && (name.starts_with("--") || is_variable(name))
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

/// Whether a name is spelt as environment variables are: `APP_REGION`.
fn is_variable(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(is_allowed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_and_a_variable_are_names_of_their_own_and_a_file_or_a_place_is_none() {
        for name in ["--region", "APP_REGION", "APP_2"] {
            assert!(At::flag(name).is_own_name(), "{name}");
            assert!(At::flag(name).is_command_line(), "{name}");
        }
        for name in [COMMAND_LINE, "environment", "test", "App", "_A", ""] {
            assert!(!At::flag(name).is_own_name(), "{name}");
        }
        assert!(At::flag(COMMAND_LINE).is_command_line());
        assert!(!At::file(Path::new("APP_REGION")).is_own_name());
    }
}
