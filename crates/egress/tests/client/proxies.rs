//! Through a proxy: what it is asked, what it is not, and what is judged all the same.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use watchbell_egress::{Bounds, Denied, Egress, Error, Policy, Proxies, Session, Tls};

use crate::support::{Server, get, ok, read_head, send};

/// A proxy that answers CONNECT with `answer` and then hands on to `behind`, and answers
/// all else itself; and the heads that it was sent.
pub(crate) async fn proxy(
    answer: &'static str,
    behind: &Server,
) -> (Server, Arc<Mutex<Vec<String>>>) {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let (noted, address) = (Arc::clone(&heads), behind.address);
    let server = Server::start(move |mut stream| {
        let noted = Arc::clone(&noted);
        async move {
            while let Some(head) = read_head(&mut stream).await {
                noted.lock().unwrap().push(head.clone());
                if head.starts_with("CONNECT ") {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    let mut onward = TcpStream::connect(address).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut onward).await;
                    return;
                }
                stream.write_all(ok("by proxy").as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (server, heads)
}

fn session(hosts: &[&str], opened: &[&str], proxies: &Proxies) -> Session {
    let policy = Policy::new(
        hosts.iter().map(|text| text.parse().unwrap()),
        opened.iter().map(|text| text.parse().unwrap()),
    );
    Egress::new()
        .client_through(policy, &Tls::default(), proxies)
        .unwrap()
        .session(Bounds::default())
}

pub(crate) fn by(proxy: &Server) -> Proxies {
    let url = format!("http://ann:secret@{}", proxy.address);
    Proxies::new(Some(&url), Some(&url), Some(""))
        .unwrap()
        .with_loopback()
}

pub(crate) const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[tokio::test]
async fn a_tunnel_is_asked_for_by_name_which_is_not_resolved_here() {
    // What is behind it is no TLS: that the handshake fails there is enough.
    let behind = Server::start(|mut stream| async move {
        let _ = stream.write_all(b"not TLS").await;
    })
    .await;
    let (server, heads) = proxy(ESTABLISHED, &behind).await;
    let session = session(&["nowhere.invalid"], &[], &by(&server));
    let error = send(&session, "https://nowhere.invalid/secret")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Tls { .. } | Error::Roots { .. }),
        "{error:?}"
    );
    let heads = heads.lock().unwrap();
    let [head] = heads.as_slice() else {
        panic!("{heads:?}")
    };
    assert!(
        head.starts_with("CONNECT nowhere.invalid:443 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic YW5uOnNlY3JldA=="),
        "{head}"
    );
    assert!(!head.contains("/secret"), "{head}");
    assert_eq!(behind.accepted(), 1);
}

#[tokio::test]
async fn plain_requests_to_loopback_go_to_it_whole() {
    let behind = Server::answering(ok("itself")).await;
    let (server, heads) = proxy(ESTABLISHED, &behind).await;
    let host = behind.address.to_string();
    let through = session(&[&host], &["127.0.0.0/8"], &by(&server));
    for _ in 0..2 {
        let answer = get(&through, &behind.url("/x?y")).await.unwrap();
        assert_eq!(answer.body(), "by proxy");
    }
    let first = heads.lock().unwrap()[0].to_lowercase();
    assert!(
        first.starts_with(&format!("get http://{host}/x?y http/1.1")),
        "{first}"
    );
    assert!(first.contains("proxy-authorization: basic"), "{first}");
    assert_eq!(behind.accepted(), 0);

    let url = format!("http://{}", server.address);
    let but = Proxies::new(Some(&url), None, Some("10.0.0.0/8,127.0.0.1"))
        .unwrap()
        .with_loopback();
    let past = session(&[&host], &["127.0.0.0/8"], &but);
    let answer = get(&past, &behind.url("/")).await.unwrap();
    assert_eq!(answer.body(), "itself");
}

/// They went to it whole, the client secret among them.
#[tokio::test]
async fn requests_to_loopback_go_to_no_proxy_unless_it_is_asked_for() {
    let behind = Server::answering(ok("itself")).await;
    let (server, heads) = proxy(ESTABLISHED, &behind).await;
    let url = format!("http://{}", server.address);
    let proxies = Proxies::new(Some(&url), Some(&url), Some("a.example")).unwrap();
    let host = behind.address.to_string();
    let named = format!("localhost:{}", behind.address.port());
    let hosts = [host.as_str(), named.as_str()];
    let past = session(&hosts, &["127.0.0.0/8", "::1/128"], &proxies);
    for host in hosts {
        let answer = get(&past, &format!("http://{host}/")).await.unwrap();
        assert_eq!(answer.body(), "itself", "{host}");
    }
    assert_eq!(heads.lock().unwrap().as_slice(), &[] as &[String]);
}

#[tokio::test]
async fn names_and_literals_are_judged_as_without_one() {
    let behind = Server::answering(ok("x")).await;
    let (server, heads) = proxy(ESTABLISHED, &behind).await;
    for (hosts, url) in [
        (&["a.example"][..], "https://b.example/"),
        (&["10.0.0.1"], "https://10.0.0.1/"),
        (&["[::ffff:10.0.0.1]"], "https://[::ffff:10.0.0.1]/"),
        (&["169.254.169.254"], "https://169.254.169.254/"),
        (
            &["metadata.google.internal"],
            "https://metadata.google.internal/",
        ),
        // It may be loopback or not: the proxy alone knows.
        (&["localhost"], "http://localhost/"),
    ] {
        let session = session(hosts, &["127.0.0.0/8"], &by(&server));
        let error = send(&session, url).await.unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{url}: {error:?}");
        let plain = matches!(error, Error::Denied(Denied::PlainText { .. }));
        assert_eq!(plain, url.starts_with("http:"), "{url}: {error:?}");
    }
    assert!(heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_not_there_is_named_without_its_password() {
    let behind = Server::answering(ok("x")).await;
    // It used to say no status, so that a wrong password looked like an outage.
    for (answer, status, says) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            Some(407),
            "407 Proxy Authentication Required",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nX: y\r\n\r\n",
            Some(403),
            "answered 403 Forbidden",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            Some(502),
            "502 Bad Gateway",
        ),
        ("SSH-2.0\r\n\r\n", None, "unsuccessful"),
    ] {
        let (server, _) = proxy(answer, &behind).await;
        let session = session(&["a.example"], &[], &by(&server));
        let error = send(&session, "https://a.example/").await.unwrap_err();
        let Error::Proxy { status: told, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(told, status, "{error}");
        let error = error.to_string();
        let place = format!("the proxy {}", server.address);
        assert!(error.contains(&place) && error.contains(says), "{error}");
    }
    let gone = Proxies::new(None, Some("http://ann:secret@127.0.0.1:1"), Some(""))
        .unwrap()
        .with_loopback();
    let session = session(&["a.example"], &[], &gone);
    let error = send(&session, "https://a.example/").await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Proxy { .. }), "{error:?}");
    assert!(
        text.contains("127.0.0.1:1") && !text.contains("secret"),
        "{text}"
    );
}
