//! A value as JSON, and nothing but JSON.
//!
//! jaq's own writer cannot fail, so it writes `NaN`, byte strings and keys that are
//! numbers as they are, and no reader of JSON takes them. Here they are errors. The text
//! is one line without spaces, members in their order; numbers that came as decimals
//! keep their spelling (`1.50`, `1e3`), integers of any size their digits, save that
//! `-0` becomes `0`.
//!
//! Bytes that are no UTF-8, as `@base64d` can make of text in UTF-16, are replaced by
//! U+FFFD, as jq does.

use std::fmt::Write as _;

use jaq_json::{Num, Val};

use crate::depth::MAX_DEPTH;

/// Why a value has no JSON text here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unwritable {
    /// It would be longer than allowed.
    TooLong,
    /// It is nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// It holds something that JSON lacks.
    NotJson(&'static str),
}

/// The JSON text of `value`, at most `longest` bytes.
pub(crate) fn json(value: &Val, longest: usize) -> Result<String, Unwritable> {
    let mut writer = Writer {
        text: String::new(),
        longest,
    };
    writer.value(value, 0)?;
    Ok(writer.text)
}

struct Writer {
    text: String,
    longest: usize,
}

impl Writer {
    fn value(&mut self, value: &Val, depth: usize) -> Result<(), Unwritable> {
        match value {
            Val::Null => self.push("null"),
            Val::Bool(true) => self.push("true"),
            Val::Bool(false) => self.push("false"),
            Val::Num(number) => self.number(number),
            Val::TStr(bytes) => self.string(&String::from_utf8_lossy(bytes)),
            Val::BStr(_) => Err(Unwritable::NotJson("a byte string")),
            Val::Arr(elements) => {
                let depth = deeper(depth)?;
                self.push("[")?;
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        self.push(",")?;
                    }
                    self.value(element, depth)?;
                }
                self.push("]")
            }
            Val::Obj(members) => {
                let depth = deeper(depth)?;
                self.push("{")?;
                for (index, (key, member)) in members.iter().enumerate() {
                    if index > 0 {
                        self.push(",")?;
                    }
                    let Val::TStr(key) = key else {
                        return Err(Unwritable::NotJson("an object with a key of no text"));
                    };
                    self.string(&String::from_utf8_lossy(key))?;
                    self.push(":")?;
                    self.value(member, depth)?;
                }
                self.push("}")
            }
        }
    }

    fn number(&mut self, number: &Num) -> Result<(), Unwritable> {
        match number {
            Num::Float(float) if !float.is_finite() => {
                Err(Unwritable::NotJson("a number that is not finite"))
            }
            Num::Dec(decimal) if is_json_number(decimal) => self.push(decimal),
            // Spellings that `fromjson` and filters take and JSON does not: `+1.5`.
            Num::Dec(decimal) => self.number(&Num::from_dec_str(decimal)),
            number => self.push(&number.to_string()),
        }
    }

    fn string(&mut self, text: &str) -> Result<(), Unwritable> {
        self.push("\"")?;
        let mut rest = text;
        while let Some(at) = rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f')) {
            let (plain, special) = rest.split_at(at);
            self.push(plain)?;
            let mut characters = special.chars();
            match characters.next() {
                Some('"') => self.push("\\\"")?,
                Some('\\') => self.push("\\\\")?,
                Some('\n') => self.push("\\n")?,
                Some('\r') => self.push("\\r")?,
                Some('\t') => self.push("\\t")?,
                Some(control) => {
                    // Writing to a string cannot fail.
                    let _ = write!(self.text, "\\u{:04x}", u32::from(control));
                }
                None => {}
            }
            rest = characters.as_str();
        }
        self.push(rest)?;
        self.push("\"")
    }

    fn push(&mut self, text: &str) -> Result<(), Unwritable> {
        if self.text.len().saturating_add(text.len()) > self.longest {
            return Err(Unwritable::TooLong);
        }
        self.text.push_str(text);
        Ok(())
    }
}

fn deeper(depth: usize) -> Result<usize, Unwritable> {
    if depth == MAX_DEPTH {
        return Err(Unwritable::TooDeep);
    }
    Ok(depth + 1)
}

/// Whether `text` is a number as RFC 8259 section 6 writes them.
fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (text, exponent) = text
        .split_once(['e', 'E'])
        .map_or((text, None), |(text, exponent)| (text, Some(exponent)));
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}
