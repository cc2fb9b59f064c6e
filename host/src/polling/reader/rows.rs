//! The rows of an answer: which are the window's, which become records, which cannot be read.

use super::super::window_plan::{MILLI, TimeRange};
use crate::record;
use chrono::{DateTime, Utc};
use std::num::NonZeroU32;
use watchbell_ledger::{NewQuarantine, Record, Time, Unread};
use watchbell_sandbox::Alert;

/// One millisecond.
const MILLI_NANOS: Time = 1_000_000;

/// An answer that could be read, all of it or most.
pub(in super::super) struct Rows {
    pub(in super::super) alerts: Vec<Alert>,
    /// The elements that could not be read, as they came.
    pub(in super::super) unreadable: Vec<Vec<u8>>,
    /// Others that could not, so far into the body or so many that they were not kept:
    /// they come within reach when the window is narrower.
    pub(in super::super) beyond: usize,
    /// Why.
    pub(in super::super) reason: String,
    /// Bytes of the answer.
    pub(in super::super) bytes: u64,
}

impl Rows {
    /// How many elements the answer had.
    pub(in super::super) fn count(&self) -> usize {
        self.alerts.len() + self.unreadable.len() + self.beyond
    }

    /// Whether a limit may have left some out.
    pub(super) fn are_cut_by(&self, limit: Option<NonZeroU32>) -> bool {
        let is_reached =
            |limit: NonZeroU32| self.count() >= usize::try_from(limit.get()).unwrap_or(usize::MAX);
        limit.is_some_and(is_reached)
    }

    /// Whether one lies above the window: then the service ignores the upper bound.
    pub(in super::super) fn lie_beyond(&self, window: TimeRange) -> bool {
        let is_above = |alert: &Alert| {
            alert
                .last_processed_time
                .is_some_and(|time| is_above(time, window))
        };
        self.alerts.iter().any(is_above)
    }

    /// What could not be read in a window, for the quarantine.
    pub(in super::super) fn quarantine(&self, window: TimeRange) -> Vec<NewQuarantine> {
        // What is tried again later is asked for with these bounds, so that neither way of
        // taking them leaves it out.
        let around = TimeRange {
            from: window.from - MILLI,
            to: window.to + MILLI,
        };
        let mut all = self.unreadable_in(around);
        if self.beyond > 0 && window.is_least() {
            let reason = format!("{}; too far into the answer to be kept", self.reason);
            let body = format!("{} elements at {}", self.beyond, window.from);
            all.push(element(around, reason, body.into_bytes()));
        }
        all
    }

    /// The elements that could not be read, as the quarantine has those of `window`.
    pub(in super::super) fn unreadable_in(&self, window: TimeRange) -> Vec<NewQuarantine> {
        self.unreadable
            .iter()
            .map(|body| element(window, self.reason.clone(), body.clone()))
            .collect()
    }

    /// Makes records of them.
    pub(in super::super) fn into_records(self, window: TimeRange, keep: Keep) -> SortedRows {
        let (from, to) = (nanos(window.from), nanos(window.to));
        let mut sorted = SortedRows::default();
        for alert in self.alerts {
            let time = alert.last_processed_time.unwrap_or(Record::UNDATED);
            let is_dated = time != Record::UNDATED;
            let is_below = time < from.saturating_sub(MILLI_NANOS);
            sorted.below += usize::from(is_below);
            sorted.above += usize::from(is_above(time, window));
            let is_kept = match keep {
                Keep::From(least) => !is_below && time >= least,
                Keep::Within => !is_dated || (from..to).contains(&time),
            };
            if is_kept {
                sorted.records.push(Record {
                    identity: alert.id.clone(),
                    time,
                    bytes: record::write(alert),
                });
            }
        }
        sorted
    }
}

/// Which rows of an answer are the window's.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Keep {
    /// Those from this time on, above the window too: what is known is dropped by its key.
    From(Time),
    /// Those within the window: what lies outside is another's.
    Within,
}

/// An answer's rows, as records.
#[derive(Default)]
pub(in super::super) struct SortedRows {
    pub(in super::super) records: Vec<Record>,
    /// Rows below the window, which were dropped.
    pub(in super::super) below: usize,
    /// Rows above it.
    pub(in super::super) above: usize,
}

fn element(window: TimeRange, reason: String, body: Vec<u8>) -> NewQuarantine {
    NewQuarantine {
        kind: Unread::Element,
        from: nanos(window.from),
        to: nanos(window.to),
        reason,
        body,
    }
}

fn is_above(time: Time, window: TimeRange) -> bool {
    time != Record::UNDATED && time > nanos(window.to).saturating_add(MILLI_NANOS)
}

/// As the ledger counts time.
pub(in super::super) fn nanos(time: DateTime<Utc>) -> Time {
    let beyond = if time < DateTime::UNIX_EPOCH {
        Time::MIN
    } else {
        Time::MAX
    };
    time.timestamp_nanos_opt().unwrap_or(beyond)
}

/// From the ledger's time.
pub(in super::super) fn instant(time: Time) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(time)
}
