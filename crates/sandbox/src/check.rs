//! What a guest returns is checked before it is used.
//!
//! A sink writes `json` as a line, so a line end in it would forge a second record;
//! an encoder's event stands between separators, so a separator that its format does
//! not quote would too.

use crate::bindings::encoder::Description;
use crate::bindings::types::Alert;
use crate::error::CallError;
use watchbell_detection::check_object;

/// Each alert's `json` is exactly one JSON object on one line.
pub(crate) fn alerts(alerts: &[Alert]) -> Result<(), CallError> {
    for (index, alert) in alerts.iter().enumerate() {
        check_object(&alert.json).map_err(|fault| {
            CallError::Contract(format!(
                "alert {index}: json is not one object on one line: {} at byte {}",
                fault.message, fault.offset
            ))
        })?;
    }
    Ok(())
}

/// One event for each alert, none of which could be read as two.
pub(crate) fn events(
    events: &[Vec<u8>],
    alerts: usize,
    format: &Description,
) -> Result<(), CallError> {
    if events.len() != alerts {
        return Err(CallError::Contract(format!(
            "{} events for {alerts} alerts",
            events.len()
        )));
    }
    for (index, event) in events.iter().enumerate() {
        stands_alone(event, format)
            .map_err(|problem| CallError::Contract(format!("event {index} {problem}")))?;
    }
    Ok(())
}

/// The format can be used, and its header is no more than one.
pub(crate) fn description(format: &Description) -> Result<(), CallError> {
    let refuse = |what: &str| Err(CallError::Contract(format!("describe: {what}")));
    if format.separator.is_empty() {
        return refuse("the separator is empty");
    }
    if format.quote.is_some_and(|quote| !quote.is_ascii()) {
        return refuse("the quote is not an ASCII character");
    }
    let plain = |c: char| c.is_ascii_alphanumeric();
    if format.extension.is_empty()
        || format.extension.len() > 16
        || !format.extension.chars().all(plain)
    {
        return refuse("the extension is not one to 16 letters and digits");
    }
    match &format.header {
        Some(header) => stands_alone(header, format)
            .map_err(|problem| CallError::Contract(format!("describe: the header {problem}"))),
        None => Ok(()),
    }
}

/// Holds no separator outside pairs of the format's quote, and closes each pair.
fn stands_alone(event: &[u8], format: &Description) -> Result<(), &'static str> {
    let quote = format.quote.and_then(|quote| u8::try_from(quote).ok());
    let mut quoted = false;
    for (at, byte) in event.iter().enumerate() {
        if Some(*byte) == quote {
            quoted = !quoted;
        } else if !quoted
            && event
                .get(at..)
                .is_some_and(|rest| rest.starts_with(&format.separator))
        {
            return Err("holds the format's separator");
        }
    }
    if quoted {
        Err("opens a quote and does not close it")
    } else {
        Ok(())
    }
}
