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
    /// A user's consent, kept as a refresh token.
    RefreshToken(Box<Consent>),
}

/// A refresh token in a sealed file, which each use replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The sealed file.
    pub file: PathBuf,
    /// Where the key is.
    pub key: Credential,
    /// The application's secret; none for a public client.
    pub client_secret: Option<Credential>,
    /// Tenant and application, which are sealed with it.
    pub owner: String,
}

impl Credential {
    /// The places that it is read from: itself, or a consent's key and secret.
    pub(crate) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::RefreshToken(consent) => {
                let secret = consent.client_secret.as_ref();
                std::iter::once(&consent.key).chain(secret).collect()
            }
            _ => vec![self],
        }
    }

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
            Self::RefreshToken(consent) => {
                digest.update(b"consent ");
                digest.update(consent.file.as_os_str().as_encoded_bytes());
            }
        }
        digest.finalize().into()
    }
}
