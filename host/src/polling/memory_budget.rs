//! Bytes of answers that may be in memory at one time, whoever asked for them.
//!
//! Who asks reserves what the answer may have. The reservation is also the bound of that
//! answer, so the sum holds whatever services send. There are two halves: one for quick
//! polls, and one for those that are slow or large. So services that hang, or dribble, or
//! have a backlog take nothing from those that answer.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted in.
const UNIT: u64 = 1024;

/// The bound. Clones share it.
#[derive(Clone)]
pub struct MemoryBudget {
    quick: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    half: u64,
}

/// A reservation; given back when it is dropped.
pub type Reservation = OwnedSemaphorePermit;

impl MemoryBudget {
    /// With room for that many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / 2 / UNIT)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self {
            quick: Arc::new(Semaphore::new(units)),
            slow: Arc::new(Semaphore::new(units)),
            half: units as u64 * UNIT,
        }
    }

    /// The largest reservation: a half, so that one never keeps the others out.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.half
    }

    /// Whether so many bytes are too many to be quick with: an eighth of a half.
    #[must_use]
    pub fn is_large(&self, bytes: u64) -> bool {
        bytes > self.half / 8
    }

    /// Reserves for a quick turn, at once or not.
    #[must_use]
    pub fn try_reserve_quick(&self, bytes: u64) -> Option<Reservation> {
        let quick = Arc::clone(&self.quick);
        quick.try_acquire_many_owned(self.units_of(bytes)).ok()
    }

    /// Reserves for what may be slow, at once or not.
    #[must_use]
    pub fn try_reserve_slow(&self, bytes: u64) -> Option<Reservation> {
        let slow = Arc::clone(&self.slow);
        slow.try_acquire_many_owned(self.units_of(bytes)).ok()
    }

    /// Reserves for what may be slow, and waits until there is room.
    pub async fn reserve_slow(&self, bytes: u64) -> Option<Reservation> {
        // Never paused, so this cannot fail.
        let slow = Arc::clone(&self.slow);
        slow.acquire_many_owned(self.units_of(bytes)).await.ok()
    }

    fn units_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.min(self.half).div_ceil(UNIT)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_a_half_at_most_and_what_is_slow_takes_nothing_from_what_is_quick() {
        let memory = MemoryBudget::new(1 << 20);
        let slow = memory.try_reserve_slow(u64::MAX).unwrap();
        assert!(memory.try_reserve_slow(1).is_none());
        let quick = memory.try_reserve_quick(u64::MAX).unwrap();
        assert!(memory.try_reserve_quick(1).is_none());
        drop(slow);
        assert!(memory.try_reserve_slow(1 << 18).is_some());
        assert!(memory.try_reserve_quick(1).is_none());
        drop(quick);
        assert!(memory.try_reserve_quick(1 << 18).is_some());
    }
}
