//! The scanner: strict JSON in one pass, without a tree.
//!
//! Everything that Watchbell delivers goes through here twice, in the guest and again
//! in the host, so it is written for speed: nesting is a stack of bits, and the six
//! members that the envelope needs are noted by place as they go by. It accepts exactly
//! RFC 8259 with [`MAX_DEPTH`] levels; escapes of lone surrogates are well-formed there
//! and pass. Only UTF-8 is left to the caller.
//!
//! Faults that leave the structure in step are noted and gone past, so that the value's
//! end is found and its neighbours can still be read. Any other stops the scan.

use crate::text::unescape;
use crate::token::{Bad, Inside, Stop, Tokens};
use std::ops::Range;

/// Levels of nesting, the outermost included. Documented detections have one.
pub const MAX_DEPTH: u32 = 128;

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
    fn note(&mut self, text: &[u8], name: Inside, value: Range<usize>) {
        let inside = text.get(name.start..name.end).unwrap_or_default();
        if name.escaped {
            self.put(unescape(inside).text.as_bytes(), value);
        } else {
            self.put(inside, value);
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
#[derive(Debug)]
pub(crate) struct Scan {
    /// One past its last byte.
    pub(crate) end: usize,
    /// Whether it is an object.
    pub(crate) is_object: bool,
    /// The first fault; the value is JSON if there is none.
    pub(crate) fault: Option<Bad>,
    /// The value on one line, if it was not: white space between tokens goes where it
    /// holds a line end, and stays otherwise.
    pub(crate) one_line: Option<Vec<u8>>,
    /// What the envelope needs, if it is an object.
    pub(crate) found: Found,
}

/// Scans the value that begins at `start`. On failure, with the first fault; a text that
/// ended first may have none.
pub(crate) fn value(text: &[u8], start: usize) -> Result<Scan, (Stop, Option<Bad>)> {
    let mut tokens = Tokens::new(text, start);
    let mut found = Found::default();
    match walk(text, &mut tokens, &mut found) {
        Ok(()) => Ok(Scan {
            end: tokens.at,
            is_object: text.get(start) == Some(&b'{'),
            fault: tokens.fault,
            one_line: tokens.one_line(),
            found,
        }),
        Err(stop) => Err((stop, tokens.fault)),
    }
}

fn walk(text: &[u8], tokens: &mut Tokens<'_>, found: &mut Found) -> Result<(), Stop> {
    let start = tokens.at;
    let is_object = text.get(start) == Some(&b'{');
    let mut levels = Levels::default();
    // The outermost object's member that is being scanned.
    let mut member = Inside::default();
    let mut member_from = start;
    loop {
        if levels.in_object() {
            let name = tokens.name()?;
            if levels.depth == 1 {
                member = name;
                member_from = tokens.at;
            }
        }
        match tokens.peek()? {
            b'"' => {
                tokens.string()?;
            }
            open @ (b'{' | b'[') => {
                let object = open == b'{';
                if levels.depth == MAX_DEPTH as usize {
                    tokens.go_past(tokens.at, "nested more than 128 deep");
                }
                tokens.at += 1;
                tokens.space();
                if tokens.peek()? != close_of(object) {
                    levels.enter(object);
                    continue;
                }
                tokens.at += 1;
            }
            _ => tokens.word()?,
        }
        // A value is complete: close what ends with it, until another one follows.
        loop {
            if levels.depth == 0 {
                return Ok(());
            }
            if levels.depth == 1 && is_object {
                found.note(text, member, member_from..tokens.at);
            }
            tokens.space();
            match tokens.peek()? {
                b',' => {
                    tokens.at += 1;
                    tokens.space();
                    break;
                }
                byte if byte == close_of(levels.in_object()) => {
                    tokens.at += 1;
                    levels.leave();
                }
                _ => return Err(tokens.bad("expected a comma or a closing bracket")),
            }
        }
    }
}

/// The brackets that are open. Those within the bound are bits of one number; deeper
/// ones, which only a fault gets to, take a bit each of `outer`.
#[derive(Default)]
struct Levels {
    /// One bit for each of the innermost, the last lowest: set for an object.
    inner: u128,
    outer: Vec<u128>,
    depth: usize,
}

impl Levels {
    #[inline]
    fn in_object(&self) -> bool {
        self.inner & 1 == 1
    }

    #[inline]
    fn enter(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(128) {
            self.outer.push(self.inner);
            self.inner = 0;
        }
        self.depth += 1;
        self.inner = self.inner << 1 | u128::from(object);
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
        self.inner >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(128) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
    }
}

fn close_of(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}
