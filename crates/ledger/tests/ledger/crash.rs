//! A process that is killed while it commits: what was told is there, and nothing by
//! halves.

use super::support::{NOW, feed, reader, record, waiting};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use watchbell_ledger::{Commit, Cursors, Outbox, Sqlite};

/// Where the child's ledger is; set for the child alone.
const FOLDER: &str = "WATCHBELL_TEST_LEDGER";

/// Records of one commit.
const MANY: i64 = 50;

#[tokio::test]
async fn what_a_killed_process_was_told_is_there_and_nothing_by_halves() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        commit_for_ever(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut told = 0;
    for round in 0..10_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "ledger::crash::what_a_killed_process_was_told_is_there_and_nothing_by_halves",
                "--nocapture",
            ])
            .env(FOLDER, &data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        // At different places of its first commits.
        let first = lines.find_map(|line| line.strip_prefix("told ")?.parse::<i64>().ok());
        std::thread::sleep(Duration::from_micros(round * 1700));
        child.kill().unwrap();
        child.wait().unwrap();
        told = lines
            .filter_map(|line| line.strip_prefix("told ")?.parse().ok())
            .last()
            .or(first)
            .map_or(told, |last: i64| last.max(told));

        let ledger = Sqlite::open(&data).unwrap();
        let s = feed(&ledger, "s").await;
        let cursor = s.cursor.unwrap();
        assert!(cursor >= told, "round {round}: told {told}, there {cursor}");
        assert_eq!(s.keys, u64::try_from(cursor * MANY).unwrap());
        assert_eq!(
            i64::try_from(waiting(&ledger, "a").await.len()).unwrap(),
            cursor * MANY
        );
    }
    assert!(told >= 10, "the rounds were too short: {told}");
}

async fn commit_for_ever(folder: &Path) -> ! {
    let ledger = Sqlite::open(folder).unwrap();
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let s = feed(&ledger, "s").await;
    let mut cursor = s.cursor.unwrap_or(0);
    loop {
        cursor += 1;
        let records = (0..MANY).map(|n| record(&n.to_string(), cursor)).collect();
        let commit = Commit {
            records,
            cursor: Some(cursor),
            ..Commit::new(s.id, NOW)
        };
        ledger.commit(commit).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "told {cursor}").unwrap();
        out.flush().unwrap();
    }
}
