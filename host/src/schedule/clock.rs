//! The service's clock, as its Date headers show it.
//!
//! What was processed when is told in the service's time, so that is the time to reckon
//! in: a local clock an hour off would skip an hour, or ask for one that has not been.
//! Between two answers time passes by the machine's monotonic clock, which nobody sets.
//!
//! A Date is cut to whole seconds and made after the request was sent, so what it gives
//! is a lower bound of the service's time when the request was sent, and the greatest
//! of a few of them is the nearest.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::VecDeque;
use std::time::Instant;
use watchbell_egress::Exchange;

/// How many answers are remembered: enough to make up for the cut seconds, few enough to
/// follow a clock that is set.
const REMEMBERED: usize = 16;

/// A service's clock that is further from the local one than that is not believed.
const FURTHEST: TimeDelta = TimeDelta::days(1);

/// What one Date header says: at `at`, the service's time was `time` or a little more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    at: Instant,
    time: DateTime<Utc>,
}

impl Sighting {
    /// What an exchange shows; none when its answer had no Date.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<Self> {
        let date = exchange.date.as_ref()?.to_str().ok()?;
        exchange.answered_at?;
        Some(Self {
            at: exchange.sent_at,
            time: DateTime::parse_from_rfc2822(date).ok()?.to_utc() - waited(exchange)?,
        })
    }

    /// The service's time at `when`, by this sighting alone.
    fn seen_at(&self, when: Instant) -> DateTime<Utc> {
        let passed = |from: Instant, to: Instant| {
            TimeDelta::from_std(to.saturating_duration_since(from)).unwrap_or(TimeDelta::MAX)
        };
        let later = self.time.checked_add_signed(passed(self.at, when));
        later
            .and_then(|time| time.checked_sub_signed(passed(when, self.at)))
            .unwrap_or(self.time)
    }
}

/// How long the answer took, all of which may lie after the Date was made.
fn waited(exchange: &Exchange) -> Option<TimeDelta> {
    TimeDelta::from_std(exchange.answered_at?.duration_since(exchange.sent_at)).ok()
}

/// A service's clock. Without a sighting, the local one.
#[derive(Debug, Clone)]
pub struct Clock {
    /// The local clock, read once and counted on from there, so that it does not jump.
    local: Sighting,
    sightings: VecDeque<Sighting>,
    disbelieved: bool,
}

/// A Date that is too far from the local clock to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the service's Date is {}, more than a day from this machine's {}; it is not used; set the clock that is wrong",
    service.to_rfc3339(), local.to_rfc3339()
)]
pub struct Disbelieved {
    service: DateTime<Utc>,
    local: DateTime<Utc>,
}

impl Clock {
    /// By the local clock until an answer tells better.
    #[must_use]
    pub fn new(at: Instant, local: DateTime<Utc>) -> Self {
        Self {
            local: Sighting { at, time: local },
            sightings: VecDeque::new(),
            disbelieved: false,
        }
    }

    /// By the machine's clock as it is now.
    #[must_use]
    pub fn start() -> Self {
        Self::new(Instant::now(), Utc::now())
    }

    /// Takes note of a Date.
    ///
    /// # Errors
    /// [`Disbelieved`] when it is more than a day from the local clock, which is `local`
    /// now; told once until one is believed again.
    pub fn see(&mut self, sighting: Sighting, local: DateTime<Utc>) -> Result<(), Disbelieved> {
        if (sighting.time - local).abs() > FURTHEST {
            let told = std::mem::replace(&mut self.disbelieved, true);
            return if told {
                Ok(())
            } else {
                Err(Disbelieved {
                    service: sighting.time,
                    local,
                })
            };
        }
        self.disbelieved = false;
        if self.sightings.len() == REMEMBERED {
            self.sightings.pop_front();
        }
        self.sightings.push_back(sighting);
        Ok(())
    }

    /// The service's time at `when`: never more than it really was.
    #[must_use]
    pub fn at(&self, when: Instant) -> DateTime<Utc> {
        let best = self.sightings.iter().map(|seen| seen.seen_at(when)).max();
        best.unwrap_or_else(|| self.local.seen_at(when))
    }

    /// The service's time now.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.at(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn noon() -> DateTime<Utc> {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn after(at: Instant, millis: u64) -> Instant {
        at + Duration::from_millis(millis)
    }

    #[test]
    fn without_a_date_it_is_the_local_clock_and_goes_on_with_the_monotonic_one() {
        let start = Instant::now();
        let clock = Clock::new(start, noon());
        assert_eq!(
            clock.at(after(start, 1500)),
            noon() + TimeDelta::milliseconds(1500)
        );
    }

    #[test]
    fn the_services_date_goes_before_a_local_clock_an_hour_off() {
        let start = Instant::now();
        for hours in [-1, 1] {
            let mut clock = Clock::new(start, noon());
            let time = noon() + TimeDelta::hours(hours);
            clock.see(Sighting { at: start, time }, noon()).unwrap();
            assert_eq!(
                clock.at(after(start, 10)),
                time + TimeDelta::milliseconds(10)
            );
        }
    }

    #[test]
    fn of_dates_that_are_cut_to_seconds_the_greatest_is_nearest() {
        let start = Instant::now();
        let mut clock = Clock::new(start, noon());
        // Really 0.9 s past each second, then 0.1 s past.
        clock
            .see(
                Sighting {
                    at: start,
                    time: noon(),
                },
                noon(),
            )
            .unwrap();
        let at = after(start, 1200);
        clock
            .see(
                Sighting {
                    at,
                    time: noon() + TimeDelta::seconds(2),
                },
                noon(),
            )
            .unwrap();
        assert_eq!(clock.at(at), noon() + TimeDelta::seconds(2));
        assert_eq!(clock.at(start), noon() + TimeDelta::milliseconds(800));
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let start = Instant::now();
        let mut clock = Clock::new(start, noon());
        clock
            .see(
                Sighting {
                    at: start,
                    time: noon() + TimeDelta::hours(2),
                },
                noon(),
            )
            .unwrap();
        for _ in 0..REMEMBERED {
            clock
                .see(
                    Sighting {
                        at: start,
                        time: noon(),
                    },
                    noon(),
                )
                .unwrap();
        }
        assert_eq!(clock.at(start), noon());
    }

    #[test]
    fn a_date_a_day_off_is_said_once_and_not_used() {
        let start = Instant::now();
        let mut clock = Clock::new(start, noon());
        let odd = Sighting {
            at: start,
            time: noon() + TimeDelta::hours(25),
        };
        assert!(
            clock
                .see(odd, noon())
                .unwrap_err()
                .to_string()
                .contains("more than a day")
        );
        assert_eq!(clock.see(odd, noon()), Ok(()));
        assert_eq!(clock.at(start), noon());
        clock
            .see(
                Sighting {
                    at: start,
                    time: noon(),
                },
                noon(),
            )
            .unwrap();
        assert!(
            clock.see(odd, noon()).is_err(),
            "said again once it was right in between"
        );
    }

    /// After a machine was suspended, or set right after its start, a right Date used to
    /// be taken for wrong until a restart.
    #[test]
    fn a_date_is_held_against_the_local_clock_of_now_and_not_of_the_start() {
        let start = Instant::now();
        let mut clock = Clock::new(start, noon());
        let time = noon() + TimeDelta::hours(25);
        clock.see(Sighting { at: start, time }, time).unwrap();
        assert_eq!(clock.at(start), time);
    }
}
