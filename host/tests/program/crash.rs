//! SIGKILL at any instant: what was served is in the file, each detection once and whole.
//!
//! Half of the kills come at random, half within 5 ms after the file or the ledger grew,
//! since random instants hardly ever meet the gap between writing and acknowledging.
//! Meanwhile the service is late, bursts, misunderstands bounds, refuses, fails, cuts
//! answers short and ends tokens. `WATCHBELL_KILLS=500` for the long run.

use super::support::{Home, Service, source, start, with_tenant};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use watchbell_simulator::{Bounds, Bursts, Config, Late, Running, TENANT_ID};

/// Kills of all runs together.
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
        "data_dir = \"data\"\nmin_free = 1\n{}scrape_interval_secs = 1\noverlap_secs = 8\nmax_window_secs = 30\nsince = \"PT1H\"\n\
         [sinks.all]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"all.ndjson\"\nrotate.max_size = \"2 MB\"\n",
        source(running)
    )
}

/// Runs and kills it that often; returns how many came right after something grew.
fn kill_often(home: &Home, kills: usize, random: &mut fastrand::Rng) {
    for round in 0..kills {
        let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
        let service = Service::start(command.env("WATCHBELL_LOG", "warn"));
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_millis(random.u64(0..1200)));
        } else {
            after_growth(home, random);
        }
        service.kill();
    }
}

/// Returns within 5 ms after the file or the ledger grew, or after a while.
fn after_growth(home: &Home, random: &mut fastrand::Rng) {
    let sizes = || {
        ["all.ndjson", "data/ledger.sqlite", "data/ledger.sqlite-wal"]
            .map(|name| fs::metadata(home.path(name)).map_or(0, |about| about.len()))
    };
    let mut last = sizes();
    let mut wanted = random.u32(1..6);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        let now = sizes();
        if now != last {
            last = now;
            wanted -= 1;
            if wanted == 0 {
                return std::thread::sleep(Duration::from_micros(random.u64(0..5000)));
            }
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// The file and those that were rotated away, oldest first.
fn files(home: &Home) -> Vec<PathBuf> {
    let folder = fs::read_dir(home.path("")).unwrap();
    let mut files: Vec<PathBuf> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("all.ndjson")
        })
        .collect();
    files.sort();
    files
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
        .map(|one| (with_tenant(&one.json), one.index))
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
    kill_often(&home, kills, &mut random);
    running.clear_faults();
    let visible_until = running.now();
    // A Date is cut to seconds, so that is how far behind the last poll may end.
    std::thread::sleep(Duration::from_millis(1500));
    let ran = super::support::run(&mut home.watchbell(["run", "-c", "watchbell.toml", "--once"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");

    let times = delivered(&home, &running);
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
        "{kills} kills, {} detections, 0 lost, 0 twice, {} files",
        got.len(),
        files(&home).len()
    );
}

/// The same for `backfill`, which nobody else runs beside, over history that has ended.
fn backfill_survives(kills: usize) {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let now = chrono::Utc::now();
    let running = start(Config {
        rate: 600.0,
        start: Some(now - chrono::TimeDelta::minutes(40)),
        end: Some(now - chrono::TimeDelta::minutes(20)),
        late: Late {
            rate: 0.0,
            ..Late::default()
        },
        ..moods(Bounds::default())
    });
    let home =
        Home::with(&configuration(&running).replace("max_window_secs = 30", "max_window_secs = 4"));
    let args = [
        "backfill",
        "-c",
        "watchbell.toml",
        "--source",
        "contoso",
        "--from",
        "PT1H",
        "--to",
        "PT0S",
    ];
    for round in 0..kills {
        let service = Service::start(home.watchbell(args).env("WATCHBELL_LOG", "warn"));
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_millis(random.u64(50..400)));
        } else {
            after_growth(&home, &mut random);
        }
        service.kill();
    }
    running.clear_faults();
    let ran = super::support::run(&mut home.watchbell(args));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let times = delivered(&home, &running);
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "seed {seed}: delivered twice: {twice:?}");
    let all = running.catalog(TENANT_ID).count();
    assert_eq!(times.len() as u64, all, "seed {seed}: some were lost");
    println!("{kills} kills of backfill, {all} detections, 0 lost, 0 twice");
}

#[test]
fn killed_anywhere_a_backfill_goes_on_where_it_was() {
    backfill_survives(kills() / 4);
}

#[test]
fn killed_anywhere_everything_served_is_in_the_file_once() {
    survives(Bounds::default(), kills() / 2);
}

#[test]
fn killed_anywhere_with_bounds_that_exclude() {
    let bounds = Bounds {
        exclusive: true,
        ..Bounds::default()
    };
    survives(bounds, kills() / 6);
}

#[test]
fn killed_anywhere_with_bounds_cut_to_milliseconds() {
    let bounds = Bounds {
        cut_to_millis: true,
        exclusive: true,
        ..Bounds::default()
    };
    survives(bounds, kills() / 6);
}

#[test]
fn killed_anywhere_with_an_upper_bound_that_is_ignored() {
    let bounds = Bounds {
        ignore_until: true,
        ..Bounds::default()
    };
    survives(bounds, kills() / 6);
}
