//! Strings as they stand in JSON, read; and white space with line ends, taken out.

use std::borrow::Cow;

/// What a string's inside means. Lone surrogates become U+FFFD. The inside is known to
/// be well-formed.
pub(crate) fn unescape(inside: &[u8]) -> Cow<'_, str> {
    if !inside.contains(&b'\\') {
        return String::from_utf8_lossy(inside);
    }
    let mut meant = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            meant.push(*first);
            continue;
        }
        let Some((kind, after)) = rest.split_first() else {
            break;
        };
        rest = after;
        match kind {
            b'b' => meant.push(8),
            b'f' => meant.push(12),
            b'n' => meant.push(b'\n'),
            b'r' => meant.push(b'\r'),
            b't' => meant.push(b'\t'),
            b'u' => {
                let (c, after) = unicode(rest);
                meant.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            other => meant.push(*other),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&meant).into_owned())
}

/// The character after `\u`, and what follows: one escape, or a pair of surrogates.
fn unicode(rest: &[u8]) -> (char, &[u8]) {
    let (first, after) = unit(rest);
    if let Some(next) = after.strip_prefix(b"\\u") {
        let (second, after_both) = unit(next);
        if let Some(Ok(c)) = char::decode_utf16([first, second]).next()
            && c.len_utf16() == 2
        {
            return (c, after_both);
        }
    }
    (
        char::from_u32(first.into()).unwrap_or(char::REPLACEMENT_CHARACTER),
        after,
    )
}

fn unit(rest: &[u8]) -> (u16, &[u8]) {
    let (digits, after) = rest.split_at_checked(4).unwrap_or((&[], rest));
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    (u16::from_str_radix(digits, 16).unwrap_or(0xfffd), after)
}

/// The same value on one line: white space between tokens goes where it holds a line
/// end, and stays otherwise.
pub(crate) fn one_line(value: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(value.len());
    let mut quoted = false;
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        let taken = match first {
            b'\\' if quoted => 2.min(rest.len()),
            b'"' => {
                quoted = !quoted;
                1
            }
            b' ' | b'\t' | b'\r' | b'\n' if !quoted => {
                let run = rest
                    .iter()
                    .take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
                    .count();
                let (space, after) = rest.split_at(run);
                if !space.iter().any(|b| matches!(b, b'\r' | b'\n')) {
                    line.extend_from_slice(space);
                }
                rest = after;
                continue;
            }
            _ => 1,
        };
        line.extend_from_slice(rest.get(..taken).unwrap_or_default());
        rest = rest.get(taken..).unwrap_or(after);
    }
    line
}
