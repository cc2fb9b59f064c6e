//! A feed that is given up takes what is its own with it, and nothing else.

use super::support::{NOW, open, reader, record, take, take_part, waiting};
use watchbell_ledger::{Commit, Error, FeedId, FeedName, Ledger, NewRejected, Sqlite};

/// A tenant of the source `s`.
fn register_feeds(ledger: &Sqlite, tenant: &str, label: &str) -> FeedId {
    let name = FeedName {
        source: "s".to_owned(),
        tenant: tenant.to_owned(),
        api: "siem".to_owned(),
    };
    ledger.register_feeds(&[(name, label.to_owned())]).unwrap()[0]
}

fn one(feed: FeedId, identity: &str) -> Commit {
    Commit {
        records: vec![record(identity, 1)],
        cursor: Some(7),
        ..Commit::new(feed, NOW)
    }
}

#[test]
fn what_was_under_way_for_a_feed_that_is_forgotten_is_refused_and_never_becomes_anothers() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    register_feeds(ledger, "1", "one");
    let gone = register_feeds(ledger, "2", "two");
    ledger.forget_feed(gone).unwrap();
    let next = register_feeds(ledger, "3", "three");
    assert_eq!(ledger.commit(one(gone, "x")), Err(Error::NoFeed));
    assert_eq!(ledger.feed_progress(gone), Err(Error::NoFeed));
    assert_eq!(waiting(ledger, "a"), [""; 0]);
    assert_eq!(ledger.feed_progress(next).unwrap().cursor, None);
    assert!(!ledger.known(next, &[record("x", 1)]).unwrap()[0]);
}

#[test]
fn of_two_feeds_that_are_called_alike_one_is_forgotten_and_the_other_loses_nothing() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let mistyped = register_feeds(ledger, "1", "t");
    let right = register_feeds(ledger, "2", "t");
    ledger.commit(one(mistyped, "x")).unwrap();
    // The right one is who is read now, so what is quarantined is its own.
    let later = Commit {
        at: NOW + 1,
        ..one(right, "y")
    };
    ledger.commit(later).unwrap();
    let held = NewRejected {
        source: "s".to_owned(),
        tenant: "t".to_owned(),
        reason: "trapped".to_owned(),
        record: b"z@1".to_vec(),
    };
    ledger.quarantine("a", vec![held], NOW).unwrap();

    assert_eq!(ledger.forget_feed(mistyped).unwrap(), 1);
    assert_eq!(waiting(ledger, "a"), ["y@1"]);
    assert_eq!(ledger.quarantined(None).unwrap().len(), 1);
    assert_eq!(ledger.forget_feed(right).unwrap(), 1);
    assert_eq!(waiting(ledger, "a"), [""; 0]);
    assert_eq!(ledger.quarantined(None).unwrap(), []);
}

#[test]
fn what_was_read_under_an_earlier_name_goes_with_its_feed() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let feed = register_feeds(ledger, "1", "before");
    ledger.commit(one(feed, "x")).unwrap();
    assert_eq!(register_feeds(ledger, "1", "after"), feed);
    // Somebody else is called so now.
    let other = register_feeds(ledger, "2", "before");
    ledger.commit(one(other, "y")).unwrap();
    assert_eq!(ledger.forget_feed(feed).unwrap(), 1);
    assert_eq!(take(ledger, "a"), ["y@1"]);
}

#[test]
fn a_position_goes_with_the_last_who_has_its_name() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let feeds = ["1", "2"].map(|tenant| register_feeds(ledger, tenant, "t"));
    ledger.commit(one(feeds[0], "x")).unwrap();
    assert_eq!(take_part(ledger, "t"), ["x@1"]);
    for (feed, is_kept) in feeds.into_iter().zip([true, false]) {
        ledger.forget_feed(feed).unwrap();
        let state = ledger.position("a", Some("t")).unwrap().state;
        assert_eq!(state.is_some(), is_kept);
    }
}
