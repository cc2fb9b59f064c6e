//! What a seed makes: the settings of a source, what its service has to tell in a day, and
//! what goes wrong meanwhile.

use super::world::midnight;
use crate::config::Document;
use crate::sources::{Polling, Rescan, Source};
use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;
use watchbell_settings::{ByteSize, Format, PositiveDuration, TimeBound, WholeSeconds};

/// How long faults last; after that, everything is well for a while.
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long it is well: enough for a rescan and some tries of what is in quarantine.
pub(super) const AFTER: Duration = Duration::from_secs(5 * 3600);

/// One row of a service.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) number: usize,
    /// What its identity is made of: a later version of a row has the same.
    pub(super) identity: usize,
    /// Where the service has it.
    pub(super) at: DateTime<Utc>,
    pub(super) is_dated: bool,
    /// When it is there.
    pub(super) visible: Duration,
    /// What is wrong with it, and until when.
    pub(super) poison: Option<(Poison, Duration)>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poison {
    /// It alone cannot be read.
    Element,
    /// No answer that it is in can be read.
    Garbled,
    /// No answer that it is in comes in time.
    Slow,
    /// No answer that it is in is small enough.
    Large,
}

/// A service for a day.
#[derive(Debug, Clone)]
pub(super) struct Day {
    pub(super) settings: Source,
    pub(super) rows: Vec<Row>,
    /// Bytes of a row.
    pub(super) row_bytes: u64,
    /// Bytes of an answer whose elements are kept when they cannot be read.
    pub(super) head_bytes: u64,
    /// Of a hundred requests, how many fail.
    pub(super) failing: u32,
    /// When nothing is answered, and with what.
    pub(super) outages: Vec<(Duration, Duration, u8)>,
    pub(super) includes_from: bool,
    pub(super) includes_to: bool,
    pub(super) cuts_to_millis: bool,
    pub(super) ignores_from: bool,
    pub(super) ignores_to: bool,
}

fn settings() -> Source {
    let text = r#"
[sources.s]
type = "defender"
endpoint = "http://127.0.0.1:1"
authority = "http://127.0.0.1:1"
tenant_id = "11111111-1111-4111-8111-111111111111"
client_id = "22222222-2222-4222-8222-222222222222"
client_secret = "no secret"
"#;
    let document = Document::parse(text, Format::Toml, Path::new("simulation.toml")).unwrap();
    document.source("s", &|_| None).unwrap()
}

fn seconds<const MIN: u32, const MAX: u32>(seconds: u32) -> WholeSeconds<MIN, MAX> {
    WholeSeconds::new(seconds).unwrap()
}

fn minutes<const MIN: u32, const MAX: u32>(
    rng: &mut Rng,
    range: RangeInclusive<i64>,
) -> WholeSeconds<MIN, MAX> {
    seconds(60 * u32::try_from(rng.i64(range)).unwrap())
}

fn duration(span: TimeDelta) -> PositiveDuration {
    PositiveDuration::new(span).unwrap()
}

