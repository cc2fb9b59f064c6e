//! From an answer's body to alerts, as its bytes arrive.
//!
//! The body is dropped as it is read: what is held is the alerts and one element that
//! has not ended yet. That element is scanned anew only when twice as much of it is
//! there, so that no chunking of a body makes reading it quadratic.
//!
//! An answer is an array of detections, the `value` of an OData page, or one detection
//! that stands alone, as the service sent it in 2017. A detection is an object with a
//! FullId or an AlertId. What else there is with status 200 (an error, `{}`, a sign-in
//! page) is no answer: it is never a detection, and nothing of it is believed.
//!
//! An element that is no detection costs its neighbours nothing as long as its end
//! can be found. Where it cannot, nothing of the body is believed: a service that cuts
//! an answer short has not said what is missing.

use crate::alert::Alert;
use crate::scan::{self, Objection};
use crate::token::{Bad, Stop};
use std::ops::Range;
use thiserror::Error;

/// A body that is not a list of detections, nor one detection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} at byte {offset}")]
pub struct Malformed {
    /// Where it first goes wrong, in bytes from the body's start.
    pub offset: u64,
    /// What is wrong there.
    pub message: String,
    /// The elements that could be read; none when the elements' ends cannot be found.
    pub alerts: Vec<Alert>,
    /// The elements that could not, in order; none in the same case.
    pub unreadable: Vec<Range<u64>>,
    /// Whether the body is something else altogether, an error or a web page: then its
    /// own words say more than the place does.
    pub is_foreign: bool,
}

/// Splits a whole body into alerts.
///
/// # Errors
/// [`Malformed`] when it is not a list of detections, nor one detection.
pub fn split(body: &[u8]) -> Result<Vec<Alert>, Malformed> {
    let mut splitter = Splitter::new();
    splitter.push(body);
    splitter.finish()
}

/// Where in the body the reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first byte that counts; a byte order mark may come.
    Start,
    /// Before the first element or the closing bracket.
    First,
    /// After a comma.
    Next,
    /// After an element.
    After,
    /// In an object that stands alone.
    Bare,
    /// In a page, after a comma.
    NextMember,
    /// In a page, after a member.
    AfterMember,
    /// After the end.
    End,
}

/// Splits a body into alerts as its bytes arrive.
#[derive(Debug)]
pub struct Splitter {
    /// What is not read yet; begins at `base` of the body.
    held: Vec<u8>,
    base: u64,
    place: Place,
    /// Bytes of `held` below which another scan of its element is not worth it.
    patience: usize,
    alerts: Vec<Alert>,
    unreadable: Vec<Range<u64>>,
    /// How many of the unreadable can be no detections: objects without an identity, and
    /// what is no object.
    strangers: usize,
    /// The list is within a page.
    in_page: bool,
    first_fault: Option<(u64, &'static str)>,
    lost: bool,
    is_foreign: bool,
}

/// What is said of an element that is an object and JSON.
const STRANGER: &str = "not a detection: it has neither a FullId nor an AlertId";

/// And of one that stands alone.
const LONE_STRANGER: &str =
    "not a detection: it has no FullId, no AlertId with an AlertTime, and no list of detections";

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

/// What one look at the held bytes came to.
enum Look {
    /// So many bytes were read.
    Read(usize),
    /// More bytes are needed.
    More,
    /// The elements' ends cannot be found from here on.
    Lost(usize, &'static str),
}

impl Splitter {
    /// Nothing was read yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            held: Vec::new(),
            base: 0,
            place: Place::Start,
            patience: 0,
            alerts: Vec::new(),
            unreadable: Vec::new(),
            strangers: 0,
            in_page: false,
            first_fault: None,
            lost: false,
            is_foreign: false,
        }
    }

