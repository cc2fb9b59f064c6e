//! Whose file it is. Two sinks, or two tenants of one, that append to one file would cut
//! into each other's lines, and each would take the other's for its own unfinished batch.
//! Two paths may be one file: by a hard link, a folder that is a link, names that a file
//! system takes for equal. Only the device and the inode tell.

use super::system::{FileId, FileSystem};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A sink that writes files. What it owns it gives up when it is dropped with all of its
/// files.
#[derive(Debug)]
pub(super) struct Owner {
    /// Two with one name follow each other when a configuration is read again.
    id: u64,
    sink: String,
    owned: Arc<Owned>,
}

impl Owner {
    /// A sink of the running process.
    #[must_use]
    pub(super) fn new(sink: &str) -> Self {
        Self::among(sink, super::of_this_process().owned())
    }

    pub(super) fn among(sink: &str, owned: Arc<Owned>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            sink: sink.to_owned(),
            owned,
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut files = self.owned.lock();
        files.by_part.retain(|(id, _), _| *id != self.id);
        files.by_file.retain(|_, part| part.id != self.id);
    }
}

/// The files that a process writes to.
#[derive(Debug, Default)]
pub(super) struct Owned {
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    by_file: HashMap<FileId, Part>,
    /// Each part of a sink owns the one that it writes to.
    by_part: HashMap<(u64, Option<String>), FileId>,
}

/// One sink, or one tenant's part of it, with its file.
#[derive(Debug, Clone)]
struct Part {
    id: u64,
    sink: String,
    tenant: Option<String>,
    path: PathBuf,
}

/// A file is another's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is the file of {other} too ({}), by another name or a link; give each its own", path.display())]
pub(super) struct Shared {
    other: String,
    path: PathBuf,
}

impl Part {
    fn is(&self, owner: &Owner, tenant: Option<&str>) -> bool {
        self.id == owner.id && self.tenant.as_deref() == tenant
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the sink {}", self.sink)?;
        match &self.tenant {
            Some(tenant) => write!(f, ", tenant {tenant},"),
            None => Ok(()),
        }
    }
}

impl Owned {
    /// Takes a file for a sink, or one tenant's part of it, which gives up the one before.
    pub(super) fn take(
        &self,
        system: &impl FileSystem,
        (owner, tenant): (&Owner, Option<&str>),
        file: FileId,
        path: &Path,
    ) -> Result<(), Shared> {
        let mut files = self.lock();
        if let Some(other) = files.by_file.get(&file)
            && !other.is(owner, tenant)
            // One that was removed may have left its inode to this one.
            && system.metadata(&other.path).is_ok_and(|about| about.id == file)
        {
            return Err(Shared {
                other: other.to_string(),
                path: other.path.clone(),
            });
        }
        let part = Part {
            id: owner.id,
            sink: owner.sink.clone(),
            tenant: tenant.map(str::to_owned),
            path: path.to_owned(),
        };
        let key = (owner.id, part.tenant.clone());
        if let Some(before) = files.by_part.insert(key, file)
            && before != file
            && files
                .by_file
                .get(&before)
                .is_some_and(|part| part.is(owner, tenant))
        {
            files.by_file.remove(&before);
        }
        files.by_file.insert(file, part);
        Ok(())
    }

    /// Whether anybody writes to a file.
    pub(super) fn contains(&self, file: FileId) -> bool {
        self.lock().by_file.contains_key(&file)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
