//! Reads one window of time.
//!
//! A window is asked for, and what came of that is judged: it was read; it has more rows than
//! an answer, so it is asked for by halves; it is garbled, or so slow, that its contents may
//! be the cause, which shows when others are asked for; or the service is in trouble, and
//! waiting helps. Down at one millisecond, what still cannot be read is given up as a gap.
//!
//! What to do about each is a policy of those who read: [`Feed`](super::Feed) moves a cursor,
//! [`Backfill`](super::Backfill) remembers ranges, and [`preview`](super::preview()) writes
//! nothing down. None of them asks a service by itself.

mod answer;
mod failure_streak;
mod rows;

pub(super) use answer::{Answer, Unanswered};
pub(super) use rows::{Keep, Rows, instant, nanos};

use super::retry::RetryClass;
use super::window_plan::TimeRange;
use crate::sources::{PollError, ServiceDate, SourceClient};
use failure_streak::FailureStreak;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use super::clock::Clock;

/// Bytes that an answer may have at least, when the one before was small: 120 detections.
const MIN_ANSWER_BYTES: u64 = 256 << 10;

/// How much more an answer may have that did not fit.
const GROWTH: u64 = 8;

/// Reads windows, and remembers what it learned of the service.
pub(super) struct WindowReader {
    client: Arc<dyn SourceClient>,
    clock: Arc<dyn Clock>,
    failures: FailureStreak,
    /// The service was seen to ignore the upper bound, so that narrowing is no use. Until a
    /// window was read.
    ignores_until: bool,
    /// Bytes that the next answer is expected to have at most.
    expected_bytes: u64,
    /// Dates of answers that nobody took yet.
    dates: Vec<ServiceDate>,
}

/// A window that was asked for.
pub(super) struct WindowAnswer {
    /// When.
    pub(super) sent_at: Instant,
    /// What came of it.
    pub(super) outcome: WindowOutcome,
}

/// What came of asking for a window.
pub(super) enum WindowOutcome {
    /// There are rows.
    Rows(Rows, Remainder),
    /// The answer was larger than the memory that it had, and may have more.
    NeedsMemory,
    /// No rows: see [`WindowReader::diagnose`].
    Failed(Unanswered),
}

/// What is still to be asked for of a window that has rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remainder {
    /// Nothing: it was read.
    Nothing,
    /// Its halves: it has more rows than one answer.
    Halves,
    /// All of it again, without a limit: the service ignores the upper bound, so no narrower
    /// window has fewer rows.
    Everything,
}

/// What to do about a window without rows.
pub(super) enum Diagnosis {
    /// Ask for its halves.
    Halve(Unanswered),
    /// It cannot be read and cannot be halved: quarantine it as a gap.
    GiveUp(Unanswered),
    /// Ask for it again later: it is the service, not the window.
    Retry(Unanswered),
    /// The service ignores the upper bound, and has more than fits: no window helps.
    Unbounded,
}

impl WindowReader {
    /// Expects a first answer of at most `first_bytes`.
    pub(super) fn new(
        client: Arc<dyn SourceClient>,
        clock: Arc<dyn Clock>,
        first_bytes: u64,
    ) -> Self {
        Self {
            client,
            clock,
            failures: FailureStreak::default(),
            ignores_until: false,
            expected_bytes: first_bytes,
            dates: Vec::new(),
        }
    }

    /// Bytes that the next answer may have: what is to be reserved, of at most `largest`.
    pub(super) fn max_bytes(&self, largest: u64) -> u64 {
        self.expected_bytes.min(self.most_bytes(largest))
    }

    fn most_bytes(&self, largest: u64) -> u64 {
        self.client
            .settings()
            .polling
            .max_response_bytes()
            .min(largest)
    }

    /// Takes over how large answers are expected to be.
    pub(super) fn inherit_size(&mut self, other: &Self) {
        self.expected_bytes = other.expected_bytes;
    }

    /// The Dates of the answers since this was called last.
    pub(super) fn take_dates(&mut self) -> Vec<ServiceDate> {
        std::mem::take(&mut self.dates)
    }

