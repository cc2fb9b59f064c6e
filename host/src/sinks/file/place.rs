//! Which file, and how long it is.

use super::system::{FileSystem, Kind, Metadata, OpenFile, is_link_error};
use super::{Chunk, folder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a file is known by: so many bytes before its recorded length. A block, which
/// holds more than one detection's identity and time.
const KNOWN_BY: u64 = 4096;

/// Where the last batch ends.
///
/// The file is known again by its inode and by what it ends with, and at its own path by
/// what it ends with alone. The number of its device says little: disks are numbered anew
/// at each start of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where the file was.
    pub path: PathBuf,
    /// Its device.
    pub device: u64,
    /// Its inode: what it is, wherever it was moved.
    pub inode: u64,
    /// When its inode was made, in nanoseconds since 1970: what an empty file is known by.
    /// None where the file system does not keep it; earlier versions recorded none.
    #[serde(default)]
    pub born: Option<u64>,
    /// Bytes of it that are known to be right.
    pub length: u64,
    /// When it was begun, in seconds since 1970.
    pub began: u64,
    /// The SHA-256 of the last of those bytes, 4 KiB at most, in Base64: an inode is given
    /// to another file once this one is removed. Earlier versions recorded none.
    #[serde(default)]
    pub ends_with: Option<String>,
    /// What was behind `length` was about to be cut off. Until the batch is written that
    /// belongs there, a power cut may show it again. Earlier versions recorded none.
    #[serde(default)]
    pub is_truncated: bool,
}

/// What became of a recorded file.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// It is there.
    At(T, PathBuf),
    /// The file is no longer at its path or anywhere in its folder.
    Gone,
}

impl Place {
    /// As the ledger keeps it. None of what another version wrote.
    #[must_use]
    pub fn read(state: &[u8]) -> Option<Self> {
        serde_json::from_slice(state).ok()
    }

    /// In a file of which nothing was recorded.
    pub(super) fn of(path: &Path, file: &impl OpenFile, length: u64) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let place = Self {
            path: path.to_owned(),
            device: 0,
            inode: 0,
            born: None,
            length,
            began: now.map_or(0, |now| now.as_secs()),
            ends_with: None,
            is_truncated: false,
        };
        place.at_length(length, file)
    }

    /// The same file when it has `length` bytes that are known to be right.
    pub(super) fn at_length(self, length: u64, file: &impl OpenFile) -> io::Result<Self> {
        let Metadata { id, born, .. } = file.metadata()?;
        Ok(Self {
            device: id.device,
            inode: id.inode,
            born,
            length,
            ends_with: Some(end_of(file, length)?),
            ..self
        })
    }

    /// Looks for the file: where it was, in the same folder, and where it would be begun
    /// now, which is elsewhere when the configuration has changed.
    /// Of an empty one of which nothing else is known, `batch` is what it may hold since.
    pub(super) fn find<F: FileSystem>(
        &self,
        system: &F,
        now: &Path,
        batch: &Chunk,
    ) -> io::Result<Found<F::File>> {
        let mut there = Vec::new();
        for path in [&self.path, now] {
            if there.iter().all(|(_, other)| other != path) {
                let opened = open(system, path)?;
                there.extend(opened.map(|file| (file, path.to_owned())));
            }
        }
        if let Some(found) = self.first(&mut there, |place, file| place.has_inode(file, batch))? {
            return Ok(found);
        }
        if let Some((file, path)) = self.moved(system, batch)? {
            return Ok(Found::At(file, path));
        }
        let found = self.first(&mut there, Self::has_end)?;
        Ok(found.unwrap_or(Found::Gone))
    }

    fn first<T: OpenFile>(
        &self,
        there: &mut Vec<(T, PathBuf)>,
        is_it: impl Fn(&Self, &T) -> io::Result<bool>,
    ) -> io::Result<Option<Found<T>>> {
        for index in 0..there.len() {
            if let Some((file, _)) = there.get(index)
                && is_it(self, file)?
            {
                let (file, path) = there.swap_remove(index);
                return Ok(Some(Found::At(file, path)));
            }
        }
        Ok(None)
    }

    /// Where it is in its folder under another name.
    fn moved<F: FileSystem>(
        &self,
        system: &F,
        batch: &Chunk,
    ) -> io::Result<Option<(F::File, PathBuf)>> {
        let folder = folder::of(&self.path);
        let entries = match system.read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // The folder itself knows the inodes: of many files none but this is opened.
            if entry.inode == self.inode {
                let path = folder.join(entry.name);
                if let Some(file) = open(system, &path)?
                    && self.has_inode(&file, batch)?
                {
                    return Ok(Some((file, path)));
                }
            }
        }
        Ok(None)
    }

    /// Whether a file has our inode and is ours: what was written stands in it, or somebody
    /// cut it.
    fn has_inode(&self, file: &impl OpenFile, batch: &Chunk) -> io::Result<bool> {
        let about = file.metadata()?;
        if about.id.inode != self.inode || about.kind != Kind::File {
            return Ok(false);
        }
        if self.length > 0 && self.ends_with.is_some() && about.length >= self.length {
            return self.has_end(file);
        }
        match (self.born, about.born) {
            (Some(then), Some(now)) => Ok(then == now),
            _ if about.id.device == self.device => Ok(true),
            _ => batch.may_have_left(file, about.length),
        }
    }

    /// Whether what was written stands in a file.
    fn has_end(&self, file: &impl OpenFile) -> io::Result<bool> {
        let about = file.metadata()?;
        if self.length == 0 || about.length < self.length || about.kind != Kind::File {
            return Ok(false);
        }
        match &self.ends_with {
            Some(end) => Ok(*end == end_of(file, self.length)?),
            None => Ok(false),
        }
    }

    /// Whether a file of `about` that was found to be ours is surely the one of which this
    /// was recorded: by what it ends with, or by when it was made.
    pub(super) fn is_proven_by(&self, about: &Metadata) -> bool {
        self.length > 0 || (self.born.is_some() && self.born == about.born)
    }
}

/// The file at a path; none where there is none, or something else.
fn open<F: FileSystem>(system: &F, path: &Path) -> io::Result<Option<F::File>> {
    match system.open(path, None) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_missing(&error) || is_other(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is nothing: no name, or no folder for it.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Whether a link, a folder or a socket stands there.
fn is_other(error: &io::Error) -> bool {
    is_link_error(error)
        || matches!(
            error.raw_os_error(),
            Some(libc::EISDIR | libc::ENXIO | libc::EOPNOTSUPP)
        )
}

/// What the bytes before `length` are known by.
fn end_of(file: &impl OpenFile, length: u64) -> io::Result<String> {
    let bytes = length.min(KNOWN_BY);
    let end = file.read_at(length - bytes, bytes)?;
    Ok(STANDARD_NO_PAD.encode(Sha256::digest(end)))
}
