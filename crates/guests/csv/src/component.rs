//! The component's exports: the contract's types to ours and back.
//!
//! Separate, and built for WebAssembly only, since its symbols mean something to a
//! wrapped component alone.

use watchbell_detection::{Alert, Severity, Timestamp};

use crate::PluginError;
use bindings::exports::watchbell::detections::encoder::{Description, Guest};
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
        world: "alert-encoder",
    });

    export!(Component with_types_in self);

    use super::Component;
}

struct Component;

impl Guest for Component {
    fn check(options: types::Options) -> Result<(), types::PluginError> {
        Ok(crate::check(&options)?)
    }

    fn describe(options: types::Options) -> Result<Description, types::PluginError> {
        let described = crate::describe(&options)?;
        Ok(Description {
            content_type: described.content_type,
            header: Some(described.header),
            separator: described.separator,
            quote: Some(described.quote),
            extension: described.extension,
        })
    }

    fn encode(
        options: types::Options,
        alerts: Vec<types::Alert>,
    ) -> Result<Vec<Vec<u8>>, types::PluginError> {
        let alerts: Vec<_> = alerts.into_iter().map(Alert::from).collect();
        Ok(crate::encode(&options, &alerts)?)
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
            PluginError::Other(message) => Self::Other(message),
        }
    }
}
