//! Which files and folders are opened, and who may read them.

use super::support::{NOW, body, failure, feed, open, put, reader, record, waiting};
use rusqlite::Connection;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use watchbell_ledger::{
    Commit, Cursors, Error, NewQuarantine, OpenError, Outbox, Quarantine, Sqlite, Unread,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refused(folder: &Path) -> OpenError {
    match Sqlite::open(folder) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn folder_and_files_are_for_their_owner_alone() {
    let opened = open();
    put(
        &opened.ledger,
        &feed(&opened.ledger, "s").await,
        vec![record("x", 1)],
    )
    .await;
    let data = opened.folder.path().join("data");
    assert_eq!(mode(&data), 0o700);
    for file in fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// systemd's StateDirectory makes 0755, and a Kubernetes volume with an fsGroup is opened to
/// the group at each mount. Both were refused.
#[tokio::test]
async fn a_folder_and_files_of_ours_that_others_may_use_are_taken_from_them() {
    for (folder_mode, file_mode) in [(0o755, 0o644), (0o2770, 0o660), (0o777, 0o666)] {
        let opened = open();
        let data = opened.folder.path().join("data");
        put(
            &opened.ledger,
            &feed(&opened.ledger, "s").await,
            vec![record("x", 1)],
        )
        .await;
        drop(opened.ledger);
        for file in ["ledger.sqlite", "lock"] {
            fs::set_permissions(data.join(file), Permissions::from_mode(file_mode)).unwrap();
        }
        fs::set_permissions(&data, Permissions::from_mode(folder_mode)).unwrap();
        let ledger = Sqlite::open(&data).unwrap();
        assert_eq!(feed(&ledger, "s").await.keys, 1);
        assert_eq!(mode(&data), 0o700);
        for file in fs::read_dir(&data).unwrap() {
            let path = file.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_second_one_on_the_same_folder_is_refused_and_may_look() {
    let opened = open();
    let s = feed(&opened.ledger, "s").await;
    let data = opened.folder.path().join("data");
    assert!(matches!(refused(&data), OpenError::Locked { .. }));
    let look = Sqlite::look(&data).unwrap();
    put(&opened.ledger, &s, vec![record("x", 1)]).await;
    assert_eq!(
        look.list_feeds().await.unwrap()[0].totals.fresh,
        1,
        "beside the one that writes"
    );
    assert!(matches!(
        look.record_failure(s.id, failure("x")).await,
        Err(Error::Other(_))
    ));
    drop(opened.ledger);
    assert_eq!(look.list_feeds().await.unwrap().len(), 1);
    Sqlite::open(&data).unwrap();
}

#[tokio::test]
async fn a_file_that_is_damaged_cut_short_newer_or_foreign_is_refused_and_left_alone() {
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 5] = [
        ("damaged", |file| {
            let mut bytes = fs::read(file).unwrap();
            for byte in &mut bytes[4096..12_288] {
                *byte ^= 0x55;
            }
            fs::write(file, bytes).unwrap();
        }),
        ("damaged", |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("damaged", |file| {
            fs::write(
                file,
                "not a database, but long enough to be one".repeat(200),
            )
            .unwrap();
        }),
        ("later version", |file| {
            let other = rusqlite::Connection::open(file).unwrap();
            other.pragma_update(None, "user_version", 99).unwrap();
        }),
        ("another program", |file| {
            let other = rusqlite::Connection::open(file).unwrap();
            other.pragma_update(None, "application_id", 1).unwrap();
        }),
    ];
    for (said, spoil) in spoil {
        let opened = open();
        let records = (0..500).map(|time| record("x", time)).collect();
        put(&opened.ledger, &feed(&opened.ledger, "s").await, records).await;
        drop(opened.ledger);
        let data = opened.folder.path().join("data");
        let file = data.join("ledger.sqlite");
        spoil(&file);
        let before = fs::read(&file).unwrap();
        let words = refused(&data).to_string();
        assert!(words.contains(said), "{said}: {words}");
        assert!(
            words.contains("data_dir") || words.contains("backup"),
            "what to do: {words}"
        );
        assert!(Sqlite::look(&data).is_err(), "{said}");
        assert_eq!(fs::read(&file).unwrap(), before, "{said}");
    }
}

#[test]
fn looking_where_nothing_is_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let looked = Sqlite::look(folder.path());
    assert!(matches!(looked, Err(OpenError::Missing { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// What brought a file to each version but the last.
const EARLIER: [&str; 6] = [
    include_str!("../../src/sqlite/schema.sql"),
    include_str!("../../src/sqlite/tenants.sql"),
    include_str!("../../src/sqlite/held.sql"),
    include_str!("../../src/sqlite/owners.sql"),
    include_str!("../../src/sqlite/rescans.sql"),
    include_str!("../../src/sqlite/failing.sql"),
];

/// Rewrites the ledger as the version `EARLIER[..count]` did: its schema, and the rows in
/// its columns.
fn age(folder: &Path, count: usize) {
    let file = folder.join("data/ledger.sqlite");
    let new = Connection::open(&file).unwrap();
    let old = folder.join("old.sqlite");
    let application: i64 = new
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .unwrap();
    let made = Connection::open(&old).unwrap();
    for step in &EARLIER[..count] {
        made.execute_batch(step).unwrap();
    }
    made.pragma_update(None, "application_id", application)
        .unwrap();
    let version = i64::try_from(count).unwrap();
    made.pragma_update(None, "user_version", version).unwrap();
    drop(made);
    new.execute("ATTACH ? AS old", [old.to_str().unwrap()])
        .unwrap();
    for table in [
        "feed",
        "key",
        "covered",
        "entry",
        "reader",
        "takes",
        "quarantine",
    ] {
        let columns: Vec<String> = new
            .prepare(&format!(
                "SELECT name FROM pragma_table_info('{table}', 'old')"
            ))
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let columns = columns.join(", ");
        new.execute_batch(&format!(
            "INSERT INTO old.{table} ({columns}) SELECT {columns} FROM main.{table}"
        ))
        .unwrap();
    }
    drop(new);
    fs::rename(&old, &file).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
}

/// What waits in it is delivered, and whose it is is known.
#[tokio::test]
async fn a_file_of_an_earlier_version_is_brought_up_to_date() {
    for count in 1..=EARLIER.len() {
        let opened = open();
        let (s, other) = (
            feed(&opened.ledger, "s").await,
            feed(&opened.ledger, "other").await,
        );
        opened
            .ledger
            .register_readers(&[reader("a", &["s"])], &[])
            .await
            .unwrap();
        put(&opened.ledger, &s, vec![record("x", 1), record("y", 2)]).await;
        opened
            .ledger
            .record_failure(other.id, failure("403"))
            .await
            .unwrap();
        let null = |from| NewQuarantine {
            kind: Unread::Element,
            from,
            to: from + 10,
            reason: "no object".to_owned(),
            body: b"null".to_vec(),
        };
        let quarantine = async |ledger: &Sqlite, from| {
            let commit = Commit {
                quarantine: vec![null(from)],
                ..Commit::new(s.id, NOW)
            };
            ledger.commit(commit).await.unwrap().quarantined
        };
        assert_eq!(quarantine(&opened.ledger, 100).await, 1);
        drop(opened.ledger);
        age(opened.folder.path(), count);
        let looked = Sqlite::look(&opened.folder.path().join("data"));
        assert!(matches!(looked, Err(OpenError::Older { .. })));

        let ledger = Sqlite::open(&opened.folder.path().join("data")).unwrap();
        assert_eq!(
            waiting(&ledger, "a").await,
            ["x@1", "y@2"],
            "version {count}"
        );
        let start = ledger.position("a", Some("t")).await.unwrap().acknowledged;
        let entry = ledger.next_entry("a", Some("t"), start).await.unwrap();
        assert!(entry.is_some(), "it is the tenant's");
        let feeds = ledger.list_feeds().await.unwrap();
        assert_eq!(feeds[1].label, "t", "called as its directory is");
        let error = feeds[0].last_error.clone().unwrap();
        assert_eq!(
            (error.kind.as_str(), error.words.as_str()),
            (if count < 4 { "unknown" } else { "forbidden" }, "403")
        );
        assert_eq!(
            put(&ledger, &feed(&ledger, "s").await, vec![record("x", 1)])
                .await
                .fresh,
            0
        );
        assert_eq!(quarantine(&ledger, 100).await, 0, "it is there already");
        assert_eq!(quarantine(&ledger, 200).await, 1, "that is another one");
        let kept = ledger.list_quarantined(Some(s.id)).await.unwrap();
        assert_eq!(body(&ledger, kept[0].id).await, b"null");
        // Numbers that were given before are not given again either.
        ledger.forget_feed(other.id).await.unwrap();
        assert!(feed(&ledger, "another").await.id > other.id);
        assert_eq!(
            ledger.forget_feed(s.id).await,
            Ok(2),
            "its entries are its own"
        );
    }
}
