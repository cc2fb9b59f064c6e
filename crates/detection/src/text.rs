//! Strings as they stand in JSON, read.

use std::borrow::Cow;

/// What a string means.
pub(crate) struct Meaning<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Whether the text says it all. A lone surrogate is no character: it becomes
    /// U+FFFD, as which it is no longer told from others.
    pub(crate) exact: bool,
}

/// Reads a string's inside, which is known to be well-formed.
pub(crate) fn unescape(inside: &[u8]) -> Meaning<'_> {
    let mut exact = true;
    if !inside.contains(&b'\\') {
        // Nearly always known to be UTF-8: the lossy reading goes through it in pieces.
        let text = match std::str::from_utf8(inside) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(inside),
        };
        return Meaning { text, exact };
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
                let c = c.unwrap_or_else(|| {
                    exact = false;
                    char::REPLACEMENT_CHARACTER
                });
                meant.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            other => meant.push(*other),
        }
    }
    let text = Cow::Owned(String::from_utf8_lossy(&meant).into_owned());
    Meaning { text, exact }
}

/// Reads a string with its quotes; none when `json` is no string.
pub(crate) fn meaning(json: &[u8]) -> Option<Meaning<'_>> {
    let inside = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    Some(unescape(inside))
}

/// The text of a JSON string with its quotes; none when `json` is no string. Half of a
/// surrogate pair is no character and becomes U+FFFD.
#[must_use]
pub fn text_of(json: &str) -> Option<Cow<'_, str>> {
    meaning(json.as_bytes()).map(|meaning| meaning.text)
}

/// JSON in which each escape of half a surrogate pair is one of U+FFFD, for readers that
/// take no other. Nothing else is changed, and no byte changes its place.
#[must_use]
pub fn without_halves(json: &str) -> Cow<'_, str> {
    const REPLACED: &[u8] = b"fffd";
    // Nearly always there is none, and a search costs next to nothing.
    if !json.contains("\\ud") && !json.contains("\\uD") {
        return Cow::Borrowed(json);
    }
    let mut bytes = json.as_bytes().to_vec();
    let (mut at, mut found) = (0, false);
    while let Some(next) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'\\'))
    {
        let digits = at + next + 2;
        at = digits;
        if bytes.get(digits - 1) != Some(&b'u') {
            continue;
        }
        at = digits + 4;
        let rest = bytes.get(digits..).unwrap_or_default();
        match unicode(rest) {
            (Some(c), _) if c.len_utf16() == 2 => at += 6,
            (Some(_), _) => {}
            (None, _) => {
                if let Some(half) = bytes.get_mut(digits..digits + 4) {
                    half.copy_from_slice(REPLACED);
                    found = true;
                }
            }
        }
    }
    if found {
        String::from_utf8(bytes).map_or(Cow::Borrowed(json), Cow::Owned)
    } else {
        Cow::Borrowed(json)
    }
}

/// The character after `\u`, and what follows: one escape, or a pair of surrogates.
fn unicode(rest: &[u8]) -> (Option<char>, &[u8]) {
    let (first, after) = unit(rest);
    if let Some(next) = after.strip_prefix(b"\\u") {
        let (second, after_both) = unit(next);
        if let Some(Ok(c)) = char::decode_utf16([first, second]).next()
            && c.len_utf16() == 2
        {
            return (Some(c), after_both);
        }
    }
    (char::from_u32(first.into()), after)
}

fn unit(rest: &[u8]) -> (u16, &[u8]) {
    let (digits, after) = rest.split_at_checked(4).unwrap_or((&[], rest));
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    (u16::from_str_radix(digits, 16).unwrap_or(0xfffd), after)
}
