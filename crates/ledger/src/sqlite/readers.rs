//! Readers, and what waits for them.

use crate::{Backlog, Entry, EntryId, Error, Forgotten, Position, Reader};
use rusqlite::{Connection, OptionalExtension, Row, params};

pub(super) fn names(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare_cached("SELECT name FROM reader ORDER BY name")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
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
        let backlog = backlog(connection, &name)?;
        if backlog.records > 0 && !forget.contains(&name) {
            return Err(Error::ReaderGone { name, backlog });
        }
        connection.execute("DELETE FROM reader WHERE name = ?", [&name])?;
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
    remove_taken(connection)?;
    Ok(forgotten)
}

/// Refuses when something waits of a source that the reader does not take any more.
fn check_sources(connection: &Connection, reader: &Reader) -> Result<(), Error> {
    let after = position(connection, &reader.name)?.acknowledged;
    let mut waiting = connection.prepare_cached(
        "SELECT source, sum(records) FROM entry
         WHERE id > ?2 AND source IN (SELECT source FROM takes WHERE reader = ?1)
         GROUP BY source",
    )?;
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

pub(super) fn position(connection: &Connection, reader: &str) -> Result<Position, Error> {
    let found = connection
        .prepare_cached("SELECT acknowledged, state FROM reader WHERE name = ?")?
        .query_row([reader], |row| {
            Ok(Position {
                acknowledged: EntryId(row.get(0)?),
                state: row.get(1)?,
            })
        })
        .optional()?;
    found.ok_or_else(|| Error::NoReader(reader.to_owned()))
}

pub(super) fn backlog(connection: &Connection, reader: &str) -> Result<Backlog, Error> {
    let after = position(connection, reader)?.acknowledged;
    let count = |row: &Row<'_>, index| {
        row.get::<_, i64>(index)
            .map(|number| u64::try_from(number).unwrap_or(0))
    };
    Ok(connection
        .prepare_cached(
            "SELECT count(*), ifnull(sum(records), 0), ifnull(sum(bytes), 0) FROM entry
             WHERE id > ?2 AND source IN (SELECT source FROM takes WHERE reader = ?1)",
        )?
        .query_row(params![reader, after.0], |row| {
            Ok(Backlog {
                entries: count(row, 0)?,
                records: count(row, 1)?,
                bytes: count(row, 2)?,
            })
        })?)
}

/// An entry as it lies on disk.
pub(super) struct Packed {
    id: i64,
    source: String,
    records: i64,
    raw_bytes: i64,
    payload: Vec<u8>,
}

impl Packed {
    pub(super) fn unpack(self) -> Result<Entry, Error> {
        Entry::unpack(
            self.id,
            self.source,
            self.records,
            self.raw_bytes,
            &self.payload,
        )
    }
}

pub(super) fn next(
    connection: &Connection,
    reader: &str,
    after: EntryId,
) -> Result<Option<Packed>, Error> {
    Ok(connection
        .prepare_cached(
            "SELECT id, source, records, raw_bytes, payload FROM entry
             WHERE id > ?2 AND source IN (SELECT source FROM takes WHERE reader = ?1)
             ORDER BY id LIMIT 1",
        )?
        .query_row(params![reader, after.0], |row| {
            Ok(Packed {
                id: row.get(0)?,
                source: row.get(1)?,
                records: row.get(2)?,
                raw_bytes: row.get(3)?,
                payload: row.get(4)?,
            })
        })
        .optional()?)
}

pub(super) fn acknowledge(
    connection: &Connection,
    reader: &str,
    entry: EntryId,
    state: Option<Vec<u8>>,
) -> Result<(), Error> {
    let known = connection
        .prepare_cached(
            "UPDATE reader SET acknowledged = max(acknowledged, ?2), state = ifnull(?3, state)
             WHERE name = ?1",
        )?
        .execute(params![reader, entry.0, state])?;
    if known == 0 {
        return Err(Error::NoReader(reader.to_owned()));
    }
    remove_taken(connection)
}

/// Removes the entries that nobody waits for.
fn remove_taken(connection: &Connection) -> Result<(), Error> {
    connection
        .prepare_cached(
            "DELETE FROM entry WHERE id <= ifnull(
                (SELECT min(r.acknowledged) FROM reader r JOIN takes t ON t.reader = r.name
                 WHERE t.source = entry.source), id)",
        )?
        .execute([])?;
    Ok(())
}
