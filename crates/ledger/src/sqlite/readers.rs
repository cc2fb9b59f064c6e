//! Readers, and what waits for them.

use crate::{Backlog, Entry, EntryId, Error, FeedId, Forgotten, Partition, Position, Reader};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

/// Of a source that the reader ?1 takes, what waits for it after ?2: beyond what it has of
/// the entry's tenant alone, and not for another alone.
const WAITS: &str = "entry.id > ?2
    AND ifnull(entry.reader, ?1) = ?1
    AND entry.id > ifnull((SELECT p.acknowledged FROM part p
                           WHERE p.reader = ?1 AND p.tenant = entry.tenant), 0)";

/// A query over what waits for a reader, or for the part of it that is ?3.
pub(super) fn over(select: &str, part: Partition<'_>, rest: &str) -> String {
    let tenant = of_part(part);
    format!(
        "{select} FROM entry WHERE {WAITS} {tenant}
         AND entry.source IN (SELECT source FROM takes WHERE reader = ?1) {rest}"
    )
}

/// The first entry of that: one look into an index for each source, however much waits.
pub(super) fn first(part: Partition<'_>) -> String {
    let tenant = of_part(part);
    format!(
        "SELECT min((SELECT entry.id FROM entry WHERE {WAITS} {tenant}
                     AND entry.source = takes.source ORDER BY entry.id LIMIT 1))
         FROM takes WHERE takes.reader = ?1"
    )
}

/// That entry itself.
pub(super) fn following(part: Partition<'_>) -> String {
    format!(
        "SELECT id, source, tenant, records, raw_bytes, payload FROM entry WHERE id = ({})",
        first(part)
    )
}

