//! Which parts of time were read.
//!
//! By ordinary reading, under an empty name; by a job that reads again what was read, under
//! its own name too. And under [`PASSED`] those that a cursor was moved back over: all in
//! them was read, and their keys are gone.

use crate::{Covered, Error, FeedId, Time};
use rusqlite::{Connection, params};

/// What ordinary reading has read.
const ORDINARY: &str = "";

/// What was read and stands for its keys, which are gone.
pub(super) const PASSED: &str = "passed over";

/// Adds a range to its job's and to what was read, merged with those that it touches.
pub(super) fn add(connection: &Connection, feed: FeedId, range: &Covered) -> Result<(), Error> {
    if range.job != ORDINARY {
        let job = ORDINARY.to_owned();
        merge(connection, feed, &Covered { job, ..*range })?;
    }
    merge(connection, feed, range)
}

fn merge(connection: &Connection, feed: FeedId, range: &Covered) -> Result<(), Error> {
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
        "DELETE FROM covered WHERE feed = ? AND job IN (?, ?) AND from_time >= ?",
        params![feed.0, ORDINARY, PASSED, at],
    )?;
    connection.execute(
        "UPDATE covered SET to_time = ?4 WHERE feed = ?1 AND job IN (?2, ?3) AND to_time > ?4",
        params![feed.0, ORDINARY, PASSED, at],
    )?;
    Ok(())
}

/// What was read between these times counts as known, though the keys are gone: but for what
/// is in quarantine, whose keys are kept.
pub(super) fn pass_over(
    connection: &Connection,
    feed: FeedId,
    (from, to): (Time, Time),
) -> Result<(), Error> {
    let mut unread = connection.prepare_cached(
        "SELECT from_time, to_time FROM quarantine WHERE feed = ? AND reader IS NULL
         ORDER BY from_time",
    )?;
    let unread: Vec<(Time, Time)> = unread
        .query_map([feed.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (begin, end) in list(connection, feed, ORDINARY)? {
        let (mut begin, end) = (begin.max(from), end.min(to));
        for (first, last) in &unread {
            let range = Covered {
                job: PASSED.to_owned(),
                from: begin,
                to: end.min(*first),
            };
            merge(connection, feed, &range)?;
            if *last >= begin {
                begin = last.saturating_add(1);
            }
        }
        let range = Covered {
            job: PASSED.to_owned(),
            from: begin,
            to: end,
        };
        merge(connection, feed, &range)?;
    }
    Ok(())
}

/// Ranges below a time are asked for no more.
pub(super) fn forget_passed(
    connection: &Connection,
    feed: FeedId,
    below: Time,
) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM covered WHERE feed = ? AND job = ? AND to_time <= ?")?
        .execute(params![feed.0, PASSED, below])?;
    Ok(())
}
