//! One step of reading, in the transaction that it is given.

use super::{covered, quarantine};
use crate::entry::{Packer, compress};
use crate::{Commit, Committed, EntryId, Error, FeedId, Record, Time};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

pub(super) fn commit(connection: &Connection, work: Commit) -> Result<Committed, Error> {
    let feed = work.feed;
    let (source, label, cursor, generation): (String, String, Option<Time>, i64) = connection
        .prepare_cached("SELECT source, label, cursor, generation FROM feed WHERE id = ?")?
        .query_row([feed.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?
        .ok_or(Error::NoFeed)?;
    if work
        .generation
        .is_some_and(|read_under| read_under.0 != generation)
    {
        return Err(Error::Moved);
    }
    let from = Origin {
        feed,
        source: &source,
        tenant: &label,
    };
    let is_taken = connection
        .prepare_cached("SELECT 1 FROM takes WHERE source = ?")?
        .exists([&source])?;
    let mut done = Committed::default();
    let mut packer = Packer::default();
    // A part of a window moves no cursor. Before there is one, about now.
    let read_to = work.read_to.max(work.cursor).max(cursor);
    let seen = read_to.unwrap_or(work.at);
    let mut keys = Keys::new(connection, feed, seen)?;
    let read = match work.again {
        true => Vec::new(),
        false if work.around_covered => covered::list(connection, feed, "")?,
        false => covered::list(connection, feed, covered::PASSED)?,
    };
    let was_read = |time| is_within(&read, time);
    for record in &work.records {
        if was_read(record.time) {
            // Where something of its window is in quarantine, the next move of the cursor
            // counts on the keys.
            keys.add(record)?;
            done.duplicates += 1;
            continue;
        }
        let is_new = keys.add(record)?;
        if is_new {
            done.fresh += 1;
            let oldest = done.oldest_fresh.unwrap_or(record.time);
            done.oldest_fresh = Some(oldest.min(record.time));
        } else {
            done.duplicates += 1;
        }
        if is_taken && (is_new || work.again) {
            packer.push(&record.bytes)?;
            if packer.is_full() {
                let full = std::mem::take(&mut packer);
                done.add(put(connection, from, None, full)?);
            }
        }
    }
    if packer.len > 0 {
        done.add(put(connection, from, None, packer)?);
    }
    for id in &work.lift {
        // One that was dropped by hand meanwhile is settled too.
        connection.execute("DELETE FROM quarantine WHERE id = ?", [id.0])?;
    }
    for new in &work.quarantine {
        // What was read counts as known there, so nothing would come of trying it again; and
        // no keys would say so once the range is forgotten.
        if read
            .iter()
            .any(|(from, to)| *from <= new.from && new.to <= *to)
        {
            continue;
        }
        done.quarantined += usize::from(quarantine::put(connection, feed, new, work.at)?);
    }
    if let Some(range) = &work.covered {
        covered::add(connection, feed, range)?;
    }
    advance(connection, &work, &done)?;
    if let Some(below) = work.forget_below {
        forget(connection, feed, below)?;
    }
    if let Some(below) = work.forget_undated_below {
        forget_undated(connection, feed, below)?;
    }
    Ok(done)
}

/// What was read of a feed, by its identity.
struct Keys<'c> {
    feed: FeedId,
    dated: CachedStatement<'c>,
    find_undated: CachedStatement<'c>,
    undated: CachedStatement<'c>,
    /// How far the feed was read with this commit, all of it or a part.
    seen: Time,
}

impl<'c> Keys<'c> {
    fn new(connection: &'c Connection, feed: FeedId, seen: Time) -> Result<Self, Error> {
        Ok(Self {
            feed,
            dated: connection.prepare_cached(
                "INSERT OR IGNORE INTO key (feed, time, identity) VALUES (?, ?, ?)",
            )?,
            find_undated: connection.prepare_cached(FIND_UNDATED)?,
            undated: connection.prepare_cached(
                "INSERT INTO undated (feed, identity, seen) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET seen = max(seen, excluded.seen)",
            )?,
            seen,
        })
    }

    /// Adds a record; whether it was not there.
    fn add(&mut self, record: &Record) -> Result<bool, Error> {
        let key = key(&record.identity);
        if record.time != Record::UNDATED {
            return Ok(self.dated.execute(params![self.feed.0, record.time, key])? > 0);
        }
        let is_new = !self.find_undated.exists(params![self.feed.0, key])?;
        self.undated.execute(params![self.feed.0, key, self.seen])?;
        Ok(is_new)
    }
}

const FIND_UNDATED: &str = "SELECT 1 FROM undated WHERE feed = ? AND identity = ?";

fn is_within(ranges: &[(Time, Time)], time: Time) -> bool {
    ranges.iter().any(|(from, to)| (*from..*to).contains(&time))
}

/// Which of these were read before.
pub(super) fn known(
    connection: &Connection,
    feed: FeedId,
    records: &[Record],
) -> Result<Vec<bool>, Error> {
    let mut find = connection
        .prepare_cached("SELECT 1 FROM key WHERE feed = ? AND time = ? AND identity = ?")?;
    let mut find_undated = connection.prepare_cached(FIND_UNDATED)?;
    let passed = covered::list(connection, feed, covered::PASSED)?;
    records
        .iter()
        .map(|record| {
            if record.time == Record::UNDATED {
                return Ok(find_undated.exists(params![feed.0, key(&record.identity)])?);
            }
            let has_key = find.exists(params![feed.0, record.time, key(&record.identity)])?;
            Ok(has_key || is_within(&passed, record.time))
        })
        .collect()
}

fn advance(connection: &Connection, work: &Commit, done: &Committed) -> Result<(), Error> {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "UPDATE feed SET
                cursor = max(ifnull(cursor, ?1), ifnull(?1, cursor)),
                keys_from = ifnull(keys_from, ?2), rescanned = ifnull(?7, rescanned),
                fresh = fresh + ?3, duplicates = duplicates + ?4,
                last_success = ?5, last_error = NULL, last_error_kind = NULL, last_error_at = NULL
             WHERE id = ?6",
        )?
        .execute(params![
            work.cursor,
            work.keys_from,
            count(done.fresh),
            count(done.duplicates),
            work.at,
            work.feed.0,
            work.rescanned
        ])?;
    Ok(())
}

