//! SIGKILL at any instant: what was served is in the file, each detection once and whole.
//!
//! Half of the kills come at random, half within 5 ms after the file or the ledger grew,
//! since random instants hardly ever meet the gap between writing and acknowledging.
//! Meanwhile the service is late, bursts, misunderstands bounds, refuses, fails, stalls,
//! cuts answers short and ends tokens. Each harness says how many kills met something:
//! one that kills before anything was read proves nothing. `WATCHBELL_KILLS=500` for the
//! long run: that many of `run`, and a quarter more of `backfill`.

mod beside;
mod kills;

use super::support::{Home, source, start};
use kills::{Met, files, kill_often};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;
use watchbell_simulator::{Bounds, Bursts, Config, Late, Running, TENANT_ID};

/// Kills of all runs together, at least.
fn kills() -> usize {
    let set = std::env::var("WATCHBELL_KILLS").ok();
    set.map_or(40, |kills| kills.parse().unwrap())
}

/// A service that does what services do.
fn moody(bounds: Bounds) -> Running {
    start(moods(bounds))
}

fn moods(bounds: Bounds) -> Config {
    let faults = [
        "detections:429:rate=0.05",
        "detections:500:rate=0.05",
        "detections:truncate:rate=0.05",
        "detections:expire-tokens:rate=0.05",
        "detections:drop:rate=0.02",
        "detections:stall:ms=3000:rate=0.02",
        "token:503:rate=0.05",
    ];
    Config {
        rate: 3000.0,
        start: Some(chrono::Utc::now() - chrono::TimeDelta::minutes(2)),
        bursts: Bursts {
            every: 50,
            size: 20,
        },
        late: Late {
            rate: 0.2,
            by_up_to: Duration::from_secs(4),
        },
        bounds,
        faults: faults.map(|fault| fault.parse().unwrap()).to_vec(),
        record: true,
        ..Config::default()
    }
}

fn configuration(running: &Running) -> String {
    format!(
        "data_dir = \"data\"\nmin_free = 1\n{}scrape_interval_secs = 1\noverlap_secs = 8\nmax_window_secs = 5\nsince = \"PT5M\"\ntimeouts.between_bytes_secs = 1\n\
         [sinks.all]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"all.ndjson\"\nrotate.max_size = \"2 MB\"\n",
        source(running)
    )
}

/// Every line is a detection as it was served; how often each stands there.
fn delivered(home: &Home, running: &Running) -> BTreeMap<u64, usize> {
    let catalog = running.catalog(TENANT_ID);
    let all = catalog.range(
        chrono::DateTime::UNIX_EPOCH,
        chrono::DateTime::<chrono::Utc>::MAX_UTC.min(running.now()),
    );
    let known: BTreeMap<String, u64> = catalog
        .detections(all)
        .map(|one| (one.json, one.index))
        .collect();
    let mut times = BTreeMap::new();
    for file in files(home) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "{} ends in the middle",
            file.display()
        );
        for line in text.lines() {
            let index = known
                .get(line)
                .unwrap_or_else(|| panic!("not as served: {line}"));
            *times.entry(*index).or_insert(0) += 1;
        }
    }
    times
}

fn survives(bounds: Bounds, kills: usize) {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let running = moody(bounds);
    let home = Home::with(&configuration(&running));
    let met = kill_often(&home, &["run", "-c", "watchbell.toml"], kills, &mut random);
    complete_and_once(&home, &running, seed, &met);
}

/// Reads what is left: everything that was served or is visible is in the file, once.
fn complete_and_once(home: &Home, running: &Running, seed: u64, met: &Met) {
    running.clear_faults();
    let visible_until = running.now();
    // A Date is cut to seconds, and the answer may be slow: so far behind the last poll
    // may end.
    std::thread::sleep(Duration::from_secs(5));
    let ran = super::support::run(&mut home.watchbell(["run", "-c", "watchbell.toml", "--once"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");

    let times = delivered(home, running);
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "seed {seed}: delivered twice: {twice:?}");
    let got: BTreeSet<u64> = times.into_keys().collect();
    let served: BTreeSet<u64> = running.served().into_iter().collect();
    let never: Vec<_> = served.difference(&got).collect();
    assert!(
        never.is_empty(),
        "seed {seed}: served and lost: {never:?}; {}",
        ran.stderr
    );
    let catalog = running.catalog(TENANT_ID);
    let lost: Vec<_> = catalog
        .range(chrono::DateTime::UNIX_EPOCH, visible_until)
        .filter(|index| catalog.visible_at(*index) < visible_until && !got.contains(index))
        .collect();
    assert!(lost.is_empty(), "seed {seed}: never asked for: {lost:?}");
    println!(
        "{met}, {} detections, 0 lost, 0 twice, {} files",
        got.len(),
        files(home).len()
    );
}

/// The same for `backfill`, which nobody else runs beside, over history that has ended.
fn backfill_survives(kills: usize) {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let end = chrono::Utc::now() - chrono::TimeDelta::minutes(20);
    // More than all the rounds can read.
    let minutes = i64::try_from(kills.max(20)).unwrap();
    let begin = end - chrono::TimeDelta::minutes(minutes);
    let running = start(Config {
        rate: 600.0,
        start: Some(begin),
        end: Some(end),
        late: Late {
            rate: 0.0,
            ..Late::default()
        },
        ..moods(Bounds::default())
    });
    let home =
        Home::with(&configuration(&running).replace("max_window_secs = 5", "max_window_secs = 4"));
    let text = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339();
    let (from, to) = (text(begin), text(end));
    let args = [
        "backfill",
        "-c",
        "watchbell.toml",
        "--source",
        "contoso",
        "--from",
        &from,
        "--to",
        &to,
    ];
    let met = kill_often(&home, &args, kills, &mut random);
    running.clear_faults();
    let ran = super::support::run(&mut home.watchbell(args));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let times = delivered(&home, &running);
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "seed {seed}: delivered twice: {twice:?}");
    let all = running.catalog(TENANT_ID).count();
    assert_eq!(times.len() as u64, all, "seed {seed}: some were lost");
    println!("backfill: {met}, {all} detections, 0 lost, 0 twice");
}

#[test]
fn killed_anywhere_a_backfill_goes_on_where_it_was() {
    backfill_survives(kills().div_ceil(4));
}

#[test]
fn killed_anywhere_everything_served_is_in_the_file_once() {
    survives(Bounds::default(), kills().div_ceil(2));
}

#[test]
fn killed_anywhere_with_bounds_that_exclude() {
    let bounds = Bounds {
        exclusive: true,
        ..Bounds::default()
    };
    survives(bounds, kills().div_ceil(6));
}

#[test]
fn killed_anywhere_with_bounds_cut_to_milliseconds() {
    let bounds = Bounds {
        cut_to_millis: true,
        exclusive: true,
        ..Bounds::default()
    };
    survives(bounds, kills().div_ceil(6));
}

#[test]
fn killed_anywhere_with_an_upper_bound_that_is_ignored() {
    let bounds = Bounds {
        ignore_until: true,
        ..Bounds::default()
    };
    survives(bounds, kills().div_ceil(6));
}
