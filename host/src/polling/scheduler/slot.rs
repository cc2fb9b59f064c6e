//! A feed's slot in the scheduler: when it is due.

use crate::polling::feed::Feed;
use std::time::{Duration, Instant};

/// A feed between its polls, or what keeps its slot while it is polled.
pub(super) struct Slot {
    /// None while it is polled.
    pub(super) feed: Option<Box<Feed>>,
    /// When it is due, while it waits.
    pub(super) at: Instant,
    /// When the poll that goes on, or the next one, was due.
    pub(super) tick: Instant,
    /// Whether the next run begins a poll.
    pub(super) is_new: bool,
    pub(super) is_slow: bool,
    /// How many polls are left; none: without end.
    pub(super) left: Option<usize>,
    /// What takes its place when its poll is over.
    pub(super) next: Option<Box<Feed>>,
    pub(super) is_gone: bool,
}

impl Slot {
    /// Due at `at`.
    pub(super) fn new(feed: Box<Feed>, at: Instant, left: Option<usize>) -> Self {
        Self {
            feed: Some(feed),
            at,
            tick: at,
            is_new: true,
            is_slow: false,
            left,
            next: None,
            is_gone: false,
        }
    }

    /// The poll is over: when the next one is due, and how many ticks have passed since
    /// this one was, which are missed.
    pub(super) fn advance(&mut self, period: Duration, now: Instant) -> (Instant, u64) {
        let passed = self.passed(period, now);
        self.tick += period * passed.saturating_add(1);
        self.is_new = true;
        (self.tick, passed.into())
    }

    /// Ticks that have passed since its own.
    fn passed(&self, period: Duration, now: Instant) -> u32 {
        let late = now.saturating_duration_since(self.tick);
        let passed = late.as_nanos() / period.as_nanos().max(1);
        u32::try_from(passed).unwrap_or(u32::MAX)
    }

    /// Ticks that a poll has missed which is due and was not begun.
    pub(super) fn missed(&self, now: Instant) -> u64 {
        match &self.feed {
            Some(feed) if self.is_new => self.passed(feed.period(), now).into(),
            _ => 0,
        }
    }

    /// While it backs off it is not due, so it misses nothing: the ticks until `at` go by.
    pub(super) fn back_off(&mut self, period: Duration, at: Instant) {
        while !period.is_zero() && self.tick + period <= at {
            self.tick += period;
        }
    }
}
