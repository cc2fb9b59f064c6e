//! Refresh tokens that must be kept, sealed in a file each.
//!
//! A login service replaces a refresh token each time it is used, so it cannot stay in a
//! backend that is only read. It is kept beside the other state, sealed with
//! XChaCha20-Poly1305 under a key that is elsewhere: in a secret backend. Whose it is is
//! sealed with it, so that one tenant's file is of no use in another's place.

use super::{Secret, leftover};
use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a file begins with.
const MAGIC: &[u8] = b"watchbell sealed 1\n";

/// Bytes of a nonce; random ones of that length do not meet.
const NONCE_BYTES: usize = 24;

/// The shortest key, in characters: 32 bytes in hexadecimal or base64 have more.
const SHORTEST_KEY: usize = 32;

/// A larger file is none of ours, in bytes.
const LARGEST: u64 = 128 * 1024;

/// A sealed file that cannot be opened or written. Never says what it holds.
#[derive(Debug, thiserror::Error)]
#[error("refresh_token_file {}: {reason}", path.display())]
#[non_exhaustive]
pub struct SealError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Opens what [`seal`] wrote for the same `owner` with the same key.
pub(crate) fn open(path: &Path, key: &Secret, owner: &str) -> Result<Secret, SealError> {
    let fail = |reason: &str| SealError {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let about = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            fail("is not there; give it a refresh token with watchbell token --seal-refresh-token")
        }
        _ => fail(&error.to_string()),
    })?;
    if about.mode() & 0o077 != 0 {
        return Err(fail("others may use it; chmod 600 it"));
    }
    leftover::clean(path, MAGIC);
    if about.len() > LARGEST {
        return Err(fail("is too large to be a refresh token"));
    }
    let bytes = fs::read(path).map_err(|error| fail(&error.to_string()))?;
    let rest = bytes.strip_prefix(MAGIC);
    let Some((nonce, sealed)) = rest.and_then(|rest| rest.split_at_checked(NONCE_BYTES)) else {
        return Err(fail("is not a file that watchbell sealed"));
    };
    let payload = Payload {
        msg: sealed,
        aad: owner.as_bytes(),
    };
    let opened = cipher(key)
        .map_err(fail)?
        .decrypt(XNonce::from_slice(nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| {
            fail("does not open: it was sealed with another key or for another tenant, or was changed")
        })?;
    let text = std::str::from_utf8(&opened).map_err(|_| fail("holds no text"))?;
    Ok(Secret::new(text.to_owned()))
}

/// Writes `token` for `owner`: beside the file, then in its place, with mode 0600.
pub(crate) fn seal(
    path: &Path,
    key: &Secret,
    owner: &str,
    token: &Secret,
) -> Result<(), SealError> {
    let fail = |reason: &str| SealError {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
    let payload = Payload {
        msg: token.expose().as_bytes(),
        aad: owner.as_bytes(),
    };
    let sealed = cipher(key)
        .map_err(fail)?
        .encrypt(&nonce, payload)
        .map_err(|_| fail("cannot be sealed"))?;
    leftover::clean(path, MAGIC);
    let bytes = [MAGIC, nonce.as_slice(), &sealed].concat();
    leftover::replace(path, &bytes).map_err(|error: io::Error| fail(&error.to_string()))
}

/// Any text serves as key that is long enough to be random.
fn cipher(key: &Secret) -> Result<XChaCha20Poly1305, &'static str> {
    if key.expose().chars().count() < SHORTEST_KEY {
        return Err(
            "refresh_token_key is shorter than 32 characters; make one with openssl rand -hex 32",
        );
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

    #[test]
    fn what_was_sealed_opens_for_the_same_owner_with_the_same_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.refresh");
        let token = Secret::new("MARKED token".to_owned());
        seal(&path, &key("k"), "contoso/app", &token).unwrap();
        assert_eq!(open(&path, &key("k"), "contoso/app").unwrap(), token);
        let bytes = fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("MARKED"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        for (key, owner) in [(key("l"), "contoso/app"), (key("k"), "fabrikam/app")] {
            let error = open(&path, &key, owner).unwrap_err().to_string();
            assert!(
                error.contains("does not open") && !error.contains("MARKED"),
                "{error}"
            );
        }
        for at in [0, MAGIC.len(), bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            open(&path, &key("k"), "contoso/app").unwrap_err();
        }
    }

    #[test]
    fn a_short_key_and_an_open_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.refresh");
        let token = Secret::new("token".to_owned());
        let short = Secret::new("short".to_owned());
        let error = seal(&path, &short, "o", &token).unwrap_err().to_string();
        assert!(error.contains("shorter than 32"), "{error}");
        seal(&path, &key("k"), "o", &token).unwrap();
        let mut mode = fs::metadata(&path).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
        fs::set_permissions(&path, mode).unwrap();
        let error = open(&path, &key("k"), "o").unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
