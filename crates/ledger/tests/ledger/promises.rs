//! One promise each.

use super::support::{
    NOW, body, failure, feed, open, put, reader, record, take, take_part, waiting,
};
use std::sync::Arc;
use tokio::task::JoinSet;
use watchbell_ledger::{
    Commit, Covered, Cursors, Error, Failure, FeedId, FeedName, NewQuarantine, NewRejected, Outbox,
    Quarantine, Reader, Record, Sqlite, Time, Unread,
};

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
async fn the_cursor_never_moves_back_by_itself_and_moves_over_quiet_windows() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await;
    for (cursor, want) in [(Some(5), 5), (Some(9), 9), (Some(7), 9), (None, 9)] {
        let commit = Commit {
            cursor,
            keys_from: Some(3),
            ..Commit::new(s.id, NOW)
        };
        ledger.commit(commit).await.unwrap();
        let now = feed(ledger, "s").await;
        assert_eq!((now.cursor, now.keys_from), (Some(want), Some(3)));
    }
    assert_eq!(ledger.set_cursor(s.id, 4, false).await.unwrap(), Some(3));
    assert_eq!(feed(ledger, "s").await.cursor, Some(4));
}

#[tokio::test]
async fn keys_are_forgotten_by_their_time_and_that_is_remembered() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await;
    put(ledger, &s, (0..10).map(|time| record("x", time)).collect()).await;
    let commit = Commit {
        keys_from: Some(0),
        forget_below: Some(4),
        ..Commit::new(s.id, NOW)
    };
    ledger.commit(commit).await.unwrap();
    let now = feed(ledger, "s").await;
    assert_eq!((now.keys, now.keys_from), (6, Some(4)));
    assert_eq!(
        put(ledger, &s, vec![record("x", 4), record("x", 3)])
            .await
            .fresh,
        1
    );
    // Replay forgets from there on.
    ledger.set_cursor(s.id, 8, true).await.unwrap();
    assert_eq!(
        put(ledger, &s, vec![record("x", 7), record("x", 8)])
            .await
            .fresh,
        1
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

fn element(body: &[u8]) -> NewQuarantine {
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

async fn quarantined_in(ledger: &Sqlite, feed: FeedId, from: Time, to: Time) -> usize {
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

async fn windows(ledger: &Sqlite) -> Vec<(Time, Time)> {
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

async fn read_undated(ledger: &Sqlite, feed: FeedId, identity: &str, cursor: Time) -> usize {
    let commit = Commit {
        records: vec![record(identity, Record::UNDATED)],
        ..step(feed, cursor)
    };
    ledger.commit(commit).await.unwrap().fresh
}

/// A step that found nothing, where what was not found for 200 is not needed any more.
fn step(feed: FeedId, cursor: Time) -> Commit {
    Commit {
        cursor: Some(cursor),
        forget_below: Some(cursor - 100),
        forget_undated_below: Some(cursor - 200),
        ..Commit::new(feed, NOW)
    }
}

/// Once, its key was kept for ever.
#[tokio::test]
async fn a_record_without_a_date_is_known_for_as_long_as_it_keeps_coming() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    assert_eq!(read_undated(ledger, s, "x", 1000).await, 1);
    for cursor in (1150..3000).step_by(150) {
        assert_eq!(read_undated(ledger, s, "x", cursor).await, 0, "{cursor}");
    }
    let known = [record("x", Record::UNDATED), record("y", Record::UNDATED)];
    assert_eq!(ledger.find_known(s, &known).await.unwrap(), [true, false]);
    ledger.commit(step(s, 3150)).await.unwrap();
    assert_eq!(feed(ledger, "s").await.keys, 1);
    // While something is to be read again that may be from long ago, it stays.
    assert_eq!(quarantined_in(ledger, s, 0, 1000).await, 1);
    ledger.commit(step(s, 5000)).await.unwrap();
    assert_eq!(feed(ledger, "s").await.keys, 1);
    let held = ledger.list_quarantined(None).await.unwrap()[0].id;
    ledger.drop_quarantined(held).await.unwrap();
    ledger.commit(step(s, 5001)).await.unwrap();
    assert_eq!(feed(ledger, "s").await.keys, 0);
}

/// The part of a window that is read first moves no cursor, which may be far behind after an
/// outage. The key was dropped with the next part, and the record came twice.
#[tokio::test]
async fn a_record_without_a_date_that_a_part_of_a_window_found_is_known_beyond_that_window() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    ledger.commit(step(s, 1000)).await.unwrap();
    let part = Commit {
        records: vec![record("x", Record::UNDATED)],
        read_to: Some(9000),
        ..Commit::new(s, NOW)
    };
    assert_eq!(ledger.commit(part).await.unwrap().fresh, 1);
    assert_eq!(read_undated(ledger, s, "y", 9000).await, 1);
    assert_eq!(read_undated(ledger, s, "x", 9100).await, 0);
}

/// Times of a reading up to `to`, of which the keys below `forget` are dropped.
async fn read_range(
    ledger: &Sqlite,
    feed: FeedId,
    (from, to): (Time, Time),
    forget: Time,
) -> usize {
    let covered = Some(Covered {
        job: String::new(),
        from,
        to,
    });
    let commit = Commit {
        records: (from..to).map(|time| record("x", time)).collect(),
        cursor: Some(to),
        keys_from: Some(from),
        covered,
        forget_below: Some(forget),
        ..Commit::new(feed, NOW)
    };
    ledger.commit(commit).await.unwrap().fresh
}

/// Once, nothing below the keys was asked for, so that moving the cursor back did nothing.
#[tokio::test]
async fn a_cursor_that_is_moved_back_below_the_keys_reads_what_was_not_read_and_nothing_twice() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    // Read: 100..200, skipped: 200..300, read: 300..400. Keys from 390 on.
    assert_eq!(read_range(ledger, s, (100, 200), 190).await, 100);
    ledger.set_cursor(s, 300, false).await.unwrap();
    assert_eq!(read_range(ledger, s, (300, 400), 390).await, 100);
    assert_eq!(ledger.set_cursor(s, 50, false).await, Ok(Some(50)));
    let opened = opened.reopen();
    let ledger = &opened.ledger;
    assert_eq!(feed(ledger, "s").await.cursor, Some(50));
    let known = ledger
        .find_known(
            s,
            &[99, 100, 199, 200, 300, 395, 400].map(|time| record("x", time)),
        )
        .await
        .unwrap();
    assert_eq!(known, [false, true, true, false, true, true, false]);
    // In steps, with overlaps and forgetting.
    let mut fresh = 0;
    for from in (50..450).step_by(10) {
        fresh += read_range(ledger, s, (from - 5, from + 10), from - 20).await;
    }
    assert_eq!(fresh, 5 + 50 + 100 + 50);
    // With replay all of it comes.
    ledger.set_cursor(s, 100, true).await.unwrap();
    assert_eq!(read_range(ledger, s, (100, 400), 0).await, 300);
}

#[tokio::test]
async fn what_was_read_before_the_cursor_was_moved_is_not_written_down() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    let read_under = ledger.feed_progress(s).await.unwrap().generation;
    let commit = |generation, time| Commit {
        generation: Some(generation),
        records: vec![record("x", time)],
        cursor: Some(time + 1),
        ..Commit::new(s, NOW)
    };
    assert_eq!(
        ledger.commit(commit(read_under, 100)).await.unwrap().fresh,
        1
    );
    ledger.set_cursor(s, 50, false).await.unwrap();
    let moved = ledger.commit(commit(read_under, 200)).await;
    assert_eq!(moved, Err(Error::Moved));
    let opened = opened.reopen();
    let ledger = &opened.ledger;
    let progress = ledger.feed_progress(s).await.unwrap();
    assert_eq!(progress.cursor, Some(50), "it was moved on again");
    assert_eq!(
        ledger.commit(commit(read_under, 200)).await,
        Err(Error::Moved)
    );
    let done = ledger
        .commit(commit(progress.generation, 200))
        .await
        .unwrap();
    assert_eq!(done.fresh, 1, "it was kept");
}

