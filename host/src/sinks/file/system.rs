//! What a file sink asks of a file system, so that tests can put one in its place that
//! forgets, tears and reorders what was not synced.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirEntryExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The operations on names. A name is durable once its folder is synced.
pub(super) trait FileSystem: Debug + Send + Sync {
    /// An open file.
    type File: OpenFile;

    /// Opens a file to read it and to append to it; with `create`, the permissions of one
    /// that is made where none is. A symbolic link is not followed ([`is_link_error`]).
    fn open(&self, path: &Path, create: Option<u32>) -> io::Result<Self::File>;

    /// What stands at a path, links followed.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// What is in a folder.
    fn read_dir(&self, folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Entry>>>;

    /// Where a symbolic link leads to; none where there is no link.
    fn read_link(&self, path: &Path) -> io::Result<Option<PathBuf>>;

    /// Makes a folder in one that is there.
    fn create_dir(&self, folder: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_dir(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name in its folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;
}

/// The operations on an open file. What is in it is durable once it is synced.
pub(super) trait OpenFile {
    fn metadata(&self) -> io::Result<Metadata>;

    /// As many bytes as there are at `at`, up to `most`.
    fn read_at(&self, at: u64, most: u64) -> io::Result<Vec<u8>>;

    /// Writes at the end, all or an error.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    fn set_len(&self, length: u64) -> io::Result<()>;

    fn sync_data(&self) -> io::Result<()>;
}

/// What is known of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) id: FileId,
    /// When it was made, in nanoseconds since 1970, where the file system keeps that: an
    /// inode is given to another file once its own is removed.
    pub(super) born: Option<u64>,
    pub(super) length: u64,
    pub(super) kind: Kind,
}

/// What a file is for as long as the machine runs, whatever its names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Other,
}

/// A name in a folder.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) inode: u64,
}

/// Whether a file was not opened because a symbolic link stands there.
pub(super) fn is_link_error(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

/// The operating system's.
#[derive(Debug)]
pub(super) struct Os;

impl FileSystem for Os {
    type File = fs::File;

    fn open(&self, path: &Path, create: Option<u32>) -> io::Result<fs::File> {
        let mut options = OpenOptions::new();
        // What is no regular file is refused later, so opening it must not wait for anyone.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        options.read(true).append(true).custom_flags(flags);
        if let Some(mode) = create {
            options.create(true).mode(mode);
        }
        options.open(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        fs::metadata(path).map(Metadata::from)
    }

    fn read_dir(&self, folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
        let entries = fs::read_dir(folder)?;
        Ok(entries.map(|entry| {
            entry.map(|entry| Entry {
                name: entry.file_name(),
                inode: entry.ino(),
            })
        }))
    }

    fn read_link(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        match fs::read_link(path) {
            Ok(target) => Ok(Some(target)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn create_dir(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)
    }

    fn remove_dir(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }
}

impl OpenFile for fs::File {
    fn metadata(&self) -> io::Result<Metadata> {
        Self::metadata(self).map(Metadata::from)
    }

    fn read_at(&self, at: u64, most: u64) -> io::Result<Vec<u8>> {
        let mut file = self;
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }
}

impl From<fs::Metadata> for Metadata {
    fn from(metadata: fs::Metadata) -> Self {
        let born = metadata.created().ok();
        let born = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Self {
            id: FileId {
                device: metadata.dev(),
                inode: metadata.ino(),
            },
            born: born.and_then(|born| u64::try_from(born.as_nanos()).ok()),
            length: metadata.len(),
            kind: if metadata.is_file() {
                Kind::File
            } else if metadata.is_dir() {
                Kind::Folder
            } else {
                Kind::Other
            },
        }
    }
}
