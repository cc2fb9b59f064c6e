//! The tokens of JSON: strings, numbers, words and the white space between them.
//!
//! Apart from the structure, since two readers share them: the scanner and the digest.
//! Strings are searched eight bytes at a time, without a look at UTF-8: whoever makes
//! text of the bytes finds out, and sooner than one character after another would.
//!
//! A fault within a string, a number or a word is noted and gone past: a string still
//! ends at its next quote, a word before the next byte that no word has. So the bytes
//! have one reading, fault or none, and what stands between quotes is never taken for
//! anything else.

/// Why reading stopped. Without the fault, which [`Tokens`] has, so that one byte comes
/// back from each token. (With the fault, and with calls that were not inlined,
/// `check_object` was half as fast: 1.2 GB/s instead of 2.5, and 1.0 instead of 1.5 in
/// WebAssembly.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The text ended first.
    Incomplete,
    /// Its structure is not that of JSON.
    Bad,
}

/// Where and how a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// A string's inside, without its quotes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Inside {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether it holds an escape.
    pub(crate) escaped: bool,
}

/// A text and how far it was read.
pub(crate) struct Tokens<'a> {
    text: &'a [u8],
    pub(crate) at: usize,
    /// The first fault that was gone past.
    pub(crate) fault: Option<Bad>,
    /// What was read up to `kept`, without the white space that holds line ends.
    line: Vec<u8>,
    kept: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(text: &'a [u8], start: usize) -> Self {
        Self {
            text,
            at: start,
            fault: None,
            line: Vec::new(),
            kept: start,
        }
    }

    #[inline(always)]
    pub(crate) fn peek(&self) -> Result<u8, Stop> {
        let byte = self.text.get(self.at).copied();
        byte.ok_or(Stop::Incomplete)
    }

    /// A fault of the structure, here.
    #[cold]
    pub(crate) fn bad(&mut self, what: &'static str) -> Stop {
        self.go_past(self.at, what);
        Stop::Bad
    }

    /// A fault that leaves the structure in step.
    #[cold]
    pub(crate) fn go_past(&mut self, at: usize, what: &'static str) {
        self.fault.get_or_insert(Bad { at, what });
    }

    /// What was read since the start, on one line; none if it is on one as it is.
    pub(crate) fn one_line(mut self) -> Option<Vec<u8>> {
        (!self.line.is_empty()).then(|| {
            let rest = self.text.get(self.kept..self.at).unwrap_or_default();
            self.line.extend_from_slice(rest);
            self.line
        })
    }

    /// White space between tokens. It goes from the line where it holds a line end.
    #[inline(always)]
    pub(crate) fn space(&mut self) {
        let from = self.at;
        let mut line_end = false;
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.text.get(self.at) {
            line_end |= matches!(byte, b'\r' | b'\n');
            self.at += 1;
        }
        if line_end {
            let kept = self.text.get(self.kept..from).unwrap_or_default();
            self.line.extend_from_slice(kept);
            self.kept = self.at;
        }
    }

    /// A member's name and its colon, up to the value.
    #[inline(always)]
    pub(crate) fn name(&mut self) -> Result<Inside, Stop> {
        if self.peek()? != b'"' {
            return Err(self.bad("expected a member's name"));
        }
        let name = self.string()?;
        self.space();
        if self.peek()? != b':' {
            return Err(self.bad("expected a colon"));
        }
        self.at += 1;
        self.space();
        Ok(name)
    }

    /// The string whose opening quote is here.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<Inside, Stop> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    let end = self.at - 1;
                    return Ok(Inside {
                        start,
                        end,
                        escaped,
                    });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                0..=0x1f => {
                    self.go_past(self.at, "a control character in a string must be escaped");
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
    }

    /// Goes over the bytes that need no thought, eight at a time.
    #[inline(always)]
    fn plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        while let Some(chunk) = self.text.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_le_bytes(*chunk);
            let quote = word ^ (ONES * u64::from(b'"'));
            let backslash = word ^ (ONES * u64::from(b'\\'));
            // The high bit of each byte that is a quote, a backslash or a control
            // character. A borrow can only spoil bytes above the first of them.
            let special = (quote.wrapping_sub(ONES) & !quote)
                | (backslash.wrapping_sub(ONES) & !backslash)
                | (word.wrapping_sub(ONES * 0x20) & !word);
            let special = special & HIGHS;
            if special != 0 {
                self.at += (special.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        let escape = self.text.get(self.at + 1..).unwrap_or_default();
        let (kind, digits) = escape.split_first().ok_or(Stop::Incomplete)?;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let good = digits.iter().take(4).take_while(|b| b.is_ascii_hexdigit());
                match good.count() {
                    4 => self.at += 6,
                    good if good == digits.len() => return Err(Stop::Incomplete),
                    _ => self.bad_escape("\\u takes four hexadecimal digits"),
                }
            }
            _ => self.bad_escape("no such escape"),
        }
        Ok(())
    }

    /// What follows the backslash is neither a quote nor a backslash, and is read on.
    fn bad_escape(&mut self, what: &'static str) {
        self.go_past(self.at, what);
        self.at += 1;
    }

    /// A number, or one of the three words. It ends before a byte that neither has, so
    /// at the text's end it is incomplete.
    pub(crate) fn word(&mut self) -> Result<(), Stop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !is_word(*byte));
        let word = length.and_then(|length| rest.get(..length));
        let word = word.ok_or(Stop::Incomplete)?;
        match word {
            [] => return Err(self.bad("expected a value")),
            b"true" | b"false" | b"null" => {}
            [b'-' | b'0'..=b'9', ..] => {
                if let Err(offset) = number(word) {
                    self.go_past(self.at + offset, "not a number");
                }
            }
            _ => self.go_past(self.at, "expected a value"),
        }
        self.at += word.len();
        Ok(())
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// Whether a word is a number; else where it stops being one.
fn number(word: &[u8]) -> Result<(), usize> {
    let is = |at: usize, wanted: &[u8]| word.get(at).is_some_and(|byte| wanted.contains(byte));
    let digits = |from: usize| {
        let digits = word.iter().skip(from).take_while(|b| b.is_ascii_digit());
        match digits.count() {
            0 => Err(from),
            count => Ok(from + count),
        }
    };
    let mut at = usize::from(is(0, b"-"));
    at = if is(at, b"0") { at + 1 } else { digits(at)? };
    if is(at, b".") {
        at = digits(at + 1)?;
    }
    if is(at, b"eE") {
        at = digits(at + 1 + usize::from(is(at + 1, b"+-")))?;
    }
    if at == word.len() { Ok(()) } else { Err(at) }
}
