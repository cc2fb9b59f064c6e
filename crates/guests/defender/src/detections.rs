//! The conversation with the SIEM API: one GET, split as it arrives.

use crate::bindings::exports::watchbell::detections::source::{ByteRange, Error, Malformed, Stage};
use crate::bindings::watchbell::detections::types::{Alert, Severity};
use crate::http::{self, Request};
use crate::question::Detections;
use crate::refusal;
use watchbell_detection as detection;
use watchbell_detection::Splitter;

/// Asks for detections.
pub(crate) fn poll(question: &Detections) -> Result<Vec<Alert>, Error> {
    let bearer = question
        .token
        .as_ref()
        .map(|token| format!("Bearer {token}"));
    let mut headers = vec![("accept", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let answer = http::send(&Request {
        stage: Stage::Detections,
        body: None,
        base: &question.base,
        target: &question.target,
        headers: &headers,
    })?;
    if answer.status != 200 {
        return Err(refusal::of_detections(&answer, question.token.as_deref()));
    }
    let mut splitter = Splitter::new();
    answer.read(question.max_bytes, |chunk| splitter.push(chunk))?;
    match splitter.finish() {
        Ok(alerts) => Ok(envelopes(alerts)),
        Err(fault) => Err(Error::Malformed(Malformed {
            stage: Stage::Detections,
            offset: fault.offset,
            message: fault.message,
            alerts: envelopes(fault.alerts),
            unreadable: fault
                .unreadable
                .into_iter()
                .map(|range| ByteRange {
                    start: range.start,
                    end: range.end,
                })
                .collect(),
        })),
    }
}

fn envelopes(alerts: Vec<detection::Alert>) -> Vec<Alert> {
    alerts
        .into_iter()
        .map(|alert| Alert {
            id: alert.id,
            alert_id: alert.alert_id,
            alert_time: alert.alert_time.map(detection::Timestamp::as_nanos),
            last_processed_time: alert
                .last_processed_time
                .map(detection::Timestamp::as_nanos),
            severity: match alert.severity {
                detection::Severity::Unspecified => Severity::Unspecified,
                detection::Severity::Informational => Severity::Informational,
                detection::Severity::Low => Severity::Low,
                detection::Severity::Medium => Severity::Medium,
                detection::Severity::High => Severity::High,
            },
            category: alert.category,
            json: alert.json,
        })
        .collect()
}