fn of_part(part: Partition<'_>) -> &'static str {
    part.map_or("", |_| "AND entry.tenant = ?3")
}

/// ?1, ?2 and, for a part, ?3 of such a query.
fn named<'p>(reader: &'p &str, after: &'p i64, part: &'p Partition<'_>) -> Vec<&'p dyn ToSql> {
    let mut named: Vec<&dyn ToSql> = vec![reader, after];
    named.extend(part.as_ref().map(|tenant| tenant as &dyn ToSql));
    named
}

pub(super) fn names(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare_cached("SELECT name FROM reader ORDER BY name")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The newest entry of a feed that is still held for a reader.
pub(super) fn newest_of(connection: &Connection, feed: FeedId) -> Result<Option<EntryId>, Error> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(id) FROM entry WHERE feed = ?")?
        .query_row([feed.0], |row| row.get(0))?;
    Ok(newest.map(EntryId))
}

/// How many records of a feed, up to an entry, are still held for a reader.
pub(super) fn undelivered_of(
    connection: &Connection,
    feed: FeedId,
    up_to: EntryId,
) -> Result<u64, Error> {
    let records: i64 = connection
        .prepare_cached("SELECT ifnull(sum(records), 0) FROM entry WHERE feed = ? AND id <= ?")?
        .query_row(params![feed.0, up_to.0], |row| row.get(0))?;
    Ok(u64::try_from(records).unwrap_or(0))
}

pub(super) fn register(
    connection: &Connection,
    readers: &[Reader],
    forget: &[String],
) -> Result<Vec<Forgotten>, Error> {
    let mut forgotten = Vec::new();
    for name in names(connection)? {
        if let Some(reader) = readers.iter().find(|reader| reader.name == name) {
            if !forget.contains(&name) {
                check_sources(connection, reader)?;
            }
            continue;
        }
        let backlog = backlog(connection, &name, None)?;
        if backlog.records > 0 && !forget.contains(&name) {
            return Err(Error::ReaderGone { name, backlog });
        }
        connection.execute("DELETE FROM reader WHERE name = ?", [&name])?;
        connection.execute("DELETE FROM part WHERE reader = ?", [&name])?;
        if backlog.records > 0 {
            forgotten.push(Forgotten { name, backlog });
        }
    }
    connection.execute("DELETE FROM takes", [])?;
    for reader in readers {
        connection.execute(
            "INSERT OR IGNORE INTO reader (name) VALUES (?)",
            [&reader.name],
        )?;
        for source in &reader.sources {
            connection.execute(
                "INSERT OR IGNORE INTO takes (reader, source) VALUES (?, ?)",
                params![reader.name, source],
            )?;
        }
    }
    super::failing::forget_gone(connection)?;
    remove_taken(connection, None, EntryId(0), EntryId(i64::MAX))?;
    Ok(forgotten)
}

/// Refuses when something waits of a source that the reader does not take any more.
fn check_sources(connection: &Connection, reader: &Reader) -> Result<(), Error> {
    let after = position(connection, &reader.name, None)?.acknowledged;
    let sql = over("SELECT source, sum(records)", None, "GROUP BY source");
    let mut waiting = connection.prepare_cached(&sql)?;
    let mut rows = waiting.query(params![reader.name, after.0])?;
    while let Some(row) = rows.next()? {
        let origin: String = row.get(0)?;
        if !reader.sources.contains(&origin) {
            return Err(Error::SourceGone {
                reader: reader.name.clone(),
                origin,
                records: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
            });
        }
    }
    Ok(())
}

pub(super) fn position(
    connection: &Connection,
    reader: &str,
    part: Partition<'_>,
) -> Result<Position, Error> {
    let whole = connection
        .prepare_cached("SELECT acknowledged, state FROM reader WHERE name = ?")?
        .query_row([reader], of_row)
        .optional()?
        .ok_or_else(|| Error::NoReader(reader.to_owned()))?;
    let Some(tenant) = part else {
        return Ok(whole);
    };
    let own = connection
        .prepare_cached("SELECT acknowledged, state FROM part WHERE reader = ? AND tenant = ?")?
        .query_row([reader, tenant], of_row)
        .optional()?
        .unwrap_or_default();
    Ok(Position {
        acknowledged: own.acknowledged.max(whole.acknowledged),
        state: own.state,
    })
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<Position> {
    Ok(Position {
        acknowledged: EntryId(row.get(0)?),
        state: row.get(1)?,
    })
}

pub(super) fn waiting(connection: &Connection, reader: &str) -> Result<Vec<String>, Error> {
    let after = position(connection, reader, None)?.acknowledged;
    let sql = over("SELECT tenant", None, "GROUP BY tenant ORDER BY min(id)");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![reader, after.0], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn backlog(
    connection: &Connection,
    reader: &str,
    part: Partition<'_>,
) -> Result<Backlog, Error> {
    let after = position(connection, reader, part)?.acknowledged;
    let count = |row: &Row<'_>, index| {
        row.get::<_, i64>(index)
            .map(|number| u64::try_from(number).unwrap_or(0))
    };
    let sql = over(
        "SELECT count(*), ifnull(sum(records), 0), ifnull(sum(bytes), 0)",
        part,
        "",
    );
    Ok(connection.prepare_cached(&sql)?.query_row(
        named(&reader, &after.0, &part).as_slice(),
        |row| {
            Ok(Backlog {
                entries: count(row, 0)?,
                records: count(row, 1)?,
                bytes: count(row, 2)?,
            })
        },
    )?)
}

/// An entry as it lies on disk.
pub(super) struct Packed {
    id: i64,
    from: (String, String),
    records: i64,
    raw_bytes: i64,
    payload: Vec<u8>,
}

impl Packed {
    pub(super) fn unpack(self) -> Result<Entry, Error> {
        Entry::unpack(
            self.id,
            self.from,
            self.records,
            self.raw_bytes,
            &self.payload,
        )
    }
}

pub(super) fn next(
    connection: &Connection,
    reader: &str,
    part: Partition<'_>,
    after: EntryId,
) -> Result<Option<Packed>, Error> {
    Ok(connection
        .prepare_cached(&following(part))?
        .query_row(named(&reader, &after.0, &part).as_slice(), |row| {
            Ok(Packed {
                id: row.get(0)?,
                from: (row.get(1)?, row.get(2)?),
                records: row.get(3)?,
                raw_bytes: row.get(4)?,
                payload: row.get(5)?,
            })
        })
        .optional()?)
}

pub(super) fn acknowledge(
    connection: &Connection,
    reader: &str,
    part: Partition<'_>,
    entry: EntryId,
    state: Option<Vec<u8>>,
) -> Result<(), Error> {
    let before = position(connection, reader, part)?.acknowledged;
    match part {
        None => connection
            .prepare_cached(
                "UPDATE reader SET acknowledged = max(acknowledged, ?2), state = ifnull(?3, state)
                 WHERE name = ?1",
            )?
            .execute(params![reader, entry.0, state])?,
        Some(tenant) => connection
            .prepare_cached(
                "INSERT INTO part (reader, tenant, acknowledged, state) VALUES (?1, ?4, ?2, ?3)
                 ON CONFLICT (reader, tenant) DO UPDATE
                 SET acknowledged = max(acknowledged, ?2), state = ifnull(?3, state)",
            )?
            .execute(params![reader, entry.0, state, tenant])?,
    };
    remove_taken(connection, part, before, entry)?;
    match part {
        Some(_) => catch_up(connection, reader),
        None => Ok(()),
    }
}

/// What its parts have taken up to the first that waits, the reader has: nobody looks there
/// again.
fn catch_up(connection: &Connection, reader: &str) -> Result<(), Error> {
    let after = position(connection, reader, None)?.acknowledged;
    let waits: Option<i64> = connection
        .prepare_cached(&first(None))?
        .query_row(params![reader, after.0], |row| row.get(0))?;
    connection
        .prepare_cached(
            "UPDATE reader SET acknowledged = max(acknowledged, ifnull(?2 - 1,
                (SELECT seq FROM sqlite_sequence WHERE name = 'entry')))
             WHERE name = ?1",
        )?
        .execute(params![reader, waits])?;
    Ok(())
}

/// Removes those of a range of entries that nobody waits for. Each goes when the last who
/// takes it has acknowledged it, so the range that was acknowledged now is enough.
fn remove_taken(
    connection: &Connection,
    part: Partition<'_>,
    after: EntryId,
    to: EntryId,
) -> Result<(), Error> {
    connection
        .prepare_cached(&removal(part))?
        .execute(params![after.0, to.0, part])?;
    Ok(())
}

pub(super) fn removal(part: Partition<'_>) -> String {
    let tenant = match part {
        Some(_) => "entry.tenant = ?3",
        None => "?3 IS NULL",
    };
    format!(
        "DELETE FROM entry WHERE id > ?1 AND id <= ?2 AND {tenant} AND NOT EXISTS (
            SELECT 1 FROM takes t JOIN reader r ON r.name = t.reader
            LEFT JOIN part p ON p.reader = r.name AND p.tenant = entry.tenant
            WHERE t.source = entry.source AND ifnull(entry.reader, r.name) = r.name
              AND max(r.acknowledged, ifnull(p.acknowledged, 0)) < entry.id)"
    )
}
