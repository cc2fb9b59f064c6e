//! Ledgers to test, and short ways to say things.

use tempfile::TempDir;
use watchbell_ledger::{
    Commit, Committed, Cursors, EntryId, Failure, Feed, FeedName, Outbox, Quarantine, QuarantineId,
    Reader, Record, Sqlite, Time,
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

/// A feed of the tenant `t`, which is there from then on.
pub(crate) async fn feed(ledger: &Sqlite, source: &str) -> Feed {
    let name = FeedName {
        source: source.to_owned(),
        tenant: "t".to_owned(),
        api: "siem".to_owned(),
    };
    if let Some(feed) = ledger.find_feed(&name).await.unwrap() {
        return feed;
    }
    let label = name.tenant.clone();
    let registered = ledger.register_feeds(&[(name.clone(), label)]).await;
    registered.unwrap();
    ledger.find_feed(&name).await.unwrap().unwrap()
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
pub(crate) async fn put(ledger: &Sqlite, feed: &Feed, records: Vec<Record>) -> Committed {
    let commit = Commit {
        records,
        ..Commit::new(feed.id, NOW)
    };
    ledger.commit(commit).await.unwrap()
}

/// What is kept of something in quarantine.
pub(crate) async fn body(ledger: &Sqlite, id: QuarantineId) -> Vec<u8> {
    let mut bodies = ledger.read_quarantined(&[id]).await.unwrap();
    assert_eq!((bodies.len(), bodies[0].0), (1, id));
    bodies.remove(0).1
}

/// Everything that waits for a reader, without taking it.
pub(crate) async fn waiting(ledger: &Sqlite, reader: &str) -> Vec<String> {
    let mut after = ledger.position(reader, None).await.unwrap().acknowledged;
    let mut all = Vec::new();
    while let Some(entry) = ledger.next_entry(reader, None, after).await.unwrap() {
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
pub(crate) async fn take(ledger: &Sqlite, reader: &str) -> Vec<String> {
    let all = waiting(ledger, reader).await;
    let mut last = EntryId::default();
    while let Some(entry) = ledger.next_entry(reader, None, last).await.unwrap() {
        last = entry.id;
    }
    ledger.acknowledge(reader, None, last, None).await.unwrap();
    all
}

/// Takes everything of one tenant that waits for the reader `a`, which remembers its name.
pub(crate) async fn take_part(ledger: &Sqlite, tenant: &str) -> Vec<String> {
    let mut at = ledger
        .position("a", Some(tenant))
        .await
        .unwrap()
        .acknowledged;
    let mut all = Vec::new();
    while let Some(entry) = ledger.next_entry("a", Some(tenant), at).await.unwrap() {
        assert_eq!(entry.tenant, tenant);
        at = entry.id;
        all.extend(
            entry
                .records()
                .map(|one| String::from_utf8_lossy(one).into_owned()),
        );
    }
    let state = Some(tenant.as_bytes().to_vec());
    ledger
        .acknowledge("a", Some(tenant), at, state)
        .await
        .unwrap();
    all
}
