//! The folder that the ledger is in: ours alone, and on the disk before anything in it is.
//!
//! A folder that we own is tightened to mode 0700: systemd's `StateDirectory` makes 0755,
//! and a Kubernetes volume with `fsGroup` is opened to its group again at each mount. A
//! folder that belongs to somebody else, as such a volume's root does, stays as it is, and
//! everything of ours goes into a folder of our own in it.

use super::durable;
use crate::OpenError;
use rustix::process::geteuid;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What our own folder is called in one that belongs to somebody else.
const OWN: &str = "watchbell";

/// The ledger's file.
pub(super) const LEDGER: &str = "ledger.sqlite";

const ROOT: u32 = 0;

/// The folder of `data_dir` that holds the ledger and all else that is private: `data_dir`
/// itself, or `data_dir/watchbell` where `data_dir` belongs to another user. Makes nothing
/// and may name a folder that does not exist yet.
#[must_use]
pub fn private_folder(data_dir: &Path) -> PathBuf {
    let inner = data_dir.join(OWN);
    // A ledger is found where it was made, whoever owns the folder by now.
    if data_dir.join(LEDGER).exists() {
        return data_dir.to_owned();
    }
    // Root can write anywhere, but the owner could not read what root makes.
    let is_anothers =
        geteuid().as_raw() != ROOT && fs::metadata(data_dir).is_ok_and(|about| !is_ours(&about));
    if is_anothers || inner.join(LEDGER).exists() {
        return inner;
    }
    data_dir.to_owned()
}

/// Makes the folder if it is missing, with mode 0700 and so that a power cut leaves it, and
/// sees to it that it is ours alone.
pub(super) fn make(folder: &Path) -> Result<(), OpenError> {
    let missing = missing(folder)?;
    for new in missing.iter().rev() {
        match DirBuilder::new().mode(0o700).create(new) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(OpenError::io(new, error));
            }
            _ => {}
        }
    }
    tighten(folder)?;
    if !folder.join(LEDGER).exists() {
        durable::names(folder, missing.len())
            .map_err(|(path, error)| OpenError::io(&path, error))?;
    }
    Ok(())
}

/// The folder and those around it that do not exist, innermost first.
fn missing(folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let mut all = Vec::new();
    for one in folder.ancestors().filter(|one| !one.as_os_str().is_empty()) {
        match fs::metadata(one) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => all.push(one.to_owned()),
            Err(error) => return Err(OpenError::io(one, error)),
        }
    }
    Ok(all)
}

/// Takes the folder from everybody else.
fn tighten(folder: &Path) -> Result<(), OpenError> {
    let about = fs::metadata(folder).map_err(|error| OpenError::io(folder, error))?;
    let refuse = |problem: String| OpenError::UnsafeFolder {
        folder: folder.to_owned(),
        problem,
    };
    if !is_ours(&about) && !has_own_ledger(folder) {
        return Err(refuse(format!("belongs to user {}", about.uid())));
    }
    if is_ours(&about) && about.mode() & 0o077 != 0 {
        let mode = about.mode() & 0o777;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(|error| {
            refuse(format!(
                "others may use it (mode {mode:o}), and it cannot be closed to them ({error})"
            ))
        })?;
    }
    Ok(())
}

/// Takes files of ours from everybody else: a volume may have been opened to its group.
/// One that belongs to another user is refused, since that user can read what is written
/// to it.
pub(super) fn tighten_files(folder: &Path) -> Result<(), OpenError> {
    for name in [LEDGER, "ledger.sqlite-wal", "ledger.sqlite-shm", "lock"] {
        let path = folder.join(name);
        let about = match fs::symlink_metadata(&path) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(OpenError::io(&path, error)),
        };
        if !is_ours(&about) {
            return Err(OpenError::UnsafeFolder {
                folder: path,
                problem: format!("belongs to user {}", about.uid()),
            });
        }
        if about.is_file() && about.mode() & 0o077 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(0o600))
                .map_err(|error| OpenError::io(&path, error))?;
        }
    }
    Ok(())
}

/// Whether a ledger of ours is there: the folder was ours when that was made.
fn has_own_ledger(folder: &Path) -> bool {
    geteuid().as_raw() != ROOT
        && fs::symlink_metadata(folder.join(LEDGER)).is_ok_and(|about| is_ours(&about))
}

fn is_ours(about: &Metadata) -> bool {
    about.uid() == geteuid().as_raw()
}

/// What lies in a folder without a ledger and shows that it is not a new one: anything but
/// what other verbs or a file system put there.
pub(super) fn rests(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name();
            let is_begun = name.to_string_lossy().starts_with("ledger.sqlite.new");
            !is_begun
                && !["compiled", "lost+found", OWN]
                    .iter()
                    .any(|known| name == *known)
        })
        .map(|entry| entry.path())
        .collect();
    all.sort();
    all
}
