//! Serving metrics to whoever asks, bounded: who asks may be anybody, and the process has
//! better use for its files, its memory and its time.
//!
//! A connection has one request and 15 seconds, 5 of them for its headers, which may have
//! 8 KiB. There are 16 connections at most: the next one takes the place of the oldest, so
//! that 16 that say nothing keep nobody out. The text is made once a second at most.

use super::Accepting;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Connections at one time.
const CONNECTIONS: usize = 16;

/// How long a request's headers may take, and a connection in all.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
const ALL_WITHIN: Duration = Duration::from_secs(15);

/// Bytes and number of a request's headers.
const HEADER_BYTES: usize = 8 << 10;
const HEADERS: usize = 64;

/// How old the text may be.
const FRESH: Duration = Duration::from_secs(1);

/// Serves until it is dropped.
pub(super) async fn metrics(listener: TcpListener, handle: PrometheusHandle) {
    let text = Arc::new(Text {
        handle,
        last: Mutex::new(None),
    });
    let mut accepting = Accepting::new("metrics.listen");
    let mut open = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                accepting.failed(&error).await;
                continue;
            }
        };
        accepting.accepted();
        while open.try_join_next().is_some() {}
        oldest_first.retain(|connection| !connection.is_finished());
        if oldest_first.len() >= CONNECTIONS
            && let Some(oldest) = oldest_first.pop_front()
        {
            oldest.abort();
            // Its file is closed before another is opened.
            open.join_next().await;
        }
        let text = Arc::clone(&text);
        oldest_first.push_back(open.spawn(connection(stream, text)));
    }
}

async fn connection(stream: TcpStream, text: Arc<Text>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &text);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever hangs up, dawdles or talks nonsense has no answer, and that is all.
    let _ = tokio::time::timeout(ALL_WITHIN, connection).await;
}

fn answer(request: &Request<Incoming>, text: &Text) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, text.get()),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "use GET\n".into()),
        _ => (StatusCode::NOT_FOUND, "metrics are at /metrics\n".into()),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = hyper::header::HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// What Prometheus reads.
struct Text {
    handle: PrometheusHandle,
    last: Mutex<Option<(Instant, Bytes)>>,
}

impl Text {
    fn get(&self) -> Bytes {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, text)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return text.clone();
        }
        self.handle.run_upkeep();
        let text = Bytes::from(self.handle.render());
        *last = Some((Instant::now(), text.clone()));
        text
    }
}
