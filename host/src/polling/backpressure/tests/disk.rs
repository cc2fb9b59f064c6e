//! On a disk of its own, which needs a mount namespace.

use super::super::*;
use crate::polling::SystemClock;
use std::path::Path;
use std::process::Command;
use watchbell_ledger::{Commit, EntryId, FeedName, Reader, Record, Sqlite};

/// Where the small disk is; set within the namespace alone.
const DISK: &str = "WATCHBELL_TEST_DISK";

const MIB: u64 = 1 << 20;

/// So the ledger grows to more than it, and makes up for what the disk lacks.
const LEAST: u64 = 40 * MIB;

/// A disk of 128 MiB.
const MOUNT: &str = "mount -t tmpfs -o size=128m tmpfs \"$WATCHBELL_TEST_DISK\" && \
    chmod 700 \"$WATCHBELL_TEST_DISK\" && echo mounted && exec \"$@\"";

/// The ledger's file never shrinks, so the backpressure once stayed shut for good.
#[test]
fn polling_goes_on_when_the_backlog_that_filled_the_disk_was_taken() {
    if let Some(disk) = std::env::var_os(DISK) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(fill_and_drain(Path::new(&disk)));
    }
    let folder = tempfile::tempdir().unwrap();
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
    for way in ways {
        let ran = Command::new("unshare")
            .args(way)
            .args(["sh", "-c", MOUNT, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("polling::backpressure::tests::disk::polling_goes_on_when_the_backlog_that_filled_the_disk_was_taken")
            .env(DISK, folder.path())
            .output();
        let Ok(ran) = ran else { break };
        let said = String::from_utf8_lossy(&ran.stdout);
        if said.contains("mounted") {
            let words = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "{said}{words}");
            assert!(said.contains("1 passed"), "{said}");
            return;
        }
    }
    println!("not run: this machine allows no mount namespace");
}

async fn fill_and_drain(disk: &Path) {
    let ledger: Arc<dyn Ledger> = Arc::new(Sqlite::open(disk).unwrap());
    let reader = Reader {
        name: "sink".to_owned(),
        sources: vec!["source".to_owned()],
    };
    ledger.register_readers(&[reader], &[]).await.unwrap();
    let name = FeedName {
        source: "source".to_owned(),
        tenant: "tenant".to_owned(),
        api: "siem".to_owned(),
    };
    let registered = ledger.register_feeds(&[(name, "tenant".to_owned())]).await;
    let feed = registered.unwrap()[0];
    let backpressure = Backpressure::new(
        Arc::clone(&ledger),
        Arc::new(SystemClock),
        Vec::new(),
        disk.to_owned(),
        LEAST,
    );
    let is_shut = async || match backpressure.check("source", "tenant").await {
        Ok(()) => false,
        Err(PauseReason::Disk { .. }) => true,
        Err(error) => panic!("{error}"),
    };
    let mut random = fastrand::Rng::with_seed(1);
    let mut last = EntryId::default();
    for time in 0.. {
        if is_shut().await {
            break;
        }
        let bytes = std::iter::repeat_with(|| random.u8(..)).take(1 << 20);
        let record = Record {
            identity: time.to_string(),
            time,
            bytes: bytes.collect(),
        };
        let commit = Commit {
            records: vec![record],
            ..Commit::new(feed, time)
        };
        last = *ledger.commit(commit).await.unwrap().entries.last().unwrap();
    }
    ledger.acknowledge("sink", None, last, None).await.unwrap();
    assert!(!is_shut().await, "what was taken is room again");

    let free = backpressure.free().await.unwrap();
    let most = usize::try_from(free - LEAST / FLOOR + MIB).unwrap();
    std::fs::write(disk.join("filler"), vec![0; most]).unwrap();
    let spare = ledger.unused_bytes().await.unwrap();
    assert!(spare > LEAST, "{spare}");
    assert!(is_shut().await, "a commit needs the disk itself");
}
