//! A member's text.

use std::borrow::Cow;

use watchbell_detection::Detection;

/// What begins a formula in a spreadsheet: the list of OWASP's "CSV Injection".
const FORMULA: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n'];

/// What stands in the column `name`.
pub(crate) fn text<'a>(
    detection: &'a Detection,
    name: &str,
    escape_formulas: bool,
) -> Cow<'a, str> {
    let Some(json) = detection.get(name) else {
        return Cow::Borrowed("");
    };
    match json.get().as_bytes().first() {
        Some(b'n') => Cow::Borrowed(""),
        Some(b'"') => {
            let text: String = serde_json::from_str(json.get()).unwrap_or_default();
            if escape_formulas && text.starts_with(FORMULA) {
                Cow::Owned(format!("'{text}"))
            } else {
                Cow::Owned(text)
            }
        }
        Some(b'[' | b'{') => Cow::Owned(compact(json.get())),
        _ => Cow::Borrowed(json.get()),
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
