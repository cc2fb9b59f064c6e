//! What this side shows where a server asks who is calling.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use sha2::{Digest, Sha256};

use super::tls::{provider, read};
use crate::error::Error;

/// The files of a client certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its root.
    pub crt_file: PathBuf,
    /// Its private key, unencrypted: PKCS#8, PKCS#1 or SEC1.
    pub key_file: PathBuf,
}

/// A digest of a certificate's files.
pub(crate) type CertificateId = [u8; 32];

/// A certificate that was read.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) id: CertificateId,
    pub(crate) resolver: Arc<dyn ResolvesClientCert>,
}

impl Identity {
    /// Reads both files; the key must be the certificate's.
    pub(crate) fn read(files: &ClientCertificate) -> Result<Self, Error> {
        let wrong = |path: &Path, words: &dyn fmt::Display| Error::Roots {
            message: format!("{}: {words}", path.display()),
        };
        let (crt_file, key_file) = (&files.crt_file, &files.key_file);
        let chain = read(crt_file).map_err(|error| wrong(crt_file, &error))?;
        let key = read(key_file).map_err(|error| wrong(key_file, &error))?;
        let mut digest = Sha256::new();
        digest.update(Sha256::digest(&chain));
        digest.update(Sha256::digest(&key));
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(crt_file, &error))?;
        if chain.is_empty() {
            return Err(wrong(crt_file, &"no certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| wrong(key_file, &"no unencrypted private key in it (PEM)"))?;
        let both = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|error| wrong(key_file, &error))?;
        Ok(Self {
            id: digest.finalize().into(),
            resolver: Arc::new(SingleCertAndKey::from(both)),
        })
    }
}
