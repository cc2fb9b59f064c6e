//! Cursors, and what was read below them.

use super::quarantine::{element, quarantined_in};
use super::support::{NOW, failure, feed, open, put, reader, record, waiting};
use watchbell_ledger::{
    Commit, Covered, Cursors, Error, FeedId, NewQuarantine, Outbox, Quarantine, Record, Sqlite,
    Time,
};

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

pub(crate) async fn read_undated(
    ledger: &Sqlite,
    feed: FeedId,
    identity: &str,
    cursor: Time,
) -> usize {
    let commit = Commit {
        records: vec![record(identity, Record::UNDATED)],
        ..step(feed, cursor)
    };
    ledger.commit(commit).await.unwrap().fresh
}

/// A step that found nothing, where what was not found for 200 is not needed any more.
pub(crate) fn step(feed: FeedId, cursor: Time) -> Commit {
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
pub(crate) async fn read_range(
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
