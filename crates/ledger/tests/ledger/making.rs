//! A ledger that is being made, or was when its process was killed.

use super::support::{NOW, feed, open, put, reader, record, waiting};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;
use watchbell_ledger::{Cursors, OpenError, Outbox, Sqlite};

/// Where the child's ledger is; set for the child alone.
const FOLDER: &str = "WATCHBELL_TEST_NEW_LEDGER";

const NAME: &str = "ledger::making::one_that_was_killed_while_it_was_made_is_made_again";

/// Names, sizes and times of what is in a folder, which may change meanwhile.
fn listing(folder: &Path) -> Vec<(String, u64, Option<SystemTime>)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut all: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let about = entry.metadata().ok()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((name, about.len(), about.modified().ok()))
        })
        .collect();
    all.sort();
    all
}

/// Killed after each change that can be seen in the folder. Once, a file that had its name
/// and not yet its mark was taken for another program's for ever, and who looked was told
/// of tables that are missing.
#[tokio::test]
async fn one_that_was_killed_while_it_was_made_is_made_again() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        Sqlite::open(Path::new(&folder)).unwrap();
        return;
    }
    let mut unfinished = 0;
    for round in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(FOLDER, &data)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut seen = Vec::new();
        let mut changes = 0;
        while changes <= round % 12 && child.try_wait().unwrap().is_none() {
            let now = listing(&data);
            changes += u32::from(now != seen);
            seen = now;
            if let Err(error) = Sqlite::look(&data) {
                assert!(matches!(error, OpenError::Missing { .. }), "{error}");
            }
        }
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        unfinished += u32::from(!data.join("ledger.sqlite").exists());
        let ledger = Sqlite::open(&data).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(ledger.list_feeds().await.unwrap().is_empty());
        drop(ledger);
        let left = listing(&data).into_iter().map(|(name, ..)| name);
        assert_eq!(left.collect::<Vec<_>>(), ["ledger.sqlite", "lock"]);
    }
    assert!(unfinished > 5, "killed too late: {unfinished} of 60");
}

#[tokio::test]
async fn what_was_begun_and_what_belongs_to_one_that_was_moved_away_is_no_part_of_it() {
    let opened = open();
    put(
        &opened.ledger,
        &feed(&opened.ledger, "s").await,
        vec![record("x", 1)],
    )
    .await;
    let old = opened.folder.path().join("data/ledger.sqlite-wal");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(Sqlite::open(&data).unwrap());
    fs::remove_file(data.join("ledger.sqlite")).unwrap();
    fs::copy(&old, data.join("ledger.sqlite-wal")).unwrap();
    fs::write(data.join("ledger.sqlite.new"), vec![7; 5000]).unwrap();
    fs::write(data.join("ledger.sqlite.new-journal"), vec![7; 5000]).unwrap();
    let ledger = Sqlite::open(&data).unwrap();
    assert!(ledger.list_feeds().await.unwrap().is_empty());
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    put(&ledger, &feed(&ledger, "s").await, vec![record("y", 1)]).await;
    drop(ledger);
    assert_eq!(waiting(&Sqlite::open(&data).unwrap(), "a").await, ["y@1"]);
}

/// Once, it was made anew in silence: everything would have come again.
#[test]
fn one_that_was_cut_to_nothing_is_damaged_and_not_made_anew() {
    let opened = open();
    let data = opened.folder.path().join("data");
    drop(opened.ledger);
    let file = data.join("ledger.sqlite");
    fs::write(&file, "").unwrap();
    for tried in [Sqlite::open(&data), Sqlite::look(&data)] {
        let words = tried.err().unwrap().to_string();
        assert!(words.contains("it is empty"), "{words}");
        assert!(words.contains("restore it from a backup"), "{words}");
    }
    assert_eq!(fs::metadata(&file).unwrap().len(), 0);
}

#[test]
fn one_of_an_earlier_version_that_is_looked_at_is_called_so() {
    let opened = open();
    let data = opened.folder.path().join("data");
    drop(opened.ledger);
    let old = rusqlite::Connection::open(data.join("ledger.sqlite")).unwrap();
    let known: i64 = old
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    old.pragma_update(None, "user_version", known - 1).unwrap();
    let words = Sqlite::look(&data).err().unwrap().to_string();
    assert!(words.contains("earlier version"), "{words}");
    assert!(words.contains("watchbell run"), "{words}");
}

#[tokio::test]
async fn what_was_taken_is_spare_and_is_used_before_the_file_grows() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let s = feed(ledger, "s").await;
    // Incompressible, and the same each time.
    let mut state = NOW.unsigned_abs();
    let mut big = |time| {
        let mut one = record("x", time);
        one.bytes = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(1 << 20)
        .collect();
        one
    };
    // A page may be spare from the start, and is used.
    assert!(ledger.unused_bytes().await.unwrap() < 1 << 16);
    let done = put(ledger, &s, vec![big(1)]).await;
    ledger
        .acknowledge("a", None, *done.entries.last().unwrap(), None)
        .await
        .unwrap();
    let spare = ledger.unused_bytes().await.unwrap();
    assert!((1 << 20..2 << 20).contains(&spare), "{spare}");
    put(ledger, &s, vec![big(2)]).await;
    assert!(ledger.unused_bytes().await.unwrap() < spare / 8);
}
