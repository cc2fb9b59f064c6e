//! The quarantine's rows.

use super::{Sqlite, rejected};
use crate::entry::{compress, decompress};
use crate::{
    Error, FeedId, NewQuarantine, NewRejected, Quarantine, QuarantineId, Quarantined, Time, Unread,
};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

#[async_trait]
impl Quarantine for Sqlite {
    async fn quarantine_rejected(
        &self,
        reader: &str,
        rejected: Vec<NewRejected>,
        at: Time,
    ) -> Result<usize, Error> {
        let reader = reader.to_owned();
        self.write(move |connection| rejected::put(connection, &reader, &rejected, at))
            .await
    }

    async fn list_quarantined(&self, feed: Option<FeedId>) -> Result<Vec<Quarantined>, Error> {
        self.read(move |connection| list(connection, feed)).await
    }

    async fn read_quarantined(
        &self,
        ids: &[QuarantineId],
    ) -> Result<Vec<(QuarantineId, Vec<u8>)>, Error> {
        let ids = ids.to_vec();
        self.read(move |connection| bodies(connection, &ids)).await
    }

    async fn mark_tried(&self, ids: &[QuarantineId], at: Time) -> Result<(), Error> {
        let ids = ids.to_vec();
        self.write(move |connection| tried(connection, &ids, at))
            .await
    }

    async fn retry_quarantined(&self, id: Option<QuarantineId>) -> Result<u64, Error> {
        self.write(move |connection| {
            let rejected = rejected::retry(connection, id)?;
            match id {
                Some(_) if rejected > 0 => Ok(rejected),
                _ => Ok(rejected + retry(connection, id)?),
            }
        })
        .await
    }

    async fn drop_quarantined(&self, id: QuarantineId) -> Result<(), Error> {
        self.write(move |connection| remove(connection, id)).await
    }
}

/// Puts it there, unless it is there already; whether it was not.
pub(super) fn put(
    connection: &Connection,
    feed: FeedId,
    new: &NewQuarantine,
    at: Time,
) -> Result<bool, Error> {
    let is_gap = new.kind == Unread::Gap;
    let digest = digest(new);
    if !is_gap && widen(connection, feed, new, digest)? {
        return Ok(false);
    }
    let added = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO quarantine
                (feed, is_gap, from_time, to_time, found_to, digest, reason, raw_bytes, body,
                 found_at)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            feed.0,
            is_gap,
            new.from,
            new.to,
            digest,
            new.reason,
            i64::try_from(new.body.len()).unwrap_or(i64::MAX),
            compress(&new.body)?,
            at
        ])?;
    Ok(added > 0)
}

