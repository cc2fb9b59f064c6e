//! Why a ledger cannot be opened, and why it could not do something.

use crate::Backlog;
use std::path::PathBuf;

/// Why a ledger cannot be opened. What is there is left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{}: another watchbell runs on this folder; stop that one, or give this one a data_dir of its own", folder.display()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// Others can read or write the folder.
    #[error("{}: {problem}; it holds detections, so it must be yours alone: chmod 700 it", folder.display())]
    UnsafeFolder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no ledger to read.
    #[error("{}: there is no ledger; `watchbell run` with this data_dir makes one", file.display())]
    Missing {
        /// Where it would be.
        file: PathBuf,
    },
    /// A later version wrote it.
    #[error(
        "{}: written by a later version (schema {found}; this one knows {known}); use that version, or another data_dir", file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// An earlier version wrote it, and looking changes nothing.
    #[error(
        "{}: written by an earlier version (schema {found}; this one knows {known}); `watchbell run` brings it up to date", file.display()
    )]
    Older {
        /// The file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// It is no ledger, or is not whole.
    #[error(
        "{}: damaged, or no ledger: {reason}; restore it from a backup, or move it away to begin anew at `since` (detections that were delivered before come again)", file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The operating system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}

/// Why something was not done. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk is full.
    #[error("the disk that holds the ledger is full")]
    Full,
    /// The ledger is not whole.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// A reader is gone that has not taken everything.
    #[error(
        "the sink {name} is gone from the configuration, and {} detections wait for it; put it back, or give them up with --forget-sink {name}", backlog.records
    )]
    ReaderGone {
        /// The reader.
        name: String,
        /// What waits for it.
        backlog: Backlog,
    },
    /// A reader does not take a source any more of which something waits for it.
    #[error(
        "the sink {reader} does not take the source {origin} any more, and {records} detections of it wait; put it back, or give them up with --forget-sink {reader}"
    )]
    SourceGone {
        /// The reader.
        reader: String,
        /// The source.
        origin: String,
        /// How much waits.
        records: u64,
    },
    /// There is no such feed: it was forgotten.
    #[error("the feed is gone: it was forgotten")]
    NoFeed,
    /// There is no such reader.
    #[error("no reader {0}")]
    NoReader(String),
    /// There is nothing of that number in quarantine.
    #[error("nothing in quarantine has the number {0}")]
    NoQuarantine(i64),
    /// A record of 4 GiB or more.
    #[error("a record is larger than 4 GiB")]
    TooLarge,
    /// Anything else.
    #[error("the ledger: {0}")]
    Other(String),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}
