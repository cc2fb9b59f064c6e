//! What a guest returns is checked before it is used.
//!
//! A sink writes `json` as a line, so a line end in it would forge a second record. An
//! encoder's event does not say how it will be read, and what its component says of that
//! is the component's word: so an event is one line for every reader, unless the
//! component's quotes are believed. What a guest says of an answer's bytes is copied out
//! of it by the host, so it may name each byte once.
//!
//! A large result is checked beside the runtime's other tasks, not in their way.

use crate::bindings::contract::{ByteRange, Malformed};
use crate::bindings::encoder::Description;
use crate::bindings::types::Alert;
use crate::error::CallError;
use crate::limits::Limits;
use tokio::runtime::{Handle, RuntimeFlavor};
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

/// What is checked within a tick or so: at some hundred MB/s that is 1 MiB.
const SMALL: usize = 1 << 20;

/// Bytes that are kept of what a guest says is wrong with an answer, which the host
/// repeats for each element that it cannot read.
const MESSAGE: usize = 512;

/// No more alerts than allowed, and each one's `json` exactly one JSON object on one line.
pub(crate) fn alerts(alerts: &[Alert], limits: &Limits) -> Result<(), CallError> {
    limits.count(alerts.len())?;
    let bytes = alerts.iter().map(|alert| alert.json.len()).sum();
    aside(bytes, || {
        for (index, alert) in alerts.iter().enumerate() {
            check_object(&alert.json).map_err(|fault| {
                CallError::Contract(format!(
                    "alert {index}: json is not one object on one line: {} at byte {}",
                    fault.message, fault.offset
                ))
            })?;
        }
        Ok(())
    })
}

/// What could be read of an answer is as good as a whole one; what could not is named in
/// order, each byte once; and the words are cut.
pub(crate) fn malformed(fault: &mut Malformed, limits: &Limits) -> Result<(), CallError> {
    alerts(&fault.alerts, limits)?;
    limits.count(fault.unreadable.len())?;
    let mut before = 0;
    for (index, ByteRange { start, end }) in fault.unreadable.iter().enumerate() {
        if *start < before || start >= end {
            return Err(CallError::Contract(format!(
                "unreadable range {index}: {start} to {end} is empty or not behind the one before"
            )));
        }
        before = *end;
    }
    let cut = fault.message.floor_char_boundary(MESSAGE);
    fault.message.truncate(cut);
    fault.message.shrink_to_fit();
    Ok(())
}

/// Does work over so many bytes without holding up the tasks that wait for this thread.
fn aside<R>(bytes: usize, work: impl FnOnce() -> R) -> R {
    let has_others = Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if has_others && bytes > SMALL {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
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
    let bytes = events.iter().map(Vec::len).sum();
    aside(bytes, || {
        for (index, event) in events.iter().enumerate() {
            stands_alone(event, format, quotes)
                .map_err(|problem| CallError::Contract(format!("event {index} {problem}")))?;
        }
        Ok(())
    })
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

/// Holds neither what ends a line for some reader nor the separator, but between two of the
/// format's quotes where those are believed, and closes each pair.
///
/// JSON quotes whatever is in its strings, and has readers who know that: an event that is
/// one JSON object may hold U+0085, U+2028 and U+2029, as the records of the codec `json` do
/// that are delivered as they came. Else whoever can put one into a command line could have
/// the detection held back.
fn stands_alone(event: &[u8], format: &Description, quotes: Quotes) -> Result<(), &'static str> {
    if quotes == Quotes::Doubted && event.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err("holds a line end (encoding.quoted_line_ends)");
    }
    let quote = format.quote.and_then(|quote| u8::try_from(quote).ok());
    let mut quoted = false;
    let mut breaks = false;
    for (at, byte) in event.iter().enumerate() {
        let rest = event.get(at..).unwrap_or_default();
        if Some(*byte) == quote {
            quoted = !quoted;
        } else if !quoted && rest.starts_with(&format.separator) {
            return Err("holds the format's separator");
        } else if !quoted || quotes == Quotes::Doubted {
            breaks |= is_line_break(rest);
        }
    }
    if quoted {
        return Err("opens a quote and does not close it");
    }
    if breaks && !std::str::from_utf8(event).is_ok_and(|text| check_object(text).is_ok()) {
        return Err(
            "holds a character that ends a line for some readers: VT, FF, FS to US, U+0085, U+2028 or U+2029 (encoding.quoted_line_ends)",
        );
    }
    Ok(())
}