/// Once, what was known by the range that it was in had no key, and came again when the
/// cursor was moved back once more over a window of which something was in quarantine.
#[tokio::test]
async fn a_cursor_that_is_moved_back_again_over_what_is_in_quarantine_repeats_nothing() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    // Keys from 190 on.
    assert_eq!(read_range(ledger, s, (100, 200), 190).await, 100);
    ledger.set_cursor(s, 100, false).await.unwrap();
    assert_eq!(read_range(ledger, s, (100, 200), 90).await, 0);
    assert_eq!(quarantined_in(ledger, s, 100, 199).await, 1);
    assert_eq!(read_range(ledger, s, (199, 200), 195).await, 0);
    ledger.set_cursor(s, 100, false).await.unwrap();
    assert_eq!(read_range(ledger, s, (100, 200), 90).await, 0);
}

/// Once, it was put into quarantine without the keys of what was read there before, which came
/// again when the cursor was moved back once more.
#[tokio::test]
async fn what_cannot_be_read_where_all_was_read_before_is_not_put_into_quarantine() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    assert_eq!(read_range(ledger, s, (100, 200), 190).await, 100);
    ledger.set_cursor(s, 100, false).await.unwrap();
    assert_eq!(quarantined_in(ledger, s, 120, 130).await, 0);
    assert_eq!(quarantined_in(ledger, s, 120, 195).await, 1);
}

