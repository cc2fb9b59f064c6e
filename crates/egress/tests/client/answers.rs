//! What comes back, and what is written down about it.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchbell_egress::{Asked, BODY_HEAD_BYTES, Bounds, Error};

use crate::support::{Server, get, ok, read_head, request, send};

#[tokio::test]
async fn an_answer_arrives_whole_and_is_written_down() {
    let answer = "HTTP/1.1 503 Service Unavailable\r\ndate: Tue, 15 Nov 1994 08:12:31 GMT\r\n\
                  content-length: 5\r\n\r\nlater";
    let server = Server::answering(answer).await;
    let session = server.session();
    let response = get(&session, &server.url("/api/alerts?secret=1"))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.body(), "later");

    let [exchange] = session.exchanges().try_into().unwrap();
    assert_eq!(exchange.url, server.url("/api/alerts"));
    assert_eq!(exchange.method, "GET");
    assert_eq!(exchange.remote, Some(server.address));
    assert_eq!(exchange.status, Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(exchange.date.unwrap(), "Tue, 15 Nov 1994 08:12:31 GMT");
    assert_eq!(exchange.bytes, 5);
    assert_eq!(exchange.body_head.to_vec(), b"later");
    assert!(exchange.complete && exchange.error.is_none());
    assert!(exchange.answered_at.unwrap() >= exchange.sent_at);
}

#[tokio::test]
async fn the_request_is_sent_as_judged_and_with_nothing_added() {
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let tell = tell.clone();
        async move {
            let head = read_head(&mut stream).await.unwrap();
            let mut body = [0; 5];
            stream.read_exact(&mut body).await.unwrap();
            tell.send((head, body)).unwrap();
            stream.write_all(ok("").as_bytes()).await.unwrap();
        }
    })
    .await;
    let port = server.address.port();
    let request = Request::post(format!("http://2130706433:{port}/a%20b?c=%2F"))
        .header("host", "evil.example")
        .header("x-own", "1")
        .body(Full::new(Bytes::from("hello")))
        .unwrap();
    server
        .session()
        .send(request, Asked::default())
        .await
        .unwrap();
    let (head, body) = heard.recv().await.unwrap();
    let mut lines: Vec<_> = head.trim_end().split("\r\n").collect();
    lines.sort_unstable();
    let host = format!("host: 127.0.0.1:{port}");
    let expected = [
        "POST /a%20b?c=%2F HTTP/1.1",
        "content-length: 5",
        &host,
        "x-own: 1",
    ];
    assert_eq!(lines, expected);
    assert_eq!(&body, b"hello");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let server = Server::answering(answer).await;
    let response = get(&server.session(), &server.url("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.headers()["location"], "http://127.0.0.1:1/");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn an_encoded_answer_is_refused_by_name() {
    let answer = |status: &str, encoding: &str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-encoding: {encoding}\r\ncontent-length: 3\r\n\r\n\x1f!!"
        )
    };
    let server = Server::answering(answer("200 OK", "gzip")).await;
    let session = server.session();
    let error = get(&session, &server.url("/")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Encoded { encoding } if encoding == "gzip"),
        "{error:?}"
    );
    let exchange = session.exchanges().pop().unwrap();
    assert!(
        matches!(exchange.error, Some(Error::Encoded { .. })),
        "{exchange:?}"
    );
    // `identity` is none, and what counts of a refusal is its status.
    for answer in [
        answer("200 OK", "Identity"),
        answer("200 OK", "identity, Identity"),
        answer("200 OK", ""),
        answer("503 Busy", "gzip"),
    ] {
        let server = Server::answering(answer).await;
        let response = get(&server.session(), &server.url("/")).await.unwrap();
        assert_eq!(response.body(), "\x1f!!");
    }
}

#[tokio::test]
async fn a_large_body_arrives_unchanged_and_its_beginning_is_kept() {
    let body: String = (0..400_000).map(|i| format!("{i:08}")).collect();
    let server = Server::answering(ok(&body)).await;
    let session = server.session();
    let response = get(&session, &server.url("/")).await.unwrap();
    assert!(response.body() == body.as_bytes());
    let [exchange] = session.exchanges().try_into().unwrap();
    assert_eq!(exchange.bytes, body.len() as u64);
    assert!(exchange.body_head.to_vec() == body.as_bytes()[..BODY_HEAD_BYTES]);
}

#[tokio::test]
async fn only_the_last_eight_bodies_are_kept() {
    let server = Server::answering(ok("x")).await;
    let session = server.session();
    for _ in 0..10 {
        get(&session, &server.url("/")).await.unwrap();
    }
    let kept: Vec<_> = session
        .exchanges()
        .iter()
        .map(|e| e.body_head.len())
        .collect();
    assert_eq!(kept, [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn a_body_cut_short_is_incomplete() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[{",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[{\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[{",
    ] {
        let server = Server::answering_once(answer).await;
        let session = server.session();
        let error = get(&session, &server.url("/")).await.unwrap_err();
        assert!(
            matches!(error, Error::Incomplete { .. }),
            "{answer}: {error:?}"
        );
        let [exchange] = session.exchanges().try_into().unwrap();
        assert_eq!(exchange.body_head.to_vec(), b"[{");
        assert!(!exchange.complete && exchange.error.is_some());
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_is_closed() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-"] {
        let server = Server::answering_once(answer).await;
        let error = send(&server.session(), &server.url("/")).await.unwrap_err();
        assert!(matches!(error, Error::Closed { .. }), "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    for answer in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let server = Server::answering_once(answer).await;
        let error = get(&server.session(), &server.url("/")).await.unwrap_err();
        assert!(
            matches!(error, Error::Protocol { .. }),
            "{answer}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_request_body_that_fails_is_the_requests_fault() {
    let server = Server::answering(ok("")).await;
    let stream = futures_body(vec![Ok("a"), Err("the guest gave up")]);
    let request = Request::post(server.url("/")).body(stream).unwrap();
    let error = server
        .session()
        .send(request, Asked::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Request { .. }), "{error:?}");
}

fn futures_body(
    parts: Vec<Result<&'static str, &'static str>>,
) -> impl http_body::Body<Data = Bytes, Error = std::io::Error> + Send + 'static {
    struct Parts(std::vec::IntoIter<Result<&'static str, &'static str>>);
    impl http_body::Body for Parts {
        type Data = Bytes;
        type Error = std::io::Error;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
            std::task::Poll::Ready(self.0.next().map(|part| match part {
                Ok(text) => Ok(http_body::Frame::data(Bytes::from(text))),
                Err(text) => Err(std::io::Error::other(text)),
            }))
        }
    }
    Parts(parts.into_iter())
}

#[tokio::test]
async fn requests_of_one_session_run_side_by_side() {
    let server = Server::answering(ok("x")).await;
    let session = server.client().session(Bounds {
        requests: 4,
        ..Bounds::default()
    });
    let sends = (0..4).map(|_| {
        let (session, request) = (session.clone(), request(&server.url("/")));
        tokio::spawn(async move { session.send(request, Asked::default()).await })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await
            .unwrap()
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap();
    }
    assert_eq!(session.exchanges().len(), 4);
    let error = send(&session, &server.url("/")).await.unwrap_err();
    assert!(
        matches!(error, Error::TooManyRequests { limit: 4 }),
        "{error:?}"
    );
}
