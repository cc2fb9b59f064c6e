//! The quarantine's rows.

use crate::entry::{compress, decompress};
use crate::{Error, FeedId, NewQuarantine, QuarantineId, Quarantined, Time, Unread};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

/// Puts it there, unless it is there already; whether it was not.
pub(super) fn put(
    connection: &Connection,
    feed: FeedId,
    new: &NewQuarantine,
    at: Time,
) -> Result<bool, Error> {
    let is_gap = new.kind == Unread::Gap;
    let added = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO quarantine
                (feed, is_gap, from_time, to_time, digest, reason, raw_bytes, body, found_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            feed.0,
            is_gap,
            new.from,
            new.to,
            digest(new),
            new.reason,
            i64::try_from(new.body.len()).unwrap_or(i64::MAX),
            compress(&new.body)?,
            at
        ])?;
    Ok(added > 0)
}

/// What makes it the same: an element's bytes, a gap's bounds.
fn digest(new: &NewQuarantine) -> [u8; 32] {
    let mut digest = Sha256::new();
    match new.kind {
        Unread::Element | Unread::Held => digest.update(&new.body),
        Unread::Gap => {
            digest.update(b"gap");
            digest.update(new.from.to_le_bytes());
            digest.update(new.to.to_le_bytes());
        }
    }
    digest.finalize().into()
}

pub(super) fn list(
    connection: &Connection,
    feed: Option<FeedId>,
) -> Result<Vec<Quarantined>, Error> {
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
            (Some(_), _) => Unread::Held,
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

pub(super) fn body(connection: &Connection, id: QuarantineId) -> Result<Vec<u8>, Error> {
    let found: Option<(i64, Vec<u8>)> = connection
        .query_row(
            "SELECT raw_bytes, body FROM quarantine WHERE id = ?",
            [id.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (size, body) = found.ok_or(Error::NoQuarantine(id.0))?;
    decompress(&body, usize::try_from(size).unwrap_or_default())
}

pub(super) fn tried(connection: &Connection, ids: &[QuarantineId], at: Time) -> Result<(), Error> {
    let mut update = connection
        .prepare_cached("UPDATE quarantine SET tried_at = ?, tries = tries + 1 WHERE id = ?")?;
    for id in ids {
        update.execute(params![at, id.0])?;
    }
    Ok(())
}

/// What could not be read and was never tried is due at once.
pub(super) fn retry(connection: &Connection, id: Option<QuarantineId>) -> Result<u64, Error> {
    let changed = connection.execute(
        "UPDATE quarantine SET tried_at = 0 WHERE reader IS NULL AND (?1 IS NULL OR id = ?1)",
        [id.map(|id| id.0)],
    )?;
    match id {
        Some(id) if changed == 0 => Err(Error::NoQuarantine(id.0)),
        _ => Ok(changed as u64),
    }
}

pub(super) fn lift(connection: &Connection, id: QuarantineId) -> Result<(), Error> {
    let gone = connection
        .prepare_cached("DELETE FROM quarantine WHERE id = ?")?
        .execute([id.0])?;
    if gone == 0 {
        return Err(Error::NoQuarantine(id.0));
    }
    Ok(())
}
