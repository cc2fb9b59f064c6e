//! The folders that files are in. A name in one outlasts a power cut only once the folder
//! is synced, and a folder only once the one above it is.

use super::system::{FileSystem, Kind};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The folder that a file or folder is in.
pub(super) fn of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// What this process knows of folders.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// Those whose names are durable. One that is merely found may have been made by a
    /// process that was killed before it synced the folder above.
    durable: Mutex<HashSet<PathBuf>>,
    /// Those that their file system cannot sync, once that was said.
    unsyncable: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    /// Makes a folder and what is missing on the way to it, and sees to it, once in a
    /// process, that their names are durable up to the mount that they are on.
    pub(super) fn make(&self, system: &impl FileSystem, folder: &Path) -> io::Result<()> {
        let folder = std::path::absolute(folder)?;
        if self.is_durable(&folder) && is_folder(system, &folder)? {
            return Ok(());
        }
        // From the root down.
        let mut way: Vec<&Path> = folder.ancestors().collect();
        way.reverse();
        for inner in way {
            if let Some(outer) = inner.parent() {
                self.make_one(system, outer, inner)?;
            }
        }
        Ok(())
    }

    fn make_one(&self, system: &impl FileSystem, outer: &Path, inner: &Path) -> io::Result<()> {
        let is_made = !is_folder(system, inner)? && create(system, inner)?;
        if !is_made {
            // What is mounted there was not made by us.
            let is_mount = || -> io::Result<bool> {
                let device = |path| Ok::<_, io::Error>(system.metadata(path)?.id.device);
                Ok(device(outer)? != device(inner)?)
            };
            if self.is_durable(inner) || is_mount()? {
                return Ok(());
            }
        }
        match sync_any(system, outer) {
            Ok(_) => {}
            // Who may not read it has made nothing in it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_made => {}
            Err(error) => {
                if is_made {
                    // So that the next try makes it and its name anew.
                    let _ = system.remove_dir(inner);
                }
                return Err(error);
            }
        }
        lock(&self.durable).insert(inner.to_owned());
        Ok(())
    }

    /// Makes new and other names in a folder durable. False, once for each folder, where its
    /// file system cannot do that.
    pub(super) fn sync(&self, system: &impl FileSystem, folder: &Path) -> io::Result<bool> {
        let is_synced = sync_any(system, folder)?;
        Ok(is_synced || !lock(&self.unsyncable).insert(folder.to_owned()))
    }

    fn is_durable(&self, folder: &Path) -> bool {
        lock(&self.durable).contains(folder)
    }
}

/// Whether a folder is there. What else is there is an error.
fn is_folder(system: &impl FileSystem, path: &Path) -> io::Result<bool> {
    match system.metadata(path) {
        Ok(about) if about.kind == Kind::Folder => Ok(true),
        Ok(_) => {
            let words = format!("{} is no folder", path.display());
            Err(io::Error::new(io::ErrorKind::NotADirectory, words))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a folder; false when another tenant's turn was faster.
fn create(system: &impl FileSystem, folder: &Path) -> io::Result<bool> {
    match system.create_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Syncs a folder; false where its file system cannot do that, as shares of SMB, some of
/// NFS and some in user space cannot. `EINVAL` and `EBADF` are what PostgreSQL lets pass
/// (`fsync_fname_ext`); SQLite ignores whatever the sync of a folder says. That a disk
/// failed is an error here.
fn sync_any(system: &impl FileSystem, folder: &Path) -> io::Result<bool> {
    match system.sync_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINVAL | libc::EBADF | libc::ENOTSUP | libc::ENOSYS) => Ok(false),
            _ => Err(error),
        },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
