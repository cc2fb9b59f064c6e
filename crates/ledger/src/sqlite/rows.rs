//! Feeds, from rows.

use crate::{Error, Feed, FeedId, FeedName, Stands, Totals};
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "SELECT f.id, f.source, f.tenant, f.api, f.cursor, f.keys_from,
    (SELECT count(*) FROM key k WHERE k.feed = f.id),
    f.fresh, f.duplicates, f.last_success, f.last_error_at, f.last_error,
    (SELECT count(*) FROM quarantine q WHERE q.feed = f.id),
    (SELECT ifnull(sum(length(q.body)), 0) FROM quarantine q WHERE q.feed = f.id), f.label
    FROM feed f";

pub(super) fn feed(connection: &Connection, name: &FeedName) -> Result<Option<Feed>, Error> {
    let sql = format!("{COLUMNS} WHERE f.source = ? AND f.tenant = ? AND f.api = ?");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row(params![name.source, name.tenant, name.api], read)
        .optional()?)
}

/// Makes them known, and renames those whose tenant is called otherwise now.
pub(super) fn enrol(
    connection: &Connection,
    feeds: &[(FeedName, String)],
) -> Result<Vec<FeedId>, Error> {
    let mut put = connection.prepare_cached(
        "INSERT INTO feed (source, tenant, api, label) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (source, tenant, api) DO UPDATE SET label = ?4
         RETURNING id",
    )?;
    feeds
        .iter()
        .map(|(name, label)| {
            let id = put.query_row(params![name.source, name.tenant, name.api, label], |row| {
                row.get(0)
            });
            Ok(FeedId(id?))
        })
        .collect()
}

/// Gives a feed up; how many records of it waited.
pub(super) fn forget(connection: &Connection, feed: FeedId) -> Result<u64, Error> {
    let found: Option<(String, String)> = connection
        .query_row(
            "SELECT source, label FROM feed WHERE id = ?",
            [feed.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((source, label)) = found else {
        return Err(Error::Other("the feed is gone".to_owned()));
    };
    let waited: i64 = connection.query_row(
        "SELECT ifnull(sum(records), 0) FROM entry WHERE source = ? AND tenant = ?",
        [&source, &label],
        |row| row.get(0),
    )?;
    connection.execute(
        "DELETE FROM entry WHERE source = ? AND tenant = ?",
        [&source, &label],
    )?;
    for table in ["key", "covered", "quarantine"] {
        connection.execute(&format!("DELETE FROM {table} WHERE feed = ?"), [feed.0])?;
    }
    connection.execute(
        "DELETE FROM quarantine WHERE source = ? AND tenant = ?",
        [&source, &label],
    )?;
    connection.execute("DELETE FROM feed WHERE id = ?", [feed.0])?;
    Ok(u64::try_from(waited).unwrap_or(0))
}

pub(super) fn feeds(connection: &Connection) -> Result<Vec<Feed>, Error> {
    let sql = format!("{COLUMNS} ORDER BY f.source, f.tenant, f.api");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn stands(connection: &Connection, feed: FeedId) -> Result<Stands, Error> {
    let (quarantined, bytes): (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), ifnull(sum(length(body)), 0) FROM quarantine WHERE feed = ?",
        )?
        .query_row([feed.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(connection
        .prepare_cached("SELECT cursor, keys_from FROM feed WHERE id = ?")?
        .query_row([feed.0], |row| {
            Ok(Stands {
                cursor: row.get(0)?,
                keys_from: row.get(1)?,
                quarantined: u64::try_from(quarantined).unwrap_or(0),
                quarantined_bytes: u64::try_from(bytes).unwrap_or(0),
            })
        })?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Feed> {
    let count = |index| {
        row.get::<_, i64>(index)
            .map(|n| u64::try_from(n).unwrap_or(0))
    };
    let error: Option<String> = row.get(11)?;
    Ok(Feed {
        id: FeedId(row.get(0)?),
        name: FeedName {
            source: row.get(1)?,
            tenant: row.get(2)?,
            api: row.get(3)?,
        },
        label: row.get(14)?,
        cursor: row.get(4)?,
        keys_from: row.get(5)?,
        keys: count(6)?,
        totals: Totals {
            fresh: count(7)?,
            duplicates: count(8)?,
            quarantined: count(12)?,
            quarantined_bytes: count(13)?,
        },
        last_success: row.get(9)?,
        last_error: row.get::<_, Option<i64>>(10)?.zip(error),
    })
}
