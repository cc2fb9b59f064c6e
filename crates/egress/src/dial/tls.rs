//! Whom to trust, and how to shake hands.
//!
//! Roots are the platform's (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded) plus those
//! of one PEM file. Reading the platform's takes 5 to 10 ms, so it is done once for the
//! process, off the runtime's threads, and only when `https` is dialled for the first
//! time. The PEM file is read when a client is made, so that a wrong one is an error at
//! load; its content, not its name, decides which roots are the same.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fs::{File, metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::OFlags;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client_certificate::{CertificateId, ClientCertificate, Identity};
use crate::error::{Error, TlsFault, find, words};
use crate::policy::Host;

/// Whom to trust.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// A PEM file of further roots, beside the platform's.
    pub ca_file: Option<PathBuf>,
    /// What is shown where a server asks for a certificate.
    pub certificate: Option<ClientCertificate>,
}

/// The largest file of roots that is read. The platform's have some 200 KB.
const MAX_PEM_BYTES: u64 = 16 << 20;

/// SHA-256 of the PEM file; none without one.
type RootsId = Option<[u8; 32]>;

/// Whom to trust and what to show, as it was read.
#[derive(Clone)]
pub(crate) struct Trust {
    pub(crate) id: TrustId,
    roots: Arc<Roots>,
    identity: Option<Identity>,
}

/// What tells one [`Trust`] from another.
pub(crate) type TrustId = (RootsId, Option<CertificateId>);

/// One set of roots: what to add to the platform's, and what was made of it.
struct Roots {
    platform: Arc<OnceCell<RootCertStore>>,
    extra: RootCertStore,
    verifier: OnceCell<Arc<WebPkiServerVerifier>>,
}

/// Every set of roots in use.
#[derive(Default)]
pub(crate) struct RootsCache {
    platform: Arc<OnceCell<RootCertStore>>,
    sets: Mutex<HashMap<RootsId, Weak<Roots>>>,
}

impl RootsCache {
    /// Reads the files that are named.
    pub(crate) fn load(&self, tls: &Tls) -> Result<Trust, Error> {
        let (roots_id, roots) = self.roots(tls)?;
        let identity = tls.certificate.as_ref().map(Identity::read).transpose()?;
        Ok(Trust {
            id: (roots_id, identity.as_ref().map(|identity| identity.id)),
            roots,
            identity,
        })
    }

    /// Reads the PEM file, if there is one, and parses it when no one has yet: thousands of
    /// tenants may name the same.
    fn roots(&self, tls: &Tls) -> Result<(RootsId, Arc<Roots>), Error> {
        let Some(path) = &tls.ca_file else {
            let none = RootCertStore::empty();
            return Ok((
                None,
                self.known(None).unwrap_or_else(|| self.add(None, none)),
            ));
        };
        let wrong = |message: String| Error::Roots {
            message: format!("{}: {message}", path.display()),
        };
        let pem = read(path).map_err(|error| wrong(error.to_string()))?;
        let id = Some(Sha256::digest(&pem).into());
        let roots = match self.known(id) {
            Some(known) => known,
            None => self.add(id, parse(&pem).map_err(wrong)?),
        };
        Ok((id, roots))
    }

    fn known(&self, id: RootsId) -> Option<Arc<Roots>> {
        self.sets().get(&id).and_then(Weak::upgrade)
    }

    /// Adds a set, unless somebody else did meanwhile.
    fn add(&self, id: RootsId, extra: RootCertStore) -> Arc<Roots> {
        let mut sets = self.sets();
        if let Some(known) = sets.get(&id).and_then(Weak::upgrade) {
            return known;
        }
        sets.retain(|_, set| set.strong_count() > 0);
        let roots = Arc::new(Roots {
            platform: Arc::clone(&self.platform),
            extra,
            verifier: OnceCell::new(),
        });
        sets.insert(id, Arc::downgrade(&roots));
        roots
    }

    fn sets(&self) -> MutexGuard<'_, HashMap<RootsId, Weak<Roots>>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A PEM file's bytes. A named pipe, which waits for its writer, and whatever else is no
/// regular file is refused without waiting.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let refuse = |words: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    let special = "is not a regular file; name a PEM file";
    if !metadata(path)?.is_file() {
        return refuse(special);
    }
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return refuse(special);
    }
    let mut pem = Vec::new();
    file.take(MAX_PEM_BYTES + 1).read_to_end(&mut pem)?;
    if pem.len() as u64 > MAX_PEM_BYTES {
        return refuse("is larger than 16 MiB, which no PEM file is");
    }
    Ok(pem)
}

fn parse(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    Ok(roots)
}

/// The platform's roots. What of them cannot be parsed is left out, as everyone does;
/// that there are none at all is for the caller to mind.
async fn platform() -> Result<RootCertStore, Error> {
    let load = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        roots
    };
    tokio::task::spawn_blocking(load)
        .await
        .map_err(|error| Error::Roots {
            message: error.to_string(),
        })
}

impl Roots {
    async fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let build = || async {
            let mut roots = self.platform.get_or_try_init(platform).await?.clone();
            roots.extend(self.extra.roots.iter().cloned());
            if roots.is_empty() {
                let message = "the platform has no root certificates, and no file names any";
                return Err(Error::Roots {
                    message: message.to_owned(),
                });
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
                .build()
                .map_err(|error| Error::Roots {
                    message: error.to_string(),
                })
        };
        self.verifier.get_or_try_init(build).await.cloned()
    }
}

impl Trust {
    /// A connector of its own for each dialer, over the shared verifier: session tickets
    /// stay within it.
    pub(super) async fn connector(&self, alpn: &[&[u8]]) -> Result<TlsConnector, Error> {
        let verifier = self.roots.verifier().await?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Roots {
                message: error.to_string(),
            })?
            .with_webpki_verifier(verifier);
        let mut config = match &self.identity {
            Some(identity) => config.with_client_cert_resolver(Arc::clone(&identity.resolver)),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// Ours is named rather than taken from the process's default, which others may set.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Shakes hands over a connection to that host, which the certificate must name.
pub(super) async fn handshake(
    connector: &TlsConnector,
    host: &Host,
    tcp: TcpStream,
) -> Result<TlsStream<TcpStream>, Error> {
    let name = match host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| Error::Tls {
            host: host.to_string(),
            fault: TlsFault::Certificate,
            message: error.to_string(),
        })?,
    };
    connector
        .connect(name, tcp)
        .await
        .map_err(|error| Error::Tls {
            host: host.to_string(),
            fault: fault(&error),
            message: words(&error),
        })
}

fn fault(error: &io::Error) -> TlsFault {
    match find::<rustls::Error>(error as &(dyn StdError + 'static)) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            TlsFault::Certificate
        }
        Some(rustls::Error::AlertReceived(_)) => TlsFault::Alert,
        Some(_) => TlsFault::Protocol,
        None => TlsFault::Closed,
    }
}
