//! The scanner: strict JSON in one pass, without a tree.
//!
//! Everything that Watchbell delivers goes through here twice, in the guest and again
//! in the host, so it is written for speed: strings are searched eight bytes at a time,
//! nesting is a stack of bits, and the six members that the envelope needs are noted
//! by place as they go by. It accepts exactly RFC 8259 with [`MAX_DEPTH`] levels;
//! escapes of lone surrogates are well-formed there and pass.

use std::ops::Range;

/// Levels of nesting, the outermost included. Documented detections have one.
pub const MAX_DEPTH: u32 = 128;

/// Why a scan stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The text ended first.
    Incomplete,
    /// It is not JSON.
    Bad(Bad),
}

/// Where and how a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
    /// Whether brackets and quotes are still in step: the fault lies within a string,
    /// a number or a word, or is only too deep.
    pub(crate) in_step: bool,
}

/// Places of the values of the members that the envelope needs; the last of each wins.
#[derive(Debug, Default, Clone)]
pub(crate) struct Found {
    pub(crate) full_id: Option<Range<usize>>,
    pub(crate) alert_id: Option<Range<usize>>,
    pub(crate) alert_time: Option<Range<usize>>,
    pub(crate) last_processed_time: Option<Range<usize>>,
    pub(crate) severity: Option<Range<usize>>,
    pub(crate) category: Option<Range<usize>>,
}

impl Found {
    #[inline]
    fn note(&mut self, text: &[u8], key: Key, value: Range<usize>) {
        let name = text.get(key.start..key.end).unwrap_or_default();
        if key.escaped {
            self.put(crate::text::unescape(name).as_bytes(), value);
        } else {
            self.put(name, value);
        }
    }

    #[inline]
    fn put(&mut self, name: &[u8], value: Range<usize>) {
        let slot = match name {
            b"FullId" => &mut self.full_id,
            b"AlertId" => &mut self.alert_id,
            b"AlertTime" => &mut self.alert_time,
            b"LastProcessedTimeUtc" => &mut self.last_processed_time,
            b"Severity" => &mut self.severity,
            b"Category" => &mut self.category,
            _ => return,
        };
        *slot = Some(value);
    }
}

/// A value that was scanned.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// One past its last byte.
    pub(crate) end: usize,
    /// Whether it is an object.
    pub(crate) is_object: bool,
    /// Whether a line end stands between its tokens.
    pub(crate) has_line_end: bool,
    /// What the envelope needs, if it is an object.
    pub(crate) found: Found,
}

/// Scans the value that begins at `start`.
pub(crate) fn value(text: &[u8], start: usize) -> Result<Scan, Stop> {
    let is_object = text.get(start) == Some(&b'{');
    let mut scanner = Scanner {
        text,
        at: start,
        has_line_end: false,
    };
    let mut found = Found::default();
    // One bit for each level, the innermost lowest: set for an object.
    let mut levels: u128 = 0;
    let mut depth = 0;
    // The outermost object's member that is being scanned.
    let mut member = Key::default();
    let mut member_from = start;
    loop {
        if levels & 1 == 1 {
            let key = scanner.key()?;
            if depth == 1 {
                member = key;
                member_from = scanner.at;
            }
        }
        if let Some(object) = scanner.token()? {
            if depth == MAX_DEPTH {
                return Err(bad(scanner.at, "nested more than 128 deep", true));
            }
            scanner.at += 1;
            scanner.space();
            if scanner.peek()? != close_of(object) {
                depth += 1;
                levels = levels << 1 | u128::from(object);
                continue;
            }
            scanner.at += 1;
        }
        // A value is complete: close what ends with it, until another one follows.
        loop {
            if depth == 0 {
                let Scanner {
                    at: end,
                    has_line_end,
                    ..
                } = scanner;
                return Ok(Scan {
                    end,
                    is_object,
                    has_line_end,
                    found,
                });
            }
            if depth == 1 && is_object {
                found.note(text, member, member_from..scanner.at);
            }
            scanner.space();
            match scanner.peek()? {
                b',' => {
                    scanner.at += 1;
                    scanner.space();
                    break;
                }
                byte if byte == close_of(levels & 1 == 1) => {
                    scanner.at += 1;
                    levels >>= 1;
                    depth -= 1;
                }
                _ => {
                    return Err(bad(
                        scanner.at,
                        "expected a comma or a closing bracket",
                        false,
                    ));
                }
            }
        }
    }
}

/// A member's name, without its quotes.
#[derive(Debug, Clone, Copy, Default)]
struct Key {
    start: usize,
    end: usize,
    escaped: bool,
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    has_line_end: bool,
}

