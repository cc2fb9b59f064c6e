//! The bound of a sink that is down, beside a real ledger.

mod disk;

use super::*;
use crate::polling::SystemClock;

use tempfile::TempDir;
use watchbell_ledger::{Commit, Cursors, FeedId, FeedName, Outbox, Reader, Record, Sqlite};

struct Opened {
    _folder: TempDir,
    ledger: Arc<Sqlite>,
    feed: FeedId,
    backpressure: Backpressure,
}

/// A sink for which `most` bytes may wait. What the ledger counted is believed for as long
/// as a test may take.
async fn open(most: u64) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Sqlite::open(&folder.path().join("data")).unwrap());
    let (sink, sources) = ("down".to_owned(), vec!["s".to_owned()]);
    let reader = Reader {
        name: sink.clone(),
        sources: sources.clone(),
    };
    ledger.register_readers(&[reader], &[]).await.unwrap();
    let name = FeedName {
        source: "s".to_owned(),
        tenant: "t".to_owned(),
        api: "siem".to_owned(),
    };
    let registered = ledger.register_feeds(&[(name, "t".to_owned())]).await;
    let feed = registered.unwrap()[0];
    let limit = BufferLimit {
        sink,
        sources,
        is_partitioned: false,
        most,
    };
    let mut backpressure = Backpressure::new(
        ledger.clone(),
        Arc::new(SystemClock),
        vec![limit],
        folder.path().to_owned(),
        0,
    );
    backpressure.moment = Duration::from_secs(3600);
    Opened {
        _folder: folder,
        ledger,
        feed,
        backpressure,
    }
}

impl Opened {
    /// Puts a record into the outbox; the bytes that it takes there.
    async fn put(&self, time: i64) -> u64 {
        let record = Record {
            identity: "x".to_owned(),
            time,
            bytes: b"x".to_vec(),
        };
        let commit = Commit {
            records: vec![record],
            ..Commit::new(self.feed, 0)
        };
        self.ledger.commit(commit).await.unwrap().bytes
    }

    async fn is_open(&self) -> bool {
        self.backpressure.check("s", "t").await.is_ok()
    }
}

#[tokio::test]
async fn what_is_committed_counts_at_once_and_the_ledger_is_not_asked_each_time() {
    let opened = open(100).await;
    assert!(opened.is_open().await);
    // Nobody told the backpressure, so only asking the ledger would show it.
    while opened.ledger.backlog("down", None).await.unwrap().bytes < 100 {
        opened.put(0).await;
        let keys = opened.ledger.list_feeds().await.unwrap()[0].keys;
        opened.put(i64::try_from(keys).unwrap()).await;
    }
    assert!(opened.is_open().await, "asked again within the moment");
    opened.backpressure.add_growth(10).await;
    assert!(opened.is_open().await, "asked again for every commit");
    opened.backpressure.add_growth(90).await;
    assert!(!opened.is_open().await, "the bound was passed unseen");
}

#[tokio::test]
async fn what_only_seems_too_much_is_counted_before_polling_pauses() {
    let opened = open(100).await;
    let bytes = opened.put(1).await;
    assert!(bytes < 100);
    assert!(opened.is_open().await);
    // As a commit for another sink does.
    opened.backpressure.add_growth(1000).await;
    assert!(opened.is_open().await);
}
