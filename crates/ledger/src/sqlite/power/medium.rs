//! A file on a disk that forgets: what is on it for certain, and what only the operating
//! system's cache has. The cache is the real file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the operating system writes and forgets at a time, and what a disk tears a page into.
const PAGE: usize = 4096;
const SECTOR: usize = 512;

/// What is on the disk of a file.
#[derive(Default)]
pub(super) struct Medium {
    /// Its bytes; none when its name is not there for certain.
    durable: Option<Vec<u8>>,
    /// Pages that are in the cache and not on the disk yet.
    dirty: BTreeSet<usize>,
}

impl Medium {
    /// Of a file that has been there.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            durable: Some(fs::read(path)?),
            dirty: BTreeSet::new(),
        })
    }

    /// Bytes were written to the cache. Some page may go to the disk at any time.
    pub(super) fn written(
        &mut self,
        path: &Path,
        range: std::ops::Range<usize>,
        random: &mut fastrand::Rng,
    ) {
        self.dirty
            .extend(range.start / PAGE..range.end.div_ceil(PAGE));
        if random.u8(..4) == 0
            && let Some(page) = random.choice(self.dirty.iter().copied().collect::<Vec<_>>())
        {
            self.write_back(path, page);
            self.dirty.remove(&page);
        }
    }

    /// All of the file is to be written again.
    pub(super) fn all_written(&mut self, path: &Path) -> io::Result<()> {
        let length = usize::try_from(fs::metadata(path)?.len()).unwrap_or(0);
        self.dirty.extend(0..length.div_ceil(PAGE));
        Ok(())
    }

    /// The cache goes to the disk, name and length too.
    pub(super) fn sync(&mut self, path: &Path) -> io::Result<()> {
        self.durable.get_or_insert_default();
        for page in std::mem::take(&mut self.dirty) {
            self.write_back(path, page);
        }
        let length = usize::try_from(fs::metadata(path)?.len()).unwrap_or(0);
        self.durable.get_or_insert_default().resize(length, 0);
        Ok(())
    }

    /// The disk takes some of it only, and the operating system believes from now on that
    /// it took all.
    pub(super) fn fail_to_sync(&mut self, path: &Path, random: &mut fastrand::Rng) {
        for page in std::mem::take(&mut self.dirty) {
            if random.bool() {
                self.write_back(path, page);
            }
        }
    }

    fn write_back(&mut self, path: &Path, page: usize) {
        let Some(durable) = &mut self.durable else {
            return;
        };
        let bytes = page_of(path, page);
        let at = page * PAGE;
        if durable.len() < at + bytes.len() {
            durable.resize(at + bytes.len(), 0);
        }
        durable[at..at + bytes.len()].copy_from_slice(&bytes);
    }

    /// The power goes: of what was not synced some is there, some is not, some by halves.
    pub(super) fn cut(&mut self, path: &Path, random: &mut fastrand::Rng) -> io::Result<()> {
        let cached = fs::read(path).ok();
        let Some(mut bytes) = self.durable.take().or_else(|| random.bool().then(Vec::new)) else {
            // Its name never got there.
            return cached.map_or(Ok(()), |_| fs::remove_file(path));
        };
        let Some(cached) = cached else {
            // It was deleted; that may be forgotten.
            if random.bool() {
                fs::write(path, &bytes)?;
                self.durable = Some(bytes);
            }
            return Ok(());
        };
        if bytes.len() != cached.len() && random.bool() {
            bytes.resize(cached.len(), 0);
        }
        for page in std::mem::take(&mut self.dirty) {
            let fate = random.u8(..3);
            for sector in page * PAGE / SECTOR..(page + 1) * PAGE / SECTOR {
                let is_there = fate == 0 || (fate == 1 && random.bool());
                let range = sector * SECTOR..((sector + 1) * SECTOR).min(cached.len());
                if is_there
                    && let Some(new) = cached.get(range.clone())
                    && let Some(old) = bytes.get_mut(range)
                {
                    old.copy_from_slice(new);
                }
            }
        }
        fs::write(path, &bytes)?;
        self.durable = Some(bytes);
        Ok(())
    }
}

fn page_of(path: &Path, page: usize) -> Vec<u8> {
    let mut bytes = vec![0; PAGE];
    let read = File::open(path).and_then(|file| file.read_at(&mut bytes, (page * PAGE) as u64));
    bytes.truncate(read.unwrap_or(0));
    bytes
}