/// What could not be read is not among what was read, wherever the cursor is moved.
#[tokio::test]
async fn moving_a_cursor_back_takes_nothing_from_what_is_in_quarantine() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").await.id;
    assert_eq!(quarantined_in(ledger, s, 150, 160).await, 1);
    assert_eq!(read_range(ledger, s, (100, 200), 190).await, 100);
    ledger.set_cursor(s, 100, false).await.unwrap();
    let times = [149, 155, 161];
    let mut readable: Vec<_> = times.iter().map(|time| record("x", *time)).collect();
    readable.push(record("came out", 155));
    let commit = Commit {
        records: readable,
        lift: vec![ledger.list_quarantined(None).await.unwrap()[0].id],
        ..Commit::new(s, NOW)
    };
    let done = ledger.commit(commit).await.unwrap();
    assert_eq!((done.fresh, done.duplicates), (1, 3));
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

/// Times come from a service and from people; none of them is too large to reckon with.
#[tokio::test]
async fn times_at_the_bounds_of_what_there_is_are_times_as_any_other() {
    let bounds = [Time::MIN, Time::MIN + 1, -1, 0, Time::MAX - 1, Time::MAX];
    for (from, to) in bounds.iter().flat_map(|from| bounds.map(|to| (*from, to))) {
        let opened = open();
        let ledger = &opened.ledger;
        ledger
            .register_readers(&[reader("a", &["s"])], &[])
            .await
            .unwrap();
        let s = feed(ledger, "s").await.id;
        let commit = Commit {
            records: vec![record("x", from), record("x", to)],
            cursor: Some(to),
            keys_from: Some(from),
            forget_below: Some(from),
            covered: Some(Covered {
                job: "j".to_owned(),
                from,
                to,
            }),
            quarantine: vec![NewQuarantine {
                from,
                to,
                ..element(b"null")
            }],
            rescanned: Some(from),
            ..Commit::new(s, to)
        };
        let want = if from == to { 1 } else { 2 };
        assert_eq!(ledger.commit(commit.clone()).await.unwrap().fresh, want);
        for (to, replay) in [(to, false), (from, false), (from, true)] {
            ledger.set_cursor(s, to, replay).await.unwrap();
            ledger.commit(commit.clone()).await.unwrap();
        }
        ledger.record_failure(s, failure("403")).await.unwrap();
        assert!(!waiting(ledger, "a").await.is_empty());
    }
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
async fn ranges_that_were_read_are_merged_and_a_job_sees_only_its_own() {
    let opened = open();
    let ledger = &opened.ledger;
    let feed = feed(ledger, "s").await.id;
    let cover = async |job: &str, from, to| {
        let job = job.to_owned();
        let covered = Some(Covered { job, from, to });
        let work = Commit {
            covered,
            ..Commit::new(feed, 0)
        };
        ledger.commit(work).await.unwrap();
    };
    for (from, to) in [(10, 20), (40, 50), (30, 35), (20, 30), (60, 60)] {
        cover("", from, to).await;
    }
    cover("again", 12, 14).await;
    assert_eq!(
        ledger.covered_ranges(feed, "").await.unwrap(),
        [(10, 35), (40, 50)]
    );
    assert_eq!(
        ledger.covered_ranges(feed, "again").await.unwrap(),
        [(12, 14)]
    );
    ledger.finish_job(feed, "again").await.unwrap();
    assert_eq!(ledger.covered_ranges(feed, "again").await.unwrap(), []);
    ledger.set_cursor(feed, 32, true).await.unwrap();
    assert_eq!(ledger.covered_ranges(feed, "").await.unwrap(), [(10, 32)]);
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
async fn tenants(ledger: &Sqlite, labels: [&str; 2]) -> Vec<FeedId> {
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

async fn commit_one(ledger: &Sqlite, feed: FeedId, identity: &str) {
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
