//! Streams for protocols other than HTTP: judged, proxied and encrypted as the client's are.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchbell_egress::{
    ConnectLimits, Denied, Dialer, Egress, Error, Phase, Policy, Proxies, Stream, Target, Tls,
    TlsFault,
};

use crate::proxies::{ESTABLISHED, by, proxy};
use crate::support::{SHORT, Server};
use crate::tls::Authority;

/// A dialer that may reach these hosts where they are loopback.
fn dialer(hosts: &[&str], tls: &Tls, proxies: &Proxies) -> Dialer {
    let hosts = hosts.iter().map(|text| text.parse().unwrap());
    let opened = ["127.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap());
    Egress::new()
        .dialer(Policy::new(hosts, opened), tls, proxies)
        .unwrap()
}

/// The same without more roots and without proxies.
fn plain_dialer(hosts: &[&str]) -> Dialer {
    dialer(hosts, &Tls::default(), &Proxies::default())
}

async fn connect(dialer: &Dialer, target: &Target) -> Result<Stream, Error> {
    dialer.connect(target, &ConnectLimits::default()).await
}

/// Sends back what it is sent.
async fn echo() -> Server {
    Server::start(|mut stream| async move {
        let (mut from, mut to) = stream.split();
        let _ = tokio::io::copy(&mut from, &mut to).await;
    })
    .await
}

/// The same behind TLS, for `localhost`.
async fn tls_echo(authority: &Authority, alpn: &[&str]) -> Server {
    let acceptor = authority.acceptor("localhost", alpn);
    Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(tls) = acceptor.accept(stream).await else {
                return;
            };
            // It would break what the other side speaks if it were offered.
            assert_eq!(tls.get_ref().1.alpn_protocol(), None);
            let (mut from, mut to) = tokio::io::split(tls);
            let _ = tokio::io::copy(&mut from, &mut to).await;
        }
    })
    .await
}

async fn assert_echoes(mut stream: Stream) {
    stream.write_all(b"<14>1 - hello\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = [0; 14];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"<14>1 - hello\n");
}

#[tokio::test]
async fn plain_tcp_reaches_what_is_listed_and_opened() {
    let server = echo().await;
    let port = server.address.port();
    for host in ["127.0.0.1", "2130706433", "localhost"] {
        let dialer = plain_dialer(&[&format!("{host}:{port}")]);
        let stream = connect(&dialer, &Target::tcp(host, port).unwrap()).await;
        let stream = stream.unwrap();
        assert_eq!(stream.remote_address(), server.address);
        assert_echoes(stream).await;
    }
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_not_dialled() {
    let server = echo().await;
    let port = server.address.port();
    let (listed, bare) = (format!("127.0.0.1:{port}"), "127.0.0.1".to_owned());
    let refused = async |hosts: &[&str], target: Result<Target, Denied>| {
        let error = connect(&plain_dialer(hosts), &target.unwrap()).await;
        match error.unwrap_err() {
            Error::Denied(denied) => denied,
            other => panic!("{other:?}"),
        }
    };
    let not_listed = refused(&[], Target::tcp("127.0.0.1", port)).await;
    assert!(matches!(not_listed, Denied::NotAllowed { .. }));
    // An entry without a port is for the web's own ports.
    let no_port = refused(&[&bare], Target::tcp("127.0.0.1", port)).await;
    assert!(matches!(no_port, Denied::NotAllowed { .. }));
    let web_port = refused(&[&bare], Target::tls("127.0.0.1", 443)).await;
    assert!(matches!(web_port, Denied::NotAllowed { .. }));
    let remote = refused(&["20.1.2.3:514"], Target::tcp("20.1.2.3", 514)).await;
    assert!(remote.to_string().contains("tcp to 20.1.2.3"), "{remote}");
    let private = refused(&["10.0.0.1:6514"], Target::tls("10.0.0.1", 6514)).await;
    assert!(matches!(private, Denied::Address { .. }));
    let metadata = refused(&["metadata:6514"], Target::tls("metadata", 6514)).await;
    assert!(matches!(metadata, Denied::MetadataName { .. }));
    let shut = Egress::new()
        .dialer(
            Policy::new([listed.parse().unwrap()], []),
            &Tls::default(),
            &Proxies::default(),
        )
        .unwrap();
    let error = connect(&shut, &Target::tcp("127.0.0.1", port).unwrap()).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Denied(Denied::Address { .. })));
    assert_eq!(server.accepted(), 0);
    assert!(Target::tcp("127.0.0.1", 0).is_err());
}

