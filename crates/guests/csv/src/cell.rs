//! A member's text.

use std::borrow::Cow;

use watchbell_detection::{Detection, Value, text_of};

/// What begins a formula in a spreadsheet: the list of OWASP's "CSV Injection".
const FORMULA: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n'];

/// What stands in the column `name`.
pub(crate) fn text<'a>(
    detection: &'a Detection,
    name: &str,
    escape_formulas: bool,
) -> Cow<'a, str> {
    let json = match detection.get(name) {
        None => return Cow::Borrowed(""),
        Some(Value::Text(text)) => return escaped(Cow::Borrowed(text), escape_formulas),
        Some(Value::Integer(number)) => return Cow::Owned(number.to_string()),
        Some(Value::Boolean(truth)) => return Cow::Borrowed(if truth { "true" } else { "false" }),
        Some(Value::Other(raw)) => raw.get(),
    };
    match json.as_bytes().first() {
        Some(b'n') => Cow::Borrowed(""),
        Some(b'"') => {
            // It holds half a surrogate pair: all else of it stays.
            escaped(text_of(json).unwrap_or_default(), escape_formulas)
        }
        Some(b'[' | b'{') => Cow::Owned(compact(json)),
        _ => Cow::Borrowed(json),
    }
}

/// The text, after a `'` when it would begin a formula and that is not wanted.
fn escaped(text: Cow<'_, str>, escape_formulas: bool) -> Cow<'_, str> {
    if escape_formulas && text.starts_with(FORMULA) {
        Cow::Owned(format!("'{text}"))
    } else {
        text
    }
}

/// JSON without the spaces between its tokens.
fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\r' | '\n') {
            continue;
        } else {
            in_string = character == '"';
        }
        compact.push(character);
    }
    compact
}
