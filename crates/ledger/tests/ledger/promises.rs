//! One promise each.

use super::support::{NOW, failure, feed, open, put, reader, record, take, take_part, waiting};
use std::sync::Arc;
use watchbell_ledger::{
    Commit, Covered, Error, Failure, FeedId, FeedName, Ledger, NewQuarantine, NewRejected, Reader,
    Record, Sqlite, Time, Unread,
};

#[test]
fn a_known_record_is_dropped_and_the_same_identity_at_another_time_is_not() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let s = feed(ledger, "s");
    let done = put(
        ledger,
        &s,
        vec![record("x", 1), record("y", 1), record("x", 1)],
    );
    assert_eq!((done.fresh, done.duplicates), (2, 1));
    let done = put(
        ledger,
        &s,
        vec![record("y", 1), record("x", 2), record("z", 0)],
    );
    assert_eq!(
        (done.fresh, done.duplicates, done.oldest_fresh),
        (2, 1, Some(0))
    );
    assert_eq!(waiting(ledger, "a"), ["x@1", "y@1", "x@2", "z@0"]);
    let again = Commit {
        records: vec![record("x", 1)],
        again: true,
        ..Commit::new(s.id, NOW)
    };
    assert_eq!(ledger.commit(again).unwrap().duplicates, 1);
    assert_eq!(take(ledger, "a").last().unwrap(), "x@1");
}

#[test]
fn two_tenants_of_one_source_and_two_sources_have_keys_of_their_own() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s", "t"])], &[]).unwrap();
    for source in ["s", "t"] {
        assert_eq!(
            put(ledger, &feed(ledger, source), vec![record("x", 1)]).fresh,
            1
        );
    }
    assert_eq!(waiting(ledger, "a").len(), 2);
}

#[test]
fn an_entry_is_kept_until_all_its_readers_have_it_and_no_longer() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register(&[reader("a", &["s"]), reader("b", &["s", "t"])], &[])
        .unwrap();
    let (s, t) = (feed(ledger, "s"), feed(ledger, "t"));
    put(ledger, &s, vec![record("x", 1)]);
    put(ledger, &t, vec![record("y", 1)]);
    assert_eq!(take(ledger, "a"), ["x@1"]);
    assert_eq!(ledger.backlog("a", None).unwrap().records, 0);
    assert_eq!(
        ledger.backlog("b", None).unwrap().records,
        2,
        "a slow one delays itself alone"
    );
    assert_eq!(take(ledger, "b"), ["x@1", "y@1"]);
    // A new reader finds nothing, because nothing is held any more.
    let three = [
        reader("a", &["s"]),
        reader("b", &["s", "t"]),
        reader("c", &["s", "t"]),
    ];
    ledger.register(&three, &[]).unwrap();
    assert_eq!(ledger.backlog("c", None).unwrap().entries, 0);
}

#[test]
fn a_new_reader_begins_at_the_oldest_entry_that_is_held() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    put(ledger, &feed(ledger, "s"), vec![record("x", 1)]);
    ledger
        .register(&[reader("a", &["s"]), reader("b", &["s"])], &[])
        .unwrap();
    assert_eq!(take(ledger, "a"), ["x@1"]);
    assert_eq!(take(ledger, "b"), ["x@1"]);
}

#[test]
fn a_reader_that_is_gone_with_something_waiting_stops_the_start_until_it_is_given_up() {
    let opened = open();
    let ledger = &opened.ledger;
    let both = [reader("a", &["s"]), reader("b", &["s"])];
    ledger.register(&both, &[]).unwrap();
    put(
        ledger,
        &feed(ledger, "s"),
        vec![record("x", 1), record("y", 1)],
    );
    let Err(Error::ReaderGone { name, backlog }) = ledger.register(&both[..1], &[]) else {
        panic!("a reader was dropped in silence")
    };
    assert_eq!((name.as_str(), backlog.records), ("b", 2));
    ledger.register(&both, &[]).unwrap();
    let forgotten = ledger.register(&both[..1], &["b".to_owned()]).unwrap();
    assert_eq!(
        (forgotten[0].name.as_str(), forgotten[0].backlog.records),
        ("b", 2)
    );
    assert_eq!(take(ledger, "a"), ["x@1", "y@1"]);
    assert_eq!(
        ledger.register(&[], &[]).unwrap(),
        [],
        "one that has all may go"
    );
}

