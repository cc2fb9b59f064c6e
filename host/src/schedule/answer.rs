//! One window: asked for, and what came of it sorted.

use super::clock::Sighting;
use super::error::PullError;
use super::puller::{Puller, Window};
use super::retry::Verdict;
use super::walk::Span;
use crate::pipeline::record;
use chrono::{DateTime, Utc};
use std::num::NonZeroU32;
use std::time::Instant;
use watchbell_ledger::{Record, Time};
use watchbell_sandbox::Alert;
use watchbell_sandbox::contract::Malformed;

/// The key's time of a detection that has none: it is known by its identity alone, and
/// for ever.
const UNDATED: Time = Time::MAX;

/// The most elements of one answer that are kept: each is a row of the quarantine, with
/// the reason beside it. The others come within reach when the window is narrower.
const KEPT: usize = 10_000;

/// One millisecond.
const MILLI: Time = 1_000_000;

/// What came of asking for a window.
pub(super) struct Answer {
    pub(super) outcome: Result<Rows, Failed>,
    pub(super) sighting: Option<Sighting>,
    /// When it was asked.
    pub(super) sent_at: Instant,
}

/// An answer that could be read, all of it or most.
pub(super) struct Rows {
    pub(super) alerts: Vec<Alert>,
    /// The elements that could not be read, as they came.
    pub(super) unreadable: Vec<Vec<u8>>,
    /// Others that could not, so far into the body or so many that they were not kept:
    /// they come within reach when the window is narrower.
    pub(super) beyond: usize,
    /// Why.
    pub(super) reason: String,
    /// Bytes of the answer.
    pub(super) bytes: u64,
}

/// No answer, or one that could not be read.
pub(super) struct Failed {
    pub(super) error: PullError,
    pub(super) verdict: Verdict,
    /// How the answer began.
    pub(super) head: Vec<u8>,
}

impl Answer {
    /// Whether the service did answer, were it with something that nobody can read.
    pub(super) fn is_one(&self) -> bool {
        match &self.outcome {
            Ok(_) => true,
            Err(failed) => matches!(failed.verdict, Verdict::Garbled | Verdict::TooLarge),
        }
    }

    /// Whether it could be read.
    pub(super) fn is_read(&self) -> bool {
        self.outcome.is_ok()
    }
}

/// Asks for a window, whose answer may have `room` bytes.
pub(super) async fn ask(
    puller: &Puller,
    window: Span,
    limit: Option<NonZeroU32>,
    room: u64,
) -> Answer {
    let (from, to) = window.question();
    let begun = Instant::now();
    let asked = puller
        .ask(&Window::Between(Some(from), Some(to)), limit, room)
        .await;
    let exchange = asked.exchange;
    let outcome = match asked.outcome {
        Ok(alerts) => Ok(Rows {
            alerts,
            unreadable: Vec::new(),
            beyond: 0,
            reason: String::new(),
            bytes: exchange.as_ref().map_or(0, |exchange| exchange.bytes),
        }),
        Err(error) => {
            let head = exchange
                .as_ref()
                .map(|exchange| exchange.body_head.to_vec());
            let head = head.unwrap_or_default();
            match Verdict::of(&error, &head) {
                Verdict::Partly(fault) => {
                    let bytes = exchange.as_ref().map_or(0, |exchange| exchange.bytes);
                    Ok(partly(fault, &head, bytes))
                }
                verdict => Err(Failed {
                    error,
                    verdict,
                    head,
                }),
            }
        }
    };
    Answer {
        outcome,
        sighting: asked.sighting,
        sent_at: exchange.map_or(begun, |exchange| exchange.sent_at),
    }
}

fn partly(fault: Malformed, head: &[u8], bytes: u64) -> Rows {
    let (mut unreadable, mut beyond) = (Vec::new(), 0);
    for range in &fault.unreadable {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        match head.get(at(range.start)..at(range.end)) {
            Some(element) if unreadable.len() < KEPT => unreadable.push(element.to_vec()),
            _ => beyond += 1,
        }
    }
    Rows {
        alerts: fault.alerts,
        unreadable,
        beyond,
        reason: format!("byte {}: {}", fault.offset, fault.message),
        bytes,
    }
}

impl Failed {
    /// Whether the answer had more bytes than it had room for.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self.verdict, Verdict::TooLarge)
    }
}

impl Rows {
    /// How many elements the answer had.
    pub(super) fn count(&self) -> usize {
        self.alerts.len() + self.unreadable.len() + self.beyond
    }
}

/// Which rows of an answer are the window's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// Those from this time on, above the window too: what is known is dropped by its key.
    From(Time),
    /// Those within the window: what lies outside is another's.
    Within,
}

/// An answer's rows, as records.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) records: Vec<Record>,
    /// Rows below the window, which were dropped.
    pub(super) below: usize,
    /// Rows above it.
    pub(super) above: usize,
}

/// Whether a row lies above the window: then the service ignores the upper bound.
pub(super) fn is_beyond(alerts: &[Alert], window: Span) -> bool {
    let is_above = |alert: &Alert| {
        alert
            .last_processed_time
            .is_some_and(|time| above(time, window))
    };
    alerts.iter().any(is_above)
}

fn above(time: Time, window: Span) -> bool {
    time != UNDATED && time > nanos(window.to).saturating_add(MILLI)
}

/// Makes records of rows.
pub(super) fn sort(alerts: Vec<Alert>, window: Span, keep: Keep) -> Sorted {
    let (from, to) = (nanos(window.from), nanos(window.to));
    let mut sorted = Sorted::default();
    for alert in alerts {
        let time = alert.last_processed_time.unwrap_or(UNDATED);
        let is_dated = time != UNDATED;
        let is_below = time < from.saturating_sub(MILLI);
        let is_above = above(time, window);
        sorted.below += usize::from(is_below);
        sorted.above += usize::from(is_above);
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

/// As the ledger counts time.
pub(super) fn nanos(time: DateTime<Utc>) -> Time {
    time.timestamp_nanos_opt().unwrap_or(Time::MAX)
}

/// From the ledger's time.
pub(super) fn instant(time: Time) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(time)
}
