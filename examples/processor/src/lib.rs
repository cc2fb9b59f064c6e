//! A processor to begin from: passes on what is of a severity and above.
//!
//! See `README.md` for how to build it so that it imports nothing.

#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::pedantic
)]
#[allow(clippy::restriction)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "alert-processor",
        pub_export_macro: false,
    });
}

use bindings::exports::watchbell::detections::processor::Guest;
use bindings::watchbell::detections::types::{
    Alert, InvalidOption, Options, PluginError, Severity,
};

struct AtLeast;

impl Guest for AtLeast {
    /// Judged once, before any alert is there.
    fn check(options: Options) -> Result<(), PluginError> {
        least(&options).map(drop)
    }

    /// The alerts that go on.
    fn process(options: Options, mut alerts: Vec<Alert>) -> Result<Vec<Alert>, PluginError> {
        let least = least(&options)?;
        alerts.retain(|alert| alert.severity >= least);
        Ok(alerts)
    }
}

/// The option `at_least`; all but it is unknown.
fn least(options: &Options) -> Result<Severity, PluginError> {
    let wrong = |name: &str, message: &str| {
        PluginError::InvalidOption(InvalidOption {
            name: name.to_owned(),
            offset: None,
            message: message.to_owned(),
        })
    };
    let mut least = None;
    for (name, value) in options {
        if name != "at_least" {
            return Err(wrong(name, "is not an option; there is at_least"));
        }
        least = Some(match value.as_str() {
            "informational" => Severity::Informational,
            "low" => Severity::Low,
            "medium" => Severity::Medium,
            "high" => Severity::High,
            _ => return Err(wrong(name, "is none of informational, low, medium, high")),
        });
    }
    least.ok_or_else(|| wrong("at_least", "is missing; write a severity, e.g. medium"))
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, clippy::all)]
mod export {
    super::bindings::export!(AtLeast with_types_in super::bindings);
    use super::AtLeast;
}