#[test]
fn the_cursor_never_moves_back_by_itself_and_moves_over_quiet_windows() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s");
    for (cursor, want) in [(Some(5), 5), (Some(9), 9), (Some(7), 9), (None, 9)] {
        let commit = Commit {
            cursor,
            keys_from: Some(3),
            ..Commit::new(s.id, NOW)
        };
        ledger.commit(commit).unwrap();
        let now = feed(ledger, "s");
        assert_eq!((now.cursor, now.keys_from), (Some(want), Some(3)));
    }
    assert_eq!(ledger.set_cursor(s.id, 4, false).unwrap(), Some(3));
    assert_eq!(feed(ledger, "s").cursor, Some(4));
}

#[test]
fn keys_are_forgotten_by_their_time_and_that_is_remembered() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s");
    put(ledger, &s, (0..10).map(|time| record("x", time)).collect());
    let commit = Commit {
        keys_from: Some(0),
        forget_below: Some(4),
        ..Commit::new(s.id, NOW)
    };
    ledger.commit(commit).unwrap();
    let now = feed(ledger, "s");
    assert_eq!((now.keys, now.keys_from), (6, Some(4)));
    assert_eq!(
        put(ledger, &s, vec![record("x", 4), record("x", 3)]).fresh,
        1
    );
    // Replay forgets from there on.
    ledger.set_cursor(s.id, 8, true).unwrap();
    assert_eq!(
        put(ledger, &s, vec![record("x", 7), record("x", 8)]).fresh,
        1
    );
}

#[test]
fn what_no_reader_takes_is_known_and_not_held() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s");
    let done = put(ledger, &s, vec![record("x", 1)]);
    assert_eq!((done.fresh, done.entries.len()), (1, 0));
}

#[test]
fn a_large_commit_is_several_entries_in_order_and_no_record_is_split() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let mut records: Vec<_> = (0..3000)
        .map(|time| record(&"x".repeat(3000), time))
        .collect();
    records[0].bytes = vec![b'y'; 9 << 20];
    let done = put(ledger, &feed(ledger, "s"), records.clone());
    assert!(done.entries.len() > 2, "{}", done.entries.len());
    let want: Vec<String> = records
        .into_iter()
        .map(|r| String::from_utf8(r.bytes).unwrap())
        .collect();
    assert_eq!(waiting(ledger, "a"), want);
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

#[test]
fn nothing_is_in_quarantine_twice_and_what_lifts_it_is_the_commit_that_yields_it() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let s = feed(ledger, "s");
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
        assert_eq!(ledger.commit(commit).unwrap().quarantined, want);
    }
    let held = ledger.quarantined(Some(s.id)).unwrap();
    assert_eq!(held.len(), 3);
    assert_eq!(ledger.quarantined_body(held[1].id).unwrap(), b"{worse");
    assert_eq!(held[2].kind, Unread::Gap);
    ledger.tried(&[held[2].id], 77).unwrap();
    let tried = ledger.quarantined(None).unwrap();
    assert_eq!((tried[2].tried_at, tried[2].tries), (Some(77), 1));
    put(ledger, &s, vec![record("known", 1)]);
    let commit = Commit {
        records: vec![record("known", 1), record("late", 1)],
        lift: vec![held[2].id],
        ..Commit::new(s.id, NOW)
    };
    assert_eq!(ledger.commit(commit).unwrap().fresh, 1);
    assert_eq!(feed(ledger, "s").totals.quarantined, 2);
    ledger.drop_quarantined(held[0].id).unwrap();
    assert_eq!(
        ledger.drop_quarantined(held[0].id),
        Err(Error::NoQuarantine(held[0].id.0))
    );
}

