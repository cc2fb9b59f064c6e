//! How often a window failed running: one garbled answer is an accident, three are the
//! window's contents.

use super::walk::Span;

/// Failures running after which a window is held to be the cause.
const ENOUGH: u32 = 3;

/// Counts for the window that is being asked for.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    window: Option<Span>,
    garbled: u32,
    failed: u32,
}

impl Strikes {
    fn of(&mut self, window: Span) -> &mut Self {
        if self.window != Some(window) {
            *self = Self {
                window: Some(window),
                ..Self::default()
            };
        }
        self
    }

    /// Its answer was garbled or too large; whether that is enough.
    pub(super) fn garbled(&mut self, window: Span) -> bool {
        let this = self.of(window);
        this.garbled += 1;
        this.garbled >= ENOUGH
    }

    /// It got no answer; whether it is time to find out if others do.
    pub(super) fn failed(&mut self, window: Span) -> bool {
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
            Span {
                from: at(0),
                to: at(8),
            },
            Span {
                from: at(0),
                to: at(4),
            },
        );
        let mut strikes = Strikes::default();
        assert!(!strikes.garbled(one) && !strikes.garbled(one) && !strikes.failed(one));
        assert!(strikes.garbled(one));
        assert!(!strikes.garbled(other));
        assert!(!strikes.garbled(one));
    }
}
