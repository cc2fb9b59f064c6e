//! Whether a disk is mounted where the configuration says that one must be.
//!
//! Where a disk is mounted late, or not at all, the folder that it belongs on is there all
//! the same, and empty. A program that writes there fills the wrong disk, and what it wrote
//! disappears under the mount.

use std::io;
use std::path::{Path, PathBuf};

/// No disk is mounted at a path that `require_mount` names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum MountError {
    /// It is a folder of another disk.
    #[error("require_mount: nothing is mounted at {}; mount it, or remove require_mount", path.display())]
    NotMounted {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be looked at.
    #[error("require_mount: {}: {source}; mount it, or remove require_mount", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Refuses a folder on which nothing is mounted.
///
/// # Errors
/// [`MountError`].
pub(crate) fn check_mounted(path: &Path) -> Result<(), MountError> {
    let path = path.to_owned();
    match is_mount_point(&path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(MountError::NotMounted { path }),
        Err(source) => Err(MountError::Io { path, source }),
    }
}

/// Whether a folder is the root of a mount: a disk, a volume, or a folder bound there.
///
/// # Errors
/// What the operating system says of it, that it is missing, for example.
pub(crate) fn is_mount_point(path: &Path) -> io::Result<bool> {
    // What is in the folder, so that an automount is mounted now.
    let inside = path.join(".");
    #[cfg(target_os = "linux")]
    if let Some(is_root) = kernel_says(&inside) {
        return Ok(is_root);
    }
    is_on_other_device(&inside)
}

/// Linux 5.8 and later know it, of a folder bound from the same disk too, which the number
/// of its device does not tell.
#[cfg(target_os = "linux")]
fn kernel_says(path: &Path) -> Option<bool> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let about = statx(CWD, path, AtFlags::empty(), StatxFlags::empty()).ok()?;
    let is_known = about
        .stx_attributes_mask
        .contains(StatxAttributes::MOUNT_ROOT);
    is_known.then(|| about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether it is on another device than the folder above, or has none above.
fn is_on_other_device(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let device = std::fs::metadata(path)?.dev();
    let folder = path.canonicalize()?;
    let Some(above) = folder.parent() else {
        return Ok(true);
    };
    Ok(device != std::fs::metadata(above)?.dev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_told_from_a_folder() {
        for is_mounted in [is_mount_point, is_on_other_device] {
            assert!(is_mounted(Path::new("/")).unwrap());
            assert!(is_mounted(Path::new("/proc")).unwrap());
            assert!(!is_mounted(Path::new("/proc/self")).unwrap());
            let folder = tempfile::tempdir().unwrap();
            assert!(!is_mounted(folder.path()).unwrap());
            let missing = is_mounted(&folder.path().join("missing")).unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = is_mount_point(file.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn what_is_wrong_names_the_folder_and_the_setting() {
        assert!(check_mounted(Path::new("/proc")).is_ok());
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("missing")] {
            let words = check_mounted(&path).unwrap_err().to_string();
            assert!(words.contains("require_mount"), "{words}");
            assert!(words.contains(path.to_str().unwrap()), "{words}");
        }
    }
}
