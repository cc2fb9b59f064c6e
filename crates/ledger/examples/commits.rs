//! How long a commit takes while many polls a second are written down.
//!
//! `cargo run --release -p watchbell-ledger --example commits -- [POLLS_A_SECOND] [SECONDS]`
//!
//! Each poll looks where its source stands, then commits 20 records of 1.9 KB that are new
//! and 200 that are known, since it reads its overlap again; the commit moves the cursor,
//! adds the range that was read and forgets old keys. Beside them a reader takes and
//! acknowledges what it finds, as a sink does. A commit's time counts from when it was due,
//! so falling behind shows: whether it keeps up is judged by the last tenth, in which most
//! must be done before their source's next is due.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use watchbell_ledger::{
    Commit, Covered, Cursors, EntryId, FeedId, FeedName, Outbox, Reader, Record, Sqlite,
};

/// Sources that are polled in turn, each by a task of its own.
const SOURCES: u64 = 32;
const RECORDS: u64 = 20;
/// How many polls of a source the overlap goes back.
const OVERLAP: u64 = 10;
const BYTES: usize = 1900;
const SECOND: i64 = 1_000_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut number = |usual: u64| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (rate, seconds) = (number(167)?, number(30)?);
    let folder = env::current_dir()?.join(format!("commits-{}", std::process::id()));
    let outcome = measure(Arc::new(Sqlite::open(&folder)?), rate, seconds).await;
    std::fs::remove_dir_all(&folder)?;
    let (done, took) = outcome?;
    let every = Duration::from_secs_f64(SOURCES as f64 / rate as f64);
    let keeps_up = keeps_up(&done, rate * seconds, every);
    let mut waits: Vec<Duration> = done.into_iter().map(|(_, wait)| wait).collect();
    waits.sort_unstable();
    let at = |percent: usize| {
        waits
            .get((waits.len() * percent / 100).min(waits.len() - 1))
            .copied()
            .unwrap_or_default()
    };
    writeln!(
        io::stdout(),
        "{} commits in {:.1} s ({:.0}/s of {rate}/s): p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms; {}",
        waits.len(),
        took.as_secs_f64(),
        waits.len() as f64 / took.as_secs_f64(),
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3,
        at(100).as_secs_f64() * 1e3,
        if keeps_up { "keeps up" } else { "FALLS BEHIND" },
    )?;
    Ok(())
}

/// A commit's number, and how long it took from when it was due.
type Done = (u64, Duration);

/// Whether of the last tenth of `count` commits most were done within `every`.
fn keeps_up(done: &[Done], count: u64, every: Duration) -> bool {
    let last = done.iter().filter(|(turn, _)| *turn >= count - count / 10);
    let (in_time, late): (Vec<&Done>, Vec<&Done>) = last.partition(|(_, wait)| *wait <= every);
    in_time.len() > late.len()
}

async fn measure(
    ledger: Arc<Sqlite>,
    rate: u64,
    seconds: u64,
) -> Result<(Vec<Done>, Duration), Box<dyn Error>> {
    let sources: Vec<String> = (0..SOURCES).map(|number| format!("s{number}")).collect();
    let reader = Reader {
        name: "sink".to_owned(),
        sources: sources.clone(),
    };
    ledger.register_readers(&[reader], &[]).await?;
    let done = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let sink = tokio::spawn(take(Arc::clone(&ledger), Arc::clone(&done)));
    let mut polls = JoinSet::new();
    for (source, number) in sources.into_iter().zip(0..) {
        polls.spawn(poll(
            Arc::clone(&ledger),
            source,
            number,
            start,
            rate,
            seconds,
        ));
    }
    let mut waits = Vec::new();
    while let Some(poll) = polls.join_next().await {
        waits.extend(poll??);
    }
    done.store(true, Ordering::Relaxed);
    sink.await??;
    Ok((waits, start.elapsed()))
}

/// One source's commits, each at its time; how long each took from when it was due.
async fn poll(
    ledger: Arc<Sqlite>,
    source: String,
    number: u64,
    start: Instant,
    rate: u64,
    seconds: u64,
) -> Result<Vec<Done>, watchbell_ledger::Error> {
    let name = FeedName {
        source,
        tenant: "t".to_owned(),
        api: "siem".to_owned(),
    };
    let registered = ledger.register_feeds(&[(name, "t".to_owned())]).await?;
    let Some(feed) = registered.first().copied() else {
        return Ok(Vec::new());
    };
    let mut done = Vec::new();
    for turn in (number..rate * seconds).step_by(usize::try_from(SOURCES).unwrap_or(1)) {
        let due = start + Duration::from_secs_f64(turn as f64 / rate as f64);
        let work = work(feed, turn);
        tokio::time::sleep_until(due.into()).await;
        // Before it asks, and before it writes down.
        ledger.feed_progress(feed).await?;
        ledger.feed_progress(feed).await?;
        ledger.commit(work).await?;
        done.push((turn, due.elapsed()));
    }
    Ok(done)
}

/// What the poll brings: its own records, behind those of the polls before it.
fn work(feed: FeedId, turn: u64) -> Commit {
    let time = |turn: u64| i64::try_from(turn).unwrap_or(0) * SECOND;
    let turns = (0..=OVERLAP)
        .rev()
        .filter_map(|back| turn.checked_sub(back * SOURCES));
    let records = turns.flat_map(|of| {
        (0..RECORDS).map(move |one| Record {
            identity: format!("{of}-{one}"),
            time: time(of),
            // What is known goes nowhere, so what it says does not matter.
            bytes: if of == turn {
                text(turn * RECORDS + one)
            } else {
                vec![b' '; BYTES]
            },
        })
    });
    let overlap = time(OVERLAP * SOURCES);
    let now = time(turn);
    Commit {
        records: records.collect(),
        cursor: Some(now),
        keys_from: Some(0),
        covered: Some(Covered {
            job: String::new(),
            from: now - overlap,
            to: now,
        }),
        forget_below: Some(now - overlap - SECOND),
        ..Commit::new(feed, now)
    }
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
async fn take(ledger: Arc<Sqlite>, done: Arc<AtomicBool>) -> Result<(), watchbell_ledger::Error> {
    let mut at = EntryId::default();
    loop {
        let mut last = at;
        let mut taken = 0;
        while taken < 8 << 20
            && let Some(entry) = ledger.next_entry("sink", None, last).await?
        {
            taken += entry.records().map(<[u8]>::len).sum::<usize>();
            last = entry.id;
        }
        if last != at {
            ledger.acknowledge("sink", None, last, None).await?;
            at = last;
        } else if done.load(Ordering::Relaxed) {
            return Ok(());
        } else {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
