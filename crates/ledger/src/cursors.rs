//! How far each feed was read.

use crate::{
    Commit, Committed, Error, Failure, Feed, FeedId, FeedName, FeedProgress, Record, Time,
};
use async_trait::async_trait;

/// What was read of each feed: its cursor, its keys, the ranges of its jobs.
///
/// A call returns once what it did is durable. One that was begun goes to its end, though
/// nobody waits for it any more.
#[async_trait]
pub trait Cursors: Send + Sync {
    /// Registers feeds, each with what its tenant is called downstream; they are there from
    /// then on. Their numbers come in the same order.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    async fn register_feeds(&self, feeds: &[(FeedName, String)]) -> Result<Vec<FeedId>, Error>;

    /// Gives a feed up: its cursor, its keys, its quarantine and what of it waits for
    /// readers. Returns how many records waited.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    async fn forget_feed(&self, feed: FeedId) -> Result<u64, Error>;

    /// Every feed.
    ///
    /// # Errors
    /// [`Error`].
    async fn list_feeds(&self) -> Result<Vec<Feed>, Error>;

    /// The feed of that name, if it was ever registered.
    ///
    /// # Errors
    /// [`Error`].
    async fn find_feed(&self, name: &FeedName) -> Result<Option<Feed>, Error>;

    /// How far a feed was read.
    ///
    /// # Errors
    /// [`Error`].
    async fn feed_progress(&self, feed: FeedId) -> Result<FeedProgress, Error>;

    /// The ranges that `job` has read, merged and in order: from, and before to.
    ///
    /// # Errors
    /// [`Error`].
    async fn covered_ranges(&self, feed: FeedId, job: &str) -> Result<Vec<(Time, Time)>, Error>;

    /// Forgets the ranges of a job that is done.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    async fn finish_job(&self, feed: FeedId, job: &str) -> Result<(), Error>;

    /// Which of these records were read before.
    ///
    /// # Errors
    /// [`Error`].
    async fn find_known(&self, feed: FeedId, records: &[Record]) -> Result<Vec<bool>, Error>;

    /// Makes one step of reading durable: all of it, or none.
    ///
    /// # Errors
    /// [`Error::NoFeed`] of one that was forgotten meanwhile, [`Error::Moved`] where the commit
    /// is of an earlier generation; nothing was done, and after another error the same may be
    /// offered again.
    async fn commit(&self, commit: Commit) -> Result<Committed, Error>;

    /// Records what went wrong with a feed, until the next commit.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    async fn record_failure(&self, feed: FeedId, failure: Failure) -> Result<(), Error>;

    /// Sets a cursor by hand, back too, and begins a generation. What was read from there on is
    /// known, whether its keys are still held or not, and does not come again; what was not
    /// read comes. With `replay`, what was read from there on is forgotten and comes again.
    /// Returns from when on it is known what was read: nothing below is to be asked for.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    async fn set_cursor(&self, feed: FeedId, to: Time, replay: bool)
    -> Result<Option<Time>, Error>;
}
