//! The bound of a sink that is down, beside a real ledger.

mod disk;

use super::*;
use tempfile::TempDir;
use watchbell_ledger::{Commit, FeedId, FeedName, Reader, Record, Sqlite};

struct Opened {
    _folder: TempDir,
    ledger: Arc<Sqlite>,
    feed: FeedId,
    gate: Gate,
}

/// A sink for which `most` bytes may wait. What the ledger counted is believed for as long
/// as a test may take.
fn open(most: u64) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Sqlite::open(&folder.path().join("data")).unwrap());
    let (sink, sources) = ("down".to_owned(), vec!["s".to_owned()]);
    let reader = Reader {
        name: sink.clone(),
        sources: sources.clone(),
    };
    ledger.register(&[reader], &[]).unwrap();
    let name = FeedName {
        source: "s".to_owned(),
        tenant: "t".to_owned(),
        api: "siem".to_owned(),
    };
    let feed = ledger.enrol(&[(name, "t".to_owned())]).unwrap()[0];
    let bound = Bound {
        sink,
        sources,
        parted: false,
        most,
    };
    let shared: Arc<dyn Ledger> = ledger.clone();
    let mut gate = Gate::new(shared, vec![bound], folder.path().to_owned(), 0);
    gate.moment = Duration::from_secs(3600);
    Opened {
        _folder: folder,
        ledger,
        feed,
        gate,
    }
}

impl Opened {
    /// Puts a record into the outbox; the bytes that it takes there.
    fn put(&self, time: i64) -> u64 {
        let record = Record {
            identity: "x".to_owned(),
            time,
            bytes: b"x".to_vec(),
        };
        let commit = Commit {
            records: vec![record],
            ..Commit::new(self.feed, 0)
        };
        self.ledger.commit(commit).unwrap().bytes
    }

    fn is_open(&self) -> bool {
        self.gate.check("s", "t").is_ok()
    }
}

#[test]
fn what_is_committed_counts_at_once_and_the_ledger_is_not_asked_each_time() {
    let opened = open(100);
    assert!(opened.is_open());
    // Nobody told the gate, so only asking the ledger would show it.
    while opened.ledger.backlog("down", None).unwrap().bytes < 100 {
        opened.put(0);
        opened.put(i64::try_from(opened.ledger.feeds().unwrap()[0].keys).unwrap());
    }
    assert!(opened.is_open(), "asked again within the moment");
    opened.gate.grew(10);
    assert!(opened.is_open(), "asked again for every commit");
    opened.gate.grew(90);
    assert!(!opened.is_open(), "the bound was passed unseen");
}

#[test]
fn what_only_seems_too_much_is_counted_before_polling_pauses() {
    let opened = open(100);
    let bytes = opened.put(1);
    assert!(bytes < 100);
    assert!(opened.is_open());
    // As a commit for another sink does.
    opened.gate.grew(1000);
    assert!(opened.is_open());
}