/// Keys below a time are dropped, but for those that a retry out of quarantine needs; what
/// is asked for again from below would be delivered
/// again, so it is remembered.
fn forget(connection: &Connection, feed: FeedId, below: i64) -> Result<(), Error> {
    connection
        .prepare_cached(
            "DELETE FROM key WHERE feed = ?1 AND time < ?2 AND NOT EXISTS (
                SELECT 1 FROM quarantine q
                WHERE q.feed = ?1 AND q.reader IS NULL AND key.time BETWEEN q.from_time AND q.to_time)",
        )?
        .execute(params![feed.0, below])?;
    connection
        .prepare_cached("UPDATE feed SET keys_from = max(keys_from, ?) WHERE id = ?")?
        .execute(params![below, feed.0])?;
    covered::forget_passed(connection, feed, below)
}

/// Keys of records without a date are dropped that were not found since. While something is
/// in quarantine they stay: what is read when that is tried again may be from long ago.
fn forget_undated(connection: &Connection, feed: FeedId, below: Time) -> Result<(), Error> {
    connection
        .prepare_cached(
            "DELETE FROM undated WHERE feed = ?1 AND seen < ?2 AND NOT EXISTS (
                SELECT 1 FROM quarantine q WHERE q.feed = ?1 AND q.reader IS NULL)",
        )?
        .execute(params![feed.0, below])?;
    Ok(())
}

/// Where an entry comes from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'n> {
    pub(super) feed: FeedId,
    pub(super) source: &'n str,
    /// What its tenant is called.
    pub(super) tenant: &'n str,
}

/// An entry in the outbox, and the bytes that it takes there.
pub(super) struct Put {
    id: EntryId,
    bytes: u64,
}

impl Committed {
    fn add(&mut self, put: Put) {
        self.entries.push(put.id);
        self.bytes += put.bytes;
    }
}

/// Puts an entry into the outbox, for all readers or for one alone.
pub(super) fn put(
    connection: &Connection,
    from: Origin<'_>,
    reader: Option<&str>,
    packed: Packer,
) -> Result<Put, Error> {
    let size = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let payload = compress(&packed.raw)?;
    connection
        .prepare_cached(
            "INSERT INTO entry (feed, source, tenant, reader, records, raw_bytes, bytes, payload)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            from.feed.0,
            from.source,
            from.tenant,
            reader,
            size(packed.len),
            size(packed.raw.len()),
            size(payload.len()),
            payload
        ])?;
    Ok(Put {
        id: EntryId(connection.last_insert_rowid()),
        bytes: payload.len() as u64,
    })
}

/// 128 bits of a cryptographic digest: nobody finds two identities with one key.
fn key(identity: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(identity).into();
    let mut key = [0; 16];
    key.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
    key
}
