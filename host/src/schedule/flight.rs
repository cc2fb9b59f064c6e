//! Bytes of answers that may be in memory at one time, whoever asked for them.
//!
//! Who asks reserves what the answer may have. The reservation is also the bound of that
//! answer, so the sum holds whatever services send.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted in.
const UNIT: u64 = 1024;

/// The bound. Clones share it.
#[derive(Clone)]
pub struct Flight {
    units: Arc<Semaphore>,
    most: u64,
}

/// A reservation; given back when it is dropped.
pub type Reserved = OwnedSemaphorePermit;

impl Flight {
    /// With room for that many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(units)),
            most: units as u64 * UNIT,
        }
    }

    /// The largest reservation: half of all, so that one never keeps the others out.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.most / 2
    }

    /// Reserves at once, or not.
    #[must_use]
    pub fn try_reserve(&self, bytes: u64) -> Option<Reserved> {
        Arc::clone(&self.units)
            .try_acquire_many_owned(self.units_of(bytes))
            .ok()
    }

    /// Reserves, and waits until there is room.
    pub async fn reserve(&self, bytes: u64) -> Option<Reserved> {
        // Never closed, so this cannot fail.
        Arc::clone(&self.units)
            .acquire_many_owned(self.units_of(bytes))
            .await
            .ok()
    }

    fn units_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.min(self.largest()).div_ceil(UNIT)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_not_there_for_others_and_one_takes_half_at_most() {
        let flight = Flight::new(1 << 20);
        let first = flight.try_reserve(u64::MAX).unwrap();
        let second = flight.try_reserve(u64::MAX).unwrap();
        assert!(flight.try_reserve(1).is_none());
        drop(first);
        assert!(flight.try_reserve(1 << 18).is_some());
        drop(second);
    }
}
