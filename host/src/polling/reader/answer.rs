//! One question, and the answer to it.

use super::super::retry::RetryClass;
use super::super::window_plan::TimeRange;
use super::rows::{Rows, nanos};
use crate::sources::{PollError, PollOutcome, ServiceDate, SourceClient, Window};
use std::num::NonZeroU32;
use std::time::Instant;
use watchbell_ledger::{NewQuarantine, Unread};
use watchbell_sandbox::contract::Malformed;

/// The most elements of one answer that are kept: each is a row of the quarantine, with
/// the reason beside it. The others come within reach when the window is narrower.
const MAX_KEPT: usize = 10_000;

/// What came of asking for a window.
pub(in super::super) struct Answer {
    pub(in super::super) outcome: Result<Rows, Unanswered>,
    pub(super) date: Option<ServiceDate>,
    /// When it was asked.
    pub(super) sent_at: Instant,
}

/// No answer, or one that could not be read.
pub(in super::super) struct Unanswered {
    pub(in super::super) error: PollError,
    pub(in super::super) class: RetryClass,
    /// How the answer began.
    head: Vec<u8>,
}

impl Answer {
    /// Whether the service did answer, were it with something that nobody can read.
    pub(super) fn is_one(&self) -> bool {
        match &self.outcome {
            Ok(_) => true,
            Err(failed) => matches!(failed.class, RetryClass::Garbled | RetryClass::TooLarge),
        }
    }

    /// Whether it could be read.
    pub(super) fn is_read(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl Unanswered {
    /// Whether the answer had more bytes than it may have.
    pub(in super::super) fn is_too_large(&self) -> bool {
        matches!(self.class, RetryClass::TooLarge)
    }

    /// The window that it was asked for, for the quarantine.
    pub(in super::super) fn into_gap(self, window: TimeRange) -> NewQuarantine {
        NewQuarantine {
            kind: Unread::Gap,
            from: nanos(window.from),
            to: nanos(window.to),
            reason: self.error.to_string(),
            body: self.head,
        }
    }
}

/// Asks for a window at `begun`, whose answer may have `max_bytes`.
pub(super) async fn ask(
    client: &dyn SourceClient,
    window: TimeRange,
    limit: Option<NonZeroU32>,
    max_bytes: u64,
    begun: Instant,
) -> Answer {
    let (from, to) = window.question();
    let window = Window::Between(Some(from), Some(to));
    let PollOutcome {
        result,
        bytes,
        body_head,
        sent_at,
        date,
    } = client.poll_window(&window, limit, max_bytes).await;
    let outcome = match result {
        Ok(alerts) => Ok(Rows {
            alerts,
            unreadable: Vec::new(),
            beyond: 0,
            reason: String::new(),
            bytes,
        }),
        Err(error) => match RetryClass::of(&error, &body_head) {
            RetryClass::Partly(fault) => Ok(readable_part(client, fault, &body_head, bytes)),
            class => Err(Unanswered {
                error,
                class,
                head: client.redact_body(&body_head),
            }),
        },
    };
    Answer {
        outcome,
        date,
        sent_at: sent_at.unwrap_or(begun),
    }
}

fn readable_part(client: &dyn SourceClient, fault: Malformed, head: &[u8], bytes: u64) -> Rows {
    let (mut unreadable, mut beyond) = (Vec::new(), 0);
    for range in &fault.unreadable {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        match head.get(at(range.start)..at(range.end)) {
            Some(element) if unreadable.len() < MAX_KEPT => {
                unreadable.push(client.redact_body(element));
            }
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
