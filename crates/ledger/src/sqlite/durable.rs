//! Names that outlast a power cut: a name is on the disk once the folder that holds it was
//! synced, and so on outwards.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Syncs a folder. Where the file system knows no such thing (SMB shares answer EINVAL),
/// nothing more can be done, and SQLite lets it pass, too.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if is_unknown(&error) => Ok(()),
        synced => synced,
    }
}

fn is_unknown(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// Makes the names on the way to a folder durable, outermost last: of the innermost `made`,
/// which must be, and of those that were found, as far as we may. One that is found may
/// have been made just before the process was killed.
pub(super) fn names(folder: &Path, made: usize) -> Result<(), (PathBuf, io::Error)> {
    names_with(folder, made, sync)
}

fn names_with(
    folder: &Path,
    made: usize,
    sync: impl Fn(&Path) -> io::Result<()>,
) -> Result<(), (PathBuf, io::Error)> {
    for (depth, one) in folder.ancestors().enumerate() {
        let Some(outer) = one.parent() else { break };
        let outer = match outer.as_os_str().is_empty() {
            true => Path::new("."),
            false => outer,
        };
        if let Err(error) = sync(outer)
            && depth < made
        {
            return Err((outer.to_owned(), error));
        }
    }
    Ok(())
}
