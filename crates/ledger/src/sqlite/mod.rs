//! The ledger as one SQLite file: WAL, every commit on disk before it is told.

mod commit;
mod covered;
mod held;
mod open;
#[cfg(test)]
mod plans;
mod quarantine;
mod readers;
mod rows;
mod writer;

use crate::{
    Backlog, Commit, Committed, Entry, EntryId, Error, Failure, Feed, FeedId, FeedName, Forgotten,
    Ledger, NewHeld, OpenError, Part, Position, QuarantineId, Quarantined, Reader, Record, Stands,
    Time,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use writer::Writer;

/// A ledger in a folder.
pub struct Sqlite {
    /// None when this only reads beside another process.
    writer: Option<Writer>,
    reading: Mutex<Connection>,
    /// Held as long as this is.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens the ledger in `folder`, which is made (mode 0700) with an empty one when it
    /// is missing. Only one process at a time can.
    ///
    /// # Errors
    /// [`OpenError`]; what is there is left as it is.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        open::folder(folder)?;
        let lock = open::lock(folder)?;
        let file = open::file(folder);
        let connection = open::writing(&file)?;
        let writer = Writer::start(connection).map_err(|source| OpenError::Io {
            path: file.clone(),
            source,
        })?;
        Ok(Self {
            writer: Some(writer),
            reading: Mutex::new(open::reading(&file)?),
            _lock: Some(lock),
        })
    }

    /// Opens the ledger in `folder` to look at, beside a process that writes it or
    /// without one. Whatever would change it is refused.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn look(folder: &Path) -> Result<Self, OpenError> {
        let file = open::file(folder);
        let connection = open::reading(&file)?;
        open::check(&connection, &file)?;
        Ok(Self {
            writer: None,
            reading: Mutex::new(connection),
            _lock: None,
        })
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
            rows::enrol(connection, &[(name.clone(), name.tenant.clone())])?;
            rows::feed(connection, &name)?
                .ok_or_else(|| Error::Other("the feed is gone".to_owned()))
        })
    }

    fn enrol(&self, feeds: &[(FeedName, String)]) -> Result<Vec<FeedId>, Error> {
        let feeds = feeds.to_vec();
        self.write(move |connection| rows::enrol(connection, &feeds))
    }

    fn forget_feed(&self, feed: FeedId) -> Result<u64, Error> {
        self.write(move |connection| rows::forget(connection, feed))
    }

    fn feeds(&self) -> Result<Vec<Feed>, Error> {
        rows::feeds(&self.read())
    }

    fn stands(&self, feed: FeedId) -> Result<Stands, Error> {
        rows::stands(&self.read(), feed)
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
        self.write(move |connection| {
            connection.execute(
                "UPDATE feed SET cursor = ? WHERE id = ?",
                params![to, feed.0],
            )?;
            if replay {
                connection.execute(
                    "DELETE FROM key WHERE feed = ? AND time >= ?",
                    params![feed.0, to],
                )?;
                covered::cut(connection, feed, to)?;
                connection.execute(
                    "UPDATE feed SET keys_from = min(keys_from, ?) WHERE id = ?",
                    params![to, feed.0],
                )?;
            }
            let keys_from = connection
                .query_row("SELECT keys_from FROM feed WHERE id = ?", [feed.0], |row| {
                    row.get(0)
                })
                .optional()?;
            Ok(keys_from.flatten())
        })
    }

    fn register(&self, readers: &[Reader], forget: &[String]) -> Result<Vec<Forgotten>, Error> {
        let (readers, forget) = (readers.to_vec(), forget.to_vec());
        self.write(move |connection| readers::register(connection, &readers, &forget))
    }

    fn readers(&self) -> Result<Vec<String>, Error> {
        readers::names(&self.read())
    }

    fn position(&self, reader: &str, part: Part<'_>) -> Result<Position, Error> {
        readers::position(&self.read(), reader, part)
    }

    fn waiting(&self, reader: &str) -> Result<Vec<String>, Error> {
        readers::waiting(&self.read(), reader)
    }

    fn backlog(&self, reader: &str, part: Part<'_>) -> Result<Backlog, Error> {
        readers::backlog(&self.read(), reader, part)
    }

    fn next(&self, reader: &str, part: Part<'_>, after: EntryId) -> Result<Option<Entry>, Error> {
        let packed = readers::next(&self.read(), reader, part, after)?;
        packed.map(readers::Packed::unpack).transpose()
    }

    fn acknowledge(
        &self,
        reader: &str,
        part: Part<'_>,
        entry: EntryId,
        state: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let (reader, part) = (reader.to_owned(), part.map(str::to_owned));
        self.write(move |connection| {
            readers::acknowledge(connection, &reader, part.as_deref(), entry, state)
        })
    }

    fn hold_back(&self, reader: &str, held: Vec<NewHeld>, at: Time) -> Result<usize, Error> {
        let reader = reader.to_owned();
        self.write(move |connection| held::put(connection, &reader, &held, at))
    }

    fn spare(&self) -> Result<u64, Error> {
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
            let held = held::retry(connection, id)?;
            match id {
                Some(_) if held > 0 => Ok(held),
                _ => Ok(held + quarantine::retry(connection, id)?),
            }
        })
    }

    fn drop_quarantined(&self, id: QuarantineId) -> Result<(), Error> {
        self.write(move |connection| quarantine::lift(connection, id))
    }
}
