//! Who rides on whose connection.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use watchbell_egress::{Bounds, Egress, Policy, Tls};

use crate::support::{SHORT, Server, get, ok, read_head};

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
async fn a_connection_that_was_closed_while_idle_is_replaced_without_an_error() {
    let (tell, mut closed) = tokio::sync::mpsc::unbounded_channel();
    // Keep-alive by the looks of it, yet each connection ends after one answer.
    let server = Server::start(move |mut stream| {
        let tell = tell.clone();
        async move {
            if read_head(&mut stream).await.is_some() {
                stream.write_all(ok("x").as_bytes()).await.unwrap();
                drop(stream);
                tell.send(()).unwrap();
            }
        }
    })
    .await;
    let egress = Egress::new();
    for _ in 0..10 {
        poll(&egress, server.policy(), &Tls::default(), &server).await;
        closed.recv().await.unwrap();
        tokio::time::sleep(SHORT).await;
    }
    assert_eq!(server.accepted(), 10);
}

#[tokio::test]
async fn a_client_outlives_the_egress_it_came_from() {
    let server = Server::answering(ok("x")).await;
    let egress = Egress::new();
    let client = egress.client(server.policy(), &Tls::default()).unwrap();
    assert_eq!(client.policy(), &server.policy());
    drop(egress);
    get(&client.session(Bounds::default()), &server.url("/"))
        .await
        .unwrap();
}
