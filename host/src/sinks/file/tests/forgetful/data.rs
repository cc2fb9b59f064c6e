//! What is in a file: as it is shown, and as it is on disk.

use fastrand::Rng;
use std::collections::BTreeSet;

/// Bytes that are written together; small, so that a line lies on several.
const PAGE: usize = 64;

/// Bytes that are written or not, but never in part.
const SECTOR: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) shown: Vec<u8>,
    /// On disk, behind the length that is there too.
    blocks: Vec<u8>,
    length: usize,
    /// Pages that are to be written.
    dirty: BTreeSet<usize>,
    is_length_dirty: bool,
}

impl Data {
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let begin = self.shown.len();
        self.shown.extend_from_slice(bytes);
        self.dirty
            .extend(begin / PAGE..self.shown.len().div_ceil(PAGE));
        self.is_length_dirty = true;
    }

    pub(super) fn set_len(&mut self, length: usize) {
        if length == self.shown.len() {
            return;
        }
        self.shown.resize(length, 0);
        self.dirty.retain(|page| page * PAGE < length);
        // The rest of the last page is filled with zeros, so it is to be written.
        if !length.is_multiple_of(PAGE) {
            self.dirty.insert(length / PAGE);
        }
        self.is_length_dirty = true;
    }

    pub(super) fn sync(&mut self) {
        for page in std::mem::take(&mut self.dirty) {
            self.write(page, PAGE);
        }
        self.write_length();
    }

    /// Some of what is to be written is, in any order, and torn where the machine is off
    /// in the middle of it.
    pub(super) fn write_some(&mut self, random: &mut Rng, tears: bool) {
        for page in self.dirty.clone() {
            if random.bool() {
                self.write(page, PAGE);
                self.dirty.remove(&page);
            } else if tears && random.bool() {
                self.write(page, SECTOR * random.usize(..=PAGE / SECTOR));
            }
        }
        if random.bool() {
            self.write_length();
        } else if tears && self.is_length_dirty && self.length < self.shown.len() {
            self.length = random.usize(self.length..=self.shown.len());
        }
    }

    /// What is to be written is called clean, and is not.
    pub(super) fn forget_to_write(&mut self) {
        self.dirty.clear();
        self.is_length_dirty = false;
    }

    /// Pages that are clean are read again.
    pub(super) fn drop_clean(&mut self) {
        let mut blocks = self.blocks.clone();
        blocks.resize(self.shown.len(), 0);
        for (page, shown) in self.shown.chunks_mut(PAGE).enumerate() {
            if !self.dirty.contains(&page) {
                shown.copy_from_slice(&blocks[page * PAGE..][..shown.len()]);
            }
        }
    }

    /// What is on disk is all there is.
    pub(super) fn restart(&mut self) {
        self.blocks.resize(self.length, 0);
        self.shown.clone_from(&self.blocks);
        self.forget_to_write();
    }

    fn write(&mut self, page: usize, bytes: usize) {
        let begin = page * PAGE;
        let end = (begin + bytes).min(self.shown.len());
        if self.blocks.len() < end {
            self.blocks.resize(end, 0);
        }
        self.blocks[begin..end].copy_from_slice(&self.shown[begin..end]);
    }

    fn write_length(&mut self) {
        if std::mem::take(&mut self.is_length_dirty) {
            self.length = self.shown.len();
            self.blocks.truncate(self.length);
        }
    }
}