impl Day {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut settings = settings();
        let polling = &mut settings.polling;
        polling.scrape_interval = seconds(u32::try_from(rng.u64(10..=30)).unwrap() * 60);
        polling.since = TimeBound::At(midnight());
        polling.overlap = minutes(rng, 2..=60);
        polling.settle = seconds(if rng.bool() {
            0
        } else {
            u32::try_from(rng.i64(1..60)).unwrap()
        });
        polling.max_window = minutes(rng, 5..=360);
        polling.rescan = (rng.u8(..3) == 0).then(|| Rescan {
            every: duration(TimeDelta::minutes(rng.i64(30..=90))),
            back: duration(TimeDelta::hours(8)),
        });
        // Of a service that ignores a bound no narrower window has less to tell, so all that
        // it has must fit.
        let (ignores_from, ignores_to) = (rng.u8(..20) == 0, rng.u8(..10) == 0);
        let is_bounded = !ignores_from && !ignores_to;
        polling.limit =
            (!ignores_from && rng.u8(..3) == 0).then(|| NonZeroU32::new(rng.u32(4..40)).unwrap());
        let row_bytes = match is_bounded {
            true => *rng.choice([500, 2000, 60_000].iter()).unwrap(),
            false => 500,
        };
        let max_response_bytes = if !is_bounded || rng.bool() {
            1 << 30
        } else {
            row_bytes * rng.u64(30..90)
        };
        polling.limits.max_response_bytes = Some(ByteSize(max_response_bytes));
        let outages = (0..rng.usize(..6)).map(|_| {
            let from = Duration::from_secs(rng.u64(..86_400 - 3000));
            (
                from,
                from + Duration::from_secs(rng.u64(10..2400)),
                rng.u8(..6),
            )
        });
        let outages = outages.collect();
        let rows = rows(rng, &settings.polling, is_bounded);
        Self {
            settings,
            rows,
            row_bytes,
            head_bytes: if is_bounded && rng.u8(..4) == 0 {
                row_bytes * 5
            } else {
                u64::MAX
            },
            failing: *rng.choice([0, 3, 15].iter()).unwrap(),
            outages,
            includes_from: rng.bool(),
            includes_to: rng.bool(),
            cuts_to_millis: rng.bool(),
            ignores_from,
            ignores_to,
        }
    }

    /// A day on which all goes well, in windows of ten minutes.
    pub(super) fn quiet(rows: Vec<Row>, max_response_bytes: u64) -> Self {
        let mut settings = settings();
        let polling = &mut settings.polling;
        polling.since = TimeBound::At(midnight());
        polling.scrape_interval = seconds(600);
        polling.overlap = seconds(7200);
        polling.max_window = seconds(600);
        polling.limits.max_response_bytes = Some(ByteSize(max_response_bytes));
        Self {
            settings,
            rows,
            row_bytes: 1000,
            head_bytes: u64::MAX,
            failing: 0,
            outages: Vec::new(),
            includes_from: true,
            includes_to: true,
            cuts_to_millis: false,
            ignores_from: false,
            ignores_to: false,
        }
    }

    /// Whether a row must arrive: it came within the overlap, or a rescan reaches it.
    pub(super) fn must_arrive(&self, row: &Row) -> bool {
        let visible = midnight() + TimeDelta::from_std(row.visible).unwrap();
        let (late, polling) = (visible - row.at, &self.settings.polling);
        // An outage, a process that is down, and a poll that takes long.
        let slack = TimeDelta::hours(4);
        late <= polling.overlap.delta()
            || polling
                .rescan
                .is_some_and(|rescan| late + rescan.every.delta() + slack <= rescan.back.delta())
    }
}

/// A row that is there at once, that long after midnight.
pub(super) fn row(number: usize, at: Duration) -> Row {
    Row {
        number,
        identity: number,
        at: midnight() + TimeDelta::from_std(at).unwrap(),
        is_dated: true,
        visible: at,
        poison: None,
    }
}

fn rows(rng: &mut Rng, polling: &Polling, is_bounded: bool) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    let count = rng.usize(20..400);
    while all.len() < count {
        let mut at = Duration::from_millis(rng.u64(1..86_400_000));
        // Some come in bursts within a millisecond or a few.
        let burst = if rng.u8(..12) == 0 {
            rng.usize(2..12)
        } else {
            1
        };
        for _ in 0..burst {
            let number = all.len();
            at += Duration::from_nanos(*rng.choice([0, 1000, 999_999].iter()).unwrap());
            let time = midnight() + TimeDelta::from_std(at).unwrap();
            let overlap = polling.overlap.delta().num_milliseconds().unsigned_abs();
            let late = match rng.u8(..10) {
                0..6 => rng.u64(..1000),
                6..9 => rng.u64(..=overlap),
                _ => rng.u64(..4 * 3_600_000),
            };
            let until = at + Duration::from_secs(rng.u64(..6 * 3600));
            let poison = match rng.u16(..600) {
                0..12 => Some(Poison::Element),
                12 if is_bounded => Some(Poison::Garbled),
                13 if is_bounded => Some(Poison::Slow),
                14 if is_bounded => Some(Poison::Large),
                _ => None,
            };
            let identity = match rng.u8(..15) {
                0 if number > 0 => all[rng.usize(..number)].identity,
                _ => number,
            };
            let is_other = all
                .iter()
                .all(|row| row.identity != identity || row.at != time);
            let is_dated = rng.u8(..20) != 0 || identity != number;
            all.push(Row {
                number,
                identity: if is_other { identity } else { number },
                at: time,
                is_dated,
                visible: at + Duration::from_millis(late),
                poison: poison.map(|poison| (poison, until.min(DAY))),
            });
        }
    }
    all
}
