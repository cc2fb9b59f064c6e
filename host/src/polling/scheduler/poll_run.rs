//! One poll of a feed, and what it holds of what is shared.

use crate::polling::clock::Clock;
use crate::polling::feed::{Feed, PollStatus};
use crate::polling::memory_budget::{MemoryBudget, Reservation};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// A poll that takes longer is slow.
const SLOW: Duration = Duration::from_secs(2);

/// Between two looks for a permit among the slow.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Of the permits, one in so many is for a slow poll. Each slow one holds an instance, a
/// connection and what it has read, some 150 KiB, and most of them are for services that
/// hang: they must neither take the others' permits nor fill the memory.
const SLOW_SHARE: usize = 4;

/// How long a poll that is under way may take after a stop.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// How long a feed rests whose poll ended by a defect of ours.
const DEFECT: Duration = Duration::from_secs(60);

/// What polls share: bytes of answers, and permits for those that are slow.
#[derive(Clone)]
pub(super) struct Permits {
    memory: MemoryBudget,
    slow: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    /// Somebody is due and has no permit.
    is_wanted: Arc<AtomicBool>,
}

/// What a poll holds until it ends.
pub(super) enum Permit {
    /// Room for its answer.
    Quick { _memory: Reservation },
    /// A permit among the slow, and memory there.
    Slow {
        _slow: OwnedSemaphorePermit,
        _memory: Reservation,
    },
}

impl Permits {
    /// For that many polls at one time, of which a quarter may be slow.
    pub(super) fn new(most: usize, memory: MemoryBudget, clock: Arc<dyn Clock>) -> Self {
        Self {
            memory,
            clock,
            slow: Arc::new(Semaphore::new((most / SLOW_SHARE).max(1))),
            is_wanted: Arc::default(),
        }
    }

    /// Whether an answer of so many bytes goes with the slow ones.
    pub(super) fn is_large(&self, max_bytes: u64) -> bool {
        self.memory.is_large(max_bytes)
    }

    /// For a poll that is quick as far as anybody knows.
    pub(super) fn try_quick(&self, max_bytes: u64) -> Option<Permit> {
        let memory = self.memory.try_reserve_quick(max_bytes)?;
        Some(Permit::Quick { _memory: memory })
    }

    /// For a poll that is slow or large.
    pub(super) fn try_slow(&self, max_bytes: u64) -> Option<Permit> {
        let permit = Arc::clone(&self.slow).try_acquire_owned().ok()?;
        let memory = self.memory.try_reserve_slow(max_bytes)?;
        Some(Permit::Slow {
            _slow: permit,
            _memory: memory,
        })
    }

    /// Says whether somebody is due and has no permit.
    pub(super) fn want(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::Relaxed);
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }
}

/// A poll that is over.
pub(super) struct FinishedPoll {
    pub(super) feed: Box<Feed>,
    /// None when it was given up.
    pub(super) status: Option<PollStatus>,
    pub(super) was_slow: bool,
}

/// One poll. One that becomes slow needs a permit among the slow; where there is none and
/// somebody waits for its own, it is given up, which loses nothing, since what a window
/// found is written down whole or not at all.
pub(super) async fn poll(
    mut feed: Box<Feed>,
    mut permit: Permit,
    permits: Permits,
    stop: CancellationToken,
) -> FinishedPoll {
    let clock = Arc::clone(&permits.clock);
    let began = clock.monotonic();
    let max_bytes = feed.max_answer_bytes();
    let status = {
        // A feed must not be lost by a defect in what it met.
        let mut polling = std::pin::pin!(AssertUnwindSafe(feed.poll()).catch_unwind());
        let mut look_at = began + SLOW;
        loop {
            let is_quick = matches!(permit, Permit::Quick { .. });
            tokio::select! {
                biased;
                status = &mut polling => break Some(status.unwrap_or_else(|_| {
                    tracing::error!("a poll ended by a defect of ours; the next one is later");
                    PollStatus::Blocked(DEFECT)
                })),
                () = overdue(&stop, &*clock) => break Some(PollStatus::Stopped),
                () = clock.sleep_until(look_at), if is_quick => match permits.try_slow(max_bytes) {
                    Some(slow) => permit = slow,
                    None if permits.is_wanted() => break None,
                    None => look_at = clock.monotonic() + LOOK_AGAIN,
                }
            }
        }
    };
    drop(permit);
    FinishedPoll {
        status,
        was_slow: clock.elapsed(began) >= SLOW,
        feed,
    }
}

/// Resolves a while after `stop`.
async fn overdue(stop: &CancellationToken, clock: &dyn Clock) {
    stop.cancelled().await;
    clock.sleep(UNDER_WAY).await;
}