#[tokio::test]
async fn tls_is_spoken_with_whom_the_roots_name_and_offers_no_protocol() {
    let authority = Authority::new();
    let server = tls_echo(&authority, &["http/1.1", "h2"]).await;
    let port = server.address.port();
    let hosts = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    let hosts = [hosts[0].as_str(), hosts[1].as_str()];
    let none = Proxies::default();
    let trusting = dialer(&hosts, &authority.tls(), &none);
    let target = Target::tls("localhost", port).unwrap();
    assert_echoes(connect(&trusting, &target).await.unwrap()).await;

    let wrong_name = Target::tls("127.0.0.1", port).unwrap();
    let untrusting = dialer(&hosts, &Authority::new().tls(), &none);
    for (dialer, target) in [(&trusting, &wrong_name), (&untrusting, &target)] {
        let error = connect(dialer, target).await.unwrap_err();
        let Error::Tls { fault, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(fault, TlsFault::Certificate);
    }
}

#[tokio::test]
async fn through_a_proxy_everything_goes_by_tunnel() {
    let authority = Authority::new();
    let encrypted = tls_echo(&authority, &[]).await;
    let plain = echo().await;
    for (behind, scheme, host) in [
        (&encrypted, "tls", "localhost"),
        (&plain, "tcp", "127.0.0.1"),
    ] {
        let (server, heads) = proxy(ESTABLISHED, behind).await;
        let place = format!("{host}:{}", behind.address.port());
        let dialer = dialer(&[&place], &authority.tls(), &by(&server));
        let target = match scheme {
            "tls" => Target::tls(host, behind.address.port()),
            _ => Target::tcp(host, behind.address.port()),
        };
        let stream = connect(&dialer, &target.unwrap()).await.unwrap();
        assert_eq!(stream.remote_address(), server.address);
        assert_echoes(stream).await;
        let heads = heads.lock().unwrap();
        let [head] = heads.as_slice() else {
            panic!("{heads:?}")
        };
        assert!(
            head.starts_with(&format!("CONNECT {place} HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(head.contains("Proxy-Authorization: Basic"), "{head}");
    }
}

#[tokio::test]
async fn a_proxy_is_asked_for_nothing_that_the_policy_does_not_allow() {
    let behind = echo().await;
    let (server, heads) = proxy(ESTABLISHED, &behind).await;
    // Of a name the proxy alone knows whether it is loopback.
    let dialer = dialer(&["localhost:514"], &Tls::default(), &by(&server));
    for target in [
        Target::tcp("localhost", 514),
        Target::tls("b.example", 6514),
    ] {
        let error = connect(&dialer, &target.unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{error:?}");
    }
    assert!(heads.lock().unwrap().is_empty());
    // Port 1 answers nothing: the proxy's refusal keeps its status.
    let (server, _) = proxy("HTTP/1.1 403 Forbidden\r\n\r\n", &behind).await;
    let dialer = self::dialer(&["a.example:6514"], &Tls::default(), &by(&server));
    let target = Target::tls("a.example", 6514).unwrap();
    let error = connect(&dialer, &target).await.unwrap_err();
    let Error::Proxy { status, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(status, Some(403));
}

#[tokio::test]
async fn a_stream_holds_one_of_the_processs_sockets_until_it_is_dropped() {
    let server = echo().await;
    let port = server.address.port();
    let egress = Egress::with_sockets(1);
    let none = Proxies::default();
    let dialer = egress.dialer(server.policy(), &Tls::default(), &none);
    let dialer = dialer.unwrap();
    let target = Target::tcp("127.0.0.1", port).unwrap();
    let limits = ConnectLimits {
        connect: SHORT,
        ..ConnectLimits::default()
    };
    let stream = dialer.connect(&target, &limits).await.unwrap();
    let error = dialer.connect(&target, &limits).await.unwrap_err();
    let is_waiting = matches!(
        error,
        Error::TimedOut {
            phase: Phase::Socket,
            ..
        }
    );
    assert!(is_waiting, "{error:?}");
    drop(stream);
    dialer.connect(&target, &limits).await.unwrap();
}
