//! The folders that files are in. A name in one outlasts a power cut only once the folder
//! is synced.

use std::fs;
use std::io;
use std::path::Path;

/// The folder that a file or folder is in.
pub(super) fn of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes new and other names in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Makes a folder, and what is missing on the way to it, each of them durably.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let outer = of(folder);
    make(outer)?;
    match fs::create_dir(folder) {
        Ok(()) => {}
        // Another tenant's lane was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        Err(error) => return Err(error),
    }
    sync(outer).inspect_err(|_| {
        // So that the next try, too, finds that it is to be synced.
        let _ = fs::remove_dir(folder);
    })
}
