//! Text from a service or a plugin, made fit for a log and a terminal.

/// Characters that are kept of one piece of foreign text.
const MOST: usize = 600;

/// `text` on one line: control characters escaped (a terminal would obey them, a log
/// would take a line end for a new record), bidirectional controls too, and cut.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MOST));
    for (at, c) in text.chars().enumerate() {
        if at == MOST {
            line.push('…');
            break;
        }
        match c {
            c if c.is_control() || is_format_control(c) => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// Characters that reorder or hide what stands around them.
fn is_format_control(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_can_neither_steer_a_terminal_nor_forge_a_line() {
        let line = printable("a\r\nb\u{1b}[31m\u{202e}c\u{9b}d");
        assert_eq!(line, "a\\r\\nb\\u{1b}[31m\\u{202e}c\\u{9b}d");
    }

    #[test]
    fn foreign_text_is_cut() {
        assert_eq!(printable(&"ä".repeat(10_000)).chars().count(), MOST + 1);
    }
}