impl Scanner<'_> {
    fn peek(&self) -> Result<u8, Stop> {
        self.text.get(self.at).copied().ok_or(Stop::Incomplete)
    }

    #[inline]
    fn space(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.text.get(self.at) {
            self.has_line_end |= matches!(byte, b'\r' | b'\n');
            self.at += 1;
        }
    }

    /// A member's name and its colon, up to the value.
    #[inline]
    fn key(&mut self) -> Result<Key, Stop> {
        if self.peek()? != b'"' {
            return Err(bad(self.at, "expected a member's name", false));
        }
        self.at += 1;
        let start = self.at;
        let escaped = self.string()?;
        let end = self.at - 1;
        self.space();
        if self.peek()? != b':' {
            return Err(bad(self.at, "expected a colon", false));
        }
        self.at += 1;
        self.space();
        Ok(Key {
            start,
            end,
            escaped,
        })
    }

    /// A value that is no object or array; for those, whether it is an object, without
    /// going in.
    #[inline]
    fn token(&mut self) -> Result<Option<bool>, Stop> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string()?;
            }
            b'{' => return Ok(Some(true)),
            b'[' => return Ok(Some(false)),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            byte => {
                // A word such as NaN keeps brackets and quotes in step.
                return Err(bad(self.at, "expected a value", byte.is_ascii_alphabetic()));
            }
        }
        Ok(None)
    }

    /// The rest of a string, its closing quote included. Returns whether it holds an
    /// escape.
    #[inline]
    fn string(&mut self) -> Result<bool, Stop> {
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                0..=0x1f => {
                    return Err(bad(
                        self.at,
                        "a control character in a string must be escaped",
                        true,
                    ));
                }
                0x80.. => self.character()?,
                _ => self.at += 1,
            }
        }
    }

    /// Goes over the bytes that need no thought, eight at a time.
    #[inline]
    fn plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        while let Some(chunk) = self.text.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_le_bytes(*chunk);
            let quote = word ^ (ONES * u64::from(b'"'));
            let backslash = word ^ (ONES * u64::from(b'\\'));
            // The high bit of each byte that is a quote, a backslash, a control
            // character or not ASCII. A borrow can only spoil bytes above the first.
            let special = (quote.wrapping_sub(ONES) & !quote)
                | (backslash.wrapping_sub(ONES) & !backslash)
                | word.wrapping_sub(ONES * 0x20)
                | word;
            let special = special & HIGHS;
            if special != 0 {
                self.at += (special.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    /// One character of two to four bytes, as UTF-8 has it.
    fn character(&mut self) -> Result<(), Stop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let rest = rest.get(..4).unwrap_or(rest);
        let length = match std::str::from_utf8(rest) {
            Ok(text) => text.chars().next().map_or(0, char::len_utf8),
            Err(error) => {
                match std::str::from_utf8(rest.get(..error.valid_up_to()).unwrap_or_default()) {
                    Ok(text) if !text.is_empty() => text.chars().next().map_or(0, char::len_utf8),
                    _ if error.error_len().is_none() && self.at + rest.len() == self.text.len() => {
                        return Err(Stop::Incomplete);
                    }
                    _ => return Err(bad(self.at, "not UTF-8", true)),
                }
            }
        };
        self.at += length;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Stop> {
        let kind = self.text.get(self.at + 1).ok_or(Stop::Incomplete)?;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                for offset in 2..6 {
                    let digit = self.text.get(self.at + offset).ok_or(Stop::Incomplete)?;
                    if !digit.is_ascii_hexdigit() {
                        return Err(bad(self.at, "\\u takes four hexadecimal digits", true));
                    }
                }
                self.at += 6;
            }
            _ => return Err(bad(self.at, "no such escape", true)),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Stop> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let b'+' | b'-' = self.peek()? {
                self.at += 1;
            }
            self.digits()?;
        }
        match self.text.get(self.at) {
            // 01, 1x: still a word of its own, so brackets stay in step.
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-') => {
                Err(bad(self.at, "not a number", true))
            }
            _ => Ok(()),
        }
    }

    fn digits(&mut self) -> Result<(), Stop> {
        if !self.peek()?.is_ascii_digit() {
            return Err(bad(self.at, "expected a digit", true));
        }
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        for (offset, want) in word.iter().enumerate() {
            match self.text.get(self.at + offset) {
                None => return Err(Stop::Incomplete),
                Some(byte) if byte != want => return Err(bad(self.at, "expected a value", true)),
                Some(_) => {}
            }
        }
        self.at += word.len();
        Ok(())
    }
}

fn close_of(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

fn bad(at: usize, what: &'static str, in_step: bool) -> Stop {
    Stop::Bad(Bad { at, what, in_step })
}
