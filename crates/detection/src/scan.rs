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

    /// Whether an object with these members is a detection: it has a FullId, or an
    /// AlertId, which is all that the oldest of them have.
    pub(crate) fn identifies(&self, text: &[u8]) -> bool {
        is_text(text, &self.full_id) || is_text(text, &self.alert_id)
    }

    /// The same for an object that stands alone, where errors of all kinds come: an
    /// AlertId counts only beside the AlertTime that every detection has.
    pub(crate) fn identifies_alone(&self, text: &[u8]) -> bool {
        is_text(text, &self.full_id)
            || is_text(text, &self.alert_id) && is_text(text, &self.alert_time)
    }
}

/// Whether a value is a string with something in it.
fn is_text(text: &[u8], value: &Option<Range<usize>>) -> bool {
    let value = value.as_ref().and_then(|place| text.get(place.clone()));
    value.is_some_and(|value| value.len() > 2 && value.starts_with(b"\""))
}

/// An object that holds a list of detections, as OData services answer: its `value`.
#[derive(Debug)]
pub(crate) struct Page {
    /// Where the list begins.
    pub(crate) list: usize,
    /// What forbids to take the list for the answer, of the members before it.
    pub(crate) objection: Option<Objection>,
}

/// What a page's member has against taking the page's list for the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Objection {
    /// The member is not JSON.
    Fault(Bad),
    /// The member says that the list is not the answer, or not all of it.
    Member(Bad),
}

/// Looks for the list of detections in the object that begins at `start`, as far as the
/// list's first byte. None when it has none, or is a detection itself.
pub(crate) fn page(text: &[u8], start: usize) -> Result<Option<Page>, Stop> {
    let mut at = start + 1;
    let mut found = Found::default();
    let mut objection = None;
    loop {
        let mut tokens = Tokens::new(text, at);
        tokens.space();
        let from = tokens.at;
        if tokens.peek()? == b'}' {
            return Ok(None);
        }
        let name = tokens.name()?;
        let list = tokens.at;
        if is_named(text, name, b"value") && tokens.peek()? == b'[' {
            let spoilt = tokens.fault.or(not_utf8(text, from, list));
            let objection = objection.or(spoilt.map(Objection::Fault));
            let page = Page { list, objection };
            return Ok((!found.identifies_alone(text)).then_some(page));
        }
        let (end, objects) = page_member(text, from).map_err(|(stop, _)| stop)?;
        found.note(text, name, list..end);
        objection = objection.or(objects);
        let mut tokens = Tokens::new(text, end);
        tokens.space();
        at = match tokens.peek()? {
            b',' => tokens.at + 1,
            b'}' => return Ok(None),
            _ => return Err(Stop::Bad),
        };
    }
}

/// The member of a page that begins at `start`: where its value ends, and what it has
/// against taking the page's list for the answer. On failure, with the first fault.
pub(crate) fn page_member(
    text: &[u8],
    start: usize,
) -> Result<(usize, Option<Objection>), (Stop, Option<Bad>)> {
    let mut tokens = Tokens::new(text, start);
    let name = match tokens.name() {
        Ok(name) => name,
        Err(stop) => return Err((stop, tokens.fault)),
    };
    let from = tokens.at;
    let scan = match value(text, from) {
        Ok(scan) => scan,
        Err((stop, fault)) => return Err((stop, tokens.fault.or(fault))),
    };
    let fault = tokens.fault.or(scan.fault);
    let fault = not_utf8(text, start, fault.map_or(scan.end, |bad| bad.at)).or(fault);
    if let Some(bad) = fault {
        return Ok((scan.end, Some(Objection::Fault(bad))));
    }
    let objects = |what| Some(Objection::Member(Bad { at: start, what }));
    let value = text.get(from..scan.end).unwrap_or_default();
    let links: [&[u8]; 3] = [b"@odata.nextLink", b"odata.nextLink", b"nextLink"];
    let objection = if is_named(text, name, b"value") {
        objects("its value is there twice, or no list")
    } else if matches!(value, b"null" | b"\"\"") {
        None
    } else if is_named(text, name, b"error") {
        objects("an error stands beside the detections")
    } else if links.into_iter().any(|link| is_named(text, name, link)) {
        objects("one page of several (nextLink), of which the others cannot be asked for")
    } else {
        None
    };
    Ok((scan.end, objection))
}

/// Where `text` from `at` up to `end` first is not UTF-8. A character that the text's own
/// end cuts is none.
pub(crate) fn not_utf8(text: &[u8], at: usize, end: usize) -> Option<Bad> {
    let error = std::str::from_utf8(text.get(at..end)?).err()?;
    let is_wrong = error.error_len().is_some() || end < text.len();
    is_wrong.then(|| Bad {
        at: at + error.valid_up_to(),
        what: "not UTF-8",
    })
}

fn is_named(text: &[u8], name: Inside, wanted: &[u8]) -> bool {
    let inside = text.get(name.start..name.end).unwrap_or_default();
    if name.escaped {
        unescape(inside).text.as_bytes() == wanted
    } else {
        inside == wanted
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