    /// Asks for a window, in an answer of [`WindowReader::max_bytes`].
    pub(super) async fn read(&mut self, window: TimeRange, largest: u64) -> WindowAnswer {
        let limit = self.client.settings().polling.limit;
        let limit = limit.filter(|_| !self.ignores_until && !window.is_least());
        let max_bytes = self.max_bytes(largest);
        let answer = self.ask(window, limit, max_bytes).await;
        let outcome = match answer.outcome {
            Ok(rows) => {
                let remainder = self.remainder(&rows, window, limit);
                WindowOutcome::Rows(rows, remainder)
            }
            Err(failed) if failed.is_too_large() && max_bytes < self.most_bytes(largest) => {
                self.expected_bytes = max_bytes.saturating_mul(GROWTH);
                WindowOutcome::NeedsMemory
            }
            Err(failed) => WindowOutcome::Failed(failed),
        };
        WindowAnswer {
            sent_at: answer.sent_at,
            outcome,
        }
    }

    fn remainder(
        &mut self,
        rows: &Rows,
        window: TimeRange,
        limit: Option<NonZeroU32>,
    ) -> Remainder {
        let is_cut = rows.are_cut_by(limit);
        if is_cut && rows.lie_beyond(window) {
            self.ignores_until = true;
            return Remainder::Everything;
        }
        if is_cut || (rows.beyond > 0 && !window.is_least()) {
            return Remainder::Halves;
        }
        self.ignores_until = false;
        self.expected_bytes = rows.bytes.saturating_mul(2).max(MIN_ANSWER_BYTES);
        Remainder::Nothing
    }

    /// Finds out what to do about a window that has no rows, which may take asking for others.
    pub(super) async fn diagnose(
        &mut self,
        window: TimeRange,
        failed: Unanswered,
        largest: u64,
    ) -> Diagnosis {
        if failed.is_too_large() && self.has_no_upper_bound(window, largest).await {
            return Diagnosis::Unbounded;
        }
        let is_its_own = match failed.class {
            RetryClass::TooLarge if !window.is_least() => true,
            // Whether it is this window or the service shows when another is asked for.
            RetryClass::TooLarge | RetryClass::Garbled => {
                self.failures.add_garbled(window)
                    && self.any(window.elsewhere(), Answer::is_read, largest).await
            }
            RetryClass::TooSlow | RetryClass::Later(_) => {
                self.failures.add_unanswered(window)
                    && self.any(window.neighbours(), Answer::is_one, largest).await
            }
            _ => false,
        };
        match (is_its_own, window.is_least()) {
            (false, _) => Diagnosis::Retry(failed),
            (true, false) => Diagnosis::Halve(failed),
            (true, true) => Diagnosis::GiveUp(failed),
        }
    }

    /// Whether any of these windows has such an answer.
    async fn any(
        &mut self,
        windows: impl IntoIterator<Item = TimeRange>,
        is_such: fn(&Answer) -> bool,
        largest: u64,
    ) -> bool {
        for window in windows {
            let answer = self.probe(window, None, self.max_bytes(largest)).await;
            if answer.as_ref().is_some_and(is_such) {
                return true;
            }
        }
        false
    }

    /// Whether the service's newest row for a window lies above it.
    async fn has_no_upper_bound(&mut self, window: TimeRange, largest: u64) -> bool {
        let one = Some(NonZeroU32::MIN);
        let answer = self.probe(window, one, self.max_bytes(largest)).await;
        let rows = answer.and_then(|answer| answer.outcome.ok());
        rows.is_some_and(|rows| rows.lie_beyond(window))
    }

    /// Asks, unless the rate limit is in the way.
    pub(super) async fn probe(
        &mut self,
        window: TimeRange,
        limit: Option<NonZeroU32>,
        max_bytes: u64,
    ) -> Option<Answer> {
        self.client.try_acquire_request().ok()?;
        Some(self.ask(window, limit, max_bytes).await)
    }

    async fn ask(
        &mut self,
        window: TimeRange,
        limit: Option<NonZeroU32>,
        max_bytes: u64,
    ) -> Answer {
        let begun = self.clock.monotonic();
        let answer = answer::ask(&*self.client, window, limit, max_bytes, begun).await;
        self.dates.extend(answer.date);
        answer
    }

    /// What to do about a poll that did not come to an answer, as when there is no token.
    pub(super) fn classify(error: &PollError) -> RetryClass {
        RetryClass::of(error, b"")
    }
}
