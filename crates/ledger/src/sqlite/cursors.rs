//! The cursors of a ledger in a file.

use super::{Sqlite, commit, covered, rows};
use crate::{
    Commit, Committed, Cursors, Error, Failure, Feed, FeedId, FeedName, FeedProgress, Record, Time,
};
use async_trait::async_trait;

#[async_trait]
impl Cursors for Sqlite {
    async fn register_feeds(&self, feeds: &[(FeedName, String)]) -> Result<Vec<FeedId>, Error> {
        let feeds = feeds.to_vec();
        self.write(move |connection| rows::register_feeds(connection, &feeds))
            .await
    }

    async fn forget_feed(&self, feed: FeedId) -> Result<u64, Error> {
        self.write(move |connection| rows::forget(connection, feed))
            .await
    }

    async fn list_feeds(&self) -> Result<Vec<Feed>, Error> {
        self.read(rows::feeds).await
    }

    async fn find_feed(&self, name: &FeedName) -> Result<Option<Feed>, Error> {
        let name = name.clone();
        self.read(move |connection| rows::feed(connection, &name))
            .await
    }

    async fn feed_progress(&self, feed: FeedId) -> Result<FeedProgress, Error> {
        self.read(move |connection| rows::feed_progress(connection, feed))
            .await
    }

    async fn covered_ranges(&self, feed: FeedId, job: &str) -> Result<Vec<(Time, Time)>, Error> {
        let job = job.to_owned();
        self.read(move |connection| covered::list(connection, feed, &job))
            .await
    }

    async fn finish_job(&self, feed: FeedId, job: &str) -> Result<(), Error> {
        let job = job.to_owned();
        self.write(move |connection| covered::remove(connection, feed, &job))
            .await
    }

    async fn find_known(&self, feed: FeedId, records: &[Record]) -> Result<Vec<bool>, Error> {
        let records = records.to_vec();
        self.read(move |connection| commit::known(connection, feed, &records))
            .await
    }

    async fn commit(&self, work: Commit) -> Result<Committed, Error> {
        self.write(move |connection| commit::commit(connection, work))
            .await
    }

    async fn record_failure(&self, feed: FeedId, failure: Failure) -> Result<(), Error> {
        self.write(move |connection| rows::put_failure(connection, feed, &failure))
            .await
    }

    async fn set_cursor(
        &self,
        feed: FeedId,
        to: Time,
        replay: bool,
    ) -> Result<Option<Time>, Error> {
        self.write(move |connection| rows::set_cursor(connection, feed, to, replay))
            .await
    }
}
