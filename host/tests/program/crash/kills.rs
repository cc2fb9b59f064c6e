//! Many kills, and what they met.

use crate::program::support::{Home, Service};
use serde_json::Value;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use watchbell_ledger::{Cursors, Outbox, Sqlite};

/// From so many kills on, some must have met the gap between writing and acknowledging.
const MANY: usize = 80;

/// The file and those that were rotated away, oldest first.
pub(super) fn files(home: &Home) -> Vec<PathBuf> {
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

/// What the ledger and the file hold while nothing runs.
#[derive(Default)]
struct Held {
    /// Detections that were written down, known ones too.
    read: u64,
    /// Bytes in the file and those that were rotated away.
    delivered: u64,
    /// Bytes in the file behind what the ledger knows of: they were written, and not
    /// acknowledged.
    tail: u64,
}

impl Held {
    fn by(home: &Home) -> Self {
        let Ok(ledger) = Sqlite::look(&home.path("data")) else {
            return Self::default();
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let feeds = runtime.block_on(ledger.list_feeds()).unwrap();
        let position = runtime.block_on(ledger.position("all", None));
        let position = position.unwrap_or_default();
        let place: Option<Value> = position
            .state
            .map(|state| serde_json::from_slice(&state).unwrap());
        let sizes: Vec<(u64, u64)> = files(home)
            .iter()
            .map(|path| fs::metadata(path).unwrap())
            .map(|about| (about.ino(), about.len()))
            .collect();
        let written = match &place {
            Some(place) => sizes
                .iter()
                .find(|(inode, _)| place["inode"] == *inode)
                .map_or(0, |(_, length)| *length),
            None => sizes.iter().map(|(_, length)| length).sum(),
        };
        let known = place.map_or(0, |place| place["length"].as_u64().unwrap());
        Self {
            read: feeds
                .iter()
                .map(|feed| feed.totals.fresh + feed.totals.duplicates)
                .sum(),
            delivered: sizes.iter().map(|(_, length)| length).sum(),
            tail: written.saturating_sub(known),
        }
    }
}

/// What kills met.
#[derive(Default)]
pub(super) struct Met {
    kills: usize,
    /// Of those at random, how many came after something was read or delivered.
    random: usize,
    /// And of those that waited for it.
    growth: usize,
    /// How many left something in the file that the ledger does not know of.
    tails: usize,
}

impl Met {
    /// Half of those that waited for something met it.
    fn is_enough(&self) -> bool {
        self.growth * 2 >= self.kills / 2
    }

    /// Enough met something, and of many some met the gap.
    #[track_caller]
    fn check(&self) {
        assert!(self.is_enough(), "too early: {self}");
        if self.kills >= MANY {
            assert!(self.tails > 0, "no gap met: {self}");
        }
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills ({} of the random ones and {} of the others after growth, {} between writing and acknowledging)",
            self.kills, self.random, self.growth, self.tails
        )
    }
}

/// Runs `args` and kills it that often, or more often where too few met anything: on a busy
/// machine a round may be over before anything was read.
pub(super) fn kill_often(
    home: &Home,
    args: &[&str],
    kills: usize,
    random: &mut fastrand::Rng,
) -> Met {
    kill_often_beside(home, args, kills, random, |_| {})
}

/// As [`kill_often`], with something that goes wrong in each round: `mishap` is called
/// before the start, with nothing, and right after it, with what was started.
pub(super) fn kill_often_beside(
    home: &Home,
    args: &[&str],
    kills: usize,
    random: &mut fastrand::Rng,
    mut mishap: impl FnMut(Option<&Service>),
) -> Met {
    mishap(None);
    // Compiles, which takes longer than a round.
    home.run("token", &["--source", "contoso"]);
    let mut met = Met::default();
    for round in 0..4 * kills {
        if round >= kills && met.is_enough() {
            break;
        }
        met.kills += 1;
        let before = Held::by(home);
        mishap(None);
        let mut command = home.watchbell(args);
        let service = Service::start(command.env("WATCHBELL_LOG", "warn"));
        mishap(Some(&service));
        let is_random = round % 2 == 0;
        if is_random {
            std::thread::sleep(Duration::from_millis(random.u64(0..2000)));
        } else {
            after_growth(home, random);
        }
        service.kill();
        let after = Held::by(home);
        let has_grown = after.read > before.read || after.delivered > before.delivered;
        met.random += usize::from(is_random && has_grown);
        met.growth += usize::from(!is_random && has_grown);
        met.tails += usize::from(after.tail > 0);
    }
    met.check();
    met
}

/// Returns within 5 ms after the file or the ledger grew, or after a while. The file goes
/// first, since a ledger grows at each start, before anything is read.
fn after_growth(home: &Home, random: &mut fastrand::Rng) {
    let sizes = || {
        ["all.ndjson", "data/ledger.sqlite", "data/ledger.sqlite-wal"]
            .map(|name| fs::metadata(home.path(name)).map_or(0, |about| about.len()))
    };
    let mut last = sizes();
    let mut is_delivering = false;
    let mut wanted = random.u32(1..6);
    let begun = Instant::now();
    // On a busy machine a start alone may take that long.
    while begun.elapsed() < Duration::from_secs(60) {
        let now = sizes();
        is_delivering |= now[0] != last[0];
        if is_delivering && now != last {
            wanted -= 1;
            if wanted == 0 {
                return std::thread::sleep(Duration::from_micros(random.u64(0..5000)));
            }
        }
        last = now;
        std::thread::sleep(Duration::from_micros(100));
    }
}
