//! One promise each.

use super::support::{NOW, failure, feed, open, put, reader, record, take, take_part, waiting};
use std::sync::Arc;
use watchbell_ledger::{
    Commit, Covered, Error, FeedId, FeedName, Ledger, NewHeld, NewQuarantine, Reader, Sqlite, Time,
    Unread,
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

#[test]
fn what_a_reader_could_not_take_is_kept_once_and_tried_again_goes_to_it_alone() {
    let opened = open();
    let ledger = &opened.ledger;
    let readers = [reader("a", &["s"]), reader("b", &["s"])];
    ledger.register(&readers, &[]).unwrap();
    let s = feed(ledger, "s");
    put(ledger, &s, vec![record("x", 1), record("y", 1)]);
    let bad = NewHeld {
        source: "s".to_owned(),
        tenant: "t".to_owned(),
        reason: "trapped".to_owned(),
        record: b"y@1".to_vec(),
    };
    for want in [1, 0] {
        let held = ledger.hold_back("a", vec![bad.clone()], NOW).unwrap();
        assert_eq!(held, want, "the same is not held twice");
    }
    assert_eq!(take(ledger, "a").len(), take(ledger, "b").len());

    let opened = opened.reopen();
    let ledger = &opened.ledger;
    let held = ledger.quarantined(Some(s.id)).unwrap();
    let reader_of = held[0].reader.as_deref();
    assert_eq!((held[0].kind, reader_of), (Unread::Held, Some("a")));
    assert_eq!(
        (held[0].source.as_str(), held[0].tenant.as_str()),
        ("s", "t")
    );
    assert_eq!(ledger.quarantined_body(held[0].id).unwrap(), b"y@1");
    assert!(ledger.stands(s.id).unwrap().quarantined_bytes > 0);

    assert_eq!(ledger.retry(Some(held[0].id)).unwrap(), 1);
    assert_eq!(ledger.quarantined(None).unwrap(), []);
    assert_eq!(waiting(ledger, "b"), [""; 0], "it has it already");
    assert_eq!(ledger.waiting("a").unwrap(), ["t"]);
    assert_eq!(take(ledger, "a"), ["y@1"]);
    assert_eq!(ledger.backlog("a", None).unwrap().entries, 0);

    // Of a reader that is gone it stays.
    ledger.hold_back("a", vec![bad], NOW).unwrap();
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
    assert_eq!(ledger.stands(feed).unwrap().quarantined, 1);
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
    ledger.enrol(&[(name("1"), one), (name("2"), two)]).unwrap()
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