    /// Reads the next bytes of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.lost {
            return;
        }
        if self.held.is_empty() {
            // The usual case: the last chunk ended between elements, or this is the
            // whole body. Nothing needs to be put together.
            let read = self.read(chunk, false);
            if !self.lost {
                let rest = chunk.get(read..).unwrap_or_default();
                self.held.extend_from_slice(rest);
            }
        } else {
            self.held.extend_from_slice(chunk);
            if self.held.len() < self.patience {
                return;
            }
            let held = std::mem::take(&mut self.held);
            let read = self.read(&held, false);
            if !self.lost {
                self.held = held;
                self.held.drain(..read);
            }
        }
        self.patience = self.held.len().saturating_mul(2);
    }

    /// The body has ended.
    ///
    /// # Errors
    /// [`Malformed`] when it was not a list of detections, nor one detection.
    pub fn finish(mut self) -> Result<Vec<Alert>, Malformed> {
        if !self.lost {
            let held = std::mem::take(&mut self.held);
            let read = self.read(&held, true);
            if !self.lost && self.place != Place::End {
                let end = self.base + held.len().saturating_sub(read) as u64;
                self.lose(
                    end,
                    if end == 0 {
                        "the body is empty"
                    } else {
                        "the body is cut short"
                    },
                );
            }
        }
        // An error in brackets is still an error, whatever it looks like.
        if self.strangers > 0 && self.alerts.is_empty() && self.strangers == self.unreadable.len() {
            self.is_foreign = true;
            self.lose(0, STRANGER);
        }
        match self.first_fault {
            None => Ok(self.alerts),
            Some((offset, what)) => Err(Malformed {
                offset,
                message: what.to_owned(),
                alerts: self.alerts,
                unreadable: self.unreadable,
                is_foreign: self.is_foreign,
            }),
        }
    }

    /// Reads as much of `bytes` as it can and returns how much. At the `end` of the
    /// body, white space and numbers may end with the bytes.
    fn read(&mut self, bytes: &[u8], end: bool) -> usize {
        let mut read = 0;
        loop {
            let rest = bytes.get(read..).unwrap_or_default();
            match self.look(rest, end) {
                Look::More => break,
                Look::Read(more) => {
                    read += more;
                    self.base += more as u64;
                }
                Look::Lost(at, what) => {
                    self.lose(self.base + at as u64, what);
                    break;
                }
            }
        }
        read
    }

    fn look(&mut self, rest: &[u8], end: bool) -> Look {
        if self.place == Place::Start && !end && rest.len() < 3 {
            return Look::More;
        }
        let mark = if self.place == Place::Start && rest.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        let space = rest
            .iter()
            .skip(mark)
            .take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
            .count();
        let at = mark + space;
        let Some(byte) = rest.get(at) else {
            // White space is read at once, but a mark only with what follows.
            return if at > 0 && self.place != Place::Start {
                Look::Read(at)
            } else {
                Look::More
            };
        };
        match (self.place, byte) {
            (Place::Start, b'[') => self.step(Place::First, at + 1),
            (Place::Start, b'{') => self.step(Place::Bare, at),
            (Place::Start, _) => {
                self.is_foreign = true;
                Look::Lost(at, "not JSON: an array or an object was expected")
            }
            (Place::First | Place::After, b']') => self.step(self.after_list(), at + 1),
            (Place::Bare, _) => self.bare(rest, at, end),
            (Place::First | Place::Next, _) => self.element(rest, at, end),
            (Place::After, b',') => self.step(Place::Next, at + 1),
            (Place::After, _) => Look::Lost(at, "expected a comma or the array's end"),
            (Place::NextMember, _) => self.member(rest, at, end),
            (Place::AfterMember, b',') => self.step(Place::NextMember, at + 1),
            (Place::AfterMember, b'}') => self.step(Place::End, at + 1),
            (Place::AfterMember, _) => Look::Lost(at, "expected a comma or the object's end"),
            (Place::End, _) => Look::Lost(at, "something follows the end"),
        }
    }

    fn after_list(&self) -> Place {
        if self.in_page {
            Place::AfterMember
        } else {
            Place::End
        }
    }

    /// An object that stands alone: a page, a detection, or neither.
    fn bare(&mut self, rest: &[u8], at: usize, end: bool) -> Look {
        match scan::page(rest, at) {
            Err(Stop::Incomplete) if !end => Look::More,
            Ok(Some(page)) => match page.objection {
                Some(objection) => self.objected(objection),
                None => {
                    self.in_page = true;
                    self.step(Place::First, page.list + 1)
                }
            },
            _ => self.element(rest, at, end),
        }
    }

    /// A member of a page behind its list.
    fn member(&mut self, rest: &[u8], at: usize, end: bool) -> Look {
        match scan::page_member(rest, at) {
            Err((Stop::Incomplete, _)) if !end => Look::More,
            Err((_, Some(bad))) => Look::Lost(bad.at, bad.what),
            Err((_, None)) => Look::Lost(rest.len(), "the body is cut short"),
            Ok((_, Some(objection))) => self.objected(objection),
            Ok((to, None)) => self.step(Place::AfterMember, to),
        }
    }

    /// The list of a page is not the answer.
    fn objected(&mut self, objection: Objection) -> Look {
        match objection {
            Objection::Fault(bad) => Look::Lost(bad.at, bad.what),
            Objection::Member(bad) => self.stranger(bad.at, bad.what),
        }
    }

    /// The body is something else than an answer.
    fn stranger(&mut self, at: usize, what: &'static str) -> Look {
        self.is_foreign = true;
        Look::Lost(at, what)
    }

    fn step(&mut self, place: Place, read: usize) -> Look {
        self.place = place;
        Look::Read(read)
    }

    fn element(&mut self, rest: &[u8], at: usize, end: bool) -> Look {
        let after = if self.place == Place::Bare {
            Place::End
        } else {
            Place::After
        };
        let (mut bad, to) = match scan::value(rest, at) {
            Err((Stop::Incomplete, _)) if !end => return Look::More,
            Err((_, Some(bad))) => (bad, None),
            Err((_, None)) => (fault(rest.len(), "the body is cut short"), None),
            Ok(scan) => {
                let to = scan.end;
                let is_alone = self.place == Place::Bare;
                let is_detection = if is_alone {
                    scan.found.identifies_alone(rest)
                } else {
                    scan.found.identifies(rest)
                };
                let bad = if !scan.is_object {
                    self.strangers += 1;
                    fault(at, "not an object")
                } else if !is_detection && is_alone {
                    return self.stranger(at, LONE_STRANGER);
                } else if let Some(bad) = scan.fault {
                    bad
                } else if !is_detection {
                    scan::not_utf8(rest, at, to).unwrap_or_else(|| {
                        self.strangers += 1;
                        fault(at, STRANGER)
                    })
                } else if let Some(alert) = Alert::of(rest, at, scan) {
                    self.alerts.push(alert);
                    return self.step(after, to);
                } else {
                    fault(to, "not UTF-8")
                };
                (bad, Some(to))
            }
        };
        if let Some(sooner) = scan::not_utf8(rest, at, bad.at) {
            bad = sooner;
        }
        let Some(to) = to else {
            return Look::Lost(bad.at, bad.what);
        };
        self.first_fault
            .get_or_insert((self.base + bad.at as u64, bad.what));
        self.unreadable
            .push(self.base + at as u64..self.base + to as u64);
        self.step(after, to)
    }

    fn lose(&mut self, offset: u64, what: &'static str) {
        self.lost = true;
        self.first_fault.get_or_insert((offset, what));
        self.alerts = Vec::new();
        self.unreadable = Vec::new();
        self.held = Vec::new();
    }
}

fn fault(at: usize, what: &'static str) -> Bad {
    Bad { at, what }
}
