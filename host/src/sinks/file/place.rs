//! Which file, and how long it is.

use super::{Batch, folder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a file is known by: so many bytes before its recorded length. A block, which
/// holds more than one detection's identity and time.
const KNOWN_BY: u64 = 4096;

/// Where the last batch ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where the file was.
    pub path: PathBuf,
    /// Its device.
    pub device: u64,
    /// Its inode: what it is, wherever it was moved.
    pub inode: u64,
    /// Bytes of it that are known to be right.
    pub length: u64,
    /// When it was begun, in seconds since 1970.
    pub began: u64,
    /// The SHA-256 of the last of those bytes, 4 KiB at most, in Base64: an inode is given
    /// to another file once this one is removed. Earlier versions recorded none.
    #[serde(default)]
    pub ends_with: Option<String>,
}

/// What became of a recorded file.
pub(super) enum Found {
    /// It is where it was.
    Here(fs::File),
    /// It was moved within its folder.
    Moved(fs::File, PathBuf),
    /// It is in its folder no more.
    Gone,
}

impl Place {
    /// As the ledger keeps it. None of what another version wrote.
    #[must_use]
    pub fn read(state: &[u8]) -> Option<Self> {
        serde_json::from_slice(state).ok()
    }

    /// The end of a file as it is now.
    pub(super) fn of(path: &Path, file: &fs::File) -> io::Result<Self> {
        let about = file.metadata()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let place = Self {
            path: path.to_owned(),
            device: about.dev(),
            inode: about.ino(),
            length: 0,
            began: now.map_or(0, |now| now.as_secs()),
            ends_with: None,
        };
        place.at_length(about.len(), file)
    }

    /// The same file when it has `length` bytes that are known to be right.
    pub(super) fn at_length(self, length: u64, file: &fs::File) -> io::Result<Self> {
        Ok(Self {
            length,
            ends_with: Some(end_of(file, length)?),
            ..self
        })
    }

    /// Whether this batch, or one of the same file before it, was begun after this place
    /// in a file that was found elsewhere. One of which nothing was written yet is known
    /// by nothing but its inode, so there it must be this batch.
    pub(super) fn is_begun(&self, file: &fs::File, batch: &Batch) -> io::Result<bool> {
        let more = file.metadata()?.len().saturating_sub(self.length);
        if more == 0 || self.length > 0 {
            return Ok(more > 0);
        }
        let whole = batch.after(0);
        Ok(more <= whole.len() as u64 && whole.starts_with(&read_from(file, 0, more)?))
    }

    pub(super) fn find(&self) -> io::Result<Found> {
        if self.is_at(&self.path)? {
            let file = open(&self.path)?;
            return Ok(if self.is_in(&file)? {
                Found::Here(file)
            } else {
                Found::Gone
            });
        }
        let entries = match fs::read_dir(folder::of(&self.path)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Gone),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // The folder itself knows the inodes: of many files none but this is asked.
            if entry.ino() == self.inode && self.is_at(&entry.path())? {
                let file = open(&entry.path())?;
                return Ok(if self.is_in(&file)? {
                    Found::Moved(file, entry.path())
                } else {
                    Found::Gone
                });
            }
        }
        Ok(Found::Gone)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        match fs::metadata(path) {
            Ok(about) => {
                Ok(about.dev() == self.device && about.ino() == self.inode && about.is_file())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a file with our inode is ours: what was written stands in it, or somebody
    /// cut it.
    fn is_in(&self, file: &fs::File) -> io::Result<bool> {
        let is_cut = file.metadata()?.len() < self.length;
        match &self.ends_with {
            Some(end) if !is_cut => Ok(*end == end_of(file, self.length)?),
            _ => Ok(true),
        }
    }
}

fn open(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().read(true).append(true).open(path)
}

/// What the bytes before `length` are known by.
fn end_of(file: &fs::File, length: u64) -> io::Result<String> {
    let bytes = length.min(KNOWN_BY);
    let end = read_from(file, length - bytes, bytes)?;
    Ok(STANDARD_NO_PAD.encode(Sha256::digest(end)))
}

/// As many bytes as there are at `at`, up to `bytes`.
pub(super) fn read_from(mut file: &fs::File, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(tail)
}
