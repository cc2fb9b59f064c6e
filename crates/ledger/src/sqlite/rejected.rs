//! Records that a reader could not take: in the quarantine, and back from there.

use super::commit::{self, Origin};
use crate::entry::{Packer, compress, decompress};
use crate::{Error, FeedId, NewRejected, QuarantineId, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

/// Puts those there that are not; how many were not.
pub(super) fn put(
    connection: &Connection,
    reader: &str,
    records: &[NewRejected],
    at: Time,
) -> Result<usize, Error> {
    // One whose tenant is called otherwise by now belongs to no feed.
    let mut feed = connection.prepare_cached(
        "SELECT id FROM feed WHERE source = ? AND label = ? ORDER BY last_success DESC LIMIT 1",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO quarantine
            (feed, is_gap, from_time, to_time, found_to, digest, reason, raw_bytes, body,
             found_at, reader, source, tenant)
         SELECT ?1, 0, ?2, ?2, ?2, ?3, ?4, ?5, ?6, ?2, ?7, ?8, ?9
         WHERE NOT EXISTS (SELECT 1 FROM quarantine WHERE feed = ?1 AND digest = ?3)",
    )?;
    let mut added = 0;
    for one in records {
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
fn digest(reader: &str, rejected: &NewRejected) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(b"held");
    for name in [reader, &rejected.source, &rejected.tenant] {
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
    }
    digest.update(&rejected.record);
    digest.finalize().into()
}

struct RejectedRow {
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
    while let Some(rejected) = waiting
        .query_row(params![id.map(|id| id.0), after], read)
        .optional()?
    {
        after = rejected.id;
        if !takes.exists([&rejected.reader, &rejected.source])? {
            if id.is_some() {
                return Err(Error::NoReader(rejected.reader));
            }
            continue;
        }
        // By itself: what is wrong with it delays nothing else again.
        let mut packer = Packer::default();
        let size = usize::try_from(rejected.raw_bytes).unwrap_or_default();
        packer.push(&decompress(&rejected.body, size)?)?;
        let from = Origin {
            feed: rejected.feed,
            source: &rejected.source,
            tenant: &rejected.tenant,
        };
        commit::put(connection, from, Some(&rejected.reader), packer)?;
        connection.execute("DELETE FROM quarantine WHERE id = ?", [rejected.id])?;
        count += 1;
    }
    Ok(count)
}

fn read(row: &Row<'_>) -> rusqlite::Result<RejectedRow> {
    Ok(RejectedRow {
        id: row.get(0)?,
        feed: FeedId(row.get(1)?),
        reader: row.get(2)?,
        source: row.get(3)?,
        tenant: row.get(4)?,
        raw_bytes: row.get(5)?,
        body: row.get(6)?,
    })
}
