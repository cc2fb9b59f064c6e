//! The time that polling goes by, given to it rather than asked for.
//!
//! Nothing below calls `Utc::now`, `Instant::now` or `sleep` by itself: a whole day of
//! polling can be simulated in a moment, with clocks that somebody sets.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use std::time::{Duration, Instant};
use watchbell_ledger::Time;

use super::reader::nanos;

/// Tells the time and waits.
pub trait Clock: Send + Sync {
    /// This machine's wall clock, which may be wrong and may be set.
    fn wall(&self) -> DateTime<Utc>;

    /// This machine's monotonic clock, which nobody sets.
    fn monotonic(&self) -> Instant;

    /// Resolves once the monotonic clock shows `at`.
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()>;

    /// Resolves after `wait`; one that no clock can hold is for ever.
    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        match self.monotonic().checked_add(wait) {
            Some(at) => self.sleep_until(at),
            None => Box::pin(std::future::pending()),
        }
    }

    /// How much time has passed since `earlier`.
    fn elapsed(&self, earlier: Instant) -> Duration {
        self.monotonic().saturating_duration_since(earlier)
    }

    /// The wall clock as the ledger counts time: for people, and never to reckon with.
    fn ledger_time(&self) -> Time {
        nanos(self.wall())
    }
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(at.into()))
    }
}
