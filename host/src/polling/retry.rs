//! What to do about a poll that failed, and when to ask again.
//!
//! What passes by itself is tried again after a random time below a bound that doubles:
//! full jitter, so that sources that failed together do not come back together. What a
//! person must mend shows at once and is tried again slowly.
//!
//! The arithmetic is written here since the crate `retry-policies` reads the wall clock.

use crate::sources::PollError;
use crate::sources::defender::CredentialError;
use std::time::Duration;
use watchbell_egress as egress;
use watchbell_sandbox::contract::{Error, Malformed, Refusal};
use watchbell_sandbox::{CallError, Limit};
use watchbell_secrets::SecretError;

/// The bound of the first wait.
const FIRST: Duration = Duration::from_secs(1);

/// Where doubling ends, and how slowly what a person must mend is tried in the end.
const SLOWEST: Duration = Duration::from_secs(300);

/// The first wait for what a person must mend: one refusal may be the service's mistake, or
/// mended already. Each further one of its kind waits twice as long.
const FIRST_REFUSAL: Duration = Duration::from_secs(10);

/// The longest Retry-After that is heeded: one that asks for more is mistaken, or
/// somebody else's.
const LONGEST_HEEDED: Duration = Duration::from_secs(3600);

/// What to do about a poll that failed.
#[derive(Debug, Clone)]
pub(super) enum RetryClass {
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

impl RetryClass {
    /// Sorts what came of a poll. `body` is how the answer began.
    #[must_use]
    pub(super) fn of(error: &PollError, body: &[u8]) -> Self {
        match error {
            error if error.is_mendable() => Self::Mend,
            // No narrower window has smaller headers.
            PollError::Service {
                cause: Some(egress::Error::HeadersTooLarge { .. }),
                ..
            } => Self::Later(None),
            PollError::Service { error, .. } => match &**error {
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
            PollError::Component(CallError::Limit { limit, .. }) => match limit {
                Limit::Cpu | Limit::Wall => Self::TooSlow,
                Limit::Memory | Limit::Transfer | Limit::Count => Self::TooLarge,
                // No narrower window needs fewer of these.
                _ => Self::Mend,
            },
            // A backend that is being written to, mounted or restarted is back in a moment.
            PollError::Credential(CredentialError::Secret(
                SecretError::Backend { .. } | SecretError::File(_),
            )) => Self::Later(None),
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
    /// What was refused last, and how often running.
    refused: String,
    refusals: u32,
}

impl Backoff {
    /// It failed again: how long to wait now, at least `least`.
    pub(super) fn wait(&mut self, least: Option<Duration>) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures);
        let bound = FIRST.saturating_mul(doubled).min(SLOWEST);
        // Full jitter, out of a generator that can be seeded.
        let wait = bound.mul_f64(fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        wait.max(least.unwrap_or_default())
    }

    /// It failed in a way that only a person can mend: soon after the first time of its
    /// kind, then ever more slowly.
    pub(super) fn wait_for_person(&mut self, kind: &str) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if self.refused != kind {
            kind.clone_into(&mut self.refused);
            self.refusals = 0;
        }
        let doubled = 2_u32.saturating_pow(self.refusals);
        self.refusals = self.refusals.saturating_add(1);
        FIRST_REFUSAL.saturating_mul(doubled).min(SLOWEST)
    }

    /// Whether a reading that must end should give up.
    #[must_use]
    pub(super) fn is_spent(&self) -> bool {
        self.failures > BUDGET
    }

    /// It went well.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
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

    /// A single 204, or one 403 followed by 200, used to wait five minutes.
    #[test]
    fn the_first_refusal_of_a_kind_is_asked_again_soon_and_the_next_ever_later() {
        let mut backoff = Backoff::default();
        let mut waits = |kind: &str, count: usize| -> Vec<u64> {
            (0..count)
                .map(|_| backoff.wait_for_person(kind).as_secs())
                .collect()
        };
        assert_eq!(waits("403", 7), [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(waits("204", 2), [10, 20]);
        assert_eq!(waits("403", 100).last(), Some(&300));
        backoff.reset();
        assert_eq!(backoff.wait_for_person("403"), FIRST_REFUSAL);
    }
}
