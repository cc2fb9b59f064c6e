//! Readers, and what waits for them.

use super::support::{NOW, failure, feed, open, put, reader, record, take, take_part, waiting};
use watchbell_ledger::{Commit, Cursors, Error, Failure, FeedId, FeedName, Outbox, Reader, Sqlite};

#[tokio::test]
async fn an_entry_is_kept_until_all_its_readers_have_it_and_no_longer() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"]), reader("b", &["s", "t"])], &[])
        .await
        .unwrap();
    let (s, t) = (feed(ledger, "s").await, feed(ledger, "t").await);
    put(ledger, &s, vec![record("x", 1)]).await;
    put(ledger, &t, vec![record("y", 1)]).await;
    assert_eq!(take(ledger, "a").await, ["x@1"]);
    assert_eq!(ledger.backlog("a", None).await.unwrap().records, 0);
    assert_eq!(
        ledger.backlog("b", None).await.unwrap().records,
        2,
        "a slow one delays itself alone"
    );
    assert_eq!(take(ledger, "b").await, ["x@1", "y@1"]);
    // A new reader finds nothing, because nothing is held any more.
    let three = [
        reader("a", &["s"]),
        reader("b", &["s", "t"]),
        reader("c", &["s", "t"]),
    ];
    ledger.register_readers(&three, &[]).await.unwrap();
    assert_eq!(ledger.backlog("c", None).await.unwrap().entries, 0);
}

#[tokio::test]
async fn a_new_reader_begins_at_the_oldest_entry_that_is_held() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    put(ledger, &feed(ledger, "s").await, vec![record("x", 1)]).await;
    ledger
        .register_readers(&[reader("a", &["s"]), reader("b", &["s"])], &[])
        .await
        .unwrap();
    assert_eq!(take(ledger, "a").await, ["x@1"]);
    assert_eq!(take(ledger, "b").await, ["x@1"]);
}

#[tokio::test]
async fn a_reader_that_is_gone_with_something_waiting_stops_the_start_until_it_is_given_up() {
    let opened = open();
    let ledger = &opened.ledger;
    let both = [reader("a", &["s"]), reader("b", &["s"])];
    ledger.register_readers(&both, &[]).await.unwrap();
    put(
        ledger,
        &feed(ledger, "s").await,
        vec![record("x", 1), record("y", 1)],
    )
    .await;
    let Err(Error::ReaderGone { name, backlog }) = ledger.register_readers(&both[..1], &[]).await
    else {
        panic!("a reader was dropped in silence")
    };
    assert_eq!((name.as_str(), backlog.records), ("b", 2));
    ledger.register_readers(&both, &[]).await.unwrap();
    let forgotten = ledger
        .register_readers(&both[..1], &["b".to_owned()])
        .await
        .unwrap();
    assert_eq!(
        (forgotten[0].name.as_str(), forgotten[0].backlog.records),
        ("b", 2)
    );
    assert_eq!(take(ledger, "a").await, ["x@1", "y@1"]);
    assert_eq!(
        ledger.register_readers(&[], &[]).await.unwrap(),
        [],
        "one that has all may go"
    );
}

#[tokio::test]
async fn what_no_reader_takes_is_known_and_not_held() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await;
    let done = put(ledger, &s, vec![record("x", 1)]).await;
    assert_eq!((done.fresh, done.entries.len()), (1, 0));
}

#[tokio::test]
async fn what_a_feed_waits_for_is_counted_up_to_an_entry_and_until_all_readers_have_it() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"]), reader("b", &["s", "t"])], &[])
        .await
        .unwrap();
    let (s, t) = (feed(ledger, "s").await, feed(ledger, "t").await);
    assert_eq!(ledger.newest_entry(s.id).await, Ok(None));
    put(ledger, &s, vec![record("x", 1), record("y", 1)]).await;
    let newest = ledger.newest_entry(s.id).await.unwrap().unwrap();
    put(ledger, &t, vec![record("z", 1)]).await;
    put(ledger, &s, vec![record("z", 1)]).await;
    assert_eq!(ledger.count_undelivered(s.id, newest).await, Ok(2));
    take(ledger, "a").await;
    assert_eq!(ledger.count_undelivered(s.id, newest).await, Ok(2));
    take(ledger, "b").await;
    assert_eq!(ledger.count_undelivered(s.id, newest).await, Ok(0));
    assert_eq!(ledger.newest_entry(s.id).await, Ok(None));
}

