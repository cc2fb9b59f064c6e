//! TLS: whom it trusts, and what is negotiated.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, Version};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tempfile::{NamedTempFile, TempDir};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use watchbell_egress::{
    Bounds, Client, ClientCertificate, Egress, Error, Phase, Policy, Tls, TlsFault,
};

use crate::support::{SHORT, Server, forever, get, ok, read_head, send};

/// An authority of our own, and its certificate as a file.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), issuer.pem()).unwrap();
        Self { issuer, file }
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls {
            ca_file: Some(self.file.path().to_owned()),
            ..Tls::default()
        }
    }

    pub(crate) fn acceptor(&self, name: &str, alpn: &[&str]) -> TlsAcceptor {
        self.acceptor_that(name, alpn, Arc::new(NoClientAuth))
    }

    /// One that lets in only who has a certificate of ours.
    fn asking_acceptor(&self, name: &str) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        self.acceptor_that(name, &[], verifier.build().unwrap())
    }

    /// The files of a client's certificate and key.
    fn certificate(&self) -> (TempDir, ClientCertificate) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["watchbell".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = ClientCertificate {
            crt_file: folder.path().join("crt"),
            key_file: folder.path().join("key"),
        };
        std::fs::write(&files.crt_file, certificate.pem()).unwrap();
        std::fs::write(&files.key_file, key.serialize_pem()).unwrap();
        (folder, files)
    }

    fn acceptor_that(
        &self,
        name: &str,
        alpn: &[&str],
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A hyper server behind TLS that speaks what is negotiated.
async fn hyper_server(acceptor: TlsAcceptor) -> Server {
    Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(tls) = acceptor.accept(stream).await else {
                return;
            };
            let answer = service_fn(async |_| {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("over TLS"))))
            });
            let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(tls), answer)
                .await;
        }
    })
    .await
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/", server.address.port())
}

fn client(server: &Server, tls: &Tls) -> Client {
    let host = format!("localhost:{}", server.address.port())
        .parse()
        .unwrap();
    let policy = Policy::new([host], ["127.0.0.0/8".parse().unwrap()]);
    Egress::new().client(policy, tls).unwrap()
}

