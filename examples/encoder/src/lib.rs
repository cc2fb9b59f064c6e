//! An encoder to start from: a line of `name="value"` for each detection.
//!
//! `README.md` says how to build and use it.

use watchbell_sdk::detection::{Detection, Fault};
use watchbell_sdk::{Alert, Description, Encoder, Error, OptionsError, each, export_encoder};

/// What a user may set. Any other option is refused by its name.
#[derive(serde::Deserialize)]
struct Logfmt {
    /// What `app` is in each line.
    #[serde(default)]
    app: String,
}

impl Encoder for Logfmt {
    type Options = Self;

    fn new(options: Self) -> Result<Self, OptionsError> {
        Ok(options)
    }

    fn describe(&self) -> Result<Description, Error> {
        Ok(Description::lines("text/plain; charset=utf-8", "log"))
    }

    fn encode(&self, alerts: Vec<Alert>) -> Result<Vec<Vec<u8>>, Error> {
        each(alerts, |alert| -> Result<_, Fault> {
            let (app, detection) = (&self.app, Detection::from_json(&alert.json)?);
            let severity = detection.severity.unwrap_or_default();
            let title = detection.alert_title.unwrap_or_default();
            // `:?` quotes, and escapes all that ends a line.
            Ok(format!("app={app:?} severity={severity:?} title={title:?}").into_bytes())
        })
    }
}

export_encoder!(Logfmt);
