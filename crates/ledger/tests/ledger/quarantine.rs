//! What is in quarantine.

use super::support::{NOW, body, feed, open, put, reader, record, take, waiting};
use watchbell_ledger::{
    Commit, Cursors, Error, FeedId, NewQuarantine, NewRejected, Outbox, Quarantine, Sqlite, Time,
    Unread,
};

pub(crate) fn element(body: &[u8]) -> NewQuarantine {
    NewQuarantine {
        kind: Unread::Element,
        from: 1,
        to: 2,
        reason: "no colon".to_owned(),
        body: body.to_vec(),
    }
}

#[tokio::test]
async fn nothing_is_in_quarantine_twice_and_what_lifts_it_is_the_commit_that_yields_it() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register_readers(&[reader("a", &["s"])], &[])
        .await
        .unwrap();
    let s = feed(ledger, "s").await;
    let gap = NewQuarantine {
        kind: Unread::Gap,
        ..element(b"<html>")
    };
    for want in [3, 0] {
        let quarantine = vec![element(b"{bad"), element(b"{worse"), gap.clone()];
        let commit = Commit {
            quarantine,
            ..Commit::new(s.id, NOW)
        };
        assert_eq!(ledger.commit(commit).await.unwrap().quarantined, want);
    }
    let held = ledger.list_quarantined(Some(s.id)).await.unwrap();
    assert_eq!(held.len(), 3);
    assert_eq!(body(ledger, held[1].id).await, b"{worse");
    assert_eq!(held[2].kind, Unread::Gap);
    ledger.mark_tried(&[held[2].id], 77).await.unwrap();
    let tried = ledger.list_quarantined(None).await.unwrap();
    assert_eq!((tried[2].tried_at, tried[2].tries), (Some(77), 1));
    put(ledger, &s, vec![record("known", 1)]).await;
    let commit = Commit {
        records: vec![record("known", 1), record("late", 1)],
        lift: vec![held[2].id],
        ..Commit::new(s.id, NOW)
    };
    assert_eq!(ledger.commit(commit).await.unwrap().fresh, 1);
    assert_eq!(feed(ledger, "s").await.totals.quarantined, 2);
    ledger.drop_quarantined(held[0].id).await.unwrap();
    assert_eq!(
        ledger.drop_quarantined(held[0].id).await,
        Err(Error::NoQuarantine(held[0].id.0))
    );
}

pub(crate) async fn quarantined_in(ledger: &Sqlite, feed: FeedId, from: Time, to: Time) -> usize {
    let null = NewQuarantine {
        from,
        to,
        ..element(b"null")
    };
    let commit = Commit {
        quarantine: vec![null],
        ..Commit::new(feed, NOW)
    };
    ledger.commit(commit).await.unwrap().quarantined
}

pub(crate) async fn windows(ledger: &Sqlite) -> Vec<(Time, Time)> {
    let all = ledger.list_quarantined(None).await.unwrap();
    all.iter().map(|one| (one.from, one.to)).collect()
}

/// Once, the second was dropped as known: trying the entry again asked for the first window
/// alone, and what came later in the second was lost.
#[tokio::test]
async fn equal_elements_of_two_windows_are_two_in_quarantine() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    for (from, to) in [(0, 1000), (1000, 2000), (5000, 6000), (1998, 3000)] {
        assert_eq!(quarantined_in(ledger, s, from, to).await, 1, "{from}..{to}");
        assert_eq!(quarantined_in(ledger, s, from, to).await, 0, "{from}..{to}");
    }
    let first = ledger.list_quarantined(None).await.unwrap()[0].id;
    let commit = Commit {
        lift: vec![first],
        ..Commit::new(s, NOW)
    };
    ledger.commit(commit).await.unwrap();
    assert_eq!(
        windows(ledger).await,
        [(1000, 2000), (5000, 6000), (1998, 3000)]
    );
}

/// Each poll reads the overlap again, and finds there what it could not read before.
#[tokio::test]
async fn an_element_that_overlapping_polls_find_is_one_entry_that_stands_for_all_their_windows() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    let (overlap, interval, at) = (900, 60, 5030);
    let mut ends = (5040..).step_by(60);
    let mut last = 0;
    let mut added = 0;
    while let Some(end) = ends.next()
        && end - overlap - interval <= at
    {
        added += quarantined_in(ledger, s, end - overlap - interval, end).await;
        last = end;
    }
    assert_eq!(added, 1);
    assert_eq!(windows(ledger).await, [(5040 - overlap - interval, last)]);
    // Others that come all the time do not make it longer for ever.
    for end in ends.take(100) {
        added += quarantined_in(ledger, s, end - overlap - interval, end).await;
    }
    assert!((3..20).contains(&added), "{added}");
    let longest = windows(ledger)
        .await
        .into_iter()
        .map(|(from, to)| to - from);
    assert!(longest.max().unwrap() <= 2 * (overlap + interval));
}

