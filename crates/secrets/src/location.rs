//! Where a secret is, whatever it is for.

use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use watchbell_settings::json_schemas;

use crate::reference::SecretRef;
use crate::secret::Secret;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretLocation {
    /// In the configuration.
    Inline(Secret),
    /// A file that holds it and nothing else; read anew whenever it is needed.
    File(PathBuf),
    /// In a secret backend, which is asked whenever it is needed.
    Backend(SecretRef),
}

impl SecretLocation {
    /// What tells one from another without being a secret: where it is, or the digest of
    /// what it is.
    pub fn digest_into(&self, digest: &mut Sha256) {
        match self {
            Self::Inline(secret) => digest.update(secret.expose()),
            Self::File(path) => {
                digest.update(b"file ");
                digest.update(path.as_os_str().as_encoded_bytes());
            }
            Self::Backend(reference) => digest.update(reference.to_string()),
        }
    }
}

json_schemas! {
    SecretLocation: {
        "description": "A secret: SECRET[backend.key], ${VARIABLE}, or the secret itself.",
        "type": "string",
        "minLength": 1,
        "examples": ["SECRET[vault.siem]", "${SIEM_TOKEN}"]
    };
}

/// As it is written: `SECRET[backend.key]`, or the secret itself.
impl From<Secret> for SecretLocation {
    fn from(written: Secret) -> Self {
        match written.expose().parse() {
            Ok(reference) => Self::Backend(reference),
            Err(_) => Self::Inline(written),
        }
    }
}

impl<'de> Deserialize<'de> for SecretLocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self::from)
    }
}
