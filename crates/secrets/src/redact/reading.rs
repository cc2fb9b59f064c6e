//! A text in all its readings: as it is, and with codings undone.

use std::ops::Range;
use zeroize::Zeroizing;

/// Codings that are undone one after the other, and readings of one text in all.
const DEPTH: usize = 3;
const MOST_VIEWS: usize = 32;

/// One reading of a text.
pub(super) struct View {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Where each byte begins in the text, and where the last ends.
    starts: Vec<usize>,
}

impl View {
    pub(super) fn original(&self, range: Range<usize>) -> Option<Range<usize>> {
        Some(*self.starts.get(range.start)?..*self.starts.get(range.end)?)
    }

    /// The reading with a coding undone; none when there is nothing to undo.
    fn undo(&self, coding: Coding) -> Option<Self> {
        let all = self.bytes.as_slice();
        if !all.iter().any(|byte| coding.begins(*byte)) {
            return None;
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(all.len()));
        let mut starts = Vec::with_capacity(all.len() + 1);
        let mut at = 0;
        let mut is_changed = false;
        while let Some((first, rest)) = all.get(at..).and_then(<[u8]>::split_first) {
            let start = self.starts.get(at).copied().unwrap_or_default();
            let undone = if coding.begins(*first) {
                coding.undo(rest)
            } else {
                None
            };
            match undone {
                Some((meant, length)) => {
                    is_changed = true;
                    let mut text = [0; 4];
                    for byte in meant.bytes(&mut text) {
                        bytes.push(*byte);
                        starts.push(start);
                    }
                    at += 1 + length;
                }
                None => {
                    bytes.push(*first);
                    starts.push(start);
                    at += 1;
                }
            }
        }
        starts.extend(self.starts.last());
        is_changed.then_some(Self { bytes, starts })
    }
}

/// A text in all its readings.
pub(super) fn views(bytes: &[u8]) -> Vec<View> {
    let mut all = vec![View {
        bytes: Zeroizing::new(bytes.to_vec()),
        starts: (0..=bytes.len()).collect(),
    }];
    let mut done = 0;
    for _ in 0..DEPTH {
        let until = all.len();
        while done < until {
            let undone: Vec<View> = match all.get(done) {
                Some(view) => Coding::ALL
                    .iter()
                    .filter_map(|one| view.undo(*one))
                    .collect(),
                None => Vec::new(),
            };
            done += 1;
            for view in undone {
                let is_new = all.iter().all(|one| one.bytes != view.bytes);
                if is_new && all.len() < MOST_VIEWS {
                    all.push(view);
                }
            }
        }
    }
    all
}

/// A way to write a character as something else.
#[derive(Clone, Copy)]
enum Coding {
    /// `%2B`
    Percent,
    /// `\"`, `\/`, `\u002b`, and Rust's `\u{2b}`
    Escape,
    /// `&#43;`, `&#x2b;`, `&plus;`
    Reference,
    /// A line end with the blanks around it.
    Fold,
}

/// What a coded character means.
enum Meant {
    Byte(u8),
    Char(char),
    Nothing,
}

impl Meant {
    fn bytes<'t>(&self, text: &'t mut [u8; 4]) -> &'t [u8] {
        match self {
            Self::Byte(byte) => {
                *text = [*byte, 0, 0, 0];
                text.get(..1).unwrap_or_default()
            }
            Self::Char(c) => c.encode_utf8(text).as_bytes(),
            Self::Nothing => &[],
        }
    }
}

impl Coding {
    const ALL: [Self; 4] = [Self::Percent, Self::Escape, Self::Reference, Self::Fold];

    fn begins(self, byte: u8) -> bool {
        match self {
            Self::Percent => byte == b'%',
            Self::Escape => byte == b'\\',
            Self::Reference => byte == b'&',
            Self::Fold => matches!(byte, b'\r' | b'\n'),
        }
    }

    /// What stands behind the byte that begins it: its meaning, and how long it is.
    fn undo(self, rest: &[u8]) -> Option<(Meant, usize)> {
        match self {
            Self::Percent => {
                let digits = rest.get(..2)?;
                let byte = u8::try_from(number(digits, 16)?).ok()?;
                Some((Meant::Byte(byte), 2))
            }
            Self::Escape => escape(rest),
            Self::Reference => reference(rest),
            Self::Fold => {
                let is_blank = |byte: &&u8| byte.is_ascii_whitespace();
                Some((Meant::Nothing, rest.iter().take_while(is_blank).count()))
            }
        }
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    // `from_str_radix` takes a sign.
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    are_digits.then(|| u32::from_str_radix(digits, radix).ok())?
}

fn escape(rest: &[u8]) -> Option<(Meant, usize)> {
    let meant = match rest.first()? {
        b'n' => Meant::Byte(b'\n'),
        b'r' => Meant::Byte(b'\r'),
        b't' => Meant::Byte(b'\t'),
        b'b' => Meant::Byte(8),
        b'f' => Meant::Byte(12),
        b'x' => {
            let byte = u8::try_from(number(rest.get(1..3)?, 16)?).ok()?;
            return Some((Meant::Byte(byte), 3));
        }
        b'u' if rest.get(1) == Some(&b'{') => {
            let length = rest.iter().take(9).position(|byte| *byte == b'}')?;
            let c = char::from_u32(number(rest.get(2..length)?, 16)?)?;
            return Some((Meant::Char(c), length + 1));
        }
        b'u' => {
            let unit = |at: usize| {
                let digits = rest.get(at..at + 4)?;
                u16::try_from(number(digits, 16)?).ok()
            };
            let first = unit(1)?;
            if let Some(c) = char::from_u32(first.into()) {
                return Some((Meant::Char(c), 5));
            }
            let second = unit(7).filter(|_| rest.get(5..7) == Some(b"\\u"))?;
            let c = char::decode_utf16([first, second]).next()?.ok()?;
            return Some((Meant::Char(c), 11));
        }
        // A quote, a slash, a backslash, and what some escape without need.
        other if other.is_ascii_punctuation() => Meant::Byte(*other),
        _ => return None,
    };
    Some((meant, 1))
}

fn reference(rest: &[u8]) -> Option<(Meant, usize)> {
    // Browsers read a number without a semicolon too.
    let (digits, before, radix) = match rest {
        [b'#', b'x' | b'X', digits @ ..] => (digits, 2, 16),
        [b'#', digits @ ..] => (digits, 1, 10),
        _ => return named_reference(rest),
    };
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let count = digits.iter().take(8).take_while(is_digit).count();
    let meant = char::from_u32(number(digits.get(..count)?, radix)?)?;
    let has_end = digits.get(count) == Some(&b';');
    Some((Meant::Char(meant), before + count + usize::from(has_end)))
}

fn named_reference(rest: &[u8]) -> Option<(Meant, usize)> {
    let length = rest.iter().take(14).position(|byte| *byte == b';')?;
    let name = rest.get(..length)?;
    let meant = NAMED.iter().find(|(known, _)| known.as_bytes() == name)?.1;
    Some((Meant::Char(meant), length + 1))
}

/// The names that HTML has for the characters of ASCII.
const NAMED: [(&str, char); 39] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("midast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("lbrace", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("VerticalLine", '|'),
    ("rcub", '}'),
    ("rbrace", '}'),
];
