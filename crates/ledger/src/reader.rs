//! Who takes entries, and how far each has got.

use crate::{EntryId, Failure, Time};

/// Somebody who takes entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Its name.
    pub name: String,
    /// The sources that it takes.
    pub sources: Vec<String>,
}

/// Which partition of a reader: none for one that takes all tenants in one row, else the
/// tenant.
pub type Partition<'t> = Option<&'t str>;

/// How far a reader has got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// The last entry that it acknowledged.
    pub acknowledged: EntryId,
    /// What it wanted to remember with that.
    pub state: Option<Vec<u8>>,
}

/// What waits for a reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Entries.
    pub entries: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes that they take on disk.
    pub bytes: u64,
}

/// What goes wrong with a reader, or with a partition of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderFailure {
    /// The reader.
    pub reader: String,
    /// The tenant, of a reader that takes each by itself.
    pub partition: Option<String>,
    /// Since when nothing went well, by the local clock.
    pub since: Time,
    /// What went wrong last.
    pub failure: Failure,
}

/// A reader that was given up, and what it had not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Its name.
    pub name: String,
    /// What waited for it.
    pub backlog: Backlog,
}
