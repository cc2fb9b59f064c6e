//! What a poll came to, said in the log and counted.

use super::super::answer::instant;
use super::super::clock::Sighting;
use super::Feed;
use chrono::{DateTime, TimeDelta, Utc};
use watchbell_ledger::{Committed, Time};

/// A local clock that is further from the service's is said.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// What one poll came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) windows: usize,
    pub(super) read: usize,
    pub(super) fresh: usize,
    pub(super) duplicates: usize,
    pub(super) quarantined: usize,
    pub(super) below: usize,
    pub(super) above: usize,
}

impl Feed {
    pub(super) fn see(&mut self, sighting: Option<Sighting>) {
        if let Some(sighting) = sighting
            && let Err(odd) = self.clock.see(sighting, Utc::now())
        {
            tracing::warn!("{odd}");
        }
        let ahead = self.clock.now() - Utc::now();
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
            self.skew_trouble.met_kind("skew", &words)
        } else {
            self.skew_trouble.over()
        };
        if let Some(say) = said {
            tracing::warn!("{say}");
        }
    }

    /// Half the overlap used up: the other half may not be enough next time.
    pub(super) fn warn_of_late(&self, done: &Committed, cursor: Option<Time>, sent: DateTime<Utc>) {
        let overlap = self.puller.settings().reading.overlap;
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

    pub(super) fn say(&mut self, tally: &Tally) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.counts.received.increment(count(tally.fresh));
        self.counts.known.increment(count(tally.duplicates));
        self.counts.quarantined.increment(count(tally.quarantined));
        if tally.fresh > 0 || tally.quarantined > 0 {
            tracing::info!(
                new = tally.fresh,
                read = tally.read,
                known = tally.duplicates,
                windows = tally.windows,
                quarantined = tally.quarantined,
                "polled"
            );
        } else {
            tracing::debug!(read = tally.read, windows = tally.windows, "polled");
        }
        let ignored = match (tally.below > 0, tally.above > 0) {
            (true, true) => "sinceTimeUtc and untilTimeUtc",
            (true, false) => "sinceTimeUtc",
            (false, true) => "untilTimeUtc",
            (false, false) => return,
        };
        let words = format!(
            "the service ignores {ignored}: {} rows below what was asked for were dropped, {} above it went on",
            tally.below, tally.above
        );
        if let Some(say) = self.bounds_trouble.met_kind(ignored, &words) {
            tracing::warn!("{say}");
        }
    }

    pub(super) fn well(&mut self) {
        self.backoff.reset();
        if let Some(say) = self.trouble.over() {
            tracing::info!("{say}");
        }
    }
}
