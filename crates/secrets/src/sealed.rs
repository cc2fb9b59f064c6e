//! Secrets that this program must keep itself, sealed in a file each.
//!
//! A login service replaces a refresh token each time it is used, so it cannot stay in a
//! backend that is only read. It is kept beside the other state, sealed with
//! XChaCha20-Poly1305 under a key that is elsewhere: in a secret backend. Whose it is is
//! sealed with it, so that one tenant's file is of no use in another's place.

use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

use crate::error::{SealError, SealFault};
use crate::files;
use crate::location::SecretLocation;
use crate::replace;
use crate::secret::Secret;

/// What a file begins with.
const MAGIC: &[u8] = b"watchbell sealed 1\n";

/// Bytes of a nonce; random ones of that length do not meet.
const NONCE_BYTES: usize = 24;

/// The shortest key, in characters: 32 bytes in hexadecimal or base64 have more.
const MIN_KEY_CHARS: usize = 32;

/// A larger file is none of ours, in bytes.
const MAX_FILE_BYTES: u64 = 128 * 1024;

/// A secret that is kept in a file of its own, sealed under a key that is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFile {
    /// The file.
    pub path: PathBuf,
    /// Where the key is.
    pub key: SecretLocation,
    /// Whose it is, which is sealed with it: it opens for no other owner.
    pub owner: String,
}

impl SealedFile {
    /// Opens what [`SealedFile::seal_with`] wrote for the same owner with the same key.
    pub(crate) fn open_with(&self, key: &Secret) -> Result<Secret, SealError> {
        open(&self.path, key, &self.owner).map_err(|fault| self.error(fault))
    }

    /// Writes a secret: beside the file, then in its place, with mode 0600.
    pub(crate) fn seal_with(&self, key: &Secret, secret: &Secret) -> Result<(), SealError> {
        seal(&self.path, key, &self.owner, secret).map_err(|fault| self.error(fault))
    }

    pub(crate) fn error(&self, fault: SealFault) -> SealError {
        SealError {
            path: self.path.clone(),
            fault,
        }
    }
}

fn open(path: &Path, key: &Secret, owner: &str) -> Result<Secret, SealFault> {
    let about = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SealFault::NotThere),
        about => about?,
    };
    // A named pipe would wait for its writer.
    files::open_regular(path)?;
    if about.mode() & 0o077 != 0 {
        return Err(SealFault::OthersMayUse);
    }
    replace::remove_leftovers(path, MAGIC);
    if about.len() > MAX_FILE_BYTES {
        return Err(SealFault::TooLarge);
    }
    let bytes = fs::read(path)?;
    let rest = bytes.strip_prefix(MAGIC);
    let Some((nonce, sealed)) = rest.and_then(|rest| rest.split_at_checked(NONCE_BYTES)) else {
        return Err(SealFault::NotSealed);
    };
    let payload = Payload {
        msg: sealed,
        aad: owner.as_bytes(),
    };
    let opened = cipher(key)?
        .decrypt(XNonce::from_slice(nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| SealFault::DoesNotOpen)?;
    let text = std::str::from_utf8(&opened).map_err(|_| SealFault::NotText)?;
    Ok(Secret::new(text.to_owned()))
}

fn seal(path: &Path, key: &Secret, owner: &str, secret: &Secret) -> Result<(), SealFault> {
    let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
    let payload = Payload {
        msg: secret.expose().as_bytes(),
        aad: owner.as_bytes(),
    };
    let sealed = cipher(key)?
        .encrypt(&nonce, payload)
        .map_err(|_| SealFault::CannotSeal)?;
    replace::remove_leftovers(path, MAGIC);
    let bytes = [MAGIC, nonce.as_slice(), &sealed].concat();
    Ok(replace::replace(path, &bytes)?)
}

/// Any text serves as key that is long enough to be random.
fn cipher(key: &Secret) -> Result<XChaCha20Poly1305, SealFault> {
    if key.expose().chars().count() < MIN_KEY_CHARS {
        return Err(SealFault::ShortKey(MIN_KEY_CHARS));
    }
    let mut digest = Sha256::new_with_prefix(b"watchbell refresh token\0");
    digest.update(key.expose());
    let key = Zeroizing::new(<[u8; 32]>::from(digest.finalize()));
    Ok(XChaCha20Poly1305::new(key.as_slice().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Secret {
        Secret::new(text.repeat(32))
    }

    fn file(folder: &Path, owner: &str) -> SealedFile {
        SealedFile {
            path: folder.join("one.refresh"),
            key: key("k").into(),
            owner: owner.to_owned(),
        }
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_owner_with_the_same_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = file(folder.path(), "contoso/app");
        let token = Secret::new("MARKED token".to_owned());
        sealed.seal_with(&key("k"), &token).unwrap();
        assert_eq!(sealed.open_with(&key("k")).unwrap(), token);
        let bytes = fs::read(&sealed.path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("MARKED"));
        assert_eq!(fs::metadata(&sealed.path).unwrap().mode() & 0o777, 0o600);
        for (key, owner) in [(key("l"), "contoso/app"), (key("k"), "fabrikam/app")] {
            let error = file(folder.path(), owner).open_with(&key).unwrap_err();
            assert!(matches!(error.fault, SealFault::DoesNotOpen), "{error}");
            assert!(!error.to_string().contains("MARKED"), "{error}");
        }
        for at in [0, MAGIC.len(), bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&sealed.path, changed).unwrap();
            sealed.open_with(&key("k")).unwrap_err();
        }
    }

    #[test]
    fn a_short_key_and_an_open_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = file(folder.path(), "o");
        let token = Secret::new("token".to_owned());
        let short = Secret::new("short".to_owned());
        let error = sealed.seal_with(&short, &token).unwrap_err().to_string();
        assert!(error.contains("shorter than 32"), "{error}");
        sealed.seal_with(&key("k"), &token).unwrap();
        let mut mode = fs::metadata(&sealed.path).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
        fs::set_permissions(&sealed.path, mode).unwrap();
        let error = sealed.open_with(&key("k")).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
