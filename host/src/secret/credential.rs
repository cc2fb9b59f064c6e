//! What proves to the login service who is asking.

use super::SecretLocation;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// What proves to the login service who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// The application's secret.
    ClientSecret(SecretLocation),
    /// A user's consent, kept as a refresh token.
    RefreshToken(Box<Consent>),
}

/// A refresh token in a sealed file, which each use replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The sealed file.
    pub file: PathBuf,
    /// Where the key is.
    pub key: SecretLocation,
    /// The application's secret; none for a public client.
    pub client_secret: Option<SecretLocation>,
    /// Tenant and application, which are sealed with it.
    pub owner: String,
}

impl Credential {
    /// The places that it is read from: a secret's, or those of a consent's key and secret.
    pub fn locations(&self) -> impl Iterator<Item = &SecretLocation> {
        let (first, second) = match self {
            Self::ClientSecret(secret) => (secret, None),
            Self::RefreshToken(consent) => (&consent.key, consent.client_secret.as_ref()),
        };
        std::iter::once(first).chain(second)
    }

    /// What tells one credential from another without being one.
    pub(crate) fn mark(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        match self {
            Self::ClientSecret(secret) => secret.digest_into(&mut digest),
            Self::RefreshToken(consent) => {
                digest.update(b"consent ");
                digest.update(consent.file.as_os_str().as_encoded_bytes());
            }
        }
        digest.finalize().into()
    }
}
