//! What proves to the login service who is asking.

use super::{Secret, SecretRef};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// What proves to the login service who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// The application's secret.
    ClientSecret(Secret),
    /// A file that holds it and nothing else; read anew whenever it is needed.
    ClientSecretFile(PathBuf),
    /// It is in a secret backend, which is asked whenever it is needed.
    ClientSecretIn(SecretRef),
}

impl Credential {
    /// What tells one credential from another without being one: where it is, or the
    /// digest of what it is.
    pub(crate) fn mark(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        match self {
            Self::ClientSecret(secret) => digest.update(secret.expose()),
            Self::ClientSecretFile(path) => {
                digest.update(b"file ");
                digest.update(path.as_os_str().as_encoded_bytes());
            }
            Self::ClientSecretIn(reference) => digest.update(reference.to_string()),
        }
        digest.finalize().into()
    }
}
