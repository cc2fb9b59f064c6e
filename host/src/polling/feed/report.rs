//! What a poll came to, said in the log and counted.

use super::super::reader::instant;
use super::Feed;
use crate::sources::ServiceDate;
use chrono::{DateTime, TimeDelta, Utc};
use std::borrow::Cow;
use watchbell_detection::without_halves;
use watchbell_ledger::{Committed, Time};
use watchbell_sandbox::Alert;

/// A local clock that is further from the service's is said.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// What one poll came to.
#[derive(Debug, Default)]
pub(super) struct PollSummary {
    pub(super) windows: usize,
    pub(super) read: usize,
    pub(super) fresh: usize,
    pub(super) duplicates: usize,
    pub(super) quarantined: usize,
    pub(super) below: usize,
    pub(super) above: usize,
}

impl Feed {
    /// Takes note of the service's clock, and says when this machine's is wrong.
    pub(super) fn observe(&mut self, dates: Vec<ServiceDate>) {
        let wall = self.clock().wall();
        for date in dates {
            if let Err(implausible) = self.service_clock.observe(date, wall) {
                tracing::warn!("{implausible}");
            }
        }
        let ahead = self.service_now() - wall;
        let said = if ahead.abs() > SKEW {
            let words = format!(
                "this machine's clock is {} s {} the service's, whose is used; set it right",
                ahead.num_seconds().abs(),
                if ahead > TimeDelta::zero() {
                    "behind"
                } else {
                    "ahead of"
                },
            );
            self.skew_incident.record_kind("skew", &words)
        } else {
            self.skew_incident.end()
        };
        if let Some(say) = said {
            tracing::warn!("{say}");
        }
    }

    /// Half the overlap used up: the other half may not be enough next time.
    pub(super) fn warn_of_late(&self, done: &Committed, cursor: Option<Time>, sent: DateTime<Utc>) {
        let overlap = self.client.settings().polling.overlap.delta();
        let (Some(oldest), Some(cursor)) = (done.oldest_fresh, cursor) else {
            return;
        };
        let late = instant(cursor) - instant(oldest);
        if late > overlap / 2 {
            tracing::warn!(
                overlap_secs = overlap.num_seconds(),
                late_secs = (sent - instant(oldest)).num_seconds(),
                "a detection came so late that more than half the overlap was used; raise overlap_secs, or set rescan"
            );
        }
    }

    /// Says once that some readers will not take what the service sent.
    pub(super) fn warn_of_halves(&mut self, alerts: &[Alert]) {
        let has_half = |alert: &Alert| matches!(without_halves(&alert.json), Cow::Owned(_));
        if self.are_halves_reported || !alerts.iter().any(has_half) {
            return;
        }
        self.are_halves_reported = true;
        tracing::warn!(
            "a detection holds half a surrogate pair (as in \"\\ud800\"), which is JSON and no character; it goes on as it came, CSV and what a filter changes have U+FFFD in its place; said once"
        );
    }

    pub(super) fn report(&mut self, summary: &PollSummary) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.counts.received.increment(count(summary.fresh));
        self.counts.known.increment(count(summary.duplicates));
        self.counts
            .quarantined
            .increment(count(summary.quarantined));
        if summary.fresh > 0 || summary.quarantined > 0 {
            tracing::info!(
                new = summary.fresh,
                read = summary.read,
                known = summary.duplicates,
                windows = summary.windows,
                quarantined = summary.quarantined,
                "polled"
            );
        } else {
            tracing::debug!(read = summary.read, windows = summary.windows, "polled");
        }
        let ignored = match (summary.below > 0, summary.above > 0) {
            (true, true) => "sinceTimeUtc and untilTimeUtc",
            (true, false) => "sinceTimeUtc",
            (false, true) => "untilTimeUtc",
            (false, false) => return,
        };
        let words = format!(
            "the service ignores {ignored}: {} rows below what was asked for were dropped, {} above it went on",
            summary.below, summary.above
        );
        if let Some(say) = self.bounds_incident.record_kind(ignored, &words) {
            tracing::warn!("{say}");
        }
    }

    pub(super) fn end_incident(&mut self) {
        self.backoff.reset();
        self.last_failure = None;
        if let Some(say) = self.incident.end() {
            tracing::info!("{say}");
        }
    }
}