#[tokio::test]
async fn a_position_keeps_what_its_reader_wants_to_remember_over_a_restart() {
    let opened = open();
    opened
        .ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let done = put(
        &opened.ledger,
        &feed(&opened.ledger, "s").await,
        vec![record("x", 1)],
    )
    .await;
    let state = Some(b"inode 7".to_vec());
    opened
        .ledger
        .acknowledge("a", None, done.entries[0], state.clone())
        .await
        .unwrap();
    opened
        .ledger
        .acknowledge("a", None, done.entries[0], None)
        .await
        .unwrap();
    let opened = opened.reopen();
    let position = opened.ledger.position("a", None).await.unwrap();
    assert_eq!(
        (position.acknowledged, position.state),
        (done.entries[0], state)
    );
    assert_eq!(
        opened.ledger.position("b", None).await,
        Err(Error::NoReader("b".to_owned()))
    );
}

#[tokio::test]
async fn what_went_wrong_is_remembered_until_it_goes_well() {
    let opened = open();
    let s = feed(&opened.ledger, "s").await;
    opened
        .ledger
        .record_failure(s.id, failure("403"))
        .await
        .unwrap();
    assert_eq!(
        feed(&opened.ledger, "s").await.last_error,
        Some(failure("403"))
    );
    put(&opened.ledger, &s, vec![]).await;
    let now = feed(&opened.ledger, "s").await;
    assert_eq!((now.last_error, now.last_success), (None, Some(NOW)));
}

#[tokio::test]
async fn a_source_that_a_reader_takes_no_more_stops_the_start_while_something_of_it_waits() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s", "t"])], &[])
        .await
        .unwrap();
    put(ledger, &feed(ledger, "s").await, vec![record("x", 1)]).await;
    let refused = ledger
        .register_readers(&[reader("a", &["t"])], &[])
        .await
        .unwrap_err();
    assert!(matches!(&refused, Error::SourceGone { origin, records: 1, .. } if origin == "s"));
    assert_eq!(waiting(ledger, "a").await, ["x@1"]);
    ledger
        .register_readers(&[reader("a", &["t"])], &["a".to_owned()])
        .await
        .unwrap();
    assert_eq!(waiting(ledger, "a").await, [] as [&str; 0]);
}

/// Two tenants of one source, each called something.
pub(crate) async fn tenants(ledger: &Sqlite, labels: [&str; 2]) -> Vec<FeedId> {
    let name = |tenant: &str| FeedName {
        source: "s".to_owned(),
        tenant: tenant.to_owned(),
        api: "siem".to_owned(),
    };
    let [one, two] = labels.map(str::to_owned);
    ledger
        .register_feeds(&[(name("1"), one), (name("2"), two)])
        .await
        .unwrap()
}

pub(crate) async fn commit_one(ledger: &Sqlite, feed: FeedId, identity: &str) {
    let records = vec![record(identity, 1)];
    let commit = Commit {
        records,
        ..Commit::new(feed, NOW)
    };
    ledger.commit(commit).await.unwrap();
}

#[tokio::test]
async fn a_parted_reader_gets_on_with_one_tenant_while_another_waits() {
    let opened = open();
    let ledger = &opened.ledger;
    let parted = Reader {
        ..reader("a", &["s"])
    };
    ledger
        .register_readers(&[parted, reader("b", &["s"])], &[])
        .await
        .unwrap();
    let ids = tenants(ledger, ["one", "two"]).await;
    commit_one(ledger, ids[0], "x").await;
    commit_one(ledger, ids[1], "y").await;
    commit_one(ledger, ids[1], "z").await;
    assert_eq!(ledger.waiting_tenants("a").await.unwrap(), ["one", "two"]);
    assert_eq!(take_part(ledger, "two").await, ["y@1", "z@1"]);
    assert_eq!(ledger.waiting_tenants("a").await.unwrap(), ["one"]);
    assert_eq!(ledger.backlog("a", None).await.unwrap().records, 1);
    assert_eq!(ledger.backlog("a", Some("two")).await.unwrap().records, 0);
    let state = ledger.position("a", Some("two")).await.unwrap().state;
    assert_eq!(state.as_deref(), Some(b"two".as_slice()));
    assert_eq!(ledger.position("a", Some("one")).await.unwrap().state, None);
    // The other reader has all of it, in order.
    assert_eq!(take(ledger, "b").await, ["x@1", "y@1", "z@1"]);
    // What a part has taken stays taken when the reader takes all in one row.
    ledger
        .register_readers(&[reader("a", &["s"]), reader("b", &["s"])], &[])
        .await
        .unwrap();
    assert_eq!(take(ledger, "a").await, ["x@1"]);
    let opened = opened.reopen();
    assert_eq!(opened.ledger.backlog("a", None).await.unwrap().entries, 0);
}

