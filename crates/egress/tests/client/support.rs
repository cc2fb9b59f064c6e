//! Servers that do exactly what a test tells them, byte for byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use watchbell_egress::{
    Asked, Body, Bounds, Client, Egress, Error, Host, HostPattern, Policy, Session, Tls,
};

/// A server, and how many connections it has accepted.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// Runs `handle` on each connection.
    pub(crate) async fn start<F, Fut>(handle: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(handle(stream));
            }
        });
        Self { address, accepted }
    }

    /// Answers each request with these bytes and keeps the connection open.
    pub(crate) async fn answering(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                while read_head(&mut stream).await.is_some() {
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// Answers the first request with these bytes, in order, and closes.
    pub(crate) async fn answering_once(answer: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// A client that may reach this server and nothing else.
    pub(crate) fn client(&self) -> Client {
        Egress::new()
            .client(self.policy(), &Tls::default())
            .unwrap()
    }

    pub(crate) fn policy(&self) -> Policy {
        let host = Host::Address(self.address.ip());
        let host = HostPattern::exactly(host, self.address.port());
        Policy::new([host], ["127.0.0.0/8".parse().unwrap()])
    }

    pub(crate) fn session(&self) -> Session {
        self.client().session(Bounds::default())
    }
}

/// Reads up to the empty line; none when the connection ended.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// A 200 with that body and a length.
pub(crate) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn request(url: &str) -> Request<Empty<Bytes>> {
    Request::get(url).body(Empty::new()).unwrap()
}

/// The head of the answer.
pub(crate) async fn send(session: &Session, url: &str) -> Result<Response<Body>, Error> {
    session.send(request(url), Asked::default()).await
}

/// The whole answer.
pub(crate) async fn get(session: &Session, url: &str) -> Result<Response<Bytes>, Error> {
    let (head, body) = send(session, url).await?.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

/// Long enough to be noticed by a reader of the code, short enough for a test.
pub(crate) const SHORT: Duration = Duration::from_millis(60);

/// Never, for a test.
pub(crate) async fn forever() {
    std::future::pending::<()>().await;
}