fn quarantined_in(ledger: &Sqlite, feed: FeedId, from: Time, to: Time) -> usize {
    let null = NewQuarantine {
        from,
        to,
        ..element(b"null")
    };
    let commit = Commit {
        quarantine: vec![null],
        ..Commit::new(feed, NOW)
    };
    ledger.commit(commit).unwrap().quarantined
}

fn windows(ledger: &Sqlite) -> Vec<(Time, Time)> {
    let all = ledger.quarantined(None).unwrap();
    all.iter().map(|one| (one.from, one.to)).collect()
}

/// Once, the second was dropped as known: trying the entry again asked for the first window
/// alone, and what came later in the second was lost.
#[test]
fn equal_elements_of_two_windows_are_two_in_quarantine() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    for (from, to) in [(0, 1000), (1000, 2000), (5000, 6000), (1998, 3000)] {
        assert_eq!(quarantined_in(ledger, s, from, to), 1, "{from}..{to}");
        assert_eq!(quarantined_in(ledger, s, from, to), 0, "{from}..{to}");
    }
    let first = ledger.quarantined(None).unwrap()[0].id;
    let commit = Commit {
        lift: vec![first],
        ..Commit::new(s, NOW)
    };
    ledger.commit(commit).unwrap();
    assert_eq!(windows(ledger), [(1000, 2000), (5000, 6000), (1998, 3000)]);
}

/// Each poll reads the overlap again, and finds there what it could not read before.
#[test]
fn an_element_that_overlapping_polls_find_is_one_entry_that_stands_for_all_their_windows() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    let (overlap, interval, at) = (900, 60, 5030);
    let mut ends = (5040..).step_by(60);
    let mut last = 0;
    let mut added = 0;
    while let Some(end) = ends.next()
        && end - overlap - interval <= at
    {
        added += quarantined_in(ledger, s, end - overlap - interval, end);
        last = end;
    }
    assert_eq!(added, 1);
    assert_eq!(windows(ledger), [(5040 - overlap - interval, last)]);
    // Others that come all the time do not make it longer for ever.
    for end in ends.take(100) {
        added += quarantined_in(ledger, s, end - overlap - interval, end);
    }
    assert!((3..20).contains(&added), "{added}");
    let longest = windows(ledger).into_iter().map(|(from, to)| to - from);
    assert!(longest.max().unwrap() <= 2 * (overlap + interval));
}

/// Once, the short windows that follow a long one made a second entry of its element.
#[test]
fn an_element_of_a_long_first_window_is_the_same_in_the_short_ones_that_follow() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    assert_eq!(quarantined_in(ledger, s, 0, 3600), 1);
    for end in (3601..4200).step_by(60) {
        assert_eq!(quarantined_in(ledger, s, end - 600, end), 0, "{end}");
    }
    assert_eq!(windows(ledger), [(0, 4141)]);
    // It cannot be the same where windows do not reach back to it any more.
    assert_eq!(quarantined_in(ledger, s, 3800, 4400), 1);
}

fn read_undated(ledger: &Sqlite, feed: FeedId, identity: &str, cursor: Time) -> usize {
    let commit = Commit {
        records: vec![record(identity, Record::UNDATED)],
        ..step(feed, cursor)
    };
    ledger.commit(commit).unwrap().fresh
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
#[test]
fn a_record_without_a_date_is_known_for_as_long_as_it_keeps_coming() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    assert_eq!(read_undated(ledger, s, "x", 1000), 1);
    for cursor in (1150..3000).step_by(150) {
        assert_eq!(read_undated(ledger, s, "x", cursor), 0, "{cursor}");
    }
    let known = [record("x", Record::UNDATED), record("y", Record::UNDATED)];
    assert_eq!(ledger.known(s, &known).unwrap(), [true, false]);
    ledger.commit(step(s, 3150)).unwrap();
    assert_eq!(feed(ledger, "s").keys, 1);
    // While something is to be read again that may be from long ago, it stays.
    assert_eq!(quarantined_in(ledger, s, 0, 1000), 1);
    ledger.commit(step(s, 5000)).unwrap();
    assert_eq!(feed(ledger, "s").keys, 1);
    let held = ledger.quarantined(None).unwrap()[0].id;
    ledger.drop_quarantined(held).unwrap();
    ledger.commit(step(s, 5001)).unwrap();
    assert_eq!(feed(ledger, "s").keys, 0);
}

