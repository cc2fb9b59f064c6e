//! Which parts of time were read.

use crate::{Covered, Error, FeedId, Time};
use rusqlite::{Connection, params};

/// Adds a range, merged with those that it touches.
pub(super) fn add(connection: &Connection, feed: FeedId, range: &Covered) -> Result<(), Error> {
    if range.from >= range.to {
        return Ok(());
    }
    let touching = params![feed.0, range.job, range.from, range.to];
    let (from, to): (Option<Time>, Option<Time>) = connection
        .prepare_cached(
            "SELECT min(from_time), max(to_time) FROM covered
             WHERE feed = ?1 AND job = ?2 AND from_time <= ?4 AND to_time >= ?3",
        )?
        .query_row(touching, |row| Ok((row.get(0)?, row.get(1)?)))?;
    connection
        .prepare_cached(
            "DELETE FROM covered
             WHERE feed = ?1 AND job = ?2 AND from_time <= ?4 AND to_time >= ?3",
        )?
        .execute(touching)?;
    let from = from.map_or(range.from, |from| from.min(range.from));
    let to = to.map_or(range.to, |to| to.max(range.to));
    connection
        .prepare_cached("INSERT INTO covered (feed, job, from_time, to_time) VALUES (?, ?, ?, ?)")?
        .execute(params![feed.0, range.job, from, to])?;
    Ok(())
}

pub(super) fn list(
    connection: &Connection,
    feed: FeedId,
    job: &str,
) -> Result<Vec<(Time, Time)>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT from_time, to_time FROM covered WHERE feed = ? AND job = ? ORDER BY from_time",
    )?;
    let rows = statement.query_map(params![feed.0, job], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn remove(connection: &Connection, feed: FeedId, job: &str) -> Result<(), Error> {
    connection.execute(
        "DELETE FROM covered WHERE feed = ? AND job = ?",
        params![feed.0, job],
    )?;
    Ok(())
}

/// What was read from `at` on counts as not read.
pub(super) fn cut(connection: &Connection, feed: FeedId, at: Time) -> Result<(), Error> {
    connection.execute(
        "DELETE FROM covered WHERE feed = ? AND job = '' AND from_time >= ?",
        params![feed.0, at],
    )?;
    connection.execute(
        "UPDATE covered SET to_time = ?2 WHERE feed = ?1 AND job = '' AND to_time > ?2",
        params![feed.0, at],
    )?;
    Ok(())
}
