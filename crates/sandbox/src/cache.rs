//! Compiled code, kept between starts.
//!
//! wasmtime's `deserialize` runs what it is given as machine code and accepts nearly
//! any corrupted byte, so a file is trusted only when its HMAC fits, under a key that
//! only this user can read. The bytes that were verified are the bytes that are
//! loaded: nothing is read twice. A file that does not fit is compiled anew.
//!
//! The name of a file is a digest of the component, of this program's version and of
//! all that wasmtime says decides compatibility, so a new wasmtime or another CPU
//! finds nothing rather than something wrong.
//!
//! Files are written aside, synced and renamed, and the folder is synced, so that after a
//! power cut there is a whole file or none. A file says how long it is: one that is
//! shorter was never finished, which is no reason to suspect anybody.

use crate::error::LoadError;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasmtime::Engine;
use wasmtime::component::Component;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;

/// What a file begins with: the length of what follows, then the tag.
const LENGTH_BYTES: usize = 8;

/// After so long, a file that was being written was left behind by a process that ended.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A folder of compiled code that only this user can write.
pub struct Cache {
    folder: PathBuf,
    key: Zeroizing<Vec<u8>>,
}

impl Cache {
    /// Opens `folder`, making it (mode 0700) and its key (0600) when they are missing. One
    /// of this user's that others could write is closed to them, and nothing in it is
    /// believed any more.
    ///
    /// # Errors
    /// [`LoadError::UnsafeFolder`] when it is another user's; [`LoadError::Io`] when it
    /// cannot be made or read.
    pub fn open(folder: &Path) -> Result<Self, LoadError> {
        let told = |source| LoadError::Io {
            path: folder.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(told)?;
        let about = fs::metadata(folder).map_err(told)?;
        if about.uid() != rustix::process::geteuid().as_raw() {
            return Err(LoadError::UnsafeFolder {
                path: folder.to_owned(),
                problem: format!("belongs to user {}", about.uid()),
            });
        }
        let path = folder.join("key");
        if about.mode() & 0o022 != 0 {
            // As a volume is whose group Kubernetes sets (fsGroup).
            tracing::warn!(path = %folder.display(), mode = %format!("{:o}", about.mode() & 0o777), "others could write to the folder for compiled code; its mode is 700 now, and components are compiled again");
            fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(told)?;
            remove(&path).map_err(told)?;
        }
        let key = read_or_make_key(&path).map_err(|source| LoadError::Io { path, source })?;
        Ok(Self {
            folder: folder.to_owned(),
            key,
        })
    }

    /// The component, from compiled code when there is some that fits.
    pub(crate) fn read(&self, engine: &Engine, component: &[u8]) -> Option<Component> {
        let path = self.folder.join(name(engine, component));
        let file = fs::read(&path).ok()?;
        let Some((tag, code)) = parts(&file) else {
            tracing::debug!(path = %path.display(), "compiled code is incomplete; compiling again");
            return None;
        };
        if self.mac(&path, code)?.verify_slice(tag).is_err() {
            tracing::warn!(path = %path.display(), "compiled code was changed since it was written; compiling again");
            return None;
        }
        // SAFETY: these very bytes were written by this program for this component and
        // engine: their HMAC, made with a key that only this user can read, fits.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(engine, code) };
        component.ok()
    }

    /// Keeps a component's code. That it cannot be kept is a warning: the next start is
    /// slower.
    pub(crate) fn keep(&self, engine: &Engine, component: &[u8], code: &[u8]) {
        let path = self.folder.join(name(engine, component));
        self.remove_abandoned();
        if let Err(error) = self.write(&path, code) {
            tracing::warn!(path = %path.display(), %error, "compiled code cannot be kept; the next start compiles again");
        }
    }

    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        let mac = self.mac(path, code);
        let mac = mac.ok_or_else(|| io::Error::other("the key is unusable"))?;
        let tag = mac.finalize().into_bytes();
        let length = (TAG_BYTES + code.len()) as u64;
        write_durably(path, &[&length.to_le_bytes(), &tag, code], |aside| {
            fs::rename(aside, path)
        })
    }

    /// Removes what processes left that ended while they wrote.
    fn remove_abandoned(&self) {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for file in files {
            let path = file.path();
            let is_aside = path.extension().is_some_and(|end| end == "tmp");
            let written = file.metadata().and_then(|about| about.modified());
            let age = written.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
            if is_aside && age.is_ok_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Covers the file's name too, so that one component's code never passes for
    /// another's.
    fn mac(&self, path: &Path, code: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(path.file_name()?.as_encoded_bytes());
        mac.update(code);
        Some(mac)
    }
}

/// Tag and code of a file that is whole. One of zeros, as some file systems leave it after a
/// power cut, is not.
fn parts(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = file.split_at_checked(LENGTH_BYTES)?;
    let length = u64::from_le_bytes(length.try_into().ok()?);
    if length != rest.len() as u64 || rest.iter().all(|byte| *byte == 0) {
        return None;
    }
    rest.split_at_checked(TAG_BYTES)
}

fn name(engine: &Engine, bytes: &[u8]) -> String {
    let mut digest = Digester(Sha256::new());
    Sha256::digest(bytes).hash(&mut digest);
    env!("CARGO_PKG_VERSION").hash(&mut digest);
    engine.precompile_compatibility_hash().hash(&mut digest);
    format!("{:x}.cwasm", digest.0.finalize())
}

/// SHA-256 where the standard library wants a `Hasher`: 64 bits would invite
/// collisions, and the default hasher may change with the compiler.
struct Digester(Sha256);

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn read_or_make_key(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if let Some(key) = read_key(path)? {
        return Ok(key);
    }
    remove(path)?;
    let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
    getrandom::fill(&mut key).map_err(|e| io::Error::other(e.to_string()))?;
    write_durably(path, &[&key], |aside| match fs::hard_link(aside, path) {
        Ok(()) => fs::remove_file(aside),
        // Another process made one meanwhile, which is everybody's.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::remove_file(aside),
        // Not every file system has links.
        Err(_) => fs::rename(aside, path),
    })?;
    Ok(read_key(path)?.unwrap_or(key))
}

/// The key, if there is one to believe: not one that others could read or have made, nor
/// one that was never written out, which is short or nothing but zeros.
fn read_key(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let key = match fs::read(path) {
        Ok(key) => Zeroizing::new(key),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = fs::metadata(path)?;
    let is_ours = about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o077 == 0;
    let is_whole = key.len() == KEY_BYTES && key.iter().any(|byte| *byte != 0);
    Ok((is_ours && is_whole).then_some(key))
}

/// Writes a file aside, syncs it, has it put in its place, and syncs its folder.
fn write_durably(
    path: &Path,
    parts: &[&[u8]],
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).map_err(|e| io::Error::other(e.to_string()))?;
    let aside = path.with_extension(format!("{:x}.tmp", u64::from_le_bytes(number)));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| {
            parts.iter().try_for_each(|part| file.write_all(part))?;
            file.sync_all()
        })
        .and_then(|()| place(&aside));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
        return written;
    }
    let folder = path.parent().map(File::open).transpose()?;
    match folder.map(|folder| folder.sync_all()).transpose() {
        // Shares of SMB cannot, and what is lost with them is compiled again.
        Err(error) if error.kind() != ErrorKind::InvalidInput => Err(error),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
