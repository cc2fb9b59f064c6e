//! Feeds, from rows.

use super::covered;
use crate::{Error, Failure, Feed, FeedId, FeedName, FeedProgress, Generation, Time, Totals};
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "SELECT f.id, f.source, f.tenant, f.api, f.cursor, f.keys_from,
    (SELECT count(*) FROM key k WHERE k.feed = f.id)
        + (SELECT count(*) FROM undated u WHERE u.feed = f.id),
    f.fresh, f.duplicates, f.last_success, f.last_error_at, f.last_error,
    (SELECT count(*) FROM quarantine q WHERE q.feed = f.id),
    (SELECT ifnull(sum(length(q.body)), 0) FROM quarantine q WHERE q.feed = f.id), f.label, f.last_error_kind
    FROM feed f";

pub(super) fn feed(connection: &Connection, name: &FeedName) -> Result<Option<Feed>, Error> {
    let sql = format!("{COLUMNS} WHERE f.source = ? AND f.tenant = ? AND f.api = ?");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row(params![name.source, name.tenant, name.api], read)
        .optional()?)
}

/// Makes them known, and renames those whose tenant is called otherwise now.
pub(super) fn register_feeds(
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
    let gone = connection
        .prepare_cached("DELETE FROM feed WHERE id = ? RETURNING source, label")?
        .query_row([feed.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (source, label): (String, String) = gone.ok_or(Error::NoFeed)?;
    let waited: i64 = connection.query_row(
        "SELECT ifnull(sum(records), 0) FROM entry WHERE feed = ?",
        [feed.0],
        |row| row.get(0),
    )?;
    for table in ["entry", "key", "undated", "covered", "quarantine"] {
        connection.execute(&format!("DELETE FROM {table} WHERE feed = ?"), [feed.0])?;
    }
    forget_name(connection, &source, &label)?;
    Ok(u64::try_from(waited).unwrap_or(0))
}

/// Drops what is kept under a tenant's name alone, once nobody has that name any more.
fn forget_name(connection: &Connection, source: &str, label: &str) -> Result<(), Error> {
    connection.execute(
        "DELETE FROM quarantine WHERE feed = 0 AND source = ?1 AND tenant = ?2
         AND NOT EXISTS (SELECT 1 FROM feed f WHERE f.source = ?1 AND f.label = ?2)",
        [source, label],
    )?;
    connection.execute(
        "DELETE FROM failing WHERE tenant = ?1
         AND NOT EXISTS (SELECT 1 FROM feed f WHERE f.label = ?1)",
        [label],
    )?;
    // A position is needed as long as entries of that name are held, for whichever reader.
    connection.execute(
        "DELETE FROM part WHERE tenant = ?1
         AND NOT EXISTS (SELECT 1 FROM feed f WHERE f.label = ?1)
         AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.tenant = ?1)",
        [label],
    )?;
    Ok(())
}

pub(super) fn feeds(connection: &Connection) -> Result<Vec<Feed>, Error> {
    let sql = format!("{COLUMNS} ORDER BY f.source, f.tenant, f.api");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn feed_progress(connection: &Connection, feed: FeedId) -> Result<FeedProgress, Error> {
    let (quarantined, bytes): (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*), ifnull(sum(length(body)), 0) FROM quarantine WHERE feed = ?",
        )?
        .query_row([feed.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    connection
        .prepare_cached("SELECT cursor, keys_from, rescanned, generation FROM feed WHERE id = ?")?
        .query_row([feed.0], |row| {
            Ok(FeedProgress {
                cursor: row.get(0)?,
                keys_from: row.get(1)?,
                rescanned: row.get(2)?,
                generation: Generation(row.get(3)?),
                quarantined: u64::try_from(quarantined).unwrap_or(0),
                quarantined_bytes: u64::try_from(bytes).unwrap_or(0),
            })
        })
        .optional()?
        .ok_or(Error::NoFeed)
}

/// Keeps what went wrong with a feed.
pub(super) fn put_failure(
    connection: &Connection,
    feed: FeedId,
    failure: &Failure,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "UPDATE feed SET last_error_at = ?, last_error_kind = ?, last_error = ? WHERE id = ?",
        )?
        .execute(params![failure.at, failure.kind, failure.words, feed.0])?;
    Ok(())
}

/// Sets a cursor by hand; from when keys are complete then.
pub(super) fn set_cursor(
    connection: &Connection,
    feed: FeedId,
    to: Time,
    replay: bool,
) -> Result<Option<Time>, Error> {
    let keys_from = feed_progress(connection, feed)?.keys_from;
    if replay {
        connection.execute(
            "DELETE FROM key WHERE feed = ? AND time >= ?",
            params![feed.0, to],
        )?;
        connection.execute("DELETE FROM undated WHERE feed = ?", [feed.0])?;
        covered::cut(connection, feed, to)?;
    } else if let Some(keys_from) = keys_from {
        covered::pass_over(connection, feed, (to, keys_from))?;
    }
    let keys_from = keys_from.map(|keys_from| keys_from.min(to));
    connection.execute(
        "UPDATE feed SET cursor = ?, keys_from = ?, generation = generation + 1 WHERE id = ?",
        params![to, keys_from, feed.0],
    )?;
    Ok(keys_from)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Feed> {
    let count = |index| {
        row.get::<_, i64>(index)
            .map(|n| u64::try_from(n).unwrap_or(0))
    };
    let at: Option<i64> = row.get(10)?;
    let words: Option<String> = row.get(11)?;
    let kind: Option<String> = row.get(15)?;
    let failure = |((at, words), kind)| Failure { at, kind, words };
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
        last_error: at.zip(words).zip(kind).map(failure),
    })
}