/// The part of a window that is read first moves no cursor, which may be far behind after an
/// outage. The key was dropped with the next part, and the record came twice.
#[test]
fn a_record_without_a_date_that_a_part_of_a_window_found_is_known_beyond_that_window() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    ledger.commit(step(s, 1000)).unwrap();
    let part = Commit {
        records: vec![record("x", Record::UNDATED)],
        read_to: Some(9000),
        ..Commit::new(s, NOW)
    };
    assert_eq!(ledger.commit(part).unwrap().fresh, 1);
    assert_eq!(read_undated(ledger, s, "y", 9000), 1);
    assert_eq!(read_undated(ledger, s, "x", 9100), 0);
}

/// Times of a reading up to `to`, of which the keys below `forget` are dropped.
fn read_range(ledger: &Sqlite, feed: FeedId, (from, to): (Time, Time), forget: Time) -> usize {
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
    ledger.commit(commit).unwrap().fresh
}

/// Once, nothing below the keys was asked for, so that moving the cursor back did nothing.
#[test]
fn a_cursor_that_is_moved_back_below_the_keys_reads_what_was_not_read_and_nothing_twice() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    // Read: 100..200, skipped: 200..300, read: 300..400. Keys from 390 on.
    assert_eq!(read_range(ledger, s, (100, 200), 190), 100);
    ledger.set_cursor(s, 300, false).unwrap();
    assert_eq!(read_range(ledger, s, (300, 400), 390), 100);
    assert_eq!(ledger.set_cursor(s, 50, false), Ok(Some(50)));
    let opened = opened.reopen();
    let ledger = &opened.ledger;
    assert_eq!(feed(ledger, "s").cursor, Some(50));
    let known = ledger
        .known(
            s,
            &[99, 100, 199, 200, 300, 395, 400].map(|time| record("x", time)),
        )
        .unwrap();
    assert_eq!(known, [false, true, true, false, true, true, false]);
    // In steps, with overlaps and forgetting.
    let mut fresh = 0;
    for from in (50..450).step_by(10) {
        fresh += read_range(ledger, s, (from - 5, from + 10), from - 20);
    }
    assert_eq!(fresh, 5 + 50 + 100 + 50);
    // With replay all of it comes.
    ledger.set_cursor(s, 100, true).unwrap();
    assert_eq!(read_range(ledger, s, (100, 400), 0), 300);
}

#[test]
fn what_was_read_before_the_cursor_was_moved_is_not_written_down() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    let read_under = ledger.feed_progress(s).unwrap().generation;
    let commit = |generation, time| Commit {
        generation: Some(generation),
        records: vec![record("x", time)],
        cursor: Some(time + 1),
        ..Commit::new(s, NOW)
    };
    assert_eq!(ledger.commit(commit(read_under, 100)).unwrap().fresh, 1);
    ledger.set_cursor(s, 50, false).unwrap();
    let moved = ledger.commit(commit(read_under, 200));
    assert_eq!(moved, Err(Error::Moved));
    let opened = opened.reopen();
    let ledger = &opened.ledger;
    let progress = ledger.feed_progress(s).unwrap();
    assert_eq!(progress.cursor, Some(50), "it was moved on again");
    assert_eq!(ledger.commit(commit(read_under, 200)), Err(Error::Moved));
    let done = ledger.commit(commit(progress.generation, 200)).unwrap();
    assert_eq!(done.fresh, 1, "it was kept");
}

/// Once, what was known by the range that it was in had no key, and came again when the
/// cursor was moved back once more over a window of which something was in quarantine.
#[test]
fn a_cursor_that_is_moved_back_again_over_what_is_in_quarantine_repeats_nothing() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    // Keys from 190 on.
    assert_eq!(read_range(ledger, s, (100, 200), 190), 100);
    ledger.set_cursor(s, 100, false).unwrap();
    assert_eq!(read_range(ledger, s, (100, 200), 90), 0);
    assert_eq!(quarantined_in(ledger, s, 100, 199), 1);
    assert_eq!(read_range(ledger, s, (199, 200), 195), 0);
    ledger.set_cursor(s, 100, false).unwrap();
    assert_eq!(read_range(ledger, s, (100, 200), 90), 0);
}