/// Once, the short windows that follow a long one made a second entry of its element.
#[tokio::test]
async fn an_element_of_a_long_first_window_is_the_same_in_the_short_ones_that_follow() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    assert_eq!(quarantined_in(ledger, s, 0, 3600).await, 1);
    for end in (3601..4200).step_by(60) {
        assert_eq!(quarantined_in(ledger, s, end - 600, end).await, 0, "{end}");
    }
    assert_eq!(windows(ledger).await, [(0, 4141)]);
    // It cannot be the same where windows do not reach back to it any more.
    assert_eq!(quarantined_in(ledger, s, 3800, 4400).await, 1);
}

#[tokio::test]
async fn what_a_reader_could_not_take_is_kept_once_and_tried_again_goes_to_it_alone() {
    let opened = open();
    let ledger = &opened.ledger;
    let readers = [reader("a", &["s"]), reader("b", &["s"])];
    ledger.register_readers(&readers, &[]).await.unwrap();
    let s = feed(ledger, "s").await;
    put(ledger, &s, vec![record("x", 1), record("y", 1)]).await;
    let bad = NewRejected {
        source: "s".to_owned(),
        tenant: "t".to_owned(),
        reason: "trapped".to_owned(),
        record: b"y@1".to_vec(),
    };
    for want in [1, 0] {
        let held = ledger
            .quarantine_rejected("a", vec![bad.clone()], NOW)
            .await
            .unwrap();
        assert_eq!(held, want, "the same is not held twice");
    }
    assert_eq!(take(ledger, "a").await.len(), take(ledger, "b").await.len());

    let opened = opened.reopen();
    let ledger = &opened.ledger;
    let held = ledger.list_quarantined(Some(s.id)).await.unwrap();
    let reader_of = held[0].reader.as_deref();
    assert_eq!((held[0].kind, reader_of), (Unread::Rejected, Some("a")));
    assert_eq!(
        (held[0].source.as_str(), held[0].tenant.as_str()),
        ("s", "t")
    );
    assert_eq!(body(ledger, held[0].id).await, b"y@1");
    assert!(ledger.feed_progress(s.id).await.unwrap().quarantined_bytes > 0);

    assert_eq!(ledger.retry_quarantined(Some(held[0].id)).await.unwrap(), 1);
    assert_eq!(ledger.list_quarantined(None).await.unwrap(), []);
    assert_eq!(waiting(ledger, "b").await, [""; 0], "it has it already");
    assert_eq!(ledger.waiting_tenants("a").await.unwrap(), ["t"]);
    assert_eq!(take(ledger, "a").await, ["y@1"]);
    assert_eq!(ledger.backlog("a", None).await.unwrap().entries, 0);

    // Of a reader that is gone it stays.
    ledger
        .quarantine_rejected("a", vec![bad], NOW)
        .await
        .unwrap();
    ledger.register_readers(&readers[1..], &[]).await.unwrap();
    assert_eq!(ledger.retry_quarantined(None).await.unwrap(), 0);
    let id = ledger.list_quarantined(None).await.unwrap()[0].id;
    assert_eq!(
        ledger.retry_quarantined(Some(id)).await,
        Err(Error::NoReader("a".to_owned()))
    );
    ledger.forget_feed(s.id).await.unwrap();
    assert_eq!(ledger.list_quarantined(None).await.unwrap(), []);
}

#[tokio::test]
async fn keys_of_a_quarantined_range_are_kept_so_that_its_retry_repeats_nothing() {
    let opened = open();
    let ledger = &opened.ledger;
    let feed = feed(ledger, "s").await.id;
    let quarantine = vec![NewQuarantine {
        kind: Unread::Element,
        from: 10,
        to: 20,
        reason: "odd".to_owned(),
        body: b"x".to_vec(),
    }];
    let records = |times: &[Time]| times.iter().map(|time| record("a", *time)).collect();
    ledger
        .commit(Commit {
            quarantine,
            records: records(&[5, 15, 25]),
            ..Commit::new(feed, 0)
        })
        .await
        .unwrap();
    ledger
        .commit(Commit {
            forget_below: Some(100),
            ..Commit::new(feed, 0)
        })
        .await
        .unwrap();
    let again = ledger
        .commit(Commit {
            records: records(&[5, 15, 25]),
            ..Commit::new(feed, 0)
        })
        .await
        .unwrap();
    assert_eq!((again.fresh, again.duplicates), (2, 1));
    assert_eq!(ledger.feed_progress(feed).await.unwrap().quarantined, 1);
}
