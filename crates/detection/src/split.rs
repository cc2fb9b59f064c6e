//! From an answer's body to alerts, as its bytes arrive.
//!
//! The body is dropped as it is read: what is held is the alerts and one element that
//! has not ended yet. That element is scanned anew only when twice as much of it is
//! there, so that no chunking of a body makes reading it quadratic.
//!
//! An element that is no JSON object costs its neighbours nothing as long as its end
//! can be found. Where it cannot, nothing of the body is believed: a service that cuts
//! an answer short has not said what is missing.

use crate::alert::Alert;
use crate::scan;
use crate::token::{Bad, Stop};
use std::ops::Range;
use thiserror::Error;

/// A body that is not an array of objects, nor one object.
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
}

/// Splits a whole body into alerts.
///
/// # Errors
/// [`Malformed`] when it is not an array of objects, nor one object.
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
    first_fault: Option<(u64, &'static str)>,
    lost: bool,
}

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
            first_fault: None,
            lost: false,
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
    /// [`Malformed`] when it was not an array of objects, nor one object.
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
        match self.first_fault {
            None => Ok(self.alerts),
            Some((offset, what)) => Err(Malformed {
                offset,
                message: what.to_owned(),
                alerts: self.alerts,
                unreadable: self.unreadable,
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
            (Place::Start, _) => Look::Lost(at, "not JSON: an array or an object was expected"),
            (Place::First, b']') => self.step(Place::End, at + 1),
            (Place::First | Place::Next | Place::Bare, _) => self.element(rest, at, end),
            (Place::After, b',') => self.step(Place::Next, at + 1),
            (Place::After, b']') => self.step(Place::End, at + 1),
            (Place::After, _) => Look::Lost(at, "expected a comma or the array's end"),
            (Place::End, _) => Look::Lost(at, "something follows the end"),
        }
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
                let bad = if !scan.is_object {
                    fault(at, "not an object")
                } else if let Some(bad) = scan.fault {
                    bad
                } else if let Some(alert) = Alert::of(rest, at, scan) {
                    self.alerts.push(alert);
                    return self.step(after, to);
                } else {
                    fault(to, "not UTF-8")
                };
                (bad, Some(to))
            }
        };
        if let Some(at) = not_utf8(rest, at, bad.at) {
            bad = fault(at, "not UTF-8");
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

/// Where `text` from `at` up to `end` first is not UTF-8. A character that the text's own
/// end cuts is none.
fn not_utf8(text: &[u8], at: usize, end: usize) -> Option<usize> {
    let error = std::str::from_utf8(text.get(at..end)?).err()?;
    (error.error_len().is_some() || end < text.len()).then(|| at + error.valid_up_to())
}
