//! What stands in a file behind a place, and what belongs there.

use super::Chunk;
use super::system::OpenFile;
use std::io;

impl Chunk {
    /// What is to be written where a file has `length` bytes: the header stands first, once,
    /// and behind a line that somebody left unfinished there is a separator, so that no line
    /// of ours is broken by it.
    pub(super) fn after(&self, length: u64, file: &impl OpenFile) -> io::Result<Vec<u8>> {
        if length == 0 {
            return Ok([self.header.as_slice(), &self.bytes].concat());
        }
        let before = file.read_at(length - 1, 1)?;
        let is_finished = before.last() == self.bytes.last();
        let separator = if is_finished {
            &[][..]
        } else if self.bytes.ends_with(b"\r\n") {
            b"\r\n"
        } else {
            self.bytes
                .last()
                .map(std::slice::from_ref)
                .unwrap_or_default()
        };
        Ok([separator, &self.bytes].concat())
    }

    /// Whether all of a file that somebody cut while this batch was being written behind
    /// what was there is a part of it: its end, or of that what a power cut left.
    pub(super) fn may_have_slipped(&self, file: &impl OpenFile, length: u64) -> io::Result<bool> {
        if length > self.bytes.len() as u64 {
            return Ok(false);
        }
        let left = file.read_at(0, length)?;
        Ok(self.bytes.ends_with(&left) || self.bytes.starts_with(&left))
    }

    /// Whether all of a file may be what a power cut left of this batch: its beginning, or
    /// parts of it between zeros.
    pub(super) fn may_have_left(&self, file: &impl OpenFile, length: u64) -> io::Result<bool> {
        let whole = self.after(0, file)?;
        if length > whole.len() as u64 {
            return Ok(false);
        }
        let left = file.read_at(0, length)?;
        let is_ours = |(left, ours): (&u8, &u8)| left == ours || *left == 0;
        Ok(left.iter().zip(&whole).all(is_ours))
    }
}
