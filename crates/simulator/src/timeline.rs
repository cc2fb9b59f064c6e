//! From an index to an instant and back, without a list of either.
//!
//! Detection `i` lies in the i-th slot of a ruler that begins at `start`; where
//! in its slot is a hash. The instants therefore never go down as the index goes
//! up, and a range of time becomes a range of indices by binary search: some
//! thirty hashes, however many detections there are. Bursts and instants without
//! a fraction keep that order.

use std::ops::Range;

use chrono::{DateTime, Utc};

use crate::config::{Bursts, Config};
use crate::error::Error;
use crate::random::{Share, hash, scale};
use crate::text::{self, SECOND};

/// Fixed point: a slot need not be a whole number of ticks.
const FRACTION_BITS: u32 = 32;
const JITTER: u64 = 1;
const LATE: u64 = 2;
const COARSE: u64 = 3;
/// 9999-12-31, where timestamps end.
const LAST_TICK: i64 = 253_402_214_400 * SECOND;

#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    seed: u64,
    start: i64,
    /// Ticks of one slot, in fixed point.
    slot: i128,
    count: u64,
    bursts: Bursts,
    late: Share,
    late_ticks: u64,
    coarse: Share,
}

impl Timeline {
    /// `now` is what an open start or end is counted from.
    pub(crate) fn new(config: &Config, now: DateTime<Utc>) -> Result<Self, Error> {
        let now = text::ticks(now);
        let start = config.start.map_or(now - 86_400 * SECOND, text::ticks);
        let end = match (config.end, config.total) {
            (Some(end), _) => text::ticks(end),
            (None, Some(_)) => now,
            (None, None) => LAST_TICK,
        };
        if start < 0 || end > LAST_TICK || start >= end {
            return Err(Error::config(
                "start",
                "must lie before end, both between 1970 and 9999",
            ));
        }
        if !(0.0..=1.0).contains(&config.late.rate) {
            return Err(Error::config("late.rate", "must be from 0 to 1"));
        }
        let span = i128::from(end - start) << FRACTION_BITS;
        let (slot, count) = if let Some(total) = config.total {
            (span / i128::from(total.max(1)), total)
        } else {
            let slot = slot_of(config.rate)?;
            (
                slot,
                u64::try_from((span + slot - 1) / slot).unwrap_or(u64::MAX),
            )
        };
        Ok(Self {
            seed: config.seed,
            start,
            slot,
            count,
            bursts: Bursts {
                every: config.bursts.every,
                size: config.bursts.size.min(config.bursts.every),
            },
            late: Share::new(config.late.rate),
            late_ticks: u64::try_from(config.late.by_up_to.as_nanos() / 100)
                .unwrap_or(u64::MAX >> 1),
            coarse: Share::new(1.0 / 16.0),
        })
    }

    pub(crate) fn with_seed(&self, seed: u64) -> Self {
        Self {
            seed,
            ..self.clone()
        }
    }

    /// How many detections there will ever be.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The detection's `LastProcessedTimeUtc` in ticks since 1970.
    pub(crate) fn time(&self, index: u64) -> i64 {
        let burst = index.checked_rem(self.bursts.every).unwrap_or(u64::MAX);
        let index = if burst < self.bursts.size {
            index - burst
        } else {
            index
        };
        let within = (self.slot * i128::from(hash(self.seed, JITTER, index) >> 32)) >> 32;
        let slot_begins = self.slot * i128::from(index);
        let first = self.whole_ticks(slot_begins);
        let at = self.whole_ticks(slot_begins + within);
        // One in sixteen has a short fraction or none, where its slot holds such an instant.
        let coarse = hash(self.seed, COARSE, index);
        if self.coarse.takes(coarse) {
            let unit = if coarse & 1 == 0 {
                SECOND
            } else {
                SECOND / 1000
            };
            let cut = at - at.rem_euclid(unit);
            if cut >= first {
                return cut;
            }
        }
        at
    }

    fn whole_ticks(&self, slots: i128) -> i64 {
        i64::try_from(slots >> FRACTION_BITS)
            .unwrap_or(LAST_TICK)
            .saturating_add(self.start)
    }

    /// When the detection can first be seen, in ticks since 1970: never before
    /// its `LastProcessedTimeUtc`.
    pub(crate) fn visible_at(&self, index: u64) -> i64 {
        let late = hash(self.seed, LATE, index);
        let by = if self.late.takes(late) {
            scale(hash(self.seed, LATE, !index), self.late_ticks)
        } else {
            0
        };
        self.time(index).saturating_add_unsigned(by)
    }