/// Once, it was put into quarantine without the keys of what was read there before, which came
/// again when the cursor was moved back once more.
#[test]
fn what_cannot_be_read_where_all_was_read_before_is_not_put_into_quarantine() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    assert_eq!(read_range(ledger, s, (100, 200), 190), 100);
    ledger.set_cursor(s, 100, false).unwrap();
    assert_eq!(quarantined_in(ledger, s, 120, 130), 0);
    assert_eq!(quarantined_in(ledger, s, 120, 195), 1);
}

/// What could not be read is not among what was read, wherever the cursor is moved.
#[test]
fn moving_a_cursor_back_takes_nothing_from_what_is_in_quarantine() {
    let opened = open();
    let ledger = &opened.ledger;
    let s = feed(ledger, "s").id;
    assert_eq!(quarantined_in(ledger, s, 150, 160), 1);
    assert_eq!(read_range(ledger, s, (100, 200), 190), 100);
    ledger.set_cursor(s, 100, false).unwrap();
    let times = [149, 155, 161];
    let mut readable: Vec<_> = times.iter().map(|time| record("x", *time)).collect();
    readable.push(record("came out", 155));
    let commit = Commit {
        records: readable,
        lift: vec![ledger.quarantined(None).unwrap()[0].id],
        ..Commit::new(s, NOW)
    };
    let done = ledger.commit(commit).unwrap();
    assert_eq!((done.fresh, done.duplicates), (1, 3));
}

#[test]
fn what_a_feed_waits_for_is_counted_up_to_an_entry_and_until_all_readers_have_it() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger
        .register(&[reader("a", &["s"]), reader("b", &["s", "t"])], &[])
        .unwrap();
    let (s, t) = (feed(ledger, "s"), feed(ledger, "t"));
    assert_eq!(ledger.newest_entry(s.id), Ok(None));
    put(ledger, &s, vec![record("x", 1), record("y", 1)]);
    let newest = ledger.newest_entry(s.id).unwrap().unwrap();
    put(ledger, &t, vec![record("z", 1)]);
    put(ledger, &s, vec![record("z", 1)]);
    assert_eq!(ledger.undelivered(s.id, newest), Ok(2));
    take(ledger, "a");
    assert_eq!(ledger.undelivered(s.id, newest), Ok(2));
    take(ledger, "b");
    assert_eq!(ledger.undelivered(s.id, newest), Ok(0));
    assert_eq!(ledger.newest_entry(s.id), Ok(None));
}

/// Times come from a service and from people; none of them is too large to reckon with.
#[test]
fn times_at_the_bounds_of_what_there_is_are_times_as_any_other() {
    let bounds = [Time::MIN, Time::MIN + 1, -1, 0, Time::MAX - 1, Time::MAX];
    for (from, to) in bounds.iter().flat_map(|from| bounds.map(|to| (*from, to))) {
        let opened = open();
        let ledger = &opened.ledger;
        ledger.register(&[reader("a", &["s"])], &[]).unwrap();
        let s = feed(ledger, "s").id;
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
        assert_eq!(ledger.commit(commit.clone()).unwrap().fresh, want);
        for (to, replay) in [(to, false), (from, false), (from, true)] {
            ledger.set_cursor(s, to, replay).unwrap();
            ledger.commit(commit.clone()).unwrap();
        }
        ledger.failed(s, failure("403")).unwrap();
        assert!(!waiting(ledger, "a").is_empty());
    }
}

