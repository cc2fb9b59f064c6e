//! One guest call's requests: their bounds, and the record of what was seen.
//!
//! A session sends requests over its client's pool, one after the other or side by side.
//! What they share is the total time, the bytes that answers may have together, and the
//! list of exchanges. Dropping the future of a request, or the body of its answer, ends
//! the request and its connection; dropping all of that leaves nothing running.

use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_ENCODING, HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Extensions, Method, Request, Response, Version};
use hyper_util::client::legacy::connect::capture_connection;
use tokio::time::{Instant, timeout_at};

use watchbell_settings::printable;

use super::body::Body;
use super::bounds::{Asked, Bounds, MAX_HEADER_BYTES};
use super::client::{BoxError, Pool};
use super::connector::{CONNECT_LIMITS, Remote};
use super::exchange::{Exchange, Record};
use super::request_body::RequestBody;
use crate::dial::{ConnectionQuota, QuotaPermit, after, within};
use crate::error::{Error, Phase};
use crate::policy::{Denied, Target};

/// Exchanges whose bodies' beginnings are kept: the last eight.
const KEPT_BODIES: usize = 8;

/// One guest call. Clones share it.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Arc<Pool>,
    quota: ConnectionQuota,
    bounds: Bounds,
    deadline: Instant,
    bytes: Arc<AtomicU64>,
    records: Mutex<Vec<Record>>,
}

impl Session {
    pub(super) fn new(pool: Arc<Pool>, quota: ConnectionQuota, bounds: Bounds) -> Self {
        let shared = Shared {
            pool,
            quota,
            bounds,
            deadline: after(Instant::now(), bounds.total),
            bytes: Arc::default(),
            records: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What was seen so far of each request, in the order that they were made, those
    /// that were denied included.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let records = self
            .shared
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        records.iter().map(Record::snapshot).collect()
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    ///
    /// The URL must be absolute. What is sent is the URL as judged: a Host header in the
    /// request is replaced. Redirects are answers; they are not followed. The version of
    /// HTTP is the connection's, the request's is not heeded.
    pub async fn send<B>(&self, request: Request<B>, asked: Asked) -> Result<Response<Body>, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let record = self.open_record(&request)?;
        let bounds = self.shared.bounds.shorten(asked);
        let exchange = self.exchange(request, bounds, &record);
        let total = Error::TimedOut {
            phase: Phase::Total,
            limit: bounds.total,
        };
        let result = timeout_at(self.shared.deadline, exchange)
            .await
            .unwrap_or(Err(total));
        result.inspect_err(|error| record.failed(error.clone()))
    }

    fn open_record<B>(&self, request: &Request<B>) -> Result<Record, Error> {
        let url = match Target::parse(request.uri()) {
            Ok(target) => printable(&format!("{}{}", target.origin(), request.uri().path())),
            Err(_) => "(refused)".to_owned(),
        };
        let mut records = self
            .shared
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let limit = self.shared.bounds.requests;
        if records.len() >= limit {
            return Err(Error::TooManyRequests { limit });
        }
        let record = Record::new(request.method().clone(), url);
        records.push(record.clone());
        let outlived = records.len().checked_sub(KEPT_BODIES + 1);
        if let Some(outlived) = outlived.and_then(|index| records.get(index)) {
            outlived.forget_body();
        }
        Ok(record)
    }

    async fn exchange<B>(
        &self,
        request: Request<B>,
        bounds: Bounds,
        record: &Record,
    ) -> Result<Response<Body>, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let permit = self.shared.quota.acquire()?;
        let pool = &self.shared.pool;
        let mut request = prepare(pool, request, permit.clone())?;
        let mut captured = capture_connection(&mut request);
        let limits = bounds.connect_limits(&self.shared.quota);
        let answer = CONNECT_LIMITS.scope(limits, pool.http.request(request));
        let mut answer = pin!(answer);

        // First until there is a connection, new or pooled, then until there is a head.
        // The dialer bounds its phases itself; the sum only bounds what hyper does
        // around them, e.g. waiting for a connection that another request is making.
        let dialling = bounds
            .resolve
            .saturating_add(bounds.connect.saturating_mul(2))
            .saturating_add(bounds.tls);
        let connected = async {
            tokio::select! {
                biased;
                answer = &mut answer => Some(answer),
                () = note_remote(&mut captured, record) => None,
            }
        };
        let answer = match within(Phase::Connect, dialling, connected).await? {
            Some(answer) => answer,
            None => within(Phase::FirstByte, bounds.first_byte, answer).await?,
        };
        let too_large = Error::HeadersTooLarge {
            limit: bounds.header_bytes.min(MAX_HEADER_BYTES),
        };
        let answer = answer.map_err(|error| match Error::from_client(&error) {
            // hyper's own bound is larger.
            Error::HeadersTooLarge { .. } => too_large.clone(),
            other => other,
        })?;

        let (mut head, body) = answer.into_parts();
        if let Some(Remote(remote)) = head.extensions.get() {
            record.connected(*remote);
        }
        head.extensions = Extensions::new();
        let size: usize = head
            .headers
            .iter()
            .map(|(n, v)| n.as_str().len() + v.len())
            .sum();
        if size > bounds.header_bytes {
            return Err(too_large);
        }
        record.answered(&head);
        is_plain(&head)?;
        let body = Body::new(
            body,
            record.clone(),
            bounds,
            self.shared.deadline,
            Arc::clone(&self.shared.bytes),
            permit,
        );
        Ok(Response::from_parts(head, body))
    }
}

