//! What is known, and what one commit is.

use super::support::{NOW, feed, open, put, reader, record, take, waiting};
use std::sync::Arc;
use tokio::task::JoinSet;
use watchbell_ledger::{Commit, Cursors, Outbox};

#[tokio::test]
async fn a_known_record_is_dropped_and_the_same_identity_at_another_time_is_not() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let s = feed(ledger, "s").await;
    let done = put(
        ledger,
        &s,
        vec![record("x", 1), record("y", 1), record("x", 1)],
    )
    .await;
    assert_eq!((done.fresh, done.duplicates), (2, 1));
    let done = put(
        ledger,
        &s,
        vec![record("y", 1), record("x", 2), record("z", 0)],
    )
    .await;
    assert_eq!(
        (done.fresh, done.duplicates, done.oldest_fresh),
        (2, 1, Some(0))
    );
    assert_eq!(waiting(ledger, "a").await, ["x@1", "y@1", "x@2", "z@0"]);
    let again = Commit {
        records: vec![record("x", 1)],
        again: true,
        ..Commit::new(s.id, NOW)
    };
    assert_eq!(ledger.commit(again).await.unwrap().duplicates, 1);
    assert_eq!(take(ledger, "a").await.last().unwrap(), "x@1");
}

#[tokio::test]
async fn two_tenants_of_one_source_and_two_sources_have_keys_of_their_own() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s", "t"])], &[])
        .await
        .unwrap();
    for source in ["s", "t"] {
        assert_eq!(
            put(ledger, &feed(ledger, source).await, vec![record("x", 1)])
                .await
                .fresh,
            1
        );
    }
    assert_eq!(waiting(ledger, "a").await.len(), 2);
}

#[tokio::test]
async fn a_large_commit_is_several_entries_in_order_and_no_record_is_split() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let mut records: Vec<_> = (0..3000)
        .map(|time| record(&"x".repeat(3000), time))
        .collect();
    records[0].bytes = vec![b'y'; 9 << 20];
    let done = put(ledger, &feed(ledger, "s").await, records.clone()).await;
    assert!(done.entries.len() > 2, "{}", done.entries.len());
    let want: Vec<String> = records
        .into_iter()
        .map(|r| String::from_utf8(r.bytes).unwrap())
        .collect();
    assert_eq!(waiting(ledger, "a").await, want);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn commits_from_many_threads_all_stand() {
    let opened = open();
    let ledger = Arc::new(opened.ledger);
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let s = feed(&ledger, "s").await;
    let mut tasks = JoinSet::new();
    for task in 0..32 {
        let (ledger, s) = (Arc::clone(&ledger), s.clone());
        tasks.spawn(async move {
            for time in 0..20 {
                let records = vec![record(&format!("{task}"), time), record("all", time)];
                assert!(put(&ledger, &s, records).await.fresh >= 1);
            }
        });
    }
    tasks.join_all().await;
    let mut all = take(&ledger, "a").await;
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 32 * 20 + 20);
    assert_eq!(feed(&ledger, "s").await.totals.fresh, 32 * 20 + 20);
}
