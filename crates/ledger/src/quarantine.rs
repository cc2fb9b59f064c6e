//! What could not be read: kept with its reason, asked around, tried again. And what was
//! read and a reader could not take: kept for that reader, until somebody says more.

use crate::{Error, FeedId, Time};
use async_trait::async_trait;

/// What could not be read, and what readers could not take.
///
/// A call returns once what it did is durable. One that was begun goes to its end, though
/// nobody waits for it any more.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Puts records into quarantine that a reader could not take, before it acknowledges
    /// the entry that they came in. Returns how many were not there before.
    ///
    /// # Errors
    /// [`Error`]; nothing was done, and the same may be offered again.
    async fn quarantine_rejected(
        &self,
        reader: &str,
        rejected: Vec<NewRejected>,
        at: Time,
    ) -> Result<usize, Error>;

    /// What is in quarantine, of one feed or of all.
    ///
    /// # Errors
    /// [`Error`].
    async fn list_quarantined(&self, feed: Option<FeedId>) -> Result<Vec<Quarantined>, Error>;

    /// What is kept under these numbers, of what is still in quarantine.
    ///
    /// # Errors
    /// [`Error`].
    async fn read_quarantined(
        &self,
        ids: &[QuarantineId],
    ) -> Result<Vec<(QuarantineId, Vec<u8>)>, Error>;

    /// Marks what was tried again and still cannot be read.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    async fn mark_tried(&self, ids: &[QuarantineId], at: Time) -> Result<(), Error>;

    /// Has it tried again at the next occasion; none: all of it. What was rejected waits
    /// for its reader again, behind all that does; of a reader that is gone it stays.
    /// Returns how many those are.
    ///
    /// # Errors
    /// [`Error::NoQuarantine`], [`Error::NoReader`]; nothing was done.
    async fn retry_quarantined(&self, id: Option<QuarantineId>) -> Result<u64, Error>;

    /// Gives it up.
    ///
    /// # Errors
    /// [`Error::NoQuarantine`]; nothing was done.
    async fn drop_quarantined(&self, id: QuarantineId) -> Result<(), Error>;
}

/// A quarantine's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuarantineId(pub i64);

/// What kind of thing could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unread {
    /// One element of an answer; the rest of its window was read.
    Element,
    /// All of a window, which later reading goes around.
    Gap,
    /// A record that a reader could not take. Reading has nothing to do with it.
    Rejected,
}

/// A record that a reader could not take. The same is not put into quarantine twice for
/// one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRejected {
    /// The source that it came from.
    pub source: String,
    /// What its tenant was called when it came.
    pub tenant: String,
    /// Why.
    pub reason: String,
    /// Its bytes, as the outbox had them.
    pub record: Vec<u8>,
}

/// Something to put into quarantine. The same is not put there twice: a gap by its bounds,
/// an element by its bytes and its window. Where the windows of equal elements are mostly the
/// same, one entry stands for both, with a window around both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQuarantine {
    /// Which kind.
    pub kind: Unread,
    /// Where the window begins that it was found in.
    pub from: Time,
    /// Where it ends.
    pub to: Time,
    /// Why.
    pub reason: String,
    /// The element, or what there is of the answer.
    pub body: Vec<u8>,
}

/// Something in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its number.
    pub id: QuarantineId,
    /// The feed's source.
    pub source: String,
    /// What the feed's tenant is called.
    pub tenant: String,
    /// Which kind.
    pub kind: Unread,
    /// Who could not take it, of what was rejected.
    pub reader: Option<String>,
    /// Where the window begins that it was found in; of what was rejected, when that was.
    pub from: Time,
    /// Where it ends.
    pub to: Time,
    /// Why.
    pub reason: String,
    /// Bytes that are kept of it.
    pub bytes: u64,
    /// When it was found, by the local clock.
    pub found_at: Time,
    /// When it was last tried again, by the local clock.
    pub tried_at: Option<Time>,
    /// How often it was tried again.
    pub tries: u32,
}
