//! Power cuts, and disks that fail: what a ledger said it did is there, nothing by halves,
//! and what it shows is on the disk. `WATCHBELL_POWER_CUTS=100000` for a long run, and
//! `WATCHBELL_POWER_SEED` with the seed that a failure names to see it again.

mod disk;
mod medium;

use super::Sqlite;
use crate::{Commit, Cursors, Error, FeedId, FeedName, OpenError, Outbox, Reader, Record, Time};
use disk::{Faults, Forgetful};
use std::path::PathBuf;
use std::sync::LazyLock;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Cuts of the random run, unless the environment says more.
const CUTS: u64 = 2000;

/// Rounds of one folder, and cuts of one round at least.
const ROUNDS: u64 = 20;
const CUTS_OF_ROUND: u64 = 2;

/// What a ledger shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shown {
    cursor: Option<Time>,
    keys: u64,
    waiting: Vec<Vec<u8>>,
    place: Option<Vec<u8>>,
}

/// Waits for a call.
fn wait<T>(call: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap()
    });
    RUNTIME.block_on(call)
}

fn show(ledger: &Sqlite) -> Shown {
    let feed = wait(ledger.find_feed(&name())).unwrap().unwrap();
    let position = wait(ledger.position("sink", None)).unwrap();
    let (mut after, mut waiting) = (position.acknowledged, Vec::new());
    while let Some(entry) = wait(ledger.next_entry("sink", None, after)).unwrap() {
        after = entry.id;
        waiting.extend(entry.records().map(<[u8]>::to_vec));
    }
    Shown {
        cursor: feed.cursor,
        keys: feed.keys,
        waiting,
        place: position.state,
    }
}

fn name() -> FeedName {
    FeedName {
        source: "s".to_owned(),
        tenant: "t".to_owned(),
        api: "siem".to_owned(),
    }
}

/// A ledger on a disk that forgets, and what it should show.
struct Bench {
    disk: Forgetful,
    folder: TempDir,
    ledger: Option<Sqlite>,
    feed: FeedId,
    shown: Shown,
    /// Records that were ever offered.
    count: i64,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Made on a real disk: it is there before any power is cut.
        let ledger = Sqlite::open(folder.path()).unwrap();
        let registered = wait(ledger.register_feeds(&[(name(), "t".to_owned())]));
        let feed = registered.unwrap()[0];
        let reader = Reader {
            name: "sink".to_owned(),
            sources: vec!["s".to_owned()],
        };
        wait(ledger.register_readers(&[reader], &[])).unwrap();
        drop(ledger);
        let mut bench = Self {
            disk: Forgetful::new(seed),
            folder,
            ledger: None,
            feed,
            shown: Shown::default(),
            count: 0,
        };
        bench.open().unwrap();
        bench
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn ledger(&self) -> &Sqlite {
        self.ledger.as_ref().unwrap()
    }

    fn faults(&self, faults: Faults) {
        self.disk.state().faults = faults;
    }

    fn open(&mut self) -> Result<(), OpenError> {
        self.ledger = Some(Sqlite::open_on(&self.disk, &self.path())?);
        Ok(())
    }

    /// The process ends where it stands.
    fn kill(&mut self) {
        self.faults(Faults {
            is_dead: true,
            ..Faults::default()
        });
        self.ledger = None;
        self.faults(Faults::default());
    }

    /// And the power with it.
    fn cut(&mut self) {
        self.kill();
        self.disk.cut().unwrap();
    }

    fn records(&mut self, many: i64, bytes: usize) -> Vec<Record> {
        let first = self.count;
        self.count += many;
        (first..self.count)
            .map(|number| Record {
                identity: number.to_string(),
                time: number,
                bytes: format!("{number:bytes$}").into_bytes(),
            })
            .collect()
    }

    /// Commits these records; what is shown after that, if it is done.
    fn commit(&self, records: Vec<Record>) -> (Result<(), Error>, Shown) {
        let mut after = self.shown.clone();
        after.keys += records.len() as u64;
        after.cursor = records.last().map(|record| record.time).or(after.cursor);
        after
            .waiting
            .extend(records.iter().map(|one| one.bytes.clone()));
        let commit = Commit {
            cursor: after.cursor,
            records,
            ..Commit::new(self.feed, 1)
        };
        (wait(self.ledger().commit(commit)).map(|_| ()), after)
    }

