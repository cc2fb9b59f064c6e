//! What to do about a poll that failed, and when to ask again.
//!
//! What passes by itself is tried again after a random time below a bound that doubles:
//! full jitter, so that sources that failed together do not come back together. What a
//! person must mend shows at once and is tried again slowly.

use super::error::PullError;
use crate::secret::SecretError;
use retry_policies::policies::ExponentialBackoff;
use retry_policies::{Jitter, RetryDecision, RetryPolicy};
use std::time::{Duration, SystemTime};
use watchbell_sandbox::contract::{Error, Malformed, Refusal};
use watchbell_sandbox::{CallError, Limit};

/// The bound of the first wait.
const FIRST: Duration = Duration::from_secs(1);

/// Where doubling ends, and how slowly what a person must mend is tried.
const SLOWEST: Duration = Duration::from_secs(300);

/// The longest Retry-After that is heeded: one that asks for more is mistaken, or
/// somebody else's.
const LONGEST_HEEDED: Duration = Duration::from_secs(3600);

/// What to do about a poll that failed.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// Asked too often: later, not before the service says.
    Throttled(Option<Duration>),
    /// It passes by itself: later, not before the service says.
    Later(Option<Duration>),
    /// A person must mend it.
    Mend,
    /// The answer was larger than allowed: ask for less.
    TooLarge,
    /// The answer took longer than allowed, which may be its size or an outage.
    TooSlow,
    /// The answer is no JSON that could be taken apart.
    Garbled,
    /// All but some elements could be read.
    Partly(Malformed),
}

impl Verdict {
    /// Sorts what came of a poll. `body` is how the answer began.
    #[must_use]
    pub(super) fn of(error: &PullError, body: &[u8]) -> Self {
        match error {
            PullError::Service { error, .. } => match &**error {
                Error::Throttled(refusal) => Self::Throttled(heeded(refusal)),
                Error::Unavailable(refusal) => Self::Later(heeded(refusal)),
                Error::Unreachable(_) => Self::Later(None),
                Error::TimedOut(_) => Self::TooSlow,
                Error::TooLarge(_) => Self::TooLarge,
                Error::Malformed(fault) if !fault.unreadable.is_empty() => {
                    Self::Partly(fault.clone())
                }
                // A sign-in page or a proxy's words: an outage, not a detection.
                Error::Malformed(_) if begins_like_json(body) => Self::Garbled,
                Error::Malformed(_) => Self::Later(None),
                _ => Self::Mend,
            },
            PullError::Component(CallError::Limit { limit, .. }) => match limit {
                Limit::Cpu | Limit::Wall => Self::TooSlow,
                Limit::Memory | Limit::Transfer | Limit::Count => Self::TooLarge,
                // No narrower window needs fewer of these.
                _ => Self::Mend,
            },
            // A backend that is being written to, mounted or restarted is back in a moment.
            PullError::Secret(SecretError::Backend { .. } | SecretError::File(_)) => {
                Self::Later(None)
            }
            _ => Self::Mend,
        }
    }
}

/// What Retry-After asks for, within reason.
fn heeded(refusal: &Refusal) -> Option<Duration> {
    let asked = Duration::from_secs(refusal.retry_after?.into());
    Some(asked.min(LONGEST_HEEDED))
}

fn begins_like_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'[' | b'{'))
}

/// Retries after which a reading that must end gives up: some half a minute of waiting.
const BUDGET: u32 = 6;

/// How long to wait, ever longer.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It failed again: how long to wait now, at least `least`.
    pub(super) fn wait(&mut self, least: Option<Duration>) -> Duration {
        let policy = ExponentialBackoff::builder()
            .retry_bounds(FIRST, SLOWEST)
            .jitter(Jitter::Full)
            .base(2)
            .build_with_max_retries(u32::MAX);
        let now = SystemTime::now();
        let wait = match policy.should_retry(now, self.failures) {
            RetryDecision::Retry { execute_after } => {
                execute_after.duration_since(now).unwrap_or_default()
            }
            RetryDecision::DoNotRetry => SLOWEST,
        };
        self.failures = self.failures.saturating_add(1);
        wait.max(least.unwrap_or_default())
    }

    /// It failed in a way that only a person can mend.
    pub(super) fn slowly(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        SLOWEST
    }

    /// Whether a reading that must end should give up.
    #[must_use]
    pub(super) fn is_spent(&self) -> bool {
        self.failures > BUDGET
    }

    /// It went well.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_random_below_a_bound_that_doubles_and_never_below_what_was_asked() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.wait(None)).collect();
        for (wait, doublings) in waits.iter().zip(0..) {
            let bound = FIRST.saturating_mul(1 << doublings.min(20)).min(SLOWEST);
            assert!(
                *wait <= bound + Duration::from_millis(1),
                "{wait:?} after {doublings}"
            );
        }
        assert!(backoff.is_spent());
        let asked = Duration::from_secs(1000);
        assert_eq!(backoff.wait(Some(asked)), asked);
        backoff.reset();
        assert!(!backoff.is_spent());
        assert!(backoff.wait(None) <= FIRST);
    }
}
