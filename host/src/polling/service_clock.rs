//! The service's clock, as its Date headers show it.
//!
//! What was processed when is told in the service's time, so that is the time to reckon
//! in: a local clock an hour off would skip an hour, or ask for one that has not been.
//! Between two answers time passes by the machine's monotonic clock, which nobody sets.
//!
//! A Date is cut to whole seconds and made after the request was sent, so what it gives
//! is a lower bound of the service's time when the request was sent, and the greatest
//! of a few of them is the nearest. But one of a service's machines may be wrong. So there
//! are two answers: the latest time that it may be, up to which is asked, and the earliest,
//! beyond which nothing counts as read. Where they differ nothing is late and nothing is
//! lost; what lies between them is only asked for again.

use super::clock::Clock;
use crate::sources::ServiceDate;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::VecDeque;
use std::time::Instant;

/// How many answers are remembered: enough to make up for the cut seconds, few enough to
/// follow a clock that is set.
const REMEMBERED: usize = 16;

/// A service's clock that is further from the local one than that is not believed.
const FURTHEST: TimeDelta = TimeDelta::days(1);

/// A service's clock. Without a date, the local one.
#[derive(Debug, Clone)]
pub struct ServiceClock {
    /// The local clock, read once and counted on from there, so that it does not jump.
    local: ServiceDate,
    dates: VecDeque<ServiceDate>,
    disbelieved: bool,
}

/// What time it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceTime {
    /// No later than the service's clock, unless all that is known of it is wrong.
    pub earliest: DateTime<Utc>,
    /// By the answer that shows the latest.
    pub latest: DateTime<Utc>,
}

/// A Date that is too far from the local clock to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the service's Date is {}, more than a day from this machine's {}; it is not used; set the clock that is wrong",
    service.to_rfc3339(), local.to_rfc3339()
)]
pub struct ImplausibleDate {
    service: DateTime<Utc>,
    local: DateTime<Utc>,
}

impl ServiceClock {
    /// By the local clock until an answer tells better.
    #[must_use]
    pub fn new(at: Instant, local: DateTime<Utc>) -> Self {
        Self {
            local: ServiceDate { at, time: local },
            dates: VecDeque::new(),
            disbelieved: false,
        }
    }

    /// By the machine's clock as it is now.
    #[must_use]
    pub fn start(clock: &dyn Clock) -> Self {
        Self::new(clock.monotonic(), clock.wall())
    }

    /// Takes note of a Date.
    ///
    /// # Errors
    /// [`ImplausibleDate`] when it is more than a day from the local clock, which is `local`
    /// now; told once until one is believed again.
    pub fn observe(
        &mut self,
        date: ServiceDate,
        local: DateTime<Utc>,
    ) -> Result<(), ImplausibleDate> {
        if (date.time - local).abs() > FURTHEST {
            let told = std::mem::replace(&mut self.disbelieved, true);
            return if told {
                Ok(())
            } else {
                Err(ImplausibleDate {
                    service: date.time,
                    local,
                })
            };
        }
        self.disbelieved = false;
        if self.dates.len() == REMEMBERED {
            self.dates.pop_front();
        }
        self.dates.push_back(date);
        Ok(())
    }

    /// The latest that the service's time may be at `when`.
    #[must_use]
    pub fn at(&self, when: Instant) -> DateTime<Utc> {
        let best = self.dates.iter().map(|seen| seen.time_at(when)).max();
        best.unwrap_or_else(|| self.local.time_at(when))
    }

