//! The ledger as one SQLite file: WAL, every commit on disk before it is told.

mod commit;
mod covered;
mod disk;
mod durable;
mod failing;
mod folder;
mod open;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod power;
mod quarantine;
mod readers;
mod rejected;
mod rows;
mod writer;

use crate::{
    Backlog, Commit, Committed, Entry, EntryId, Error, Failure, Feed, FeedId, FeedName,
    FeedProgress, Forgotten, Ledger, NewRejected, OpenError, Partition, Position, QuarantineId,
    Quarantined, Reader, ReaderFailure, Record, Time,
};
use disk::Disk;
pub use folder::private_folder;
use rusqlite::{Connection, params};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use writer::Writer;

/// A ledger in a folder.
pub struct Sqlite {
    /// None when this only reads beside another process.
    writer: Option<Writer>,
    reading: Mutex<Connection>,
    /// What lay in the folder when it was made; none when it was there.
    made_beside: Option<Vec<PathBuf>>,
    /// Held as long as this is.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens the ledger in `data_dir` (in its [`private_folder`]), which is made (mode 0700)
    /// with an empty one when it is missing. Only one process at a time can.
    ///
    /// # Errors
    /// [`OpenError`]; what is there is left as it is.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        Self::open_on(&disk::System, data_dir)
    }

    fn open_on(disk: &dyn Disk, data_dir: &Path) -> Result<Self, OpenError> {
        let folder = private_folder(data_dir);
        let rests = folder::rests(&folder);
        folder::make(&folder)?;
        folder::tighten_files(&folder)?;
        let lock = open::lock(&folder)?;
        let file = open::file(&folder);
        let (connection, is_new) = open::writing(&file, disk)?;
        let writer = Writer::start(connection).map_err(|error| OpenError::io(&file, error))?;
        Ok(Self {
            writer: Some(writer),
            reading: Mutex::new(open::reading(&file, disk)?),
            made_beside: is_new.then_some(rests),
            _lock: Some(lock),
        })
    }

    /// Opens the ledger in `data_dir` to look at, beside a process that writes it or
    /// without one. Whatever would change it is refused.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn look(data_dir: &Path) -> Result<Self, OpenError> {
        let file = open::file(&private_folder(data_dir));
        Ok(Self {
            writer: None,
            reading: Mutex::new(open::looking(&file, &disk::System)?),
            made_beside: None,
            _lock: None,
        })
    }

    /// When the ledger was missing and an empty one was made: what lay in its folder, which
    /// may say that there was one. None when it was there.
    #[must_use]
    pub fn made_beside(&self) -> Option<&[PathBuf]> {
        self.made_beside.as_deref()
    }

    fn read(&self) -> MutexGuard<'_, Connection> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match &self.writer {
            Some(writer) => writer.run(work),
            None => Err(Error::Other("was opened to look at only".to_owned())),
        }
    }
}

impl Ledger for Sqlite {
    fn feed(&self, name: &FeedName) -> Result<Feed, Error> {
        if let Some(feed) = rows::feed(&self.read(), name)? {
            return Ok(feed);
        }
        let name = name.clone();
        self.write(move |connection| {
            rows::register_feeds(connection, &[(name.clone(), name.tenant.clone())])?;
            rows::feed(connection, &name)?
                .ok_or_else(|| Error::Other("the feed is gone".to_owned()))
        })
    }

    fn register_feeds(&self, feeds: &[(FeedName, String)]) -> Result<Vec<FeedId>, Error> {
        let feeds = feeds.to_vec();
        self.write(move |connection| rows::register_feeds(connection, &feeds))
    }

    fn forget_feed(&self, feed: FeedId) -> Result<u64, Error> {
        self.write(move |connection| rows::forget(connection, feed))
    }

    fn feeds(&self) -> Result<Vec<Feed>, Error> {
        rows::feeds(&self.read())
    }

    fn feed_progress(&self, feed: FeedId) -> Result<FeedProgress, Error> {
        rows::feed_progress(&self.read(), feed)
    }

    fn covered(&self, feed: FeedId, job: &str) -> Result<Vec<(Time, Time)>, Error> {
        covered::list(&self.read(), feed, job)
    }

    fn uncover(&self, feed: FeedId, job: &str) -> Result<(), Error> {
        let job = job.to_owned();
        self.write(move |connection| covered::remove(connection, feed, &job))
    }

    fn known(&self, feed: FeedId, records: &[Record]) -> Result<Vec<bool>, Error> {
        commit::known(&self.read(), feed, records)
    }

