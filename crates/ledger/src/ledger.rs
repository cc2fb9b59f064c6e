//! What a ledger does, whatever it is kept in.

use crate::{
    Backlog, Commit, Committed, Entry, EntryId, Error, Failure, Feed, FeedId, FeedName,
    FeedProgress, Forgotten, NewRejected, Partition, Position, QuarantineId, Quarantined, Reader,
    ReaderFailure, Record, Time,
};

/// A ledger. Calls block until what they did is durable; call from a thread that may.
pub trait Ledger: Send + Sync {
    /// A feed as it stands; it is there from then on.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    fn feed(&self, name: &FeedName) -> Result<Feed, Error>;

    /// Many feeds at once, each with what its tenant is called downstream; they are there
    /// from then on. Their numbers come in the same order.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    fn register_feeds(&self, feeds: &[(FeedName, String)]) -> Result<Vec<FeedId>, Error>;

    /// Gives a feed up: its cursor, its keys, its quarantine and what of it waits for
    /// readers. Returns how many records waited.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    fn forget_feed(&self, feed: FeedId) -> Result<u64, Error>;

    /// Every feed.
    ///
    /// # Errors
    /// [`Error`].
    fn feeds(&self) -> Result<Vec<Feed>, Error>;

    /// How far a feed was read.
    ///
    /// # Errors
    /// [`Error`].
    fn feed_progress(&self, feed: FeedId) -> Result<FeedProgress, Error>;

    /// The ranges that `job` has read, merged and in order: from, and before to.
    ///
    /// # Errors
    /// [`Error`].
    fn covered(&self, feed: FeedId, job: &str) -> Result<Vec<(Time, Time)>, Error>;

    /// A job is done: its ranges are not needed any more.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    fn uncover(&self, feed: FeedId, job: &str) -> Result<(), Error>;

    /// Which of these were read before.
    ///
    /// # Errors
    /// [`Error`].
    fn known(&self, feed: FeedId, records: &[Record]) -> Result<Vec<bool>, Error>;

    /// Makes one step of reading durable: all of it, or none.
    ///
    /// # Errors
    /// [`Error::NoFeed`] of one that was forgotten meanwhile, [`Error::Moved`] where the commit
    /// is of an earlier generation; nothing was done, and after another error the same may be
    /// offered again.
    fn commit(&self, commit: Commit) -> Result<Committed, Error>;

    /// Remembers what went wrong with a feed, until it goes well again.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    fn failed(&self, feed: FeedId, failure: Failure) -> Result<(), Error>;

    /// Sets a cursor by hand, back too, and begins a generation. What was read from there on is known, whether its
    /// keys are still held or not, and does not come again; what was not read comes. With
    /// `replay`, what was read from there on is forgotten and comes again. Returns from when
    /// on it is known what was read: nothing below is to be asked for.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    fn set_cursor(&self, feed: FeedId, to: Time, replay: bool) -> Result<Option<Time>, Error>;

    /// The newest entry of a feed that a reader has not acknowledged.
    ///
    /// # Errors
    /// [`Error`].
    fn newest_entry(&self, feed: FeedId) -> Result<Option<EntryId>, Error>;

    /// How many records of a feed are in entries up to `up_to` that a reader has not
    /// acknowledged.
    ///
    /// # Errors
    /// [`Error`].
    fn undelivered(&self, feed: FeedId, up_to: EntryId) -> Result<u64, Error>;

    /// Says who reads. A new reader begins at the oldest entry; one that is gone must
    /// have taken everything, or be in `forget`.
    ///
    /// # Errors
    /// [`Error::ReaderGone`], [`Error::SourceGone`]; nothing was done.
    fn register(&self, readers: &[Reader], forget: &[String]) -> Result<Vec<Forgotten>, Error>;

    /// Every reader's name.
    ///
    /// # Errors
    /// [`Error`].
    fn readers(&self) -> Result<Vec<String>, Error>;

    /// How far a reader, or a part of it, has got.
    ///
    /// # Errors
    /// [`Error`].
    fn position(&self, reader: &str, part: Partition<'_>) -> Result<Position, Error>;

    /// The tenants of which something waits for a reader, the longest waiting first.
    ///
    /// # Errors
    /// [`Error`].
    fn waiting(&self, reader: &str) -> Result<Vec<String>, Error>;

    /// What waits for a reader, or for a part of it.
    ///
    /// # Errors
    /// [`Error`].
    fn backlog(&self, reader: &str, part: Partition<'_>) -> Result<Backlog, Error>;

    /// The first entry for a reader, or for a part of it, after `after`.
    ///
    /// # Errors
    /// [`Error`].
    fn next(
        &self,
        reader: &str,
        part: Partition<'_>,
        after: EntryId,
    ) -> Result<Option<Entry>, Error>;

    /// A reader, or a part of it, has everything up to `entry`, and wants to remember `state`. What no
    /// reader waits for any more is removed.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    fn acknowledge(
        &self,
        reader: &str,
        part: Partition<'_>,
        entry: EntryId,
        state: Option<Vec<u8>>,
    ) -> Result<(), Error>;

    /// Remembers what goes wrong with a reader, or a part of it; none: it goes well. Of a
    /// reader that is not registered nothing is kept.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    fn reader_failed(
        &self,
        reader: &str,
        part: Partition<'_>,
        failure: Option<Failure>,
    ) -> Result<(), Error>;

    /// What goes wrong with readers now.
    ///
    /// # Errors
    /// [`Error`].
    fn reader_failures(&self) -> Result<Vec<ReaderFailure>, Error>;

    /// Puts records into quarantine that a reader could not take, before it acknowledges
    /// the entry that they came in. Returns how many were not there before.
    ///
    /// # Errors
    /// [`Error`]; nothing was done, and the same may be offered again.
    fn quarantine(
        &self,
        reader: &str,
        rejected: Vec<NewRejected>,
        at: Time,
    ) -> Result<usize, Error>;

    /// Bytes on the disk that are its own and hold nothing any more: what it keeps next
    /// goes there before it grows.
    ///
    /// # Errors
    /// [`Error`].
    fn unused_bytes(&self) -> Result<u64, Error>;

    /// What is in quarantine, of one feed or of all.
    ///
    /// # Errors
    /// [`Error`].
    fn quarantined(&self, feed: Option<FeedId>) -> Result<Vec<Quarantined>, Error>;

    /// What is kept of something in quarantine.
    ///
    /// # Errors
    /// [`Error::NoQuarantine`].
    fn quarantined_body(&self, id: QuarantineId) -> Result<Vec<u8>, Error>;

    /// It was tried again and still cannot be read.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    fn tried(&self, ids: &[QuarantineId], at: Time) -> Result<(), Error>;

    /// Has it tried again at the next occasion; none: all of it. What was rejected waits
    /// for its reader again, behind all that does; of a reader that is gone it stays.
    ///
    /// # Errors
    /// [`Error::NoQuarantine`], [`Error::NoReader`]; nothing was done.
    fn retry(&self, id: Option<QuarantineId>) -> Result<u64, Error>;

    /// Gives it up.
    ///
    /// # Errors
    /// [`Error::NoQuarantine`]; nothing was done.
    fn drop_quarantined(&self, id: QuarantineId) -> Result<(), Error>;
}
