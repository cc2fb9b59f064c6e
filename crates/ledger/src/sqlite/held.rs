//! Records that a reader could not take: in the quarantine, and back from there.

use super::commit::{self, Origin};
use crate::entry::{Packer, compress, decompress};
use crate::{Error, FeedId, NewHeld, QuarantineId, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

/// Puts those there that are not; how many were not.
pub(super) fn put(
    connection: &Connection,
    reader: &str,
    held: &[NewHeld],
    at: Time,
) -> Result<usize, Error> {
    // One whose tenant is called otherwise by now belongs to no feed.
    let mut feed = connection.prepare_cached(
        "SELECT id FROM feed WHERE source = ? AND label = ? ORDER BY last_success DESC LIMIT 1",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO quarantine
            (feed, is_gap, from_time, to_time, digest, reason, raw_bytes, body, found_at,
             reader, source, tenant)
         VALUES (?1, 0, ?2, ?2, ?3, ?4, ?5, ?6, ?2, ?7, ?8, ?9)",
    )?;
    let mut added = 0;
    for one in held {
        let feed: Option<i64> = feed
            .query_row([&one.source, &one.tenant], |row| row.get(0))
            .optional()?;
        added += insert.execute(params![
            feed.unwrap_or(0),
            at,
            digest(reader, one),
            one.reason,
            i64::try_from(one.record.len()).unwrap_or(i64::MAX),
            compress(&one.record)?,
            reader,
            one.source,
            one.tenant
        ])?;
    }
    Ok(added)
}

/// What makes it the same. Lengths stand before the names, so that none runs into another.
fn digest(reader: &str, held: &NewHeld) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(b"held");
    for name in [reader, &held.source, &held.tenant] {
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
    }
    digest.update(&held.record);
    digest.finalize().into()
}

struct Held {
    id: i64,
    feed: FeedId,
    reader: String,
    source: String,
    tenant: String,
    raw_bytes: i64,
    body: Vec<u8>,
}

/// Has one wait for its reader again, or all whose readers still take their source; how
/// many.
pub(super) fn retry(connection: &Connection, id: Option<QuarantineId>) -> Result<u64, Error> {
    let mut waiting = connection.prepare_cached(
        "SELECT id, feed, reader, source, tenant, raw_bytes, body FROM quarantine
         WHERE reader IS NOT NULL AND (?1 IS NULL OR id = ?1) AND id > ?2 ORDER BY id LIMIT 1",
    )?;
    let mut takes =
        connection.prepare_cached("SELECT 1 FROM takes WHERE reader = ? AND source = ?")?;
    let (mut count, mut after) = (0, 0);
    while let Some(held) = waiting
        .query_row(params![id.map(|id| id.0), after], read)
        .optional()?
    {
        after = held.id;
        if !takes.exists([&held.reader, &held.source])? {
            if id.is_some() {
                return Err(Error::NoReader(held.reader));
            }
            continue;
        }
        // By itself: what is wrong with it delays nothing else again.
        let mut packer = Packer::default();
        let size = usize::try_from(held.raw_bytes).unwrap_or_default();
        packer.push(&decompress(&held.body, size)?)?;
        let from = Origin {
            feed: held.feed,
            source: &held.source,
            tenant: &held.tenant,
        };
        commit::put(connection, from, Some(&held.reader), packer)?;
        connection.execute("DELETE FROM quarantine WHERE id = ?", [held.id])?;
        count += 1;
    }
    Ok(count)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        id: row.get(0)?,
        feed: FeedId(row.get(1)?),
        reader: row.get(2)?,
        source: row.get(3)?,
        tenant: row.get(4)?,
        raw_bytes: row.get(5)?,
        body: row.get(6)?,
    })
}