/// Judges a request and puts it into the form that is sent.
fn prepare<B>(
    pool: &Pool,
    request: Request<B>,
    permit: QuotaPermit,
) -> Result<Request<RequestBody>, Error>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = request.into_parts();
    if head.method == Method::CONNECT {
        return Err(Denied::Method {
            method: head.method.to_string(),
        }
        .into());
    }
    let target = pool.dialer.policy().judge_url(&head.uri)?;
    let proxy = pool.dialer.plain_proxy(&target)?;
    if let Some(value) = proxy.and_then(|proxy| proxy.authorization) {
        head.headers.insert(PROXY_AUTHORIZATION, value);
    }
    head.uri = target
        .with_path_of(&head.uri)
        .map_err(|error| Error::Request {
            message: error.to_string(),
        })?;
    head.version = Version::HTTP_11;
    if pool.dialer.is_short_of_sockets() {
        let close = HeaderValue::from_static("close");
        head.headers.insert(CONNECTION, close);
    }
    head.headers.remove(HOST);
    Ok(Request::from_parts(head, RequestBody::new(body, permit)))
}

/// Refuses an answer whose bytes are not the content itself. A refusal's status says
/// enough without its body.
fn is_plain(head: &http::response::Parts) -> Result<(), Error> {
    let encodings = head.headers.get_all(CONTENT_ENCODING);
    let is_plain = |coding: &[u8]| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    };
    let other = encodings
        .iter()
        .find(|value| !value.as_bytes().split(|byte| *byte == b',').all(is_plain));
    match other {
        Some(value) if head.status.is_success() => Err(Error::Encoded {
            encoding: printable(&String::from_utf8_lossy(value.as_bytes())),
        }),
        _ => Ok(()),
    }
}

/// Waits until the request has a connection and writes down to whom.
async fn note_remote(
    captured: &mut hyper_util::client::legacy::connect::CaptureConnection,
    record: &Record,
) {
    let mut extras = Extensions::new();
    if let Some(connected) = captured.wait_for_connection_metadata().await.as_ref() {
        connected.get_extras(&mut extras);
    }
    if let Some(Remote(remote)) = extras.get() {
        record.connected(*remote);
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("bounds", &self.shared.bounds)
            .finish_non_exhaustive()
    }
}
