//! How long a commit takes while many polls a second are written down.
//!
//! `cargo run --release -p watchbell-ledger --example commits -- [POLLS_A_SECOND] [SECONDS]`
//!
//! Each poll is a commit of 20 records of 1.9 KB that moves a cursor and forgets old keys;
//! beside them a reader takes and acknowledges what it finds, as a sink does. A commit's
//! time counts from when it was due, so falling behind shows.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use watchbell_ledger::{Commit, EntryId, FeedName, Ledger, Reader, Record, Sqlite};

/// Sources that are polled in turn, each by a thread of its own.
const SOURCES: u64 = 32;
const RECORDS: u64 = 20;
const BYTES: usize = 1900;
const SECOND: i64 = 1_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut number = |usual: u64| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (rate, seconds) = (number(167)?, number(30)?);
    let folder = env::current_dir()?.join(format!("commits-{}", std::process::id()));
    let outcome = measure(&Sqlite::open(&folder)?, rate, seconds);
    std::fs::remove_dir_all(&folder)?;
    let (mut waits, took) = outcome?;
    waits.sort_unstable();
    let at = |percent: usize| {
        waits
            .get((waits.len() * percent / 100).min(waits.len() - 1))
            .copied()
            .unwrap_or_default()
    };
    writeln!(
        io::stdout(),
        "{} commits in {:.1} s ({:.0}/s of {rate}/s): p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        waits.len(),
        took.as_secs_f64(),
        waits.len() as f64 / took.as_secs_f64(),
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3,
        at(100).as_secs_f64() * 1e3,
    )?;
    Ok(())
}

fn measure(
    ledger: &Sqlite,
    rate: u64,
    seconds: u64,
) -> Result<(Vec<Duration>, Duration), Box<dyn Error>> {
    let sources: Vec<String> = (0..SOURCES).map(|number| format!("s{number}")).collect();
    let reader = Reader {
        name: "sink".to_owned(),
        sources: sources.clone(),
    };
    ledger.register(&[reader], &[])?;
    let done = AtomicBool::new(false);
    let start = Instant::now();
    let waits = thread::scope(|scope| {
        let sink = scope.spawn(|| take(ledger, &done));
        let threads: Vec<_> = sources
            .iter()
            .zip(0..)
            .map(|(source, number)| {
                scope.spawn(move || poll(ledger, source, number, start, rate, seconds))
            })
            .collect();
        let mut waits = Vec::new();
        for thread in threads {
            waits.extend(thread.join().map_err(|_| "a thread ended")??);
        }
        done.store(true, Ordering::Relaxed);
        sink.join().map_err(|_| "the sink ended")??;
        Ok::<_, Box<dyn Error>>(waits)
    })?;
    Ok((waits, start.elapsed()))
}

/// One source's commits, each at its time; how long each took from when it was due.
fn poll(
    ledger: &Sqlite,
    source: &str,
    number: u64,
    start: Instant,
    rate: u64,
    seconds: u64,
) -> Result<Vec<Duration>, watchbell_ledger::Error> {
    let name = FeedName {
        source: source.to_owned(),
        tenant: "t".to_owned(),
        api: "siem".to_owned(),
    };
    let feed = ledger.feed(&name)?.id;
    let mut waits = Vec::new();
    for turn in (number..rate * seconds).step_by(usize::try_from(SOURCES).unwrap_or(1)) {
        let due = start + Duration::from_secs_f64(turn as f64 / rate as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = i64::try_from(turn).unwrap_or(0) * SECOND;
        let records = (0..RECORDS).map(|one| Record {
            identity: format!("{turn}-{one}"),
            time: now,
            bytes: text(turn * RECORDS + one),
        });
        let work = Commit {
            records: records.collect(),
            cursor: Some(now),
            keys_from: Some(0),
            forget_below: Some(now - 600 * SECOND),
            ..Commit::new(feed, now)
        };
        ledger.commit(work)?;
        waits.push(due.elapsed());
    }
    Ok(waits)
}

/// Text that compresses about as well as a detection does.
fn text(seed: u64) -> Vec<u8> {
    let words = [
        "AlertTitle",
        "Severity",
        "\":\"",
        "LastProcessedTimeUtc",
        "MachineName",
        "null,",
    ];
    let mut state = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    let mut bytes = Vec::with_capacity(BYTES);
    while bytes.len() < BYTES {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let word = words
            .get(usize::try_from(state >> 61).unwrap_or(0))
            .copied()
            .unwrap_or("Tactic");
        bytes.extend_from_slice(word.as_bytes());
        bytes.extend_from_slice(format!("{:x}", state >> 48).as_bytes());
    }
    bytes
}

/// Takes what there is and acknowledges it, as a sink does.
fn take(ledger: &Sqlite, done: &AtomicBool) -> Result<(), watchbell_ledger::Error> {
    let mut at = EntryId::default();
    loop {
        let mut last = at;
        let mut taken = 0;
        while taken < 8 << 20
            && let Some(entry) = ledger.next("sink", None, last)?
        {
            taken += entry.records().map(<[u8]>::len).sum::<usize>();
            last = entry.id;
        }
        if last != at {
            ledger.acknowledge("sink", None, last, None)?;
            at = last;
        } else if done.load(Ordering::Relaxed) {
            return Ok(());
        } else {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
