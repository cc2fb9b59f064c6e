//! Takes secrets out of text that somebody else wrote, before it is logged, kept or shown.
//!
//! A service may repeat what it was sent: a 403 that shows the Authorization header, an
//! error page with the whole request in it. A component says what it likes. Their words
//! are read as they are, and once more with percent-encoding, escapes of JSON, references
//! of HTML and line breaks undone, in any order and up to three deep. In each reading a
//! secret is found as it is, in capitals or not, and as base64 of either alphabet, alone or
//! in the middle of something (`user:password`).
//!
//! Words are often cut, and half a token is still too much: from a secret of 12 or more
//! bytes, each run of 12 that stands in the text is taken out.
//!
//! What encodes a secret by a way of its own cannot be known here.

mod reading;

use self::reading::views;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What stands in the place of a secret.
const STARS: &[u8] = b"***";

/// Bytes of a secret that are too many to show, and base64 characters that hold as much.
const RUN: usize = 12;
const BASE64_RUN: usize = 16;

/// A secret that is shorter would take out what it is not: it can be guessed anyway.
const LEAST: usize = 4;

/// Secrets that one source has in use: its own, the ones before they were rotated, and
/// tokens, the ones before they were renewed.
const MOST_KNOWN: usize = 12;

/// Knows the secrets that somebody has in use, the most recent ones. Clones share them.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<Mutex<VecDeque<Secret>>>,
}

impl Redactor {
    /// Takes this one out from now on.
    pub fn learn(&self, secret: &Secret) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.front() == Some(secret) {
            return;
        }
        known.retain(|one| one != secret);
        known.push_front(secret.clone());
        known.truncate(MOST_KNOWN);
    }

    /// The text without them.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        match self.found(text.as_bytes()) {
            // Whole characters are taken out, so that text stays text.
            found if !found.is_empty() => {
                let whole = found.into_iter().map(|range| on_characters(text, range));
                String::from_utf8(without(text.as_bytes(), whole)).unwrap_or_default()
            }
            _ => text.to_owned(),
        }
    }

    /// The same of bytes that need not be text.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        without(bytes, self.found(bytes))
    }

    /// Whether a text shows one of them.
    #[must_use]
    pub fn shows(&self, text: &str) -> bool {
        !self.found(text.as_bytes()).is_empty()
    }

    /// Where they are, in order; ranges may overlap.
    fn found(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let known: Vec<Secret> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().cloned().collect()
        };
        let needles: Vec<Needle> = known.iter().filter_map(Needle::new).collect();
        if needles.is_empty() {
            return Vec::new();
        }
        let plain = Runs::new(needles.iter().flat_map(|needle| &needle.plain), RUN);
        let coded = Runs::new(needles.iter().flat_map(|needle| &needle.base64), BASE64_RUN);
        let mut found = Vec::new();
        for view in views(bytes) {
            let lower = Zeroizing::new(view.bytes.to_ascii_lowercase());
            plain.find(&lower, |range| found.extend(view.original(range)));
            let standard: Zeroizing<Vec<u8>> =
                Zeroizing::new(view.bytes.iter().map(|byte| one_alphabet(*byte)).collect());
            coded.find(&standard, |range| {
                found.extend(view.original(widened(&standard, range)));
            });
        }
        found.sort_by_key(|range| (range.start, range.end));
        found
    }
}

/// A secret as it may stand in a text.
struct Needle {
    /// In small letters; also as a form has its spaces.
    plain: Vec<Zeroizing<Vec<u8>>>,
    /// Of its base64 what does not depend on its neighbours, for each of the three places
    /// where it may begin.
    base64: Vec<Zeroizing<Vec<u8>>>,
}

impl Needle {
    fn new(secret: &Secret) -> Option<Self> {
        let secret = secret.expose().as_bytes();
        if secret.len() < LEAST {
            return None;
        }
        let lower = Zeroizing::new(secret.to_ascii_lowercase());
        let mut plain = vec![lower.clone()];
        if lower.contains(&b' ') {
            let spaces = lower
                .iter()
                .map(|byte| if *byte == b' ' { b'+' } else { *byte });
            plain.push(Zeroizing::new(spaces.collect()));
        }
        let base64 = (0..3).map(|before| {
            let mut bytes = Zeroizing::new(vec![0; before]);
            bytes.extend_from_slice(secret);
            let coded = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(&*bytes));
            let (first, end) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
            let inside = coded.as_bytes().get(first..end).unwrap_or_default();
            Zeroizing::new(inside.to_vec())
        });
        Some(Self {
            plain,
            base64: base64.collect(),
        })
    }
}

/// What is looked for: every run of some bytes, and whole what is shorter.
struct Runs<'n> {
    length: usize,
    runs: HashSet<&'n [u8]>,
    short: Vec<&'n [u8]>,
}

impl<'n> Runs<'n> {
    fn new(needles: impl Iterator<Item = &'n Zeroizing<Vec<u8>>>, length: usize) -> Self {
        let (mut runs, mut short) = (HashSet::new(), Vec::new());
        for needle in needles {
            if needle.len() < length {
                short.push(needle.as_slice());
            } else {
                runs.extend(needle.windows(length));
            }
        }
        Self {
            length,
            runs,
            short,
        }
    }

    fn find(&self, bytes: &[u8], mut tell: impl FnMut(Range<usize>)) {
        if !self.runs.is_empty() {
            for (at, run) in bytes.windows(self.length).enumerate() {
                if self.runs.contains(run) {
                    tell(at..at + self.length);
                }
            }
        }
        for needle in self.short.iter().filter(|needle| !needle.is_empty()) {
            for (at, run) in bytes.windows(needle.len()).enumerate() {
                if run == *needle {
                    tell(at..at + needle.len());
                }
            }
        }
    }
}

/// The URL's alphabet as the standard one.
fn one_alphabet(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

/// With the character on either side that may hold a part of it, and its padding.
fn widened(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let is_coded = |at: usize| {
        let byte = bytes.get(at).copied();
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    };
    let start = range.start.checked_sub(1).filter(|at| is_coded(*at));
    let mut end = range.end + usize::from(is_coded(range.end));
    while bytes.get(end) == Some(&b'=') {
        end += 1;
    }
    start.unwrap_or(range.start)..end
}

/// The range with the characters whole that it begins and ends in.
fn on_characters(text: &str, range: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (range.start, range.end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

/// The bytes with these ranges, which are in order, taken out.
fn without(bytes: &[u8], ranges: impl IntoIterator<Item = Range<usize>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut done = 0;
    let mut is_starred = false;
    for range in ranges {
        if range.end <= done && is_starred {
            continue;
        }
        if range.start > done || !is_starred {
            out.extend_from_slice(bytes.get(done..range.start).unwrap_or_default());
            out.extend_from_slice(STARS);
        }
        done = done.max(range.end);
        is_starred = true;
    }
    out.extend_from_slice(bytes.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;
