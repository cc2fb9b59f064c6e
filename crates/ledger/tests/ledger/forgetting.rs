//! A feed that is given up takes what is its own with it, and nothing else.

use super::support::{NOW, open, reader, record, take, take_part, waiting};
use watchbell_ledger::{
    Commit, Cursors, Error, FeedId, FeedName, NewRejected, Outbox, Quarantine, Sqlite,
};

/// A tenant of the source `s`.
async fn register_feeds(ledger: &Sqlite, tenant: &str, label: &str) -> FeedId {
    let name = FeedName {
        source: "s".to_owned(),
        tenant: tenant.to_owned(),
        api: "siem".to_owned(),
    };
    ledger
        .register_feeds(&[(name, label.to_owned())])
        .await
        .unwrap()[0]
}

fn one(feed: FeedId, identity: &str) -> Commit {
    Commit {
        records: vec![record(identity, 1)],
        cursor: Some(7),
        ..Commit::new(feed, NOW)
    }
}

#[tokio::test]
async fn what_was_under_way_for_a_feed_that_is_forgotten_is_refused_and_never_becomes_anothers() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    register_feeds(ledger, "1", "one").await;
    let gone = register_feeds(ledger, "2", "two").await;
    ledger.forget_feed(gone).await.unwrap();
    let next = register_feeds(ledger, "3", "three").await;
    assert_eq!(ledger.commit(one(gone, "x")).await, Err(Error::NoFeed));
    assert_eq!(ledger.feed_progress(gone).await, Err(Error::NoFeed));
    assert_eq!(waiting(ledger, "a").await, [""; 0]);
    assert_eq!(ledger.feed_progress(next).await.unwrap().cursor, None);
    assert!(!ledger.find_known(next, &[record("x", 1)]).await.unwrap()[0]);
}

#[tokio::test]
async fn of_two_feeds_that_are_called_alike_one_is_forgotten_and_the_other_loses_nothing() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let mistyped = register_feeds(ledger, "1", "t").await;
    let right = register_feeds(ledger, "2", "t").await;
    ledger.commit(one(mistyped, "x")).await.unwrap();
    // The right one is who is read now, so what is quarantined is its own.
    let later = Commit {
        at: NOW + 1,
        ..one(right, "y")
    };
    ledger.commit(later).await.unwrap();
    let held = NewRejected {
        source: "s".to_owned(),
        tenant: "t".to_owned(),
        reason: "trapped".to_owned(),
        record: b"z@1".to_vec(),
    };
    ledger
        .quarantine_rejected("a", vec![held], NOW)
        .await
        .unwrap();

    assert_eq!(ledger.forget_feed(mistyped).await.unwrap(), 1);
    assert_eq!(waiting(ledger, "a").await, ["y@1"]);
    assert_eq!(ledger.list_quarantined(None).await.unwrap().len(), 1);
    assert_eq!(ledger.forget_feed(right).await.unwrap(), 1);
    assert_eq!(waiting(ledger, "a").await, [""; 0]);
    assert_eq!(ledger.list_quarantined(None).await.unwrap(), []);
}

#[tokio::test]
async fn what_was_read_under_an_earlier_name_goes_with_its_feed() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let feed = register_feeds(ledger, "1", "before").await;
    ledger.commit(one(feed, "x")).await.unwrap();
    assert_eq!(register_feeds(ledger, "1", "after").await, feed);
    // Somebody else is called so now.
    let other = register_feeds(ledger, "2", "before").await;
    ledger.commit(one(other, "y")).await.unwrap();
    assert_eq!(ledger.forget_feed(feed).await.unwrap(), 1);
    assert_eq!(take(ledger, "a").await, ["y@1"]);
}

#[tokio::test]
async fn a_position_goes_with_the_last_who_has_its_name() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let feeds = [
        register_feeds(ledger, "1", "t").await,
        register_feeds(ledger, "2", "t").await,
    ];
    ledger.commit(one(feeds[0], "x")).await.unwrap();
    assert_eq!(take_part(ledger, "t").await, ["x@1"]);
    for (feed, is_kept) in feeds.into_iter().zip([true, false]) {
        ledger.forget_feed(feed).await.unwrap();
        let state = ledger.position("a", Some("t")).await.unwrap().state;
        assert_eq!(state.is_some(), is_kept);
    }
}