/// Has an entry of the same bytes stand for this element, too, if their windows are mostly
/// the same; whether there is one.
///
/// Polls overlap, so one element is found in the windows of several; and nothing says of two
/// equal ones whether they are one. So the entry's window becomes one around both, and
/// trying it again asks for all that may be one of them. One element is found for as long as
/// windows reach back to it, so the entry grows by one window's length after the window in
/// which it was found first; then another entry is begun, and each can still be asked for.
fn widen(
    connection: &Connection,
    feed: FeedId,
    new: &NewQuarantine,
    digest: [u8; 32],
) -> Result<bool, Error> {
    let mut overlapping = connection.prepare_cached(
        "SELECT id, from_time, to_time, found_to FROM quarantine
         WHERE feed = ?1 AND digest = ?2 AND reader IS NULL AND from_time <= ?4 AND ?3 <= to_time",
    )?;
    let mut rows = overlapping.query(params![feed.0, digest, new.from, new.to])?;
    let length = |from: Time, to: Time| i128::from(to) - i128::from(from);
    while let Some(row) = rows.next()? {
        let (id, from, to): (i64, Time, Time) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let found_to: Time = row.get(3)?;
        let (least, most) = (from.min(new.from), to.max(new.to));
        if (least, most) == (from, to) {
            return Ok(true);
        }
        let whole = length(new.from, new.to);
        let shared = length(from.max(new.from), to.min(new.to));
        if shared * 2 >= whole && length(found_to, new.to) <= whole {
            connection
                .prepare_cached(
                    "UPDATE OR IGNORE quarantine SET from_time = ?, to_time = ? WHERE id = ?",
                )?
                .execute(params![least, most, id])?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// What makes it the same, beside its window: an element's bytes.
fn digest(new: &NewQuarantine) -> [u8; 32] {
    let mut digest = Sha256::new();
    match new.kind {
        Unread::Element | Unread::Rejected => digest.update(&new.body),
        Unread::Gap => {
            digest.update(b"gap");
            digest.update(new.from.to_le_bytes());
            digest.update(new.to.to_le_bytes());
        }
    }
    digest.finalize().into()
}

fn list(connection: &Connection, feed: Option<FeedId>) -> Result<Vec<Quarantined>, Error> {
    let mut statement = connection.prepare_cached(&listing(feed.is_some()))?;
    let rows = statement.query_map([feed.map(|feed| feed.0)], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What is in quarantine, of the feed ?1 alone or of all. Each poll asks for its feed's, and
/// does not look at what others have there.
pub(super) fn listing(is_of_one: bool) -> String {
    let these = if is_of_one {
        "q.feed = ?1"
    } else {
        "?1 IS NULL"
    };
    format!(
        "SELECT q.id, ifnull(q.source, f.source), ifnull(q.tenant, f.label), q.is_gap, q.from_time,
            q.to_time, q.reason, q.raw_bytes, q.found_at, q.tried_at, q.tries, q.reader
         FROM quarantine q LEFT JOIN feed f ON f.id = q.feed
         WHERE {these} ORDER BY q.id"
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<Quarantined> {
    let reader: Option<String> = row.get(11)?;
    Ok(Quarantined {
        id: QuarantineId(row.get(0)?),
        source: row.get(1)?,
        tenant: row.get(2)?,
        kind: match (&reader, row.get(3)?) {
            (Some(_), _) => Unread::Rejected,
            (None, true) => Unread::Gap,
            (None, false) => Unread::Element,
        },
        reader,
        from: row.get(4)?,
        to: row.get(5)?,
        reason: row.get(6)?,
        bytes: u64::try_from(row.get::<_, i64>(7)?).unwrap_or(0),
        found_at: row.get(8)?,
        tried_at: row.get(9)?,
        tries: row.get(10)?,
    })
}

/// What is kept under these numbers, of those that are there.
fn bodies(
    connection: &Connection,
    ids: &[QuarantineId],
) -> Result<Vec<(QuarantineId, Vec<u8>)>, Error> {
    let mut find =
        connection.prepare_cached("SELECT raw_bytes, body FROM quarantine WHERE id = ?")?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let row: Option<(i64, Vec<u8>)> = find
            .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((size, body)) = row {
            let size = usize::try_from(size).unwrap_or_default();
            found.push((*id, decompress(&body, size)?));
        }
    }
    Ok(found)
}

fn tried(connection: &Connection, ids: &[QuarantineId], at: Time) -> Result<(), Error> {
    let mut update = connection
        .prepare_cached("UPDATE quarantine SET tried_at = ?, tries = tries + 1 WHERE id = ?")?;
    for id in ids {
        update.execute(params![at, id.0])?;
    }
    Ok(())
}

/// What could not be read and was never tried is due at once.
fn retry(connection: &Connection, id: Option<QuarantineId>) -> Result<u64, Error> {
    let changed = connection.execute(
        "UPDATE quarantine SET tried_at = 0 WHERE reader IS NULL AND (?1 IS NULL OR id = ?1)",
        [id.map(|id| id.0)],
    )?;
    match id {
        Some(id) if changed == 0 => Err(Error::NoQuarantine(id.0)),
        _ => Ok(changed as u64),
    }
}

fn remove(connection: &Connection, id: QuarantineId) -> Result<(), Error> {
    let gone = connection
        .prepare_cached("DELETE FROM quarantine WHERE id = ?")?
        .execute([id.0])?;
    if gone == 0 {
        return Err(Error::NoQuarantine(id.0));
    }
    Ok(())
}
