//! Ledgers to test, and short ways to say things.

use tempfile::TempDir;
use watchbell_ledger::{
    Commit, Committed, EntryId, Failure, Feed, FeedName, Ledger, Reader, Record, Sqlite, Time,
};

/// The local time of every commit.
pub(crate) const NOW: Time = 1_000_000;

pub(crate) struct Opened {
    pub(crate) folder: TempDir,
    pub(crate) ledger: Sqlite,
}

/// A folder of its own, with an empty ledger in it.
pub(crate) fn open() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Sqlite::open(&folder.path().join("data")).unwrap();
    Opened { folder, ledger }
}

impl Opened {
    /// Closes it and opens it again.
    pub(crate) fn reopen(self) -> Self {
        drop(self.ledger);
        let ledger = Sqlite::open(&self.folder.path().join("data")).unwrap();
        Self {
            folder: self.folder,
            ledger,
        }
    }
}

pub(crate) fn feed(ledger: &Sqlite, source: &str) -> Feed {
    let name = FeedName {
        source: source.to_owned(),
        tenant: "t".to_owned(),
        api: "siem".to_owned(),
    };
    ledger.feed(&name).unwrap()
}

pub(crate) fn failure(words: &str) -> Failure {
    Failure {
        at: 5,
        kind: "forbidden".to_owned(),
        words: words.to_owned(),
    }
}

pub(crate) fn reader(name: &str, sources: &[&str]) -> Reader {
    Reader {
        name: name.to_owned(),
        sources: sources.iter().map(|source| (*source).to_owned()).collect(),
    }
}

pub(crate) fn record(identity: &str, time: Time) -> Record {
    Record {
        identity: identity.to_owned(),
        time,
        bytes: format!("{identity}@{time}").into_bytes(),
    }
}

/// Commits these records.
pub(crate) fn put(ledger: &Sqlite, feed: &Feed, records: Vec<Record>) -> Committed {
    let commit = Commit {
        records,
        ..Commit::new(feed.id, NOW)
    };
    ledger.commit(commit).unwrap()
}

/// Everything that waits for a reader, without taking it.
pub(crate) fn waiting(ledger: &Sqlite, reader: &str) -> Vec<String> {
    let mut after = ledger.position(reader, None).unwrap().acknowledged;
    let mut all = Vec::new();
    while let Some(entry) = ledger.next(reader, None, after).unwrap() {
        after = entry.id;
        all.extend(
            entry
                .records()
                .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()),
        );
    }
    all
}

/// Takes everything that waits for a reader.
pub(crate) fn take(ledger: &Sqlite, reader: &str) -> Vec<String> {
    let all = waiting(ledger, reader);
    let mut last = EntryId::default();
    while let Some(entry) = ledger.next(reader, None, last).unwrap() {
        last = entry.id;
    }
    ledger.acknowledge(reader, None, last, None).unwrap();
    all
}

/// Takes everything of one tenant that waits for the reader `a`, which remembers its name.
pub(crate) fn take_part(ledger: &Sqlite, tenant: &str) -> Vec<String> {
    let mut at = ledger.position("a", Some(tenant)).unwrap().acknowledged;
    let mut all = Vec::new();
    while let Some(entry) = ledger.next("a", Some(tenant), at).unwrap() {
        assert_eq!(entry.tenant, tenant);
        at = entry.id;
        all.extend(
            entry
                .records()
                .map(|one| String::from_utf8_lossy(one).into_owned()),
        );
    }
    let state = Some(tenant.as_bytes().to_vec());
    ledger.acknowledge("a", Some(tenant), at, state).unwrap();
    all
}
