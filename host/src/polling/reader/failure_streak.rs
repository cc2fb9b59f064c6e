//! How often a window failed running: one garbled answer is an accident, three are the
//! window's contents.

use super::super::window_plan::TimeRange;

/// Failures running after which a window is held to be the cause.
const ENOUGH: u32 = 3;

/// Counts for the window that is being asked for.
#[derive(Debug, Default)]
pub(super) struct FailureStreak {
    window: Option<TimeRange>,
    garbled: u32,
    failed: u32,
}

impl FailureStreak {
    fn of(&mut self, window: TimeRange) -> &mut Self {
        if self.window != Some(window) {
            *self = Self {
                window: Some(window),
                ..Self::default()
            };
        }
        self
    }

    /// Its answer was garbled or too large; whether that is enough.
    pub(super) fn add_garbled(&mut self, window: TimeRange) -> bool {
        let this = self.of(window);
        this.garbled += 1;
        this.garbled >= ENOUGH
    }

    /// It got no answer; whether it is time to find out if others do.
    pub(super) fn add_unanswered(&mut self, window: TimeRange) -> bool {
        let this = self.of(window);
        this.failed += 1;
        this.failed >= ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    #[test]
    fn three_running_and_another_window_begins_anew() {
        let at = |millis| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis);
        let (one, other) = (
            TimeRange {
                from: at(0),
                to: at(8),
            },
            TimeRange {
                from: at(0),
                to: at(4),
            },
        );
        let mut failures = FailureStreak::default();
        assert!(
            !failures.add_garbled(one)
                && !failures.add_garbled(one)
                && !failures.add_unanswered(one)
        );
        assert!(failures.add_garbled(one));
        assert!(!failures.add_garbled(other));
        assert!(!failures.add_garbled(one));
    }
}
