//! TLS in front of the simulator, which speaks plain HTTP: what arrives is decrypted
//! and passed on byte for byte. Its certificate is made at the start, signed by an
//! authority that is made with it and that both sides are told to trust.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A TLS listener on loopback. Dropping it ends it.
pub struct Front {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Front {
    /// A certificate for 127.0.0.1, and its authority's in `ca_file` (PEM).
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn identity(ca_file: &Path) -> Result<Arc<ServerConfig>> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate()?;
        std::fs::write(ca_file, authority.self_signed(&authority_key)?.pem())?;
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Listens on a free port and passes on to `behind`.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(identity: &Arc<ServerConfig>, behind: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(
            listener,
            TlsAcceptor::from(Arc::clone(identity)),
            behind,
        ));
        Ok(Self { address, task })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, behind: SocketAddr) {
    while let Ok((outside, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that goes away or distrusts us is its own affair.
            let _ended = pass(outside, acceptor, behind).await;
        });
    }
}

async fn pass(outside: TcpStream, acceptor: TlsAcceptor, behind: SocketAddr) -> Result<()> {
    outside.set_nodelay(true)?;
    let mut outside = acceptor.accept(outside).await?;
    let mut inside = TcpStream::connect(behind).await?;
    inside.set_nodelay(true)?;
    copy_bidirectional(&mut outside, &mut inside).await?;
    Ok(())
}
