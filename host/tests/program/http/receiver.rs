//! Somebody else's server: it takes what is sent to it, as a test tells it to.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A request that was answered.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    /// Decompressed.
    pub(super) body: String,
    pub(super) status: StatusCode,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What is answered: a status, headers and a body.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            ..Self::default()
        }
    }
}

type Decide = Box<dyn Fn(&Method, &HeaderMap, &str) -> Answer + Send>;

struct Shared {
    decide: Mutex<Decide>,
    received: Mutex<Vec<Received>>,
}

/// It is there until the process ends.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    /// Takes everything.
    pub(super) fn start() -> Self {
        RUNTIME.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let shared = Arc::new(Shared {
                decide: Mutex::new(Box::new(|_, _, _| Answer::default())),
                received: Mutex::default(),
            });
            let of_server = Arc::clone(&shared);
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let shared = Arc::clone(&of_server);
                    let answer = service_fn(move |request| take(Arc::clone(&shared), request));
                    tokio::spawn(async move {
                        let _ = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), answer)
                            .await;
                    });
                }
            });
            Self { address, shared }
        })
    }

    /// From now on it answers so.
    pub(super) fn answer(
        &self,
        decide: impl Fn(&Method, &HeaderMap, &str) -> Answer + Send + 'static,
    ) {
        *self.shared.decide.lock().unwrap() = Box::new(decide);
    }

    /// What it has got, health checks left out.
    pub(super) fn received(&self) -> Vec<Received> {
        let all = self.shared.received.lock().unwrap();
        let sent = all.iter().filter(|one| one.method != Method::HEAD);
        sent.cloned().collect()
    }

    pub(super) fn health_checks(&self) -> usize {
        let all = self.shared.received.lock().unwrap();
        all.iter().filter(|one| one.method == Method::HEAD).count()
    }

    /// What it took, one after the other.
    pub(super) fn taken(&self) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|one| one.status.is_success());
        received
    }
}

async fn take(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(Response::new(Full::default()));
    };
    let encoding = head.headers.get("content-encoding");
    let body = decompressed(encoding.map(http::HeaderValue::as_bytes), &body.to_bytes());
    let answer = shared.decide.lock().unwrap()(&head.method, &head.headers, &body);
    shared.received.lock().unwrap().push(Received {
        method: head.method,
        headers: head.headers,
        body,
        status: answer.status,
    });
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(answer.body.into())).unwrap())
}

fn decompressed(encoding: Option<&[u8]>, bytes: &[u8]) -> String {
    let bytes = match encoding {
        None => bytes.to_vec(),
        Some(b"gzip") => {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(bytes)
                .read_to_end(&mut plain)
                .unwrap();
            plain
        }
        Some(b"zstd") => zstd::bulk::decompress(bytes, 64 << 20).unwrap(),
        other => panic!("{other:?}"),
    };
    String::from_utf8(bytes).unwrap()
}
