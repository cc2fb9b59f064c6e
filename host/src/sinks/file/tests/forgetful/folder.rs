//! The names in a folder: as they are shown, and as they are on disk.

use fastrand::Rng;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;

/// Names, as they are shown and as they are on disk, and what leads from these to those.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) shown: BTreeMap<OsString, u64>,
    pub(super) durable: BTreeMap<OsString, u64>,
    pub(super) changes: Vec<Change>,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Put(OsString, u64),
    Remove(OsString),
    Rename(OsString, OsString),
}

impl Folder {
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.shown);
        self.changes.push(change);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<OsString, u64>) {
        match self {
            Self::Put(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }

    fn names(&self) -> Vec<&OsString> {
        match self {
            Self::Put(name, _) | Self::Remove(name) => vec![name],
            Self::Rename(from, to) => vec![from, to],
        }
    }
}

impl Folder {
    /// Each change survives or doesn't, and none without an earlier one of its names.
    pub(super) fn cut(&mut self, random: &mut Rng) {
        let keeps = random.u8(..4);
        let mut lost = HashSet::new();
        for change in std::mem::take(&mut self.changes) {
            let survives = match keeps {
                0 => true,
                1 => false,
                _ => random.bool(),
            };
            if survives && change.names().iter().all(|name| !lost.contains(*name)) {
                change.apply(&mut self.durable);
            } else {
                lost.extend(change.names().into_iter().cloned());
            }
        }
        self.shown = self.durable.clone();
    }
}
