//! What a guest returns is checked before it is used.
//!
//! A sink writes `json` as a line, so a line end in it would forge a second record. An
//! encoder's event does not say how it will be read, and what its component says of that
//! is the component's word: so an event is one line for every reader, unless the
//! component's quotes are believed.

use crate::bindings::encoder::Description;
use crate::bindings::types::Alert;
use crate::error::CallError;
use watchbell_detection::check_object;

/// What may end an event. Another one could be the beginning of a record.
const SEPARATORS: [&[u8]; 3] = [b"\n", b"\r\n", b"\0"];

/// Bytes of a header: some thousands of columns.
const HEADER_BYTES: usize = 64 * 1024;

/// Bytes of a media type with its parameters.
const CONTENT_TYPE_BYTES: usize = 256;

/// Whether a component's quotes are believed: whether its events may hold line ends
/// between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    Believed,
    Doubted,
}

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
    quotes: Quotes,
) -> Result<(), CallError> {
    if events.len() != alerts {
        return Err(CallError::Contract(format!(
            "{} events for {alerts} alerts",
            events.len()
        )));
    }
    for (index, event) in events.iter().enumerate() {
        stands_alone(event, format, quotes)
            .map_err(|problem| CallError::Contract(format!("event {index} {problem}")))?;
    }
    Ok(())
}

/// The format can be used, and its header is no more than one.
pub(crate) fn description(format: &Description, quotes: Quotes) -> Result<(), CallError> {
    let refuse = |what: &str| Err(CallError::Contract(format!("describe: {what}")));
    if !SEPARATORS.contains(&format.separator.as_slice()) {
        return refuse("the separator is neither a line feed, nor CR LF, nor a zero byte");
    }
    if format.quote.is_some_and(|quote| !quote.is_ascii_graphic()) {
        return refuse("the quote is not a printable ASCII character");
    }
    let content = format.content_type.as_bytes();
    if content.len() > CONTENT_TYPE_BYTES || !content.iter().all(|byte| matches!(byte, 32..=126)) {
        return refuse("the content type is not at most 256 bytes of printable ASCII");
    }
    let plain = |c: char| c.is_ascii_alphanumeric();
    if format.extension.is_empty()
        || format.extension.len() > 16
        || !format.extension.chars().all(plain)
    {
        return refuse("the extension is not one to 16 letters and digits");
    }
    let Some(header) = &format.header else {
        return Ok(());
    };
    if header.len() > HEADER_BYTES {
        return refuse("the header is longer than 64 KiB");
    }
    if matches!(header.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return refuse("the header begins like JSON, and would be read as an event");
    }
    stands_alone(header, format, quotes)
        .map_err(|problem| CallError::Contract(format!("describe: the header {problem}")))
}

/// Holds neither a line end nor the separator, but between two of the format's quotes
/// where those are believed, and closes each pair.
fn stands_alone(event: &[u8], format: &Description, quotes: Quotes) -> Result<(), &'static str> {
    if quotes == Quotes::Doubted && event.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err("holds a line end (encoding.quoted_line_ends)");
    }
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
