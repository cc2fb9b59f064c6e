//! A processor to start from: passes on the detections of a severity and above.
//!
//! `README.md` says how to build and use it.

use watchbell_sdk::{Alert, Error, OptionsError, Processor, Severity, export_processor};

/// What a user may set. Any other option is refused by its name.
#[derive(serde::Deserialize)]
struct Options {
    /// `informational`, `low`, `medium` or `high`.
    at_least: Severity,
}

struct AtLeast(Severity);

impl Processor for AtLeast {
    type Options = Options;

    fn new(options: Options) -> Result<Self, OptionsError> {
        Ok(Self(options.at_least))
    }

    fn process(&self, mut alerts: Vec<Alert>) -> Result<Vec<Alert>, Error> {
        alerts.retain(|alert| alert.severity >= self.0);
        Ok(alerts)
    }
}

export_processor!(AtLeast);