#[tokio::test]
async fn a_parted_reader_has_as_a_whole_what_its_parts_have_taken_without_a_gap() {
    let opened = open();
    let ledger = &opened.ledger;
    let readers = [reader("a", &["s"]), reader("b", &["s"])];
    ledger.register_readers(&readers, &[]).await.unwrap();
    let ids = tenants(ledger, ["one", "two"]).await;
    commit_one(ledger, ids[0], "x").await;
    commit_one(ledger, ids[1], "y").await;
    commit_one(ledger, ids[0], "z").await;
    let whole = async || ledger.position("a", None).await.unwrap().acknowledged;
    let nothing = whole().await;
    take_part(ledger, "two").await;
    assert_eq!(whole().await, nothing, "the first still waits");
    take_part(ledger, "one").await;
    let last = ledger
        .position("a", Some("one"))
        .await
        .unwrap()
        .acknowledged;
    assert_eq!(whole().await, last);
    commit_one(ledger, ids[1], "v").await;
    assert_eq!(ledger.waiting_tenants("a").await.unwrap(), ["two"]);
    assert_eq!(take_part(ledger, "two").await, ["v@1"]);
    assert_eq!(take(ledger, "b").await, ["x@1", "y@1", "z@1", "v@1"]);
}

#[tokio::test]
async fn a_tenant_that_is_called_otherwise_keeps_its_cursor_and_one_that_is_forgotten_does_not() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let ids = tenants(ledger, ["one", "two"]).await;
    commit_one(ledger, ids[0], "x").await;
    assert_eq!(tenants(ledger, ["uno", "two"]).await, ids);
    let feeds = ledger.list_feeds().await.unwrap();
    assert_eq!((feeds[0].label.as_str(), feeds[0].keys), ("uno", 1));
    commit_one(ledger, ids[0], "y").await;
    commit_one(ledger, ids[1], "z").await;
    assert_eq!(
        ledger.waiting_tenants("a").await.unwrap(),
        ["one", "uno", "two"]
    );
    assert_eq!(ledger.forget_feed(ids[1]).await.unwrap(), 1);
    assert_eq!(take(ledger, "a").await, ["x@1", "y@1"]);
    assert_eq!(ledger.list_feeds().await.unwrap().len(), 1);
    assert!(ledger.forget_feed(ids[1]).await.is_err());
}

#[tokio::test]
async fn what_goes_wrong_with_a_reader_is_kept_from_its_beginning_until_it_goes_well() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let of = |at, words: &str| Failure {
        at,
        ..failure(words)
    };
    ledger
        .record_reader_failure("a", None, of(5, "no folder"))
        .await
        .unwrap();
    ledger
        .record_reader_failure("a", None, of(9, "full"))
        .await
        .unwrap();
    ledger
        .record_reader_failure("a", Some("t"), of(7, "x"))
        .await
        .unwrap();
    ledger
        .record_reader_failure("nobody", None, of(7, "x"))
        .await
        .unwrap();
    let opened = opened.reopen();
    let failures = opened.ledger.list_reader_failures().await.unwrap();
    let facts: Vec<_> = failures
        .iter()
        .map(|one| {
            let partition = one.partition.as_deref();
            (
                one.reader.as_str(),
                partition,
                one.since,
                one.failure.at,
                one.failure.words.as_str(),
            )
        })
        .collect();
    assert_eq!(
        facts,
        [("a", None, 5, 9, "full"), ("a", Some("t"), 7, 7, "x")]
    );
    opened.ledger.clear_reader_failure("a", None).await.unwrap();
    assert_eq!(opened.ledger.list_reader_failures().await.unwrap().len(), 1);
    opened
        .ledger
        .register_readers(&[reader("b", &["s"])], &[])
        .await
        .unwrap();
    assert_eq!(opened.ledger.list_reader_failures().await, Ok(Vec::new()));
}
