//! What goes wrong with readers.

use crate::{Error, Failure, Partition, ReaderFailure};
use rusqlite::{Connection, params};

pub(super) fn put(
    connection: &Connection,
    reader: &str,
    partition: Partition<'_>,
    failure: &Failure,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT INTO failing (reader, tenant, since, at, kind, words)
             SELECT ?1, ?2, ?3, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM reader WHERE name = ?1)
             ON CONFLICT (reader, tenant) DO UPDATE SET at = ?3, kind = ?4, words = ?5",
        )?
        .execute(params![
            reader,
            partition.unwrap_or_default(),
            failure.at,
            failure.kind,
            failure.words
        ])?;
    Ok(())
}

pub(super) fn remove(
    connection: &Connection,
    reader: &str,
    partition: Partition<'_>,
) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM failing WHERE reader = ? AND tenant = ?")?
        .execute([reader, partition.unwrap_or_default()])?;
    Ok(())
}

/// Drops those of readers that are gone.
pub(super) fn forget_gone(connection: &Connection) -> Result<(), Error> {
    connection.execute(
        "DELETE FROM failing WHERE reader NOT IN (SELECT name FROM reader)",
        [],
    )?;
    Ok(())
}

pub(super) fn list(connection: &Connection) -> Result<Vec<ReaderFailure>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT reader, tenant, since, at, kind, words FROM failing ORDER BY reader, tenant",
    )?;
    let rows = statement.query_map([], |row| {
        let tenant: String = row.get(1)?;
        Ok(ReaderFailure {
            reader: row.get(0)?,
            partition: (!tenant.is_empty()).then_some(tenant),
            since: row.get(2)?,
            failure: Failure {
                at: row.get(3)?,
                kind: row.get(4)?,
                words: row.get(5)?,
            },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
