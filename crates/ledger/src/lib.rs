//! What was read of each feed, and what is still to be delivered, on disk.
//!
//! Nothing is lost and nothing repeated because one transaction holds what belongs
//! together: the cursor moves, the keys of what was read are kept, and what is new
//! waits in the outbox, or none of it happened. Whoever delivers takes entries from the
//! outbox and acknowledges them, each reader at its own pace.
//!
//! The crate knows neither services nor sinks: a feed is a name, a record is an identity,
//! a time and bytes, and a reader is a name with an opaque state. So it cannot even spell
//! a tenant's secret.
//!
//! - [`Cursors`], [`Outbox`] and [`Quarantine`] are what a ledger keeps, and [`Ledger`] is all
//!   of them. [`Sqlite`] is the one there is, a file in a folder.
//! - [`Commit`] is what one step of reading came to.
//! - [`Entry`] is what readers get.

mod commit;
mod cursors;
mod entry;
mod error;
mod feed;
mod ledger;
mod outbox;
mod quarantine;
mod reader;
mod sqlite;

pub use commit::{Commit, Committed, Covered, Record};
pub use cursors::Cursors;
pub use entry::{Entry, EntryId};
pub use error::{Error, OpenError};
pub use feed::{Failure, Feed, FeedId, FeedName, FeedProgress, Generation, Totals};
pub use ledger::Ledger;
pub use outbox::Outbox;
pub use quarantine::{NewQuarantine, NewRejected, Quarantine, QuarantineId, Quarantined, Unread};
pub use reader::{Backlog, Forgotten, Partition, Position, Reader, ReaderFailure};
pub use sqlite::{Pause, Sqlite, private_folder};

/// Nanoseconds since 1970, UTC.
pub type Time = i64;
