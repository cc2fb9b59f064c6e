//! What an answer's Date header says of the service's clock.

use chrono::{DateTime, TimeDelta, Utc};
use std::time::Instant;
use watchbell_egress::Exchange;

/// What one Date header says: at `at`, the service's time was `time` or a little more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceDate {
    /// When, by this machine's monotonic clock.
    pub(crate) at: Instant,
    /// The service's time.
    pub(crate) time: DateTime<Utc>,
}

impl ServiceDate {
    /// What an exchange shows; none when its answer had no Date.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<Self> {
        let date = exchange.date.as_ref()?.to_str().ok()?;
        Some(Self {
            at: exchange.sent_at,
            // A Date may be any year that can be written.
            time: DateTime::parse_from_rfc2822(date)
                .ok()?
                .to_utc()
                .checked_sub_signed(waited(exchange)?)?,
        })
    }

    /// The service's time at `when`, by this Date alone.
    pub(crate) fn time_at(&self, when: Instant) -> DateTime<Utc> {
        let passed = |from: Instant, to: Instant| {
            TimeDelta::from_std(to.saturating_duration_since(from)).unwrap_or(TimeDelta::MAX)
        };
        let later = self.time.checked_add_signed(passed(self.at, when));
        later
            .and_then(|time| time.checked_sub_signed(passed(when, self.at)))
            .unwrap_or(self.time)
    }
}

/// How long the answer took, all of which may lie after the Date was made.
fn waited(exchange: &Exchange) -> Option<TimeDelta> {
    TimeDelta::from_std(exchange.answered_at?.duration_since(exchange.sent_at)).ok()
}
