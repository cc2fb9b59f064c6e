//! One turn, and what it holds of what is shared.

use crate::schedule::feed::{Feed, Step};
use crate::schedule::flight::{Flight, Reserved};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// A turn that takes longer is slow.
const SLOW: Duration = Duration::from_secs(2);

/// Between two looks for a place among the slow.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Of the places, one in so many is for a slow turn. Each slow one holds an instance, a
/// connection and what it has read, some 150 KiB, and most of them are for services that
/// hang: they must neither take the others' places nor fill the memory.
const SLOW_SHARE: usize = 4;

/// How long a turn that is under way may take after a stop.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// How long a feed rests whose turn ended by a defect of ours.
const DEFECT: Duration = Duration::from_secs(60);

/// What turns share: bytes of answers, and places for those that are slow.
#[derive(Clone)]
pub(super) struct Places {
    flight: Flight,
    slow: Arc<Semaphore>,
    /// Somebody is due and has no place.
    is_wanted: Arc<AtomicBool>,
}

/// What a turn holds until it ends.
pub(super) enum Hold {
    /// Room for its answer.
    Quick { _room: Reserved },
    /// A place among the slow, and room there.
    Slow {
        _place: OwnedSemaphorePermit,
        _room: Reserved,
    },
}

impl Places {
    /// For that many turns at one time, of which a quarter may be slow.
    pub(super) fn new(most: usize, flight: Flight) -> Self {
        Self {
            flight,
            slow: Arc::new(Semaphore::new((most / SLOW_SHARE).max(1))),
            is_wanted: Arc::default(),
        }
    }

    /// Whether an answer of so many bytes goes with the slow ones.
    pub(super) fn is_large(&self, room: u64) -> bool {
        self.flight.is_large(room)
    }

    /// For a turn that is quick as far as anybody knows.
    pub(super) fn quick(&self, room: u64) -> Option<Hold> {
        let room = self.flight.try_quick(room)?;
        Some(Hold::Quick { _room: room })
    }

    /// For a turn that is slow or large.
    pub(super) fn slow(&self, room: u64) -> Option<Hold> {
        let place = Arc::clone(&self.slow).try_acquire_owned().ok()?;
        let room = self.flight.try_slow(room)?;
        Some(Hold::Slow {
            _place: place,
            _room: room,
        })
    }

    /// Says whether somebody is due and has no place.
    pub(super) fn want(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::Relaxed);
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }
}

/// A turn that is over.
pub(super) struct Turn {
    pub(super) feed: Box<Feed>,
    /// None when it was given up.
    pub(super) step: Option<Step>,
    pub(super) was_slow: bool,
}

/// One turn. One that becomes slow needs a place among the slow; where there is none and
/// somebody waits for its own, it is given up, which loses nothing, since what a window
/// found is written down whole or not at all.
pub(super) async fn turn(
    mut feed: Box<Feed>,
    mut hold: Hold,
    places: Places,
    stop: watch::Receiver<bool>,
) -> Turn {
    let began = Instant::now();
    let room = feed.room();
    let step = {
        // A feed must not be lost by a defect in what it met.
        let mut polling = std::pin::pin!(AssertUnwindSafe(feed.poll()).catch_unwind());
        let mut look_at = began + SLOW;
        loop {
            let is_quick = matches!(hold, Hold::Quick { .. });
            tokio::select! {
                step = &mut polling => break Some(step.unwrap_or_else(|_| {
                    tracing::error!("a turn ended by a defect of ours; the next one is later");
                    Step::Stuck(DEFECT)
                })),
                () = overdue(stop.clone()) => break Some(Step::Stopped),
                () = tokio::time::sleep_until(look_at), if is_quick => match places.slow(room) {
                    Some(slow) => hold = slow,
                    None if places.is_wanted() => break None,
                    None => look_at = Instant::now() + LOOK_AGAIN,
                }
            }
        }
    };
    drop(hold);
    Turn {
        step,
        was_slow: began.elapsed() >= SLOW,
        feed,
    }
}

/// Resolves a while after `stop`.
async fn overdue(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        return std::future::pending().await;
    }
    tokio::time::sleep(UNDER_WAY).await;
}
