//! Why a ledger cannot be opened, and why it could not do something.

use crate::Backlog;
use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

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
    /// The folder, or a file in it, is another user's, or cannot be closed to others.
    #[error("{}: {problem}; it holds detections, so run watchbell as the user that owns it, or give it a data_dir of its own", folder.display())]
    UnsafeFolder {
        /// The folder, or the file in it.
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
    /// The disk is full, or a quota is used up.
    #[error("{}: the disk is full ({reason}); make room and start again, nothing is lost", path.display())]
    Full {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system or SQLite said.
        reason: String,
    },
    /// The file, its folder or the disk may not be written.
    #[error("{}: cannot be written ({reason}); mount the disk for writing and let this user write there, then start again, nothing is lost", path.display())]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system or SQLite said.
        reason: String,
    },
    /// Another program is at work on the file.
    #[error("{}: another program has it locked ({reason}); end that one, e.g. a sqlite3 shell or a backup, and start again", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// Reading or writing failed, which says nothing about what the file holds.
    #[error("{}: cannot be read or written: {source}; {}", path.display(), remedy(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system or SQLite said.
        source: io::Error,
    },
}

impl OpenError {
    /// What the operating system said about a file or folder.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let reason = source.to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, reason }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, reason }
            }
            _ => Self::Io { path, source },
        }
    }

    /// What SQLite said about the file. Only what it read and found wrong is damage.
    pub(crate) fn sqlite(file: &Path, error: &rusqlite::Error) -> Self {
        let (path, reason) = (file.to_owned(), error.to_string());
        match Cause::of(error) {
            Cause::Full => Self::Full { path, reason },
            Cause::ReadOnly => Self::ReadOnly { path, reason },
            Cause::Busy => Self::Busy { path, reason },
            Cause::Damaged => Self::Damaged { file: path, reason },
            Cause::Failing | Cause::Other => Self::Io {
                path,
                source: io::Error::other(reason),
            },
        }
    }
}

/// What an error of SQLite's is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Full,
    ReadOnly,
    Busy,
    /// What was read is wrong.
    Damaged,
    /// It could not be read or written.
    Failing,
    Other,
}

impl Cause {
    fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Failing,
            _ => Self::Other,
        }
    }
}

/// Why something was not done. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk is full.
    #[error("the disk that holds the ledger is full")]
    Full,
    /// The disk fails, or may not be written.
    #[error("the disk that holds the ledger fails: {0}")]
    Disk(String),
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
    /// The cursor was moved since the step of reading began.
    #[error("the cursor was moved meanwhile, so what was read is not written down")]
    Moved,
    /// There is no such reader.
    #[error("no reader {0}")]
    NoReader(String),
    /// There is nothing of that number in quarantine.
    #[error("nothing in quarantine has the number {0}")]
    NoQuarantine(i64),
    /// The runtime that the call was made on is shutting down, and it was not begun.
    #[error("the program is ending")]
    Cancelled,
    /// A record of 4 GiB or more.
    #[error("a record is larger than 4 GiB")]
    TooLarge,
    /// Anything else.
    #[error("the ledger: {0}")]
    Other(String),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let reason = error.to_string();
        match Cause::of(&error) {
            Cause::Full => Self::Full,
            Cause::Damaged => Self::Damaged(reason),
            Cause::ReadOnly | Cause::Failing => Self::Disk(reason),
            Cause::Busy | Cause::Other => Self::Other(reason),
        }
    }
}

/// What to do about a file or folder that cannot be used.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "check the path, and that the folder above it is there"
        }
        io::ErrorKind::PermissionDenied => {
            "let the user that runs this read and write it, or name another folder"
        }
        _ => {
            "see the system's log for the disk, leave the file as it is, and start again once the disk works"
        }
    }
}
