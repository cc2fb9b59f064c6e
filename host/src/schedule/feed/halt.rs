//! Why a poll ended before its end, and how long it waits for that.

use super::super::error::PullError;
use super::super::gate::Closed;
use super::super::retry::Verdict;
use super::{Feed, blocking, local_now};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watchbell_ledger::{self as ledger, Failure, Stands};

/// Between two looks whether polling may go on.
const GATE_WAIT: Duration = Duration::from_secs(1);

/// A secret that was refused is looked at that often, a program asked for it that often.
const LOOK_AT_SECRET_EVERY: Duration = Duration::from_secs(5);
const ASK_PROGRAM_EVERY: Duration = Duration::from_secs(60);

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Everything up to now was read.
    Done,
    /// There is more, and it is the others' turn first.
    More,
    /// It goes on after that long.
    Later(Duration),
    /// A person must mend something, or it was tried often enough.
    Stuck(Duration),
    /// It was asked to stop in the middle.
    Stopped,
}

/// Why a poll ended before its end.
pub(super) enum Halt {
    Closed(Closed),
    Ledger(ledger::Error),
    Pull(PullError, Verdict),
    /// The quarantine is full.
    Full(Stands),
    /// The service ignores the upper bound, and what it has is more than an answer may be.
    Unbounded,
    /// The cursor was moved by hand.
    Moved,
    /// It had its turn, or needs more room for an answer than it reserved.
    Turn,
    /// Its rate limit.
    Paced(Duration),
    Stopped,
}

impl From<ledger::Error> for Halt {
    fn from(error: ledger::Error) -> Self {
        Self::Ledger(error)
    }
}

impl Feed {
    /// Whether it waits for a person, and the secret is still the one that was refused.
    pub(super) async fn nap(&mut self) -> Option<Step> {
        let left = self.naps_until?.checked_duration_since(Instant::now());
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            self.naps_until = None;
            return None;
        };
        let anew = self.looked_anew.elapsed() >= ASK_PROGRAM_EVERY;
        if anew {
            self.looked_anew = Instant::now();
        }
        if self.puller.has_new_secret(anew).await {
            tracing::info!("the secret has changed; trying again");
            self.naps_until = None;
            return None;
        }
        Some(Step::Stuck(left.min(LOOK_AT_SECRET_EVERY)))
    }

    /// Says why, and how long to wait.
    pub(super) async fn halted(&mut self, halt: Halt) -> Step {
        let (kind, words, step) = match halt {
            Halt::Moved => {
                tracing::info!("the cursor was set by hand; reading on from there");
                return Step::Later(Duration::ZERO);
            }
            Halt::Stopped => return Step::Stopped,
            Halt::Turn => return Step::More,
            Halt::Paced(wait) => return Step::Later(wait),
            Halt::Closed(closed) => {
                // Counted, for a reading that must end; looked at often, since it costs little.
                let _ = self.backoff.wait(None);
                let step = Step::Later(GATE_WAIT);
                (closed.kind().to_owned(), closed.to_string(), step)
            }
            Halt::Ledger(error) => {
                let wait = self.backoff.wait(None);
                ("ledger".to_owned(), error.to_string(), Step::Later(wait))
            }
            Halt::Full(stands) => (
                "quarantine".to_owned(),
                format!(
                    "the quarantine is full ({} entries, {} bytes; limits.max_quarantine_bytes), so this source is not polled; look with `watchbell state quarantine list`, then retry or drop",
                    stands.quarantined, stands.quarantined_bytes
                ),
                Step::Stuck(self.backoff.slowly().min(Duration::from_secs(10))),
            ),
            Halt::Unbounded => (
                "unbounded".to_owned(),
                format!(
                    "the service ignores untilTimeUtc, and has more than {} bytes (limits.max_response_bytes) since what was read last, which no narrower window makes less; raise it",
                    self.puller.settings().max_response_bytes
                ),
                Step::Stuck(self.backoff.slowly()),
            ),
            Halt::Pull(error, verdict) => {
                let step = match verdict {
                    Verdict::Mend => self.stuck(),
                    Verdict::Throttled(asked) | Verdict::Later(asked) => {
                        Step::Later(self.backoff.wait(asked))
                    }
                    _ => Step::Later(self.backoff.wait(None)),
                };
                (error.kind(), error.to_string(), step)
            }
        };
        self.counts.failed(&kind);
        if let Some(say) = self.trouble.met_kind(&kind, &words) {
            let next = match step {
                Step::Later(wait) | Step::Stuck(wait) => wait.as_secs(),
                _ => 0,
            };
            tracing::error!(retry_in_secs = next, "{say}");
            let (ledger, id) = (Arc::clone(&self.shared.ledger), self.id);
            let at = local_now();
            let failure = Failure { at, kind, words };
            // The ledger may be what is wrong.
            let _ = blocking(move || ledger.failed(id, failure)).await;
        }
        step
    }

    /// A person must mend something. A secret may be mended without a restart.
    fn stuck(&mut self) -> Step {
        let wait = self.backoff.slowly();
        if !self.puller.is_secret_refused() {
            return Step::Stuck(wait);
        }
        self.naps_until = Some(Instant::now() + wait);
        self.looked_anew = Instant::now();
        Step::Stuck(wait.min(LOOK_AT_SECRET_EVERY))
    }
}