#[test]
fn what_a_reader_could_not_take_is_kept_once_and_tried_again_goes_to_it_alone() {
    let opened = open();
    let ledger = &opened.ledger;
    let readers = [reader("a", &["s"]), reader("b", &["s"])];
    ledger.register(&readers, &[]).unwrap();
    let s = feed(ledger, "s");
    put(ledger, &s, vec![record("x", 1), record("y", 1)]);
    let bad = NewRejected {
        source: "s".to_owned(),
        tenant: "t".to_owned(),
        reason: "trapped".to_owned(),
        record: b"y@1".to_vec(),
    };
    for want in [1, 0] {
        let held = ledger.quarantine("a", vec![bad.clone()], NOW).unwrap();
        assert_eq!(held, want, "the same is not held twice");
    }
    assert_eq!(take(ledger, "a").len(), take(ledger, "b").len());

    let opened = opened.reopen();
    let ledger = &opened.ledger;
    let held = ledger.quarantined(Some(s.id)).unwrap();
    let reader_of = held[0].reader.as_deref();
    assert_eq!((held[0].kind, reader_of), (Unread::Rejected, Some("a")));
    assert_eq!(
        (held[0].source.as_str(), held[0].tenant.as_str()),
        ("s", "t")
    );
    assert_eq!(ledger.quarantined_body(held[0].id).unwrap(), b"y@1");
    assert!(ledger.feed_progress(s.id).unwrap().quarantined_bytes > 0);

    assert_eq!(ledger.retry(Some(held[0].id)).unwrap(), 1);
    assert_eq!(ledger.quarantined(None).unwrap(), []);
    assert_eq!(waiting(ledger, "b"), [""; 0], "it has it already");
    assert_eq!(ledger.waiting("a").unwrap(), ["t"]);
    assert_eq!(take(ledger, "a"), ["y@1"]);
    assert_eq!(ledger.backlog("a", None).unwrap().entries, 0);

    // Of a reader that is gone it stays.
    ledger.quarantine("a", vec![bad], NOW).unwrap();
    ledger.register(&readers[1..], &[]).unwrap();
    assert_eq!(ledger.retry(None).unwrap(), 0);
    let id = ledger.quarantined(None).unwrap()[0].id;
    assert_eq!(ledger.retry(Some(id)), Err(Error::NoReader("a".to_owned())));
    ledger.forget_feed(s.id).unwrap();
    assert_eq!(ledger.quarantined(None).unwrap(), []);
}

#[test]
fn a_position_keeps_what_its_reader_wants_to_remember_over_a_restart() {
    let opened = open();
    opened.ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let done = put(
        &opened.ledger,
        &feed(&opened.ledger, "s"),
        vec![record("x", 1)],
    );
    let state = Some(b"inode 7".to_vec());
    opened
        .ledger
        .acknowledge("a", None, done.entries[0], state.clone())
        .unwrap();
    opened
        .ledger
        .acknowledge("a", None, done.entries[0], None)
        .unwrap();
    let opened = opened.reopen();
    let position = opened.ledger.position("a", None).unwrap();
    assert_eq!(
        (position.acknowledged, position.state),
        (done.entries[0], state)
    );
    assert_eq!(
        opened.ledger.position("b", None),
        Err(Error::NoReader("b".to_owned()))
    );
}

#[test]
fn commits_from_many_threads_all_stand() {
    let opened = open();
    let ledger = Arc::new(opened.ledger);
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let s = feed(&ledger, "s");
    std::thread::scope(|scope| {
        for thread in 0..32 {
            let (ledger, s) = (Arc::clone(&ledger), s.clone());
            scope.spawn(move || {
                for time in 0..20 {
                    let done = put(
                        &ledger,
                        &s,
                        vec![record(&format!("{thread}"), time), record("all", time)],
                    );
                    assert!(done.fresh >= 1);
                }
            });
        }
    });
    let mut all = take(&ledger, "a");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 32 * 20 + 20);
    assert_eq!(feed(&ledger, "s").totals.fresh, 32 * 20 + 20);
}

#[test]
fn what_went_wrong_is_remembered_until_it_goes_well() {
    let opened = open();
    let s = feed(&opened.ledger, "s");
    opened.ledger.failed(s.id, failure("403")).unwrap();
    assert_eq!(feed(&opened.ledger, "s").last_error, Some(failure("403")));
    put(&opened.ledger, &s, vec![]);
    let now = feed(&opened.ledger, "s");
    assert_eq!((now.last_error, now.last_success), (None, Some(NOW)));
}

