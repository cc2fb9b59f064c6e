//! Who rides on whose connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use watchbell_egress::{Asked, Bounds, ConnectionQuota, Egress, Error, Phase, Policy, Tls};

use crate::support::{SHORT, Server, forever, get, ok, read_head, send};

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
            ..Tls::default()
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

#[tokio::test]
async fn a_party_has_so_many_requests_at_one_time_and_the_next_is_told() {
    let (server, _) = unfinished().await;
    let quota = ConnectionQuota::new(2);
    let session = |quota: &ConnectionQuota| {
        let client = server.client().with_quota(quota);
        client.session(Bounds::default())
    };
    let (one, other) = (session(&quota), session(&quota));
    let first = send(&one, &server.url("/")).await.unwrap();
    let _second = send(&other, &server.url("/")).await.unwrap();
    let error = send(&one, &server.url("/")).await.unwrap_err();
    assert!(
        matches!(error, Error::TooManyAtOnce { limit: 2 }),
        "{error:?}"
    );
    // Another party is not concerned, and an answer that is let go makes room.
    send(&session(&ConnectionQuota::new(1)), &server.url("/"))
        .await
        .unwrap();
    drop(first);
    send(&one, &server.url("/")).await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_answered_but_not_sent_to_its_end_keeps_its_permit() {
    let server = Server::answering(ok("x")).await;
    let quota = ConnectionQuota::new(8);
    let client = server.client().with_quota(&quota);
    let session = client.session(Bounds::default());
    let mut bodies = Vec::new();
    let mut refused = 0;
    for _ in 0..100 {
        let (more, body) = tokio::sync::mpsc::channel(1);
        let request = http::Request::post(server.url("/"))
            .body(Open(body))
            .unwrap();
        match session.send(request, Asked::default()).await {
            Ok(answer) => {
                answer.into_body().collect().await.unwrap();
                bodies.push(more);
            }
            Err(Error::TooManyAtOnce { limit: 8 }) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    // Each answer was read to its end, and yet no more than eight sockets were had.
    assert_eq!((bodies.len(), refused, server.accepted()), (8, 92, 8));
    drop(bodies);
    let sent = async {
        while send(&session, &server.url("/")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sent)
        .await
        .unwrap();
}

/// A request's body that ends when its sender is dropped.
struct Open(tokio::sync::mpsc::Receiver<Bytes>);

impl Body for Open {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(cx)
            .map(|more| more.map(Frame::data).map(Ok))
    }
}

/// Answers with the beginning of a body, and notes what it was asked.
async fn unfinished() -> (Server, Arc<Mutex<Vec<String>>>) {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&heads);
    let server = Server::start(move |mut stream| {
        let noted = Arc::clone(&noted);
        async move {
            let head = read_head(&mut stream).await.unwrap();
            noted.lock().unwrap().push(head);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
                .await
                .unwrap();
            forever().await;
        }
    })
    .await;
    (server, heads)
}

#[tokio::test]
async fn the_process_has_so_many_sockets_and_the_next_one_waits_for_its_turn() {
    let (server, _) = unfinished().await;
    let egress = Egress::with_sockets(1);
    let bounds = Bounds {
        connect: SHORT,
        ..Bounds::default()
    };
    let client = egress.client(server.policy(), &Tls::default()).unwrap();
    let session = client.session(bounds);
    let held = send(&session, &server.url("/")).await.unwrap();
    let error = send(&session, &server.url("/")).await.unwrap_err();
    let socket = Phase::Socket;
    assert!(
        matches!(error, Error::TimedOut { phase, .. } if phase == socket),
        "{error:?}"
    );
    drop(held);
    send(&session, &server.url("/")).await.unwrap();
}

#[tokio::test]
async fn connections_are_kept_for_later_only_while_most_sockets_are_free() {
    let (server, heads) = unfinished().await;
    let egress = Egress::with_sockets(4);
    let client = egress.client(server.policy(), &Tls::default()).unwrap();
    let session = client.session(Bounds::default());
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(send(&session, &server.url("/")).await.unwrap());
    }
    let heads = heads.lock().unwrap();
    let closing: Vec<bool> = heads
        .iter()
        .map(|head| head.to_lowercase().contains("connection: close"))
        .collect();
    assert_eq!(closing, [false, false, false, true]);
}
