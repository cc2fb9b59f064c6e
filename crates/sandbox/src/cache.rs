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

use crate::error::LoadError;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;

/// A folder of compiled code that only this user can write.
pub struct Cache {
    folder: PathBuf,
    key: Zeroizing<Vec<u8>>,
}

impl Cache {
    /// Opens `folder`, making it (mode 0700) and its key (0600) when they are missing.
    ///
    /// # Errors
    /// [`LoadError::UnsafeFolder`] when another user can write there;
    /// [`LoadError::Io`] when it cannot be made or read.
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
        let refuse = |problem: String| LoadError::UnsafeFolder {
            path: folder.to_owned(),
            problem,
        };
        if about.uid() != rustix::process::geteuid().as_raw() {
            return Err(refuse(format!("belongs to user {}", about.uid())));
        }
        if about.mode() & 0o022 != 0 {
            return Err(refuse(format!(
                "can be written by others (mode {:o})",
                about.mode() & 0o777
            )));
        }
        let path = folder.join("key");
        let key = read_or_make_key(&path).map_err(|source| LoadError::Io {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            key,
        })
    }

    /// The component, from compiled code when there is some that fits, else compiled
    /// and kept. That it cannot be kept is a warning: the next start is slower.
    pub(crate) fn load(&self, engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
        let path = self.folder.join(name(engine, bytes));
        if let Some(component) = self.read(engine, &path) {
            return Ok(component);
        }
        let component = compile(engine, bytes)?;
        if let Err(error) = self.write(&path, &component) {
            tracing::warn!(path = %path.display(), error, "compiled code cannot be kept; the next start compiles again");
        }
        Ok(component)
    }

    fn read(&self, engine: &Engine, path: &Path) -> Option<Component> {
        let file = fs::read(path).ok()?;
        let (tag, code) = file.split_at_checked(TAG_BYTES)?;
        if self.mac(path, code)?.verify_slice(tag).is_err() {
            tracing::warn!(path = %path.display(), "compiled code was changed since it was written; compiling again");
            return None;
        }
        // SAFETY: these very bytes were written by this program for this component and
        // engine: their HMAC, made with a key that only this user can read, fits.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(engine, code) };
        component.ok()
    }

    fn write(&self, path: &Path, component: &Component) -> Result<(), String> {
        let code = component.serialize().map_err(|e| e.to_string())?;
        let tag = self
            .mac(path, &code)
            .ok_or("the key is unusable")?
            .finalize()
            .into_bytes();
        // Written aside and renamed: a reader sees a whole file or none.
        let aside = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = private(&aside)
            .and_then(|mut file| file.write_all(&tag).and_then(|()| file.write_all(&code)))
            .and_then(|()| fs::rename(&aside, path));
        written.map_err(|error| {
            let _ = fs::remove_file(&aside);
            error.to_string()
        })
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

/// Compiles a component.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    Component::new(engine, bytes).map_err(|e| LoadError::invalid(&e))
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
    match fs::read(path) {
        Ok(key) if key.len() == KEY_BYTES && fs::metadata(path)?.mode() & 0o077 == 0 => {
            return Ok(Zeroizing::new(key));
        }
        // A key that others could read, or a torn one, vouches for nothing.
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut key = Zeroizing::new(vec![0; KEY_BYTES]);
    getrandom::fill(&mut key).map_err(|e| io::Error::other(e.to_string()))?;
    match private(path) {
        Ok(mut file) => file.write_all(&key)?,
        // Another process made one meanwhile; each file is checked with its own key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(key)
}

fn private(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