fn fault(error: &Error) -> TlsFault {
    match error {
        Error::Tls { fault, .. } => *fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_named_authority_is_trusted_and_only_http_1_is_spoken() {
    let authority = Authority::new();
    for alpn in [&["h2", "http/1.1"][..], &["http/1.1"], &[]] {
        let server = hyper_server(authority.acceptor("localhost", alpn)).await;
        let client = client(&server, &authority.tls());
        for _ in 0..3 {
            let response = get(&client.session(Bounds::default()), &url(&server))
                .await
                .unwrap();
            assert_eq!(response.version(), Version::HTTP_11);
            assert_eq!(response.body(), "over TLS");
            tokio::task::yield_now().await;
        }
        assert_eq!(server.accepted(), 1);
    }
}

#[tokio::test]
async fn a_certificate_is_shown_to_who_asks_for_one() {
    let authority = Authority::new();
    let server = hyper_server(authority.asking_acceptor("localhost")).await;
    let without = client(&server, &authority.tls()).session(Bounds::default());
    assert!(
        get(&without, &url(&server)).await.is_err(),
        "nobody was asked"
    );
    let (_folder, files) = authority.certificate();
    let tls = Tls {
        certificate: Some(files),
        ..authority.tls()
    };
    let with = client(&server, &tls).session(Bounds::default());
    let answer = get(&with, &url(&server)).await.unwrap();
    assert_eq!(answer.body(), "over TLS");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_shown_is_refused_with_the_file() {
    let authority = Authority::new();
    let server = hyper_server(authority.acceptor("localhost", &[])).await;
    let ((_one, files), (_other, others)) = (authority.certificate(), authority.certificate());
    let missing = files.crt_file.with_file_name("missing");
    for (crt_file, key_file, blamed) in [
        (&files.crt_file, &others.key_file, &others.key_file),
        (&files.crt_file, &files.crt_file, &files.crt_file),
        (&files.key_file, &files.key_file, &files.key_file),
        (&missing, &files.key_file, &missing),
    ] {
        let tls = Tls {
            certificate: Some(ClientCertificate {
                crt_file: crt_file.clone(),
                key_file: key_file.clone(),
            }),
            ..authority.tls()
        };
        let error = Egress::new().client(server.policy(), &tls).unwrap_err();
        let words = error.to_string();
        assert!(words.contains(blamed.to_str().unwrap()), "{words}");
    }
}

#[tokio::test]
async fn an_address_needs_a_certificate_that_names_it() {
    let authority = Authority::new();
    for (name, trusted) in [("127.0.0.1", true), ("localhost", false)] {
        let server = hyper_server(authority.acceptor(name, &[])).await;
        let client = Egress::new()
            .client(server.policy(), &authority.tls())
            .unwrap();
        let url = format!("https://{}/", server.address);
        let answer = get(&client.session(Bounds::default()), &url).await;
        assert_eq!(answer.is_ok(), trusted, "{name}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_or_by_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for (signer, name) in [(&ours, "other.example"), (&theirs, "localhost")] {
        let server = hyper_server(signer.acceptor(name, &["http/1.1"])).await;
        let session = client(&server, &ours.tls()).session(Bounds::default());
        let error = send(&session, &url(&server)).await.unwrap_err();
        assert_eq!(fault(&error), TlsFault::Certificate, "{error}");
    }
}

#[tokio::test]
async fn the_platforms_roots_do_not_trust_a_stranger() {
    let server = hyper_server(Authority::new().acceptor("localhost", &[])).await;
    let session = client(&server, &Tls::default()).session(Bounds::default());
    match send(&session, &url(&server)).await.unwrap_err() {
        error @ Error::Tls { .. } => assert_eq!(fault(&error), TlsFault::Certificate),
        // A machine without roots trusts nobody at all.
        Error::Roots { .. } => (),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_error() {
    let authority = Authority::new();
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let server = Server::start(move |mut stream| async move {
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let session = client(&server, &authority.tls()).session(Bounds::default());
        let error = send(&session, &url(&server)).await.unwrap_err();
        assert!(
            matches!(fault(&error), TlsFault::Protocol | TlsFault::Closed),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_times_out() {
    let server = Server::start(|stream| async move {
        let _open = stream;
        forever().await;
    })
    .await;
    let bounds = Bounds {
        tls: SHORT,
        ..Bounds::default()
    };
    let session = client(&server, &Authority::new().tls()).session(bounds);
    match send(&session, &url(&server)).await.unwrap_err() {
        Error::TimedOut { phase, limit } => assert_eq!((phase, limit), (Phase::Tls, SHORT)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_body_without_a_length_that_tls_does_not_end_is_incomplete() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("localhost", &[]);
    let server = Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut tls = acceptor.accept(stream).await.unwrap();
            read_head(&mut tls).await;
            tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n[{}").await.unwrap();
            tls.flush().await.unwrap();
            // Dropped without close_notify, as somebody on the way would end it.
        }
    })
    .await;
    let session = client(&server, &authority.tls()).session(Bounds::default());
    let error = get(&session, &url(&server)).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete { .. }), "{error:?}");
}

#[tokio::test]
async fn a_ca_file_that_is_none_is_an_error_when_the_client_is_made() {
    let server = Server::answering(ok("x")).await;
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for path in [empty, folder.path().join("absent.pem")] {
        let tls = Tls {
            ca_file: Some(path.clone()),
            ..Tls::default()
        };
        match Egress::new().client(server.policy(), &tls) {
            Err(Error::Roots { message }) => {
                assert!(message.contains(path.to_str().unwrap()), "{message}");
            }
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("{} was taken", path.display()),
        }
    }
}
