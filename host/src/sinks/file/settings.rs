//! What a file sink is told to do, and what it may not write to.

use super::{Rotate, template};
use std::io;
use std::path::PathBuf;

/// How a file is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file; `{{ tenant }}` in it is a file for each tenant. Folders that are missing on
    /// the way to it are made.
    pub path: PathBuf,
    /// Its permissions when it is made.
    pub mode: u32,
    /// When a new one is begun.
    pub rotate: Rotate,
    /// Whether the path may be a symbolic link.
    pub follow_symlinks: bool,
    /// Where a disk must be mounted before anything is written.
    pub require_mount: Option<PathBuf>,
}

impl Settings {
    /// Whether each tenant has a file.
    #[must_use]
    pub fn is_partitioned(&self) -> bool {
        template::is_one(&self.path)
    }

    /// For one tenant.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Self {
        Self {
            path: template::fill(&self.path, tenant),
            ..self.clone()
        }
    }
}

/// What stands at the path cannot be a file of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("is no regular file, so what was written cannot be told; use type = \"console\"")]
    NotRegular,
    #[error(
        "is a symbolic link; write the path that it leads to, or set follow_symlinks = true if nobody else can change the link"
    )]
    Link,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(io::ErrorKind::InvalidInput, refused)
    }
}
