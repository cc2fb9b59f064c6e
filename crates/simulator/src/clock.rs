//! The service's clock, which need not agree with the machine's.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, TimeDelta, Utc};

use crate::text;

/// The service's clock: what is visible, when tokens end, and the Date header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clock plus this much; negative is behind.
    Offset(TimeDelta),
    /// Stands still, so that a test knows to the tick what is visible.
    Frozen(DateTime<Utc>),
}

impl Default for Clock {
    fn default() -> Self {
        Self::Offset(TimeDelta::zero())
    }
}

impl Clock {
    /// The service's time.
    pub fn now(&self) -> DateTime<Utc> {
        text::instant(self.ticks())
    }

    /// The service's time in ticks since 1970.
    pub(crate) fn ticks(&self) -> i64 {
        match self {
            Self::Frozen(at) => text::ticks(*at),
            Self::Offset(by) => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                let machine = i64::try_from(since.as_nanos() / 100).unwrap_or(i64::MAX);
                machine.saturating_add(by.num_microseconds().unwrap_or(0).saturating_mul(10))
            }
        }
    }
}
