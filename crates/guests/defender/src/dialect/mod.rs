//! The APIs that hand out detections: a file for each.
//!
//! A dialect turns the contract's query into a target, has [`request`] send it, and reads
//! the answer's body. What all of them share stands here: which one `api` names, and the
//! alert in the contract's own type.

mod request;
mod siem;

use crate::bindings::exports::watchbell::detections::source::{Api, Config, Error};
use crate::bindings::watchbell::detections::types::{Alert, Severity};
use crate::checks::graph_is_not_supported;
use request::Request;
use watchbell_detection as detection;

/// Checks everything that [`poll`] uses but the token, and sends nothing.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    request(config, None).map(drop)
}

/// Asks for detections, with `token` as bearer token where the host adds none.
pub(crate) fn poll(config: &Config, token: Option<String>) -> Result<Vec<Alert>, Error> {
    let request = request(config, token)?;
    match config.api {
        Api::Siem => siem::poll(&request),
        Api::Graph => Err(graph_is_not_supported()),
    }
}

fn request(config: &Config, token: Option<String>) -> Result<Request, Error> {
    match config.api {
        Api::Siem => siem::request(config, token),
        Api::Graph => Err(graph_is_not_supported()),
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
