//! The last thing that a log line passes: nothing in it can end it, steer a terminal, or
//! reorder what is shown, whoever logged it and whatever was in it.

use std::io::{self, Write};

/// How what must not be written is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// As Rust and people have it: `\u{1b}`. The log's own colors stay.
    Text,
    /// Within a JSON string: `\u001b`.
    Json,
}

/// Writes each event, which comes in one call, as one line.
pub(super) struct OneLine<W> {
    inner: W,
    escape: Escape,
}

impl<W> OneLine<W> {
    pub(super) fn new(inner: W, escape: Escape) -> Self {
        Self { inner, escape }
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        let mut out = match self.escape {
            Escape::Text => escaped_but_colors(line),
            Escape::Json => escaped_json(line),
        };
        out.push_str(end);
        self.inner.write_all(out.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// `ESC [ numbers m` stays, which changes colors and nothing else: the log's own. Those in
/// what is logged were escaped by the log before.
fn escaped_but_colors(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(&super::escaped(before));
        let numbers = after.find(|c: char| !c.is_ascii_digit() && c != ';');
        match numbers.and_then(|at| after.split_at_checked(at)) {
            Some((numbers, then)) if then.starts_with('m') => {
                out.push_str("\u{1b}[");
                out.push_str(numbers);
            }
            _ => {
                out.push_str("\\u{1b}[");
                rest = after;
                continue;
            }
        }
        rest = after.get(numbers.unwrap_or_default()..).unwrap_or_default();
    }
    out.push_str(&super::escaped(rest));
    out
}

/// JSON text with what a terminal must not see escaped, by JSON's own escapes: it stands in
/// strings only, but for line feeds between members.
#[must_use]
pub fn escaped_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if c == '\n'
            || c.is_ascii() && !c.is_ascii_control()
            || super::escaped(c.encode_utf8(&mut [0; 4])).starts_with(c)
        {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str, escape: Escape) -> String {
        let mut out = Vec::new();
        OneLine::new(&mut out, escape)
            .write_all(event.as_bytes())
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let event = "\u{1b}[31mERROR\u{1b}[0m a\nb\r\u{1b}]0;x\u{7} \u{1b}[2J\u{202e}\n";
        assert_eq!(
            written(event, Escape::Text),
            "\u{1b}[31mERROR\u{1b}[0m a\\nb\\r\\u{1b}]0;x\\u{7} \\u{1b}[2J\\u{202e}\n"
        );
    }

    #[test]
    fn json_stays_json() {
        let event = "{\"message\":\"ü\u{e0041}\u{61c}\u{7f}\"}\n";
        let line = written(event, Escape::Json);
        assert_eq!(line, "{\"message\":\"ü\\udb40\\udc41\\u061c\\u007f\"}\n");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], "ü\u{e0041}\u{61c}\u{7f}");
    }
}