#[test]
fn ranges_that_were_read_are_merged_and_a_job_sees_only_its_own() {
    let opened = open();
    let ledger = &opened.ledger;
    let feed = feed(ledger, "s").id;
    let cover = |job: &str, from, to| {
        let job = job.to_owned();
        let covered = Some(Covered { job, from, to });
        let work = Commit {
            covered,
            ..Commit::new(feed, 0)
        };
        ledger.commit(work).unwrap();
    };
    for (from, to) in [(10, 20), (40, 50), (30, 35), (20, 30), (60, 60)] {
        cover("", from, to);
    }
    cover("again", 12, 14);
    assert_eq!(ledger.covered(feed, "").unwrap(), [(10, 35), (40, 50)]);
    assert_eq!(ledger.covered(feed, "again").unwrap(), [(12, 14)]);
    ledger.uncover(feed, "again").unwrap();
    assert_eq!(ledger.covered(feed, "again").unwrap(), []);
    ledger.set_cursor(feed, 32, true).unwrap();
    assert_eq!(ledger.covered(feed, "").unwrap(), [(10, 32)]);
}

#[test]
fn keys_of_a_quarantined_range_are_kept_so_that_its_retry_repeats_nothing() {
    let opened = open();
    let ledger = &opened.ledger;
    let feed = feed(ledger, "s").id;
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
        .unwrap();
    ledger
        .commit(Commit {
            forget_below: Some(100),
            ..Commit::new(feed, 0)
        })
        .unwrap();
    let again = ledger
        .commit(Commit {
            records: records(&[5, 15, 25]),
            ..Commit::new(feed, 0)
        })
        .unwrap();
    assert_eq!((again.fresh, again.duplicates), (2, 1));
    assert_eq!(ledger.feed_progress(feed).unwrap().quarantined, 1);
}

#[test]
fn a_source_that_a_reader_takes_no_more_stops_the_start_while_something_of_it_waits() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s", "t"])], &[]).unwrap();
    put(ledger, &feed(ledger, "s"), vec![record("x", 1)]);
    let refused = ledger.register(&[reader("a", &["t"])], &[]).unwrap_err();
    assert!(matches!(&refused, Error::SourceGone { origin, records: 1, .. } if origin == "s"));
    assert_eq!(waiting(ledger, "a"), ["x@1"]);
    ledger
        .register(&[reader("a", &["t"])], &["a".to_owned()])
        .unwrap();
    assert_eq!(waiting(ledger, "a"), [] as [&str; 0]);
}

/// Two tenants of one source, each called something.
fn tenants(ledger: &Sqlite, labels: [&str; 2]) -> Vec<FeedId> {
    let name = |tenant: &str| FeedName {
        source: "s".to_owned(),
        tenant: tenant.to_owned(),
        api: "siem".to_owned(),
    };
    let [one, two] = labels.map(str::to_owned);
    ledger
        .register_feeds(&[(name("1"), one), (name("2"), two)])
        .unwrap()
}

fn commit_one(ledger: &Sqlite, feed: FeedId, identity: &str) {
    let records = vec![record(identity, 1)];
    let commit = Commit {
        records,
        ..Commit::new(feed, NOW)
    };
    ledger.commit(commit).unwrap();
}

#[test]
fn a_parted_reader_gets_on_with_one_tenant_while_another_waits() {
    let opened = open();
    let ledger = &opened.ledger;
    let parted = Reader {
        ..reader("a", &["s"])
    };
    ledger
        .register(&[parted, reader("b", &["s"])], &[])
        .unwrap();
    let ids = tenants(ledger, ["one", "two"]);
    commit_one(ledger, ids[0], "x");
    commit_one(ledger, ids[1], "y");
    commit_one(ledger, ids[1], "z");
    assert_eq!(ledger.waiting("a").unwrap(), ["one", "two"]);
    assert_eq!(take_part(ledger, "two"), ["y@1", "z@1"]);
    assert_eq!(ledger.waiting("a").unwrap(), ["one"]);
    assert_eq!(ledger.backlog("a", None).unwrap().records, 1);
    assert_eq!(ledger.backlog("a", Some("two")).unwrap().records, 0);
    let state = ledger.position("a", Some("two")).unwrap().state;
    assert_eq!(state.as_deref(), Some(b"two".as_slice()));
    assert_eq!(ledger.position("a", Some("one")).unwrap().state, None);
    // The other reader has all of it, in order.
    assert_eq!(take(ledger, "b"), ["x@1", "y@1", "z@1"]);
    // What a part has taken stays taken when the reader takes all in one row.
    ledger
        .register(&[reader("a", &["s"]), reader("b", &["s"])], &[])
        .unwrap();
    assert_eq!(take(ledger, "a"), ["x@1"]);
    let opened = opened.reopen();
    assert_eq!(opened.ledger.backlog("a", None).unwrap().entries, 0);
}

