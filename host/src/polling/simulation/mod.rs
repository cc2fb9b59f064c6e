//! A day of polling in a moment, and every day is another.
//!
//! A seed makes a source's settings, what its service has to tell in a day, and what goes
//! wrong: requests that fail, rows that nobody can read, a wall clock that is set, and a
//! process that dies at any await and is started again. The scheduler, the feed, the reader
//! and the ledger are the real ones; time and the service are simulated, and the ledger is
//! called in the same thread, so a seed always does the same.
//!
//! When the day is over, everything is well for some hours. Then each row that came in time
//! must have gone to the file once, nothing else may have, and nothing may be left in
//! quarantine.

mod day;
mod life;
mod service;
mod world;

use day::{Day, Poison, row};
use life::Program;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const DAYS: &str = "WATCHBELL_SIMULATED_DAYS";
const SEED: &str = "WATCHBELL_SIMULATED_SEED";

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: must be a number")),
    )
}

#[test]
fn in_any_day_each_row_that_came_in_time_arrives_once_and_nothing_else_does() {
    let seeds = match number(SEED) {
        Some(seed) => seed..seed + 1,
        None => 0..number(DAYS).unwrap_or(2000),
    };
    let next = AtomicU64::new(seeds.start);
    let (failed, lives) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failed.lock().unwrap().len() >= 5 {
                        break;
                    }
                    let day = std::panic::catch_unwind(|| Program::new(seed).run_day());
                    match day.unwrap_or_else(|_| Err("a panic".to_owned())) {
                        Ok(count) => _ = lives.fetch_add(count, Ordering::Relaxed),
                        Err(words) => failed.lock().unwrap().push((seed, words)),
                    }
                }
            });
        }
    });
    let mut told = String::new();
    for (seed, words) in failed.into_inner().unwrap() {
        let _ = writeln!(
            told,
            "{words}\n  {SEED}={seed} cargo test --release --workspace --lib -- polling::simulation"
        );
    }
    assert!(told.is_empty(), "\n{told}");
    println!(
        "{} days, {} processes",
        seeds.end - seeds.start,
        lives.into_inner()
    );
}

/// It used to be asked for whole each time, and stayed in quarantine.
#[test]
fn what_is_in_quarantine_in_a_window_that_grew_too_large_for_one_answer_is_read_by_halves() {
    for poison in [None, Some(Poison::Element)] {
        let mut rows = Vec::new();
        for number in 0..40 {
            let mut row = row(number, Duration::from_secs(3600 + 10 * number as u64));
            match number {
                // One comes out early in the day; the other, in its window, is the last to.
                10 => row.poison = Some((Poison::Element, Duration::from_secs(5 * 3600))),
                30 => row.poison = poison.map(|poison| (poison, Duration::from_secs(20 * 3600))),
                0..10 => {}
                // So late that no poll asks for them any more.
                _ => row.visible += Duration::from_secs(3 * 3600),
            }
            rows.push(row);
        }
        let day = Day::quiet(rows, 20_000);
        assert_eq!(Program::of(1, day, 0).run_day(), Ok(1));
    }
}
