//! What proves to the login service who is asking.

use sha2::{Digest, Sha256};
use watchbell_secrets::{
    SealError, SealFault, SealedFile, Secret, SecretError, SecretLocation, Secrets,
};

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
    /// Where the token is; its owner are tenant and application.
    pub token: SealedFile,
    /// The application's secret; none for a public client.
    pub client_secret: Option<SecretLocation>,
}

/// Why a credential cannot be shown, in the words of the settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// There is no secret.
    #[error(transparent)]
    Secret(SecretError),
    /// The refresh token cannot be read or written.
    #[error("refresh_token_file {}: {}", .0.path.display(), remedy(&.0.fault))]
    RefreshToken(SealError),
}

impl From<SecretError> for CredentialError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Sealed(error) => Self::RefreshToken(error),
            other => Self::Secret(other),
        }
    }
}

fn remedy(fault: &SealFault) -> String {
    match fault {
        SealFault::NotThere => {
            format!("{fault}; give it a refresh token with watchbell token --seal-refresh-token")
        }
        SealFault::ShortKey(least) => format!(
            "refresh_token_key is shorter than {least} characters; make one with openssl rand -hex 32"
        ),
        other => other.to_string(),
    }
}

impl Credential {
    /// The places that it is read from: a secret's, or those of a consent's key and secret.
    pub fn locations(&self) -> impl Iterator<Item = &SecretLocation> {
        let (first, second) = match self {
            Self::ClientSecret(secret) => (secret, None),
            Self::RefreshToken(consent) => (&consent.token.key, consent.client_secret.as_ref()),
        };
        std::iter::once(first).chain(second)
    }

    /// The sealed file of a refresh token.
    #[must_use]
    pub fn sealed_file(&self) -> Option<&SealedFile> {
        match self {
            Self::ClientSecret(_) => None,
            Self::RefreshToken(consent) => Some(&consent.token),
        }
    }

    /// The secret that it is. `anew`: the one that was fetched before was refused, so a
    /// program is asked again.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn fetch(&self, secrets: &Secrets, anew: bool) -> Result<Secret, CredentialError> {
        let fetched = match self {
            Self::ClientSecret(location) => secrets.get(location, anew).await,
            Self::RefreshToken(consent) => secrets.open(&consent.token, anew).await,
        };
        Ok(fetched?)
    }

    /// Whether it is there, without asking a program for a secret: it may ask a service.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn validate(&self, secrets: &Secrets) -> Result<(), CredentialError> {
        let mut is_in_program = false;
        for location in self.locations() {
            is_in_program |= secrets.validate(location).await?;
        }
        if let (Some(sealed), false) = (self.sealed_file(), is_in_program) {
            secrets.open(sealed, false).await?;
        }
        Ok(())
    }

    /// What tells one credential from another without being one.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        match self {
            Self::ClientSecret(secret) => secret.digest_into(&mut digest),
            Self::RefreshToken(consent) => {
                digest.update(b"consent ");
                digest.update(consent.token.path.as_os_str().as_encoded_bytes());
            }
        }
        digest.finalize().into()
    }
}
