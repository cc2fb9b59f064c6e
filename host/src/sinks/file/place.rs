//! Which file, and how long it is.

use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

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
    /// The end of a file as it is now.
    pub(super) fn of(path: &Path, file: &fs::File) -> io::Result<Self> {
        let about = file.metadata()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            path: path.to_owned(),
            device: about.dev(),
            inode: about.ino(),
            length: about.len(),
            began: now.map_or(0, |now| now.as_secs()),
        })
    }

    /// Whether the file ends here.
    pub(super) fn is_end_of(&self, file: &fs::File) -> io::Result<bool> {
        Ok(file.metadata()?.len() <= self.length)
    }

    pub(super) fn find(&self) -> io::Result<Found> {
        if self.is_at(&self.path)? {
            return Ok(Found::Here(open(&self.path)?));
        }
        let folder = match fs::read_dir(folder_of(&self.path)) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Gone),
            Err(error) => return Err(error),
        };
        for entry in folder {
            let path = entry?.path();
            if self.is_at(&path)? {
                return Ok(Found::Moved(open(&path)?, path));
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
}

fn open(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().read(true).append(true).open(path)
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a new or another name of a file durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(folder_of(path))?.sync_all()
}
