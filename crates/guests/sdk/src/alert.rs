//! Alerts read from JSON, and as the workspace's own type.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use watchbell_detection::{Alert as Envelope, Fault, Severity as Grade, Timestamp};

use crate::{Alert, Severity};

impl Alert {
    /// Reads the envelope of one object, and puts it on one line if it was not. For a
    /// plugin that changes `json`: it keeps the envelope true.
    ///
    /// # Errors
    /// When the text is not exactly one JSON object, nested at most 128 deep.
    pub fn from_json(json: &str) -> Result<Self, Fault> {
        Envelope::from_json(json).map(Self::from)
    }
}

impl Severity {
    /// Every severity, under the name that a configuration has for it.
    const NAMES: [(&'static str, Self); 5] = [
        ("unspecified", Self::Unspecified),
        ("informational", Self::Informational),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
    ];
}

/// `unspecified`, `informational`, `low`, `medium` or `high`.
impl<'de> Deserialize<'de> for Severity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: [&str; 5] = ["unspecified", "informational", "low", "medium", "high"];
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        let known = Self::NAMES.into_iter().find(|(name, _)| *name == text);
        let (_, severity) = known.ok_or_else(|| D::Error::unknown_variant(&text, &NAMES))?;
        Ok(severity)
    }
}

impl From<Envelope> for Alert {
    fn from(alert: Envelope) -> Self {
        Self {
            id: alert.id,
            alert_id: alert.alert_id,
            alert_time: alert.alert_time.map(Timestamp::as_nanos),
            last_processed_time: alert.last_processed_time.map(Timestamp::as_nanos),
            severity: match alert.severity {
                Grade::Unspecified => Severity::Unspecified,
                Grade::Informational => Severity::Informational,
                Grade::Low => Severity::Low,
                Grade::Medium => Severity::Medium,
                Grade::High => Severity::High,
            },
            category: alert.category,
            json: alert.json,
        }
    }
}

impl From<Alert> for Envelope {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id,
            alert_id: alert.alert_id,
            alert_time: alert.alert_time.map(Timestamp::from_nanos),
            last_processed_time: alert.last_processed_time.map(Timestamp::from_nanos),
            severity: match alert.severity {
                Severity::Unspecified => Grade::Unspecified,
                Severity::Informational => Grade::Informational,
                Severity::Low => Grade::Low,
                Severity::Medium => Grade::Medium,
                Severity::High => Grade::High,
            },
            category: alert.category,
            json: alert.json,
        }
    }
}
