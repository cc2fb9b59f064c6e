//! Why a poll ended before its end, and how long it waits for that.

use super::super::backpressure::{LOOK_EVERY, PauseReason};
use super::super::retry::RetryClass;
use super::Feed;
use crate::exit::Exit;
use crate::sources::PollError;
use std::time::Duration;
use watchbell_ledger::{self as ledger, Failure, FeedProgress};

/// A secret that was refused is looked at that often, a program asked for it that often.
const LOOK_AT_SECRET_EVERY: Duration = Duration::from_secs(5);
const ASK_PROGRAM_EVERY: Duration = Duration::from_secs(60);

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollStatus {
    /// Everything up to now was read.
    UpToDate,
    /// There is more, and others go first.
    HasMore,
    /// It goes on after that long.
    RetryIn(Duration),
    /// A person must mend something, or it was tried often enough.
    Blocked(Duration),
    /// It was asked to stop in the middle.
    Stopped,
}

/// Why a poll ended before its end.
pub(super) enum StopReason {
    Backpressure(PauseReason),
    Ledger(ledger::Error),
    Poll(PollError, RetryClass),
    /// The quarantine is full.
    QuarantineFull(FeedProgress),
    /// The service ignores the upper bound, and what it has is more than an answer may be.
    Unbounded,
    /// The cursor was moved by hand.
    CursorMoved,
    /// It used its time up, or needs more memory for an answer than it reserved.
    Yield,
    /// The rate limit.
    RateLimited(Duration),
    Stopped,
}

impl From<ledger::Error> for StopReason {
    fn from(error: ledger::Error) -> Self {
        match error {
            ledger::Error::Moved => Self::CursorMoved,
            ledger::Error::Cancelled => Self::Stopped,
            error => Self::Ledger(error),
        }
    }
}

impl From<PauseReason> for StopReason {
    fn from(reason: PauseReason) -> Self {
        match reason {
            PauseReason::Ledger(ledger::Error::Cancelled) => Self::Stopped,
            reason => Self::Backpressure(reason),
        }
    }
}

impl Feed {
    /// Whether it waits for a person, and the secret is still the one that was refused.
    pub(super) async fn check_pause(&mut self) -> Option<PollStatus> {
        let left = self
            .paused_until?
            .checked_duration_since(self.clock().monotonic());
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            self.paused_until = None;
            return None;
        };
        let anew = self.clock().elapsed(self.looked_anew) >= ASK_PROGRAM_EVERY;
        if anew {
            self.looked_anew = self.clock().monotonic();
        }
        if self.client.has_new_secret(anew).await {
            tracing::info!("the secret has changed; trying again");
            self.paused_until = None;
            return None;
        }
        Some(PollStatus::Blocked(left.min(LOOK_AT_SECRET_EVERY)))
    }

    /// Says why, and how long to wait.
    pub(super) async fn stop_for(&mut self, reason: StopReason) -> PollStatus {
        let exit = match &reason {
            StopReason::Poll(error, _) => error.exit(),
            _ => Exit::Later,
        };
        let (kind, words, status) = match reason {
            StopReason::CursorMoved => {
                tracing::info!("the cursor was set by hand; reading on from there");
                return PollStatus::RetryIn(Duration::ZERO);
            }
            StopReason::Stopped => return PollStatus::Stopped,
            StopReason::Yield => return PollStatus::HasMore,
            StopReason::RateLimited(wait) => return PollStatus::RetryIn(wait),
            StopReason::Backpressure(paused) => {
                // Counted, for a reading that must end; looked at often, since it costs little.
                let _ = self.backoff.wait(None);
                let status = PollStatus::RetryIn(LOOK_EVERY);
                (paused.kind().to_owned(), paused.to_string(), status)
            }
            StopReason::Ledger(error) => {
                let wait = self.backoff.wait(None);
                (
                    "ledger".to_owned(),
                    error.to_string(),
                    PollStatus::RetryIn(wait),
                )
            }
            StopReason::QuarantineFull(stands) => (
                "quarantine".to_owned(),
                format!(
                    "the quarantine is full ({} entries, {} bytes; limits.max_quarantine_bytes), so this source is not polled; look with `watchbell state quarantine list`, then retry or drop",
                    stands.quarantined, stands.quarantined_bytes
                ),
                PollStatus::Blocked(
                    self.backoff
                        .wait_for_person("quarantine")
                        .min(Duration::from_secs(10)),
                ),
            ),
            StopReason::Unbounded => (
                "unbounded".to_owned(),
                format!(
                    "the service ignores untilTimeUtc, and has more than {} bytes (limits.max_response_bytes) since what was read last, which no narrower window makes less; raise it",
                    self.client.settings().polling.max_response_bytes()
                ),
                PollStatus::Blocked(self.backoff.wait_for_person("unbounded")),
            ),
            StopReason::Poll(error, class) => {
                let status = match class {
                    RetryClass::Mend => self.blocked(&error.kind()),
                    RetryClass::Throttled(asked) | RetryClass::Later(asked) => {
                        PollStatus::RetryIn(self.backoff.wait(asked))
                    }
                    _ => PollStatus::RetryIn(self.backoff.wait(None)),
                };
                (error.kind(), error.to_string(), status)
            }
        };
        self.counts.failed(&kind);
        self.last_failure = Some((exit, words.clone()));
        if let Some(say) = self.incident.record_kind(&kind, &words) {
            let next = match status {
                // Rounded up: "in 0 s" is not what a wait of half a second is.
                PollStatus::RetryIn(wait) | PollStatus::Blocked(wait) => {
                    wait.as_millis().div_ceil(1000).max(1)
                }
                _ => 1,
            };
            let next = u64::try_from(next).unwrap_or(u64::MAX);
            tracing::error!(retry_in_secs = next, "{say}");
            let at = self.clock().ledger_time();
            let failure = Failure { at, kind, words };
            // The ledger may be what is wrong.
            let _ = self.shared.ledger.record_failure(self.id, failure).await;
        }
        status
    }

    /// A person must mend something. A secret may be mended without a restart.
    fn blocked(&mut self, kind: &str) -> PollStatus {
        let wait = self.backoff.wait_for_person(kind);
        if !self.client.is_secret_refused() {
            return PollStatus::Blocked(wait);
        }
        self.paused_until = self.clock().monotonic().checked_add(wait);
        self.looked_anew = self.clock().monotonic();
        PollStatus::Blocked(wait.min(LOOK_AT_SECRET_EVERY))
    }
}
