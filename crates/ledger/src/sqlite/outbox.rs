//! The outbox of a ledger in a file.

use super::{Sqlite, failing, readers};
use crate::{
    Backlog, Entry, EntryId, Error, Failure, FeedId, Forgotten, Outbox, Partition, Position,
    Reader, ReaderFailure,
};
use async_trait::async_trait;

#[async_trait]
impl Outbox for Sqlite {
    async fn register_readers(
        &self,
        readers: &[Reader],
        forget: &[String],
    ) -> Result<Vec<Forgotten>, Error> {
        let (readers, forget) = (readers.to_vec(), forget.to_vec());
        self.write(move |connection| readers::register(connection, &readers, &forget))
            .await
    }

    async fn list_readers(&self) -> Result<Vec<String>, Error> {
        self.read(readers::names).await
    }

    async fn position(&self, reader: &str, partition: Partition<'_>) -> Result<Position, Error> {
        let (reader, partition) = owned(reader, partition);
        self.read(move |connection| readers::position(connection, &reader, partition.as_deref()))
            .await
    }

    async fn waiting_tenants(&self, reader: &str) -> Result<Vec<String>, Error> {
        let reader = reader.to_owned();
        self.read(move |connection| readers::waiting(connection, &reader))
            .await
    }

    async fn backlog(&self, reader: &str, partition: Partition<'_>) -> Result<Backlog, Error> {
        let (reader, partition) = owned(reader, partition);
        self.read(move |connection| readers::backlog(connection, &reader, partition.as_deref()))
            .await
    }

    async fn next_entry(
        &self,
        reader: &str,
        partition: Partition<'_>,
        after: EntryId,
    ) -> Result<Option<Entry>, Error> {
        let (reader, partition) = owned(reader, partition);
        self.call(move |shared| {
            // Others read while it is decompressed.
            let packed = readers::next(&shared.reading(), &reader, partition.as_deref(), after)?;
            packed.map(readers::Packed::unpack).transpose()
        })
        .await
    }

    async fn acknowledge(
        &self,
        reader: &str,
        partition: Partition<'_>,
        entry: EntryId,
        state: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let (reader, partition) = owned(reader, partition);
        self.write(move |connection| {
            readers::acknowledge(connection, &reader, partition.as_deref(), entry, state)
        })
        .await
    }

    async fn newest_entry(&self, feed: FeedId) -> Result<Option<EntryId>, Error> {
        self.read(move |connection| readers::newest_of(connection, feed))
            .await
    }

    async fn count_undelivered(&self, feed: FeedId, up_to: EntryId) -> Result<u64, Error> {
        self.read(move |connection| readers::undelivered_of(connection, feed, up_to))
            .await
    }

    async fn record_reader_failure(
        &self,
        reader: &str,
        partition: Partition<'_>,
        failure: Failure,
    ) -> Result<(), Error> {
        let (reader, partition) = owned(reader, partition);
        self.write(move |connection| {
            failing::put(connection, &reader, partition.as_deref(), &failure)
        })
        .await
    }

    async fn clear_reader_failure(
        &self,
        reader: &str,
        partition: Partition<'_>,
    ) -> Result<(), Error> {
        let (reader, partition) = owned(reader, partition);
        self.write(move |connection| failing::remove(connection, &reader, partition.as_deref()))
            .await
    }

    async fn list_reader_failures(&self) -> Result<Vec<ReaderFailure>, Error> {
        self.read(failing::list).await
    }

    async fn unused_bytes(&self) -> Result<u64, Error> {
        self.read(|connection| {
            let number = |name| {
                let number =
                    connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?;
                Ok::<_, Error>(u64::try_from(number).unwrap_or(0))
            };
            Ok(number("freelist_count")?.saturating_mul(number("page_size")?))
        })
        .await
    }
}

fn owned(reader: &str, partition: Partition<'_>) -> (String, Option<String>) {
    (reader.to_owned(), partition.map(str::to_owned))
}
