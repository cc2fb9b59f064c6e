//! What is still to be delivered.

use crate::{
    Backlog, Entry, EntryId, Error, Failure, FeedId, Forgotten, Partition, Position, Reader,
    ReaderFailure,
};
use async_trait::async_trait;

/// What waits for readers, how far each has got and what goes wrong with it.
///
/// A call returns once what it did is durable. One that was begun goes to its end, though
/// nobody waits for it any more.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Says who reads. A new reader begins at the oldest entry; one that is gone must
    /// have taken everything, or be in `forget`.
    ///
    /// # Errors
    /// [`Error::ReaderGone`], [`Error::SourceGone`]; nothing was done.
    async fn register_readers(
        &self,
        readers: &[Reader],
        forget: &[String],
    ) -> Result<Vec<Forgotten>, Error>;

    /// Every reader's name.
    ///
    /// # Errors
    /// [`Error`].
    async fn list_readers(&self) -> Result<Vec<String>, Error>;

    /// How far a reader, or a partition of it, has got.
    ///
    /// # Errors
    /// [`Error::NoReader`].
    async fn position(&self, reader: &str, partition: Partition<'_>) -> Result<Position, Error>;

    /// The tenants of which something waits for a reader, the longest waiting first.
    ///
    /// # Errors
    /// [`Error::NoReader`].
    async fn waiting_tenants(&self, reader: &str) -> Result<Vec<String>, Error>;

    /// What waits for a reader, or for a partition of it.
    ///
    /// # Errors
    /// [`Error::NoReader`].
    async fn backlog(&self, reader: &str, partition: Partition<'_>) -> Result<Backlog, Error>;

    /// The first entry for a reader, or for a partition of it, after `after`.
    ///
    /// # Errors
    /// [`Error`].
    async fn next_entry(
        &self,
        reader: &str,
        partition: Partition<'_>,
        after: EntryId,
    ) -> Result<Option<Entry>, Error>;

    /// A reader, or a partition of it, has everything up to `entry`, and wants to remember
    /// `state`. What no reader waits for any more is removed.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    async fn acknowledge(
        &self,
        reader: &str,
        partition: Partition<'_>,
        entry: EntryId,
        state: Option<Vec<u8>>,
    ) -> Result<(), Error>;

    /// The newest entry of a feed that a reader has not acknowledged.
    ///
    /// # Errors
    /// [`Error`].
    async fn newest_entry(&self, feed: FeedId) -> Result<Option<EntryId>, Error>;

    /// How many records of a feed are in entries up to `up_to` that a reader has not
    /// acknowledged.
    ///
    /// # Errors
    /// [`Error`].
    async fn count_undelivered(&self, feed: FeedId, up_to: EntryId) -> Result<u64, Error>;

    /// Records what goes wrong with a reader, or a partition of it. Of a reader that is not
    /// registered nothing is kept.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    async fn record_reader_failure(
        &self,
        reader: &str,
        partition: Partition<'_>,
        failure: Failure,
    ) -> Result<(), Error>;

    /// Nothing goes wrong with a reader, or a partition of it, any more.
    ///
    /// # Errors
    /// [`Error`]; nothing was done.
    async fn clear_reader_failure(
        &self,
        reader: &str,
        partition: Partition<'_>,
    ) -> Result<(), Error>;

    /// What goes wrong with readers now.
    ///
    /// # Errors
    /// [`Error`].
    async fn list_reader_failures(&self) -> Result<Vec<ReaderFailure>, Error>;

    /// Bytes on the disk that are the ledger's own and hold nothing any more: what it keeps
    /// next goes there before it grows.
    ///
    /// # Errors
    /// [`Error`].
    async fn unused_bytes(&self) -> Result<u64, Error>;
}