    /// Takes the first entry that waits; likewise.
    fn acknowledge(&self) -> Option<(Result<(), Error>, Shown)> {
        let ledger = self.ledger();
        let at = wait(ledger.position("sink", None)).ok()?.acknowledged;
        let entry = wait(ledger.next_entry("sink", None, at)).ok()??;
        let mut after = self.shown.clone();
        after.waiting.drain(..entry.len);
        let place = format!("{:?}", entry.id).into_bytes();
        after.place = Some(place.clone());
        let done = wait(ledger.acknowledge("sink", None, entry.id, Some(place)));
        Some((done, after))
    }

    /// One thing or another is done.
    fn act(&mut self) -> Option<(Result<(), Error>, Shown)> {
        let kind = self.disk.state().random.u8(..10);
        match kind {
            0..4 => self.acknowledge(),
            4 => {
                let records = self.records(40, 3000);
                Some(self.commit(records))
            }
            _ => {
                let many = self.disk.state().random.i64(0..4);
                let records = self.records(many, 20);
                Some(self.commit(records))
            }
        }
    }
}

fn from_environment(name: &str) -> Option<u64> {
    let set = std::env::var(name).ok()?;
    Some(set.parse().unwrap())
}

/// Work that ends anywhere: by a kill, with the power, in an opening, after syncs that
/// failed. Whoever opens it next sees what was done, with the step under way or without it.
#[test]
fn what_was_told_is_there_after_any_power_cut_and_what_is_seen_is_on_the_disk() {
    let seed = from_environment("WATCHBELL_POWER_SEED").unwrap_or_else(|| fastrand::u64(..));
    let cuts = from_environment("WATCHBELL_POWER_CUTS").unwrap_or(CUTS);
    for folder in 0..cuts.div_ceil(ROUNDS * CUTS_OF_ROUND) {
        let mut bench = Bench::new(seed.wrapping_add(folder));
        for round in 0..ROUNDS {
            let context = format!("seed {seed}, folder {folder}, round {round}");
            one_round(&mut bench, &context);
        }
    }
}

fn one_round(bench: &mut Bench, context: &str) {
    let (dies_in, steps, failing) = {
        let random = &mut bench.disk.state().random;
        (random.u64(..80), random.u8(1..12), random.u8(..4) == 0)
    };
    bench.disk.state().faults.dies_in = Some(dies_in);
    // What was not done may be there all the same, until something is written over it.
    let mut may_be = Vec::new();
    for _ in 0..steps {
        if failing && bench.disk.state().random.u8(..4) == 0 {
            bench.disk.state().faults.failing_syncs = 1;
        }
        let Some((done, after)) = bench.act() else {
            continue;
        };
        if done.is_ok() {
            // What changes nothing writes nothing.
            if after != bench.shown {
                may_be.clear();
            }
            bench.shown = after;
        } else if bench.disk.state().faults.is_dead {
            may_be.push(after);
            break;
        } else {
            assert_eq!(show(bench.ledger()), bench.shown, "{context}: not done");
            may_be.push(after);
        }
    }
    let how = bench.disk.state().random.u8(..4);
    match how {
        0 => bench.kill(),
        1 => {
            // It closes, or dies while it does.
            bench.ledger = None;
            bench.cut();
        }
        _ => bench.cut(),
    }
    // The next start may die, too.
    let dies_in = bench.disk.state().random.u64(..60);
    bench.disk.state().faults.dies_in = Some(dies_in);
    match bench.open() {
        Ok(()) => {}
        Err(OpenError::Damaged { file, reason }) => {
            panic!("{context}: {}: {reason}", file.display())
        }
        Err(_) => {
            bench.cut();
            bench
                .open()
                .unwrap_or_else(|error| panic!("{context}: {error}"));
        }
    }
    let seen = show(bench.ledger());
    let is_possible = seen == bench.shown || may_be.contains(&seen);
    assert!(
        is_possible,
        "{context}: {seen:?} is neither {:?} nor one of {may_be:?}",
        bench.shown
    );
    bench.shown = seen;
    bench.cut();
    bench
        .open()
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(show(bench.ledger()), bench.shown, "{context}: it was seen");
}

