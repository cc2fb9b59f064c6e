//! What is not reached, and what is said about it.

use tokio::net::TcpListener;
use watchbell_egress::{Bounds, Denied, Egress, Error, Policy, Session, Tls};

use crate::support::{Server, ok, request, send};

fn session(hosts: &[&str], opened: &[&str]) -> Session {
    let policy = Policy::new(
        hosts.iter().map(|text| text.parse().unwrap()),
        opened.iter().map(|text| text.parse().unwrap()),
    );
    Egress::new()
        .client(policy, &Tls::default())
        .unwrap()
        .session(Bounds::default())
}

async fn denied(session: &Session, url: &str) -> Denied {
    match send(session, url).await {
        Err(Error::Denied(denied)) => denied,
        other => panic!("{url}: {:?}", other.map(|_| ())),
    }
}

#[tokio::test]
async fn a_refused_connection_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let host = address.to_string();
    let session = session(&[&host], &["127.0.0.0/8"]);
    match send(&session, &format!("http://{host}/secret?secret"))
        .await
        .unwrap_err()
    {
        error @ Error::Connect {
            address: tried,
            kind,
            ..
        } => {
            assert_eq!(tried, address);
            assert_eq!(kind, std::io::ErrorKind::ConnectionRefused);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_error() {
    let session = session(&["nowhere.invalid"], &[]);
    match send(&session, "https://nowhere.invalid/")
        .await
        .unwrap_err()
    {
        Error::Dns { host, .. } => assert_eq!(host, "nowhere.invalid"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_never_dialled() {
    let server = Server::answering(ok("x")).await;
    let session = session(&["a.example"], &["127.0.0.0/8"]);
    let denied = denied(&session, &server.url("/secret?secret")).await;
    assert_eq!(
        denied.to_string(),
        format!("denied: {} is not an allowed host", server.address)
    );
    assert_eq!(server.accepted(), 0);
    let [exchange] = session.exchanges().try_into().unwrap();
    assert!(matches!(exchange.error, Some(Error::Denied(_))));
}

#[tokio::test]
async fn loopback_is_refused_unless_opened_by_literal_and_by_name() {
    let server = Server::answering(ok("x")).await;
    let port = server.address.port();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "localhost"] {
        let listed = format!("{host}:{port}");
        let url = format!("http://{host}:{port}/");
        let denied = denied(&session(&[&listed], &[]), &url).await;
        assert!(
            denied.to_string().contains("loopback and not opened"),
            "{denied}"
        );
        assert_eq!(server.accepted(), 0);
    }
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "localhost"] {
        let opened = session(&[&format!("{host}:{port}")], &["127.0.0.0/8"]);
        let response = send(&opened, &format!("http://{host}:{port}/"))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn user_information_and_tunnels_are_refused() {
    let server = Server::answering(ok("x")).await;
    let session = server.session();
    let url = format!("http://user:hunter2@{}/", server.address);
    let why = denied(&session, &url).await;
    assert_eq!(why, Denied::UserInfo);
    assert_eq!(session.exchanges()[0].url, "(refused)");

    let mut connect = request(&server.url("/"));
    *connect.method_mut() = http::Method::CONNECT;
    let error = session
        .send(connect, watchbell_egress::Asked::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Denied(Denied::Method { .. })),
        "{error:?}"
    );
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn metadata_services_are_refused_without_a_packet() {
    for literal in [
        "169.254.169.254",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
    ] {
        let session = session(&[literal], &["169.254.0.0/16", "fc00::/7"]);
        let denied = denied(&session, &format!("https://{literal}/")).await;
        assert!(denied.to_string().contains("metadata service"), "{denied}");
    }
}

#[tokio::test]
async fn names_of_metadata_services_are_refused_before_they_are_resolved() {
    for name in ["metadata.google.internal", "METADATA", "instance-data"] {
        let session = session(&[name], &["0.0.0.0/0", "::/0"]);
        let denied = denied(&session, &format!("https://{name}/")).await;
        assert!(matches!(denied, Denied::MetadataName { .. }), "{denied}");
    }
}
