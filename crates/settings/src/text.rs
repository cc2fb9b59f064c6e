//! Text that somebody else wrote, made fit for a log line and a terminal: the one place that
//! decides which characters those are.
//!
//! Escaped is what a terminal obeys, what a log would take for the end of a line, and what
//! reorders or hides the text around it. Unicode says which characters these are: the
//! general categories Cc (controls), Cf (format: bidirectional controls, tags,
//! interlinear annotation), Zl and Zp (line and paragraph separators), and the property
//! Default_Ignorable_Code_Point (nothing is shown for them).

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::fmt::{self, Write};

/// Characters that are kept of one piece of foreign text.
const MAX_CHARS: usize = 600;

/// `text` on one line, with what must not reach a log or a terminal escaped, and cut after
/// 600 characters.
///
/// ```
/// use watchbell_settings::printable;
/// assert_eq!(printable("a\nb\u{202e}c ü"), "a\\nb\\u{202e}c ü");
/// ```
#[must_use]
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MAX_CHARS));
    for (index, c) in text.chars().enumerate() {
        if index == MAX_CHARS {
            line.push('…');
            break;
        }
        push(&mut line, c);
    }
    line
}

/// As [`printable`], of any length.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut line, c));
    line
}

/// As [`escaped`], of text in lines: line feeds and tabs stay.
#[must_use]
pub fn escaped_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => lines.push(c),
            c => push(&mut lines, c),
        }
    }
    lines
}

/// Displays a value as [`printable`] has it.
pub struct Printable<T>(pub T);

impl<T: fmt::Display> fmt::Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0.to_string()))
    }
}

fn push(line: &mut String, c: char) {
    if is_shown(c) {
        line.push(c);
    } else {
        // Into a string, which takes everything.
        let _ = write!(line, "{}", c.escape_default());
    }
}

/// Whether a character shows itself, where it stands, and does nothing else.
fn is_shown(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    !matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_can_neither_steer_a_terminal_nor_forge_a_line() {
        let line = printable("a\r\nb\u{1b}[31m\u{202e}c\u{9b}d");
        assert_eq!(line, "a\\r\\nb\\u{1b}[31m\\u{202e}c\\u{9b}d");
        // Those that a list by hand had left out.
        for c in [
            '\u{61c}',
            '\u{180e}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{e0041}',
            '\u{e0001}',
            '\u{ad}',
            '\u{2028}',
            '\u{2029}',
            '\u{2066}',
            '\u{200b}',
            '\u{85}',
            '\u{7f}',
            '\u{3164}',
            '\u{110bd}',
        ] {
            let (said, code) = (printable(&format!("a{c}b")), u32::from(c));
            assert_eq!(said, format!("a\\u{{{code:x}}}b"));
        }
    }

    #[test]
    fn text_that_people_write_stays_as_it_is() {
        let text = "Grüße, 文字, नमस्ते, עברית, 🦀 \\ \"quoted\" 'x'";
        assert_eq!(printable(text), text);
    }

    #[test]
    fn foreign_text_is_cut_and_what_must_be_whole_is_not() {
        let text = "ä".repeat(10_000);
        assert_eq!(printable(&text).chars().count(), MAX_CHARS + 1);
        assert_eq!(escaped(&text), text);
        assert_eq!(escaped_lines("a\n\tb\u{1b}\r"), "a\n\tb\\u{1b}\\r");
    }
}