/// Whether it begins with a character other than CR and LF at which some readers begin a new
/// line, or a new record.
fn is_line_break(text: &[u8]) -> bool {
    matches!(
        text,
        [0x0B | 0x0C | 0x1C..=0x1F, ..] | [0xC2, 0x85, ..] | [0xE2, 0x80, 0xA8 | 0xA9, ..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::contract::Stage;
    use crate::bindings::types::Severity;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn fault(ranges: &[(u64, u64)]) -> Malformed {
        let ranges = ranges.iter().map(|&(start, end)| ByteRange { start, end });
        Malformed {
            stage: Stage::Detections,
            offset: 0,
            message: "ä".repeat(10_000),
            alerts: Vec::new(),
            unreadable: ranges.collect(),
        }
    }

    #[test]
    fn no_byte_of_an_answer_is_unreadable_twice() {
        let limits = Limits::for_plugin();
        let mut good = fault(&[(0, 1), (1, 5), (7, u64::MAX)]);
        malformed(&mut good, &limits).unwrap();
        assert_eq!(good.message.len(), MESSAGE);
        for bad in [
            &[(0, 0)][..],
            &[(5, 4)],
            &[(0, 5), (4, 6)],
            &[(0, 5), (0, 5)],
            &[(4, 6), (0, 2)],
        ] {
            let refused = malformed(&mut fault(bad), &limits);
            assert!(matches!(refused, Err(CallError::Contract(_))), "{bad:?}");
        }
    }

    #[test]
    fn what_could_not_be_read_is_counted_as_what_could_is() {
        let limits = Limits {
            output_count: 2,
            ..Limits::for_plugin()
        };
        malformed(&mut fault(&[(0, 1), (2, 3)]), &limits).unwrap();
        let refused = malformed(&mut fault(&[(0, 1), (2, 3), (4, 5)]), &limits);
        assert!(matches!(refused, Err(CallError::Limit { .. })));
    }

    fn judged(event: &str, quotes: Quotes) -> Result<(), &'static str> {
        let format = Description {
            content_type: "text/csv".to_owned(),
            header: None,
            separator: b"\n".to_vec(),
            quote: Some('"'),
            extension: "csv".to_owned(),
        };
        stands_alone(event.as_bytes(), &format, quotes)
    }

    #[test]
    fn what_ends_a_line_for_some_readers_is_refused_unless_it_is_quoted() {
        let breaks = "\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{1f}\u{85}\u{2028}\u{2029}";
        for c in breaks.chars() {
            for event in [format!("a{c}forged"), format!("{c}"), format!("\"a\"{c}")] {
                for quotes in [Quotes::Doubted, Quotes::Believed] {
                    let words = judged(&event, quotes).unwrap_err();
                    assert!(words.contains("ends a line"), "{event:?}: {words}");
                }
            }
            let quoted = format!("\"a{c}b\"");
            assert!(judged(&quoted, Quotes::Doubted).is_err(), "{quoted:?}");
            judged(&quoted, Quotes::Believed).unwrap();
        }
        // Their neighbours, and those that share their bytes.
        for fine in ["a\tb", "\u{1b}", "\u{84}\u{86}", "\u{2027}\u{202a}", "Ѕ…"] {
            judged(fine, Quotes::Doubted).unwrap();
        }
    }

    #[test]
    fn a_json_object_may_hold_what_json_allows_between_its_quotes() {
        let allowed = "{\"x\":\"a\u{85}b\u{2028}c\u{2029}\"}";
        judged(allowed, Quotes::Doubted).unwrap();
        for event in [
            // Controls are no JSON, nor is what stands outside a string.
            "{\"x\":\"a\u{b}b\"}",
            "{\"x\":1}\u{2028}",
            "{\"x\":\"\u{2028}\"} {}",
            "[\"\u{2028}\"]",
        ] {
            assert!(judged(event, Quotes::Doubted).is_err(), "{event:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_while_a_large_result_is_checked() {
        let steps = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&steps);
        let check = tokio::spawn(async move {
            let others = tokio::spawn(async move {
                loop {
                    counted.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            });
            let large = Alert {
                id: "1".to_owned(),
                alert_id: None,
                alert_time: None,
                last_processed_time: None,
                severity: Severity::Unspecified,
                category: None,
                json: format!("{{\"x\":\"{}\"}}", "x".repeat(64 << 20)),
            };
            let before = steps.load(Ordering::Relaxed);
            alerts(&[large], &Limits::for_plugin()).unwrap();
            let after = steps.load(Ordering::Relaxed);
            others.abort();
            after - before
        });
        // On the runtime's only worker, which nothing but a hand-over frees.
        assert!(check.await.unwrap() > 0);
    }
}
