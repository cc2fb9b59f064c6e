use super::*;

/// A disk with room for some pages more than an empty ledger has.
fn nearly_full(folder: &tempfile::TempDir) -> Connection {
    let connection = Connection::open(folder.path().join("ledger")).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE kept (word TEXT, size BLOB); PRAGMA max_page_count = 20")
        .unwrap();
    connection
}

fn keep(word: &'static str, bytes: usize) -> (Work, Receiver<Result<(), Error>>) {
    let (tell, told) = channel();
    let work = move |connection: &Connection| {
        connection.execute(
            "INSERT INTO kept VALUES (?, zeroblob(?))",
            rusqlite::params![word, i64::try_from(bytes).unwrap()],
        )?;
        Ok(())
    };
    (job(work, move |outcome| _ = tell.send(outcome)), told)
}

fn kept(connection: &Connection) -> Vec<String> {
    let mut words = connection
        .prepare("SELECT word FROM kept ORDER BY word")
        .unwrap();
    let words = words.query_map([], |row| row.get(0)).unwrap();
    words.collect::<Result<_, _>>().unwrap()
}

/// Once those behind the one that filled the disk were done on their own, and told that
/// they were not.
#[test]
fn a_disk_that_fills_up_within_a_group_leaves_what_each_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let connection = nearly_full(&folder);
    let group = [
        keep("a", 1),
        keep("b, too much", 1 << 20),
        keep("c", 1),
        keep("d", 1),
    ];
    let (work, told): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    transaction(&connection, work);
    let told: Vec<_> = told.iter().map(|told| told.recv().unwrap()).collect();
    assert_eq!(told, [Err(Error::Full), Err(Error::Full), Ok(()), Ok(())]);
    assert_eq!(kept(&connection), ["c", "d"]);
}

#[test]
fn nothing_is_done_where_no_transaction_can_begin() {
    let folder = tempfile::tempdir().unwrap();
    let connection = nearly_full(&folder);
    let other = Connection::open(folder.path().join("ledger")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let (work, told) = keep("a", 1);
    transaction(&connection, vec![work]);
    assert!(matches!(told.recv().unwrap(), Err(Error::Other(_))));
    other.execute_batch("COMMIT").unwrap();
    let (work, told) = keep("b", 1);
    transaction(&connection, vec![work]);
    assert_eq!(told.recv().unwrap(), Ok(()));
    assert_eq!(kept(&connection), ["b"]);
}
