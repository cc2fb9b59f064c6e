//! Files that are written aside and then take another's place, and those of them that a
//! process left that was killed, or lost its power, before that.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

/// What stands between a file's name and the random end of one that is written aside: of
/// the whole name, so that `contoso.com` and `contoso.de` have one each.
const ASIDE: &str = ".sealing-";
const END: &str = ".tmp";
const RANDOM_CHARS: usize = 6;

/// How often one is begun anew that somebody else took for a leftover.
const TRIES: u32 = 3;

/// Writes a file aside, mode 0600, and puts it in the place of `path`: whatever happens, the
/// old one is there or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut tries = 1;
    loop {
        match try_to_replace(path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
            done => return done,
        }
    }
}

fn try_to_replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut prefix = path.file_name().map(OsString::from).unwrap_or_default();
    prefix.push(ASIDE);
    let mut aside = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(END)
        .rand_bytes(RANDOM_CHARS)
        .tempfile_in(folder_of(path))?;
    // As long as it is locked it is no leftover.
    aside.as_file().lock()?;
    aside.write_all(bytes)?;
    aside.as_file().sync_all()?;
    aside.persist(path).map_err(|error| error.error)?;
    // The name is on the disk when its folder is.
    sync(folder_of(path))
}

/// Syncs a folder. Some file systems know no such thing, and nothing more can be done there.
fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes what was written aside in the folder of `path` and is of no process at work; once
/// for each folder, since one may hold thousands of files. `magic` is what they begin with.
pub(crate) fn remove_leftovers(path: &Path, magic: &[u8]) {
    static CLEANED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);
    let folder = folder_of(path);
    let is_new = CLEANED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(folder.to_owned());
    if !is_new {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let Some(kind) = name.to_str().and_then(Aside::of).filter(|_| is_file) else {
            continue;
        };
        if let Err(error) = remove(&entry.path(), kind, magic) {
            tracing::debug!(%error, file = %entry.path().display(), "a leftover stays");
        }
    }
}

/// Whose name a file has.
#[derive(Clone, Copy)]
enum Aside {
    /// Nobody else's.
    Ours,
    /// That of one that earlier versions wrote, which others may have, too.
    Earlier,
}

impl Aside {
    fn of(name: &str) -> Option<Self> {
        let begin = name.strip_suffix(END)?;
        let is_random = |text: &str| {
            text.len() == RANDOM_CHARS && text.chars().all(|one| one.is_ascii_alphanumeric())
        };
        if begin
            .rsplit_once(ASIDE)
            .is_some_and(|(_, end)| is_random(end))
        {
            return Some(Self::Ours);
        }
        let (name, process) = begin.rsplit_once('.')?;
        let is_number = !process.is_empty() && process.chars().all(|one| one.is_ascii_digit());
        (is_number && !name.is_empty()).then_some(Self::Earlier)
    }
}

fn remove(path: &Path, kind: Aside, magic: &[u8]) -> io::Result<()> {
    let mut file = File::open(path)?;
    if matches!(kind, Aside::Earlier) {
        let mut begin = Vec::new();
        (&mut file)
            .take(magic.len() as u64)
            .read_to_end(&mut begin)?;
        if begin != magic {
            return Ok(());
        }
    }
    match file.try_lock() {
        Ok(()) => fs::remove_file(path),
        // It is being written.
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_takes_anothers_place_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contoso.com");
        for bytes in [b"one".as_slice(), b"other"] {
            replace(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(names(folder.path()), ["contoso.com"]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let missing = folder.path().join("missing/contoso.com");
        assert!(replace(&missing, b"one").is_err());
    }

    /// Once they stayed for ever, each with a token.
    #[test]
    fn what_a_process_left_that_was_killed_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        for stale in ["one.sealing-aB3xYz.tmp", "two.sealing-000000.tmp"] {
            write(stale, "");
        }
        write("one.4711.tmp", "magic and more");
        let others = [
            "busy.sealing-aB3xYz.tmp",
            "notes.2026.tmp",
            "one",
            "one.sealing-.tmp",
            "one.tmp",
            "x.sealing-aB3xY!.tmp",
        ];
        for other in others {
            write(other, "mine");
        }
        let busy = File::open(folder.path().join(others[0])).unwrap();
        busy.lock().unwrap();
        remove_leftovers(&folder.path().join("one"), b"magic");
        assert_eq!(names(folder.path()), others);
    }
}
