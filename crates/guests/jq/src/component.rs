//! The component's exports: the contract's types to ours and back, by moves.
//!
//! Separate, and built for WebAssembly only, since its symbols mean something to a
//! wrapped component alone.

use watchbell_detection::{Alert, Severity, Timestamp};

use crate::PluginError;
use bindings::exports::watchbell::detections::processor::Guest;
use bindings::watchbell::detections::types;

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    missing_docs,
    rust_2018_idioms,
    unreachable_pub,
    unsafe_code,
    reason = "generated from the contract; raw memory is how the canonical ABI passes values"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "alert-processor",
    });

    export!(Component with_types_in self);

    use super::Component;
}

struct Component;

impl Guest for Component {
    fn check(options: types::Options) -> Result<(), types::PluginError> {
        Ok(crate::check(&options)?)
    }

    fn process(
        options: types::Options,
        alerts: Vec<types::Alert>,
    ) -> Result<Vec<types::Alert>, types::PluginError> {
        let alerts = alerts.into_iter().map(Alert::from).collect();
        let alerts = crate::process(&options, alerts)?;
        Ok(alerts.into_iter().map(types::Alert::from).collect())
    }
}

impl From<types::Alert> for Alert {
    fn from(alert: types::Alert) -> Self {
        Self {
            id: alert.id,
            alert_id: alert.alert_id,
            alert_time: alert.alert_time.map(Timestamp::from_nanos),
            last_processed_time: alert.last_processed_time.map(Timestamp::from_nanos),
            severity: match alert.severity {
                types::Severity::Unspecified => Severity::Unspecified,
                types::Severity::Informational => Severity::Informational,
                types::Severity::Low => Severity::Low,
                types::Severity::Medium => Severity::Medium,
                types::Severity::High => Severity::High,
            },
            category: alert.category,
            json: alert.json,
        }
    }
}

impl From<Alert> for types::Alert {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id,
            alert_id: alert.alert_id,
            alert_time: alert.alert_time.map(Timestamp::as_nanos),
            last_processed_time: alert.last_processed_time.map(Timestamp::as_nanos),
            severity: match alert.severity {
                Severity::Unspecified => types::Severity::Unspecified,
                Severity::Informational => types::Severity::Informational,
                Severity::Low => types::Severity::Low,
                Severity::Medium => types::Severity::Medium,
                Severity::High => types::Severity::High,
            },
            category: alert.category,
            json: alert.json,
        }
    }
}

impl From<PluginError> for types::PluginError {
    fn from(error: PluginError) -> Self {
        match error {
            PluginError::InvalidOption {
                name,
                offset,
                message,
            } => Self::InvalidOption(types::InvalidOption {
                name,
                offset,
                message,
            }),
            PluginError::BadRecord { index, message } => {
                Self::BadRecord(types::BadRecord { index, message })
            }
            PluginError::TooLarge(bytes) => Self::TooLarge(bytes),
        }
    }
}