    /// The detections from `since` to `until`, both included.
    pub(crate) fn range(&self, since: i64, until: i64) -> Range<u64> {
        let end = self.first(|time| time > until);
        self.first(|time| time >= since).min(end)..end
    }

    /// The index below which everything is visible at `now`, however late.
    pub(crate) fn settled(&self, now: i64) -> u64 {
        let late = i64::try_from(self.late_ticks).unwrap_or(i64::MAX);
        let settled = now.saturating_sub(late);
        self.first(|time| time > settled)
    }

    /// The first index whose time satisfies `test`, which holds from some
    /// instant on.
    fn first(&self, test: impl Fn(i64) -> bool) -> u64 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if test(self.time(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a rate from 1e-6 to 1e9 gives a slot that an i128 holds"
)]
fn slot_of(per_minute: f64) -> Result<i128, Error> {
    if !(1e-6..=1e9).contains(&per_minute) {
        return Err(Error::config(
            "rate",
            "must be from 0.000001 to 1000000000 a minute",
        ));
    }
    Ok((600_000_000.0 / per_minute * f64::from(1_u32 << 31) * 2.0) as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(config: Config) -> Timeline {
        Timeline::new(&config, "2026-05-01T00:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn times_never_go_down_and_ranges_hold_exactly_what_lies_in_them() {
        for (rate, bursts) in [
            (10.0, Bursts::default()),
            (60_000.0, Bursts { every: 7, size: 7 }),
            (0.5, Bursts { every: 0, size: 9 }),
        ] {
            let line = timeline(Config {
                rate,
                bursts,
                ..Config::default()
            });
            let times: Vec<i64> = (0..3000).map(|index| line.time(index)).collect();
            assert!(times.is_sorted());
            for (low, high) in [(5, 5), (0, 100), (99, 2000), (1234, 1300)] {
                let (since, until) = (times[low], times[high]);
                let want: Vec<u64> = (0_u64..)
                    .zip(&times)
                    .filter(|(_, at)| (since..=until).contains(*at))
                    .map(|(n, _)| n)
                    .collect();
                assert_eq!(line.range(since, until).collect::<Vec<_>>(), want);
            }
        }
    }

    #[test]
    fn bursts_share_one_timestamp_to_the_tick() {
        let line = timeline(Config {
            bursts: Bursts { every: 50, size: 8 },
            ..Config::default()
        });
        assert!((100..108).all(|index| line.time(index) == line.time(100)));
        assert_ne!(line.time(108), line.time(100));
    }

    #[test]
    fn a_total_fills_its_range_and_no_more() {
        let line = timeline(Config {
            total: Some(1000),
            ..Config::default()
        });
        let day = "2026-04-30T00:00:00Z".parse().unwrap();
        assert_eq!(line.count(), 1000);
        assert!(line.time(0) >= text::ticks(day));
        assert!(line.time(999) < text::ticks(day) + 86_400 * SECOND);
        assert!(line.time(500) > text::ticks(day) + 43_000 * SECOND);
    }

    #[test]
    fn some_are_late_by_up_to_what_was_said() {
        let line = timeline(Config::default());
        let lateness: Vec<i64> = (0..10_000)
            .map(|index| line.visible_at(index) - line.time(index))
            .collect();
        let late = lateness.iter().filter(|by| **by > 0).count();
        assert!((100..300).contains(&late), "{late} of 10000");
        assert!(lateness.iter().all(|by| (0..300 * SECOND).contains(by)));
        assert!(lateness.iter().any(|by| *by > 200 * SECOND));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let now = "2026-05-01T00:00:00Z".parse().unwrap();
        for (config, name) in [
            (
                Config {
                    rate: 0.0,
                    ..Config::default()
                },
                "rate",
            ),
            (
                Config {
                    rate: f64::NAN,
                    ..Config::default()
                },
                "rate",
            ),
            (
                Config {
                    start: Some(now),
                    end: Some(now),
                    ..Config::default()
                },
                "start",
            ),
        ] {
            let Err(Error::Config { field, .. }) = Timeline::new(&config, now) else {
                panic!("{name} accepted")
            };
            assert_eq!(field, name);
        }
    }
}
