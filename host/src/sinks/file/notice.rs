//! What is worth a line in the log.

use std::path::PathBuf;

/// Worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Notice {
    /// Somebody cut it, as logrotate's copytruncate does.
    #[error("{}: is shorter than it was ({found} bytes, {recorded} recorded); going on at its end", path.display())]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// What it was.
        recorded: u64,
    },
    /// Something stands at its end that was not acknowledged.
    #[error("{}: the last {bytes} bytes were of a batch that was not finished; they are cut off", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// How many bytes.
        bytes: u64,
    },
    /// What we cannot have written stands at its end.
    #[error("{}: {bytes} bytes at its end are not ours; going on after them", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How many bytes.
        bytes: u64,
    },
    /// The file that the ledger knows is nowhere in its folder.
    #[error("{}: is gone from its folder ({recorded} bytes recorded), so a file is begun at {}; if a disk is not mounted, mount it and set require_mount; if the file was moved elsewhere while a batch was being written, its last lines may be broken, or stand in both files", path.display(), begun.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
        /// What it was.
        recorded: u64,
        /// Where it goes on.
        begun: PathBuf,
    },
    /// A file stands there already, and the ledger knows nothing of it.
    #[error("{}: has {bytes} bytes already, of which the ledger knows nothing; going on after them; if data_dir was lost or is not mounted, detections that it holds come again", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// How many bytes.
        bytes: u64,
    },
    /// A folder that its file system cannot sync.
    #[error("{}: its file system cannot sync a folder, so a power cut may take away the names of new files in it", path.display())]
    NotSynced {
        /// The folder.
        path: PathBuf,
    },
}
