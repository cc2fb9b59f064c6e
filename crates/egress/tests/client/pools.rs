//! Who rides on whose connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;
use watchbell_egress::{Bounds, Egress, Policy, Tls};

use crate::support::{Server, get, ok, read_head};

async fn poll(egress: &Egress, policy: Policy, tls: &Tls, server: &Server) {
    let session = egress
        .client(policy, tls)
        .unwrap()
        .session(Bounds::default());
    get(&session, &server.url("/")).await.unwrap();
    // hyper puts the connection back from a task of its own.
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn sessions_of_equal_clients_share_a_connection() {
    let server = Server::answering(ok("x")).await;
    let egress = Egress::new();
    for _ in 0..5 {
        poll(&egress, server.policy(), &Tls::default(), &server).await;
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn different_policies_never_share_a_connection() {
    let server = Server::answering(ok("x")).await;
    let egress = Egress::new();
    let SocketAddr::V4(address) = server.address else {
        unreachable!()
    };
    let host = address.to_string();
    let policies = [
        server.policy(),
        Policy::new([host.parse().unwrap()], ["127.0.0.1/32".parse().unwrap()]),
        Policy::new(
            [host.parse().unwrap(), "other.example".parse().unwrap()],
            ["127.0.0.0/8".parse().unwrap()],
        ),
    ];
    for _ in 0..2 {
        for policy in &policies {
            poll(&egress, policy.clone(), &Tls::default(), &server).await;
        }
    }
    assert_eq!(server.accepted(), policies.len());
}

#[tokio::test]
async fn different_roots_never_share_a_connection_and_equal_ones_do() {
    let server = Server::answering(ok("x")).await;
    let egress = Egress::new();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        Tls {
            ca_file: Some(path),
        }
    };
    let ca = || {
        rcgen::generate_simple_self_signed(["a.example".to_owned()])
            .unwrap()
            .cert
            .pem()
    };
    let pem = ca();
    let (one, copy, other) = (write("1", &pem), write("2", &pem), write("3", &ca()));
    for tls in [
        Tls::default(),
        one.clone(),
        copy,
        other,
        one,
        Tls::default(),
    ] {
        poll(&egress, server.policy(), &tls, &server).await;
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn a_connection_that_went_stale_is_replaced_without_an_error() {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    // Keep-alive by the looks of it, yet each connection ends after one answer.
    let server = Server::start(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            if read_head(&mut stream).await.is_some() {
                stream.write_all(ok("x").as_bytes()).await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let egress = Egress::new();
    for _ in 0..20 {
        poll(&egress, server.policy(), &Tls::default(), &server).await;
        // The server's FIN has arrived by then or it has not; neither is an error.
        tokio::task::yield_now().await;
    }
    assert_eq!(answered.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn a_client_holds_its_pool_and_what_is_unused_does_not_pile_up() {
    let server = Server::answering(ok("x")).await;
    let egress = Egress::new();
    let client = egress.client(server.policy(), &Tls::default()).unwrap();
    assert_eq!(client.policy(), &server.policy());
    drop(egress);
    get(&client.session(Bounds::default()), &server.url("/"))
        .await
        .unwrap();
}
