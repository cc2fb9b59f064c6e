//! An alert as the ledger holds it: the envelope as one line of JSON, then the service's
//! own line. Who wants the latter alone need not read the former.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use watchbell_sandbox::{Alert, Severity};

/// A record that this program did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of the ledger cannot be read")]
pub struct Unreadable;

#[derive(Serialize, Deserialize)]
struct Envelope {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alert_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alert_time: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_processed_time: Option<i64>,
    severity: Level,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    category: Option<String>,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Level {
    Unspecified,
    Informational,
    Low,
    Medium,
    High,
}

/// An alert as a record's bytes.
#[must_use]
pub fn write(alert: Alert) -> Vec<u8> {
    let envelope = Envelope {
        id: alert.id,
        alert_id: alert.alert_id,
        alert_time: alert.alert_time,
        last_processed_time: alert.last_processed_time,
        severity: match alert.severity {
            Severity::Unspecified => Level::Unspecified,
            Severity::Informational => Level::Informational,
            Severity::Low => Level::Low,
            Severity::Medium => Level::Medium,
            Severity::High => Level::High,
        },
        category: alert.category,
    };
    let mut bytes = Vec::with_capacity(alert.json.len() + 256);
    // Text and numbers into memory: nothing can go wrong.
    let _ = serde_json::to_writer(&mut bytes, &envelope);
    bytes.push(b'\n');
    bytes.extend_from_slice(alert.json.as_bytes());
    bytes
}

/// What an event must know of its detection.
#[derive(Deserialize)]
pub(super) struct Head<'r> {
    #[serde(borrow)]
    pub(super) id: Cow<'r, str>,
    alert_time: Option<i64>,
    last_processed_time: Option<i64>,
}

impl Head<'_> {
    /// As [`time_of`].
    pub(super) fn time(&self) -> Option<i64> {
        self.last_processed_time.or(self.alert_time)
    }
}

/// When the service processed an alert last, or else when it was raised, in nanoseconds
/// since 1970.
pub(super) fn time_of(alert: &Alert) -> Option<i64> {
    alert.last_processed_time.or(alert.alert_time)
}

/// What an event must know, and the service's own line.
pub(super) fn split(bytes: &[u8]) -> Result<(Head<'_>, &[u8]), Unreadable> {
    let (line, json) = lines(bytes)?;
    let head = serde_json::from_slice(line).map_err(|_| Unreadable)?;
    Ok((head, json))
}

/// The service's own line.
///
/// # Errors
/// [`Unreadable`].
pub fn json(bytes: &[u8]) -> Result<&[u8], Unreadable> {
    lines(bytes).map(|(_, json)| json)
}

fn lines(bytes: &[u8]) -> Result<(&[u8], &[u8]), Unreadable> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let both = end.and_then(|end| Some((bytes.get(..end)?, bytes.get(end + 1..)?)));
    both.ok_or(Unreadable)
}

/// The alert of a record's bytes.
///
/// # Errors
/// [`Unreadable`].
pub fn read(bytes: &[u8]) -> Result<Alert, Unreadable> {
    let (line, json) = lines(bytes)?;
    let envelope: Envelope = serde_json::from_slice(line).map_err(|_| Unreadable)?;
    Ok(Alert {
        id: envelope.id,
        alert_id: envelope.alert_id,
        alert_time: envelope.alert_time,
        last_processed_time: envelope.last_processed_time,
        severity: match envelope.severity {
            Level::Unspecified => Severity::Unspecified,
            Level::Informational => Severity::Informational,
            Level::Low => Severity::Low,
            Level::Medium => Severity::Medium,
            Level::High => Severity::High,
        },
        category: envelope.category,
        json: String::from_utf8(json.to_vec()).map_err(|_| Unreadable)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_comes_back_as_it_was_and_its_json_byte_for_byte() {
        let alert = Alert {
            id: "a\n\"b".to_owned(),
            alert_id: Some("ä".to_owned()),
            alert_time: Some(-1),
            last_processed_time: None,
            severity: Severity::High,
            category: None,
            json: "{\"x\":1.50}".to_owned(),
        };
        let bytes = write(alert.clone());
        let back = read(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), format!("{alert:?}"));
        assert_eq!(json(&bytes).unwrap(), alert.json.as_bytes());
        let (head, line) = split(&bytes).unwrap();
        assert_eq!((&*head.id, head.time()), (&*alert.id, Some(-1)));
        assert_eq!(line, alert.json.as_bytes());
        assert_eq!(read(b"no line end").unwrap_err(), Unreadable);
    }
}