    fn commit(&self, work: Commit) -> Result<Committed, Error> {
        self.write(move |connection| commit::commit(connection, work))
    }

    fn failed(&self, feed: FeedId, failure: Failure) -> Result<(), Error> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE feed SET last_error_at = ?, last_error_kind = ?, last_error = ?
                     WHERE id = ?",
                )?
                .execute(params![failure.at, failure.kind, failure.words, feed.0])?;
            Ok(())
        })
    }

    fn set_cursor(&self, feed: FeedId, to: Time, replay: bool) -> Result<Option<Time>, Error> {
        self.write(move |connection| rows::set_cursor(connection, feed, to, replay))
    }

    fn newest_entry(&self, feed: FeedId) -> Result<Option<EntryId>, Error> {
        readers::newest_of(&self.read(), feed)
    }

    fn undelivered(&self, feed: FeedId, up_to: EntryId) -> Result<u64, Error> {
        readers::undelivered_of(&self.read(), feed, up_to)
    }

    fn register(&self, readers: &[Reader], forget: &[String]) -> Result<Vec<Forgotten>, Error> {
        let (readers, forget) = (readers.to_vec(), forget.to_vec());
        self.write(move |connection| readers::register(connection, &readers, &forget))
    }

    fn readers(&self) -> Result<Vec<String>, Error> {
        readers::names(&self.read())
    }

    fn position(&self, reader: &str, part: Partition<'_>) -> Result<Position, Error> {
        readers::position(&self.read(), reader, part)
    }

    fn waiting(&self, reader: &str) -> Result<Vec<String>, Error> {
        readers::waiting(&self.read(), reader)
    }

    fn backlog(&self, reader: &str, part: Partition<'_>) -> Result<Backlog, Error> {
        readers::backlog(&self.read(), reader, part)
    }

    fn next(
        &self,
        reader: &str,
        part: Partition<'_>,
        after: EntryId,
    ) -> Result<Option<Entry>, Error> {
        let packed = readers::next(&self.read(), reader, part, after)?;
        packed.map(readers::Packed::unpack).transpose()
    }

    fn acknowledge(
        &self,
        reader: &str,
        part: Partition<'_>,
        entry: EntryId,
        state: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let (reader, part) = (reader.to_owned(), part.map(str::to_owned));
        self.write(move |connection| {
            readers::acknowledge(connection, &reader, part.as_deref(), entry, state)
        })
    }

    fn reader_failed(
        &self,
        reader: &str,
        part: Partition<'_>,
        failure: Option<Failure>,
    ) -> Result<(), Error> {
        let (reader, part) = (reader.to_owned(), part.map(str::to_owned));
        self.write(move |connection| match &failure {
            Some(failure) => failing::put(connection, &reader, part.as_deref(), failure),
            None => failing::remove(connection, &reader, part.as_deref()),
        })
    }

    fn reader_failures(&self) -> Result<Vec<ReaderFailure>, Error> {
        failing::list(&self.read())
    }

    fn quarantine(
        &self,
        reader: &str,
        rejected: Vec<NewRejected>,
        at: Time,
    ) -> Result<usize, Error> {
        let reader = reader.to_owned();
        self.write(move |connection| rejected::put(connection, &reader, &rejected, at))
    }

    fn unused_bytes(&self) -> Result<u64, Error> {
        let connection = self.read();
        let number = |name| {
            let number = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?;
            Ok::<_, Error>(u64::try_from(number).unwrap_or(0))
        };
        Ok(number("freelist_count")?.saturating_mul(number("page_size")?))
    }

    fn quarantined(&self, feed: Option<FeedId>) -> Result<Vec<Quarantined>, Error> {
        quarantine::list(&self.read(), feed)
    }

    fn quarantined_body(&self, id: QuarantineId) -> Result<Vec<u8>, Error> {
        quarantine::body(&self.read(), id)
    }

    fn tried(&self, ids: &[QuarantineId], at: Time) -> Result<(), Error> {
        let ids = ids.to_vec();
        self.write(move |connection| quarantine::tried(connection, &ids, at))
    }

    fn retry(&self, id: Option<QuarantineId>) -> Result<u64, Error> {
        self.write(move |connection| {
            let rejected = rejected::retry(connection, id)?;
            match id {
                Some(_) if rejected > 0 => Ok(rejected),
                _ => Ok(rejected + quarantine::retry(connection, id)?),
            }
        })
    }

    fn drop_quarantined(&self, id: QuarantineId) -> Result<(), Error> {
        self.write(move |connection| quarantine::lift(connection, id))
    }
}
