//! Every bound is reached by a server that wants it passed.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchbell_egress::{Asked, Bounds, Error, Phase};

use crate::support::{SHORT, Server, forever, get, ok, read_head, request, send};

async fn endless(piece: &'static str, start: &'static str, pause: Duration) -> Server {
    Server::start(move |mut stream| async move {
        read_head(&mut stream).await;
        let mut next = start;
        while stream.write_all(next.as_bytes()).await.is_ok() {
            next = piece;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    })
    .await
}

fn phase(error: &Error) -> Phase {
    match error {
        Error::TimedOut { phase, .. } => *phase,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn headers_that_do_not_come_time_out() {
    for start in ["", "HTTP/1.1 200 OK\r\nx: "] {
        let server = Server::start(move |mut stream| async move {
            read_head(&mut stream).await;
            stream.write_all(start.as_bytes()).await.unwrap();
            forever().await;
        })
        .await;
        let session = server.client().session(Bounds {
            first_byte: SHORT,
            ..Bounds::default()
        });
        let error = send(&session, &server.url("/")).await.unwrap_err();
        assert_eq!(phase(&error), Phase::FirstByte);
        let [exchange] = session.exchanges().try_into().unwrap();
        assert_eq!(exchange.remote, Some(server.address));
        assert!(exchange.error.is_some() && exchange.status.is_none());
    }
}

#[tokio::test]
async fn endless_interim_answers_time_out() {
    let server = endless(
        "HTTP/1.1 100 Continue\r\n\r\n",
        "",
        Duration::from_millis(1),
    )
    .await;
    let session = server.client().session(Bounds {
        first_byte: SHORT,
        ..Bounds::default()
    });
    let error = send(&session, &server.url("/")).await.unwrap_err();
    assert_eq!(phase(&error), Phase::FirstByte);
}

#[tokio::test]
async fn a_body_that_stalls_times_out() {
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
            .await
            .unwrap();
        forever().await;
    })
    .await;
    let session = server.client().session(Bounds {
        between_bytes: SHORT,
        ..Bounds::default()
    });
    let error = get(&session, &server.url("/")).await.unwrap_err();
    assert_eq!(phase(&error), Phase::BetweenBytes);
    let [exchange] = session.exchanges().try_into().unwrap();
    assert_eq!(exchange.bytes, 3);
}

#[tokio::test]
async fn a_byte_at_a_time_is_ended_by_the_total() {
    let start = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
    let server = endless("x", start, Duration::from_millis(2)).await;
    let bounds = Bounds {
        total: SHORT * 3,
        ..Bounds::default()
    };
    let error = get(&server.client().session(bounds), &server.url("/"))
        .await
        .unwrap_err();
    assert_eq!(phase(&error), Phase::Total);
}

#[tokio::test]
async fn a_reader_that_takes_its_time_is_not_timed_out() {
    let server = Server::answering(ok(&"x".repeat(3_000_000))).await;
    let session = server.client().session(Bounds {
        between_bytes: SHORT * 10,
        ..Bounds::default()
    });
    let mut body = send(&session, &server.url("/")).await.unwrap().into_body();
    let mut bytes = body
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap()
        .len();
    tokio::time::sleep(SHORT * 20).await;
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(bytes, 3_000_000);
}

#[tokio::test]
async fn the_total_covers_all_requests_of_a_session() {
    let server = Server::answering(ok("x")).await;
    let session = server.client().session(Bounds {
        total: SHORT * 10,
        ..Bounds::default()
    });
    get(&session, &server.url("/")).await.unwrap();
    tokio::time::sleep(SHORT * 10).await;
    let error = send(&session, &server.url("/")).await.unwrap_err();
    assert_eq!(phase(&error), Phase::Total);
}

#[tokio::test]
async fn a_guest_only_shortens() {
    let server = Server::start(|stream| async move {
        let _open = stream;
        forever().await;
    })
    .await;
    let session = server.client().session(Bounds {
        first_byte: SHORT,
        ..Bounds::default()
    });
    let asked = Asked {
        first_byte: Some(Duration::from_secs(9999)),
        ..Asked::default()
    };
    let error = session
        .send(request(&server.url("/")), asked)
        .await
        .unwrap_err();
    assert_eq!(phase(&error), Phase::FirstByte);

    let session = server.session();
    let asked = Asked {
        first_byte: Some(SHORT),
        ..Asked::default()
    };
    let error = session
        .send(request(&server.url("/")), asked)
        .await
        .unwrap_err();
    assert_eq!(phase(&error), Phase::FirstByte);
}

#[tokio::test]
async fn reading_stops_at_the_cap_and_the_connection_ends() {
    let start = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = std::sync::Mutex::new(Some(tell));
    let server = Server::start(move |mut stream| {
        let tell = tell.lock().unwrap().take().unwrap();
        async move {
            read_head(&mut stream).await;
            stream.write_all(start.as_bytes()).await.unwrap();
            let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
            let mut sent = 0_u64;
            while stream.write_all(chunk.as_bytes()).await.is_ok() {
                sent += 1024;
            }
            tell.send(sent).unwrap();
        }
    })
    .await;
    let limit = 1_000_000;
    let session = server.client().session(Bounds {
        response_bytes: limit,
        ..Bounds::default()
    });
    let error = get(&session, &server.url("/")).await.unwrap_err();
    assert!(
        matches!(error, Error::ResponseTooLarge { limit: 1_000_000 }),
        "{error:?}"
    );
    let [exchange] = session.exchanges().try_into().unwrap();
    assert!(exchange.bytes <= limit);
    // The server notices: beyond the cap it got rid of what fits into buffers, no more.
    let sent = told.await.unwrap();
    assert!(sent < 64 * 1024 * 1024, "{sent}");
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_passes_and_the_cap_is_the_sessions() {
    let server = Server::answering(ok("0123456789")).await;
    let session = server.client().session(Bounds {
        response_bytes: 20,
        ..Bounds::default()
    });
    get(&session, &server.url("/")).await.unwrap();
    get(&session, &server.url("/")).await.unwrap();
    let error = get(&session, &server.url("/")).await.unwrap_err();
    assert!(
        matches!(error, Error::ResponseTooLarge { limit: 20 }),
        "{error:?}"
    );
}

#[tokio::test]
async fn endless_headers_are_too_large() {
    for (piece, start) in [
        (
            "x: 0123456789abcdef0123456789abcdef\r\n",
            "HTTP/1.1 200 OK\r\n",
        ),
        (
            "0123456789abcdef0123456789abcdef0123456789abcdef",
            "HTTP/1.1 200 OK\r\nx: ",
        ),
    ] {
        let server = endless(piece, start, Duration::ZERO).await;
        let error = send(&server.session(), &server.url("/")).await.unwrap_err();
        let limit = Bounds::default().header_bytes;
        assert!(
            matches!(error, Error::HeadersTooLarge { limit: told } if told == limit),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn headers_over_the_sessions_bound_are_too_large() {
    let value = "x".repeat(2000);
    let answer = format!("HTTP/1.1 200 OK\r\na: {value}\r\ncontent-length: 0\r\n\r\n");
    let server = Server::answering(answer).await;
    let session = server.client().session(Bounds {
        header_bytes: 2000,
        ..Bounds::default()
    });
    let error = send(&session, &server.url("/")).await.unwrap_err();
    assert!(
        matches!(error, Error::HeadersTooLarge { limit: 2000 }),
        "{error:?}"
    );
    send(&server.session(), &server.url("/")).await.unwrap();
}

#[tokio::test]
async fn dropping_the_answer_closes_the_connection() {
    let (tell, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let tell = tell.clone();
        async move {
            read_head(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
                .await
                .unwrap();
            let _ = stream.read_u8().await;
            tell.send(()).unwrap();
        }
    })
    .await;
    let session = server.session();
    drop(send(&session, &server.url("/")).await.unwrap());
    closed.recv().await.unwrap();
}

#[tokio::test]
async fn dropping_the_request_closes_the_connection() {
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let tell = tell.clone();
        async move {
            read_head(&mut stream).await;
            tell.send("asked").unwrap();
            let _ = stream.read_u8().await;
            tell.send("closed").unwrap();
        }
    })
    .await;
    let session = server.session();
    let url = server.url("/");
    tokio::select! {
        answer = send(&session, &url) => panic!("{:?}", answer.map(|_| ())),
        what = heard.recv() => assert_eq!(what, Some("asked")),
    }
    assert_eq!(heard.recv().await, Some("closed"));
}

#[tokio::test]
async fn bounds_that_no_clock_can_hold_are_no_bounds() {
    let server = Server::answering(ok("x")).await;
    let max = Duration::MAX;
    let bounds = Bounds {
        resolve: max,
        connect: max,
        tls: max,
        first_byte: max,
        between_bytes: max,
        total: max,
        response_bytes: u64::MAX,
        header_bytes: usize::MAX,
        requests: usize::MAX,
    };
    get(&server.client().session(bounds), &server.url("/"))
        .await
        .unwrap();
}

#[tokio::test]
async fn endless_trailers_are_no_answer() {
    let start = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n";
    let server = endless(
        "x: 0123456789abcdef0123456789abcdef\r\n",
        start,
        Duration::ZERO,
    )
    .await;
    let session = server.session();
    get(&session, &server.url("/")).await.unwrap_err();
    let [exchange] = session.exchanges().try_into().unwrap();
    assert_eq!((exchange.bytes, exchange.complete), (1, false));
}

#[tokio::test]
async fn a_million_tiny_chunks_are_one_small_body() {
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let start = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(start.as_bytes()).await.unwrap();
        let some = "1\r\nx\r\n".repeat(1000);
        for _ in 0..1000 {
            stream.write_all(some.as_bytes()).await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await;
    let session = server.session();
    let mut body = send(&session, &server.url("/")).await.unwrap().into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(bytes, 1_000_000);
    let [exchange] = session.exchanges().try_into().unwrap();
    assert_eq!((exchange.bytes, exchange.complete), (1_000_000, true));
}

#[tokio::test]
async fn tls_that_is_never_finished_times_out() {
    let server = Server::start(|stream| async move {
        let _open = stream;
        forever().await;
    })
    .await;
    let session = server.client().session(Bounds {
        tls: SHORT,
        ..Bounds::default()
    });
    let url = format!("https://{}/", server.address);
    let error = send(&session, &url).await.unwrap_err();
    // A machine without roots trusts nobody, and does not begin.
    assert!(
        matches!(
            error,
            Error::Roots { .. }
                | Error::TimedOut {
                    phase: Phase::Tls,
                    ..
                }
        ),
        "{error:?}"
    );
}