    /// What the service's time may be at `when`, which is `local` by the local clock: that
    /// counts as well, as long as few answers speak against it, and unless it is so far behind
    /// that it must be what is wrong.
    #[must_use]
    pub fn between(&self, when: Instant, local: DateTime<Utc>) -> ServiceTime {
        let latest = self.at(when);
        let dates = self.dates.iter().map(|seen| seen.time_at(when));
        let earliest = dates.min().unwrap_or(latest);
        let is_heard = self.dates.len() < REMEMBERED && earliest - local <= FURTHEST;
        let earliest = if is_heard {
            earliest.min(local)
        } else {
            earliest
        };
        ServiceTime { earliest, latest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn noon() -> DateTime<Utc> {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn observe(clock: &mut ServiceClock, at: Instant, time: DateTime<Utc>) {
        clock.observe(ServiceDate { at, time }, noon()).unwrap();
    }

    fn after(at: Instant, millis: u64) -> Instant {
        at + Duration::from_millis(millis)
    }

    #[test]
    fn without_a_date_it_is_the_local_clock_and_goes_on_with_the_monotonic_one() {
        let start = Instant::now();
        let clock = ServiceClock::new(start, noon());
        assert_eq!(
            clock.at(after(start, 1500)),
            noon() + TimeDelta::milliseconds(1500)
        );
    }

    #[test]
    fn the_services_date_goes_before_a_local_clock_an_hour_off() {
        let start = Instant::now();
        for hours in [-1, 1] {
            let mut clock = ServiceClock::new(start, noon());
            let time = noon() + TimeDelta::hours(hours);
            observe(&mut clock, start, time);
            assert_eq!(
                clock.at(after(start, 10)),
                time + TimeDelta::milliseconds(10)
            );
        }
    }

    #[test]
    fn of_dates_that_are_cut_to_seconds_the_greatest_is_nearest() {
        let start = Instant::now();
        let mut clock = ServiceClock::new(start, noon());
        // Really 0.9 s past each second, then 0.1 s past.
        observe(&mut clock, start, noon());
        let at = after(start, 1200);
        observe(&mut clock, at, noon() + TimeDelta::seconds(2));
        assert_eq!(clock.at(at), noon() + TimeDelta::seconds(2));
        assert_eq!(clock.at(start), noon() + TimeDelta::milliseconds(800));
    }

    /// Once, one answer that was an hour ahead took the cursor with it, and what came in that
    /// hour was never asked for.
    #[test]
    fn one_date_ahead_makes_nothing_count_as_read_that_was_not() {
        let start = Instant::now();
        let mut clock = ServiceClock::new(start, noon());
        for hours in [0, 1, 0] {
            observe(&mut clock, start, noon() + TimeDelta::hours(hours));
        }
        let at = after(start, 5000);
        let local = noon() + TimeDelta::seconds(5);
        let time = clock.between(at, local);
        assert_eq!(
            (time.earliest, time.latest),
            (local, local + TimeDelta::hours(1))
        );
        // Where it is the only one, the local clock says no.
        let mut clock = ServiceClock::new(start, noon());
        observe(&mut clock, start, noon() + TimeDelta::hours(1));
        assert_eq!(clock.between(start, noon()).earliest, noon());
        // One that is days behind is what is wrong itself.
        let long_ago = noon() - TimeDelta::days(3);
        let time = clock.between(start, long_ago);
        assert_eq!(time.earliest, noon() + TimeDelta::hours(1));
        // And so it is where many answers agree.
        for _ in 0..REMEMBERED {
            observe(&mut clock, start, noon() + TimeDelta::hours(1));
        }
        let time = clock.between(start, noon());
        assert_eq!(time.earliest, noon() + TimeDelta::hours(1));
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let start = Instant::now();
        let mut clock = ServiceClock::new(start, noon());
        observe(&mut clock, start, noon() + TimeDelta::hours(2));
        for _ in 0..REMEMBERED {
            observe(&mut clock, start, noon());
        }
        assert_eq!(clock.at(start), noon());
    }

    #[test]
    fn a_date_a_day_off_is_said_once_and_not_used() {
        let start = Instant::now();
        let mut clock = ServiceClock::new(start, noon());
        let odd = ServiceDate {
            at: start,
            time: noon() + TimeDelta::hours(25),
        };
        assert!(
            clock
                .observe(odd, noon())
                .unwrap_err()
                .to_string()
                .contains("more than a day")
        );
        assert_eq!(clock.observe(odd, noon()), Ok(()));
        assert_eq!(clock.at(start), noon());
        observe(&mut clock, start, noon());
        assert!(
            clock.observe(odd, noon()).is_err(),
            "said again once it was right in between"
        );
    }

    /// After a machine was suspended, or set right after its start, a right Date used to
    /// be taken for wrong until a restart.
    #[test]
    fn a_date_is_held_against_the_local_clock_of_now_and_not_of_the_start() {
        let start = Instant::now();
        let mut clock = ServiceClock::new(start, noon());
        let time = noon() + TimeDelta::hours(25);
        clock
            .observe(ServiceDate { at: start, time }, time)
            .unwrap();
        assert_eq!(clock.at(start), time);
    }

    proptest::proptest! {
        /// Any date that HTTP can name, at any time of the process, by any clock of ours.
        #[test]
        fn no_date_makes_it_panic(
            seconds in -70_000_000_000_i64..260_000_000_000,
            local in -70_000_000_000_i64..260_000_000_000,
            millis in 0_u64..100_000_000_000,
        ) {
            let start = Instant::now();
            let instant = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
            let mut clock = ServiceClock::new(start, instant(local));
            let at = after(start, millis);
            let _ = clock.observe(ServiceDate { at, time: instant(seconds) }, instant(local));
            let _ = (clock.at(start), clock.at(at), clock.at(after(at, millis)));
            let _ = clock.between(at, instant(local));
        }
    }
}