/// The operating system shows what a sync did not get to the disk, and calls it clean. Once,
/// a start acted on that, and a power cut took it back: what had been delivered came again.
#[test]
fn what_a_failed_sync_left_is_on_the_disk_once_a_start_has_shown_it() {
    let mut met = 0;
    for seed in 0..40 {
        let mut bench = Bench::new(seed);
        let first = bench.records(3, 20);
        let (done, after) = bench.commit(first);
        done.unwrap();
        bench.shown = after;
        bench.disk.state().faults.failing_syncs = 1;
        let second = bench.records(400, 200);
        let (done, after) = bench.commit(second);
        assert!(matches!(done, Err(Error::Disk(_))), "{done:?}");
        assert_eq!(show(bench.ledger()), bench.shown);
        bench.kill();
        bench.open().unwrap();
        bench.shown = show(bench.ledger());
        met += u32::from(bench.shown == after);
        while let Some((done, after)) = bench.acknowledge() {
            done.unwrap();
            bench.shown = after;
        }
        bench.cut();
        bench.open().unwrap();
        assert_eq!(show(bench.ledger()), bench.shown, "seed {seed}");
    }
    assert!(met > 20, "nothing that was not synced was shown: {met}");
}

/// Why a ledger on a disk with such a fault is not opened; none when it is.
fn opened_with(bench: &mut Bench, faults: Faults) -> Option<OpenError> {
    bench.faults(faults);
    let error = bench.open().err();
    bench.faults(Faults::default());
    bench.ledger = None;
    error
}

/// Once it was called damaged, and to be moved away: all that was delivered had come again.
#[test]
fn a_read_that_fails_for_a_moment_at_a_start_is_no_damage() {
    let mut bench = Bench::new(7);
    for _ in 0..20 {
        let records = bench.records(40, 3000);
        let (done, after) = bench.commit(records);
        done.unwrap();
        bench.shown = after;
    }
    let mut failed = 0;
    for fails_in in (0..).step_by(3) {
        let records = bench.records(1, 20);
        let (done, after) = bench.commit(records);
        done.unwrap();
        bench.shown = after;
        bench.kill();
        bench.faults(Faults {
            read_fails_in: Some(fails_in),
            ..Faults::default()
        });
        let error = bench.open().err();
        let was_met = bench.disk.state().faults.read_fails_in.is_none();
        bench.faults(Faults::default());
        if let Some(error) = error {
            failed += 1;
            let words = error.to_string();
            assert!(
                matches!(error, OpenError::Io { .. }),
                "read {fails_in}: {words}"
            );
            assert!(words.contains("leave the file as it is"), "{words}");
            bench.open().unwrap();
        }
        assert_eq!(show(bench.ledger()), bench.shown);
        if !was_met {
            break;
        }
    }
    assert!(failed > 10, "too few reads: {failed}");
}

#[test]
fn a_disk_that_is_full_or_read_only_at_a_start_is_told_as_that() {
    let mut bench = Bench::new(8);
    let records = bench.records(3, 20);
    let (done, after) = bench.commit(records);
    done.unwrap();
    bench.shown = after;
    bench.kill();
    let full = opened_with(
        &mut bench,
        Faults {
            is_full: true,
            ..Faults::default()
        },
    );
    let words = full.as_ref().unwrap().to_string();
    assert!(matches!(full, Some(OpenError::Full { .. })), "{words}");
    assert!(words.contains("make room"), "{words}");
    let read_only = opened_with(
        &mut bench,
        Faults {
            is_read_only: true,
            ..Faults::default()
        },
    );
    let words = read_only.as_ref().unwrap().to_string();
    assert!(
        matches!(read_only, Some(OpenError::ReadOnly { .. })),
        "{words}"
    );
    bench.open().unwrap();
    assert_eq!(show(bench.ledger()), bench.shown);
}
