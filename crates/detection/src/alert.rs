//! The envelope of one detection.

use crate::canonical;
use crate::scan::{self, Found, Scan};
use crate::text::meaning;
use crate::timestamp::Timestamp;
use std::ops::Range;
use thiserror::Error;

/// How grave the service judges an alert to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Severity {
    /// Missing, or a value that is not known.
    #[default]
    Unspecified,
    /// `Informational`.
    Informational,
    /// `Low`.
    Low,
    /// `Medium`.
    Medium,
    /// `High`.
    High,
}

impl Severity {
    /// Reads a severity in any case; what is not known is unspecified.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let known = [
            ("informational", Self::Informational),
            ("low", Self::Low),
            ("medium", Self::Medium),
            ("high", Self::High),
        ];
        let found = known
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map_or(Self::Unspecified, |(_, severity)| severity)
    }
}

/// One detection as the service sent it, in the envelope that the contract has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// `FullId`, else `sha256:` and the digest of the canonical JSON.
    pub id: String,
    /// `AlertId`.
    pub alert_id: Option<String>,
    /// `AlertTime`; absent when missing or no time.
    pub alert_time: Option<Timestamp>,
    /// `LastProcessedTimeUtc`; absent when missing or no time.
    pub last_processed_time: Option<Timestamp>,
    /// `Severity`.
    pub severity: Severity,
    /// `Category`.
    pub category: Option<String>,
    /// The object's JSON text on one line, otherwise byte for byte as received.
    pub json: String,
}

/// Why a text is not one JSON object on one line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} at byte {offset}")]
pub struct Fault {
    /// Where, in bytes from the start.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
}

impl Fault {
    fn new(offset: usize, message: &str) -> Self {
        Self {
            offset,
            message: message.to_owned(),
        }
    }
}

impl Alert {
    /// Reads the envelope of one object, and puts it on one line if it was not.
    ///
    /// # Errors
    /// [`Fault`] when the text is not exactly one JSON object, nested at most 128 deep.
    pub fn from_json(json: &str) -> Result<Self, Fault> {
        let (start, scan) = scan_object(json)?;
        let text = json.as_bytes();
        Self::of(text, start, scan).ok_or_else(|| Fault::new(start, "not UTF-8"))
    }

    /// The alert of an object that was scanned without a fault; none if it is not UTF-8.
    pub(crate) fn of(text: &[u8], start: usize, scan: Scan) -> Option<Self> {
        let line = match scan.one_line {
            Some(line) => line,
            None => text.get(start..scan.end)?.to_vec(),
        };
        let json = String::from_utf8(line).ok()?;
        let Found {
            full_id,
            alert_id,
            alert_time,
            last_processed_time,
            severity,
            category,
        } = scan.found;
        let meaning_of = |place: Option<Range<usize>>| meaning(text.get(place?)?);
        let text_of = |place| Some(meaning_of(place)?.text.into_owned());
        let time_of = |place| meaning_of(place)?.text.parse().ok();
        // One that text does not say in full could be another's too.
        let full_id = meaning_of(full_id).filter(|id| id.exact && !id.text.is_empty());
        Some(Self {
            id: full_id.map_or_else(|| canonical::digest(&json), |id| id.text.into_owned()),
            alert_id: text_of(alert_id),
            alert_time: time_of(alert_time),
            last_processed_time: time_of(last_processed_time),
            severity: meaning_of(severity)
                .map(|severity| Severity::of(&severity.text))
                .unwrap_or_default(),
            category: text_of(category),
            json,
        })
    }
}

/// Whether `json` is exactly one JSON object on one line.
///
/// # Errors
/// [`Fault`] when it is not, or is nested more than 128 deep.
pub fn check_object(json: &str) -> Result<(), Fault> {
    let (start, scan) = scan_object(json)?;
    let around = [json.get(..start), json.get(scan.end..)];
    let mut around = around.into_iter().flatten();
    if scan.one_line.is_some() || around.any(|space| space.contains(['\r', '\n'])) {
        let offset = json.find(['\r', '\n']).unwrap_or_default();
        return Err(Fault::new(offset, "a line end"));
    }
    Ok(())
}

fn scan_object(json: &str) -> Result<(usize, Scan), Fault> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let text = json.as_bytes();
    let start = json.len() - json.trim_start_matches(is_space).len();
    let scan = scan::value(text, start).map_err(|(_, fault)| match fault {
        Some(bad) => Fault::new(bad.at, bad.what),
        None => Fault::new(json.len(), "cut short"),
    })?;
    if let Some(bad) = scan.fault {
        return Err(Fault::new(bad.at, bad.what));
    }
    if !scan.is_object {
        return Err(Fault::new(start, "not an object"));
    }
    let after = json.get(scan.end..).unwrap_or_default();
    if !after.trim_start_matches(is_space).is_empty() {
        return Err(Fault::new(scan.end, "more than one value"));
    }
    Ok((start, scan))
}