#[test]
fn a_parted_reader_has_as_a_whole_what_its_parts_have_taken_without_a_gap() {
    let opened = open();
    let ledger = &opened.ledger;
    let readers = [reader("a", &["s"]), reader("b", &["s"])];
    ledger.register(&readers, &[]).unwrap();
    let ids = tenants(ledger, ["one", "two"]);
    commit_one(ledger, ids[0], "x");
    commit_one(ledger, ids[1], "y");
    commit_one(ledger, ids[0], "z");
    let whole = || ledger.position("a", None).unwrap().acknowledged;
    let nothing = whole();
    take_part(ledger, "two");
    assert_eq!(whole(), nothing, "the first still waits");
    take_part(ledger, "one");
    let last = ledger.position("a", Some("one")).unwrap().acknowledged;
    assert_eq!(whole(), last);
    commit_one(ledger, ids[1], "v");
    assert_eq!(ledger.waiting("a").unwrap(), ["two"]);
    assert_eq!(take_part(ledger, "two"), ["v@1"]);
    assert_eq!(take(ledger, "b"), ["x@1", "y@1", "z@1", "v@1"]);
}

#[test]
fn a_tenant_that_is_called_otherwise_keeps_its_cursor_and_one_that_is_forgotten_does_not() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let ids = tenants(ledger, ["one", "two"]);
    commit_one(ledger, ids[0], "x");
    assert_eq!(tenants(ledger, ["uno", "two"]), ids);
    let feeds = ledger.feeds().unwrap();
    assert_eq!((feeds[0].label.as_str(), feeds[0].keys), ("uno", 1));
    commit_one(ledger, ids[0], "y");
    commit_one(ledger, ids[1], "z");
    assert_eq!(ledger.waiting("a").unwrap(), ["one", "uno", "two"]);
    assert_eq!(ledger.forget_feed(ids[1]).unwrap(), 1);
    assert_eq!(take(ledger, "a"), ["x@1", "y@1"]);
    assert_eq!(ledger.feeds().unwrap().len(), 1);
    assert!(ledger.forget_feed(ids[1]).is_err());
}

#[test]
fn what_goes_wrong_with_a_reader_is_kept_from_its_beginning_until_it_goes_well() {
    let opened = open();
    let ledger = &opened.ledger;
    ledger.register(&[reader("a", &["s"])], &[]).unwrap();
    let of = |at, words: &str| {
        Some(Failure {
            at,
            ..failure(words)
        })
    };
    ledger.reader_failed("a", None, of(5, "no folder")).unwrap();
    ledger.reader_failed("a", None, of(9, "full")).unwrap();
    ledger.reader_failed("a", Some("t"), of(7, "x")).unwrap();
    ledger.reader_failed("nobody", None, of(7, "x")).unwrap();
    let opened = opened.reopen();
    let failures = opened.ledger.reader_failures().unwrap();
    let facts: Vec<_> = failures
        .iter()
        .map(|one| {
            let part = one.part.as_deref();
            (
                one.reader.as_str(),
                part,
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
    opened.ledger.reader_failed("a", None, None).unwrap();
    assert_eq!(opened.ledger.reader_failures().unwrap().len(), 1);
    opened.ledger.register(&[reader("b", &["s"])], &[]).unwrap();
    assert_eq!(opened.ledger.reader_failures(), Ok(Vec::new()));
}
