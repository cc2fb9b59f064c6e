//! The narrow door to `wasi:http`: one request, its head, and its body in chunks.
//!
//! What goes wrong below HTTP is told apart here once, by what a caller can do about
//! it: wait (`timed-out`), check name and network (`unreachable`), ask the operator
//! (`denied`), raise a cap (`too-large`).

use crate::bindings::exports::watchbell::detections::source::{Error, Failure, Stage, TooLarge};
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    Scheme, http_error_code,
};
use crate::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::url::Base;

/// Bytes asked for at a time. Hosts hand out what one read of the connection gave,
/// at most some 100 KiB, so more would only reserve memory.
const CHUNK: u64 = 256 * 1024;

/// Most bytes that `wasi:io` takes in one `blocking-write-and-flush`.
const WRITE: usize = 4096;

/// What to send.
pub(crate) struct Request<'a> {
    /// Which of the two conversations it belongs to.
    pub(crate) stage: Stage,
    /// GET without a body, POST with one.
    pub(crate) body: Option<&'a str>,
    /// Where to.
    pub(crate) base: &'a Base,
    /// Path and query.
    pub(crate) target: &'a str,
    /// Header names in lower case, with their values.
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    /// Which conversation it belongs to.
    pub(crate) stage: Stage,
    /// The HTTP status.
    pub(crate) status: u16,
    head: IncomingResponse,
}

/// Sends one request and waits for the answer's head. Redirects are not followed.
pub(crate) fn send(request: &Request<'_>) -> Result<Answer, Error> {
    let stage = request.stage;
    let fault = |what: &str| Error::Other(format!("the host refused {what}"));
    let length = request.body.map(|body| body.len().to_string());
    let length = length.as_deref().map(|length| ("content-length", length));
    let headers: Vec<_> = request
        .headers
        .iter()
        .copied()
        .chain(length)
        .map(owned)
        .collect();
    let headers = Fields::from_list(&headers).map_err(|_| {
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        fault(&format!("one of the headers {}", names.join(", ")))
    })?;
    let outgoing = OutgoingRequest::new(headers);
    let method = if request.body.is_some() {
        Method::Post
    } else {
        Method::Get
    };
    let scheme = if request.base.tls {
        Scheme::Https
    } else {
        Scheme::Http
    };
    outgoing
        .set_method(&method)
        .map_err(|()| fault("the method"))?;
    outgoing
        .set_scheme(Some(&scheme))
        .map_err(|()| fault("the scheme"))?;
    outgoing
        .set_authority(Some(&request.base.authority))
        .map_err(|()| fault("the authority"))?;
    outgoing
        .set_path_with_query(Some(request.target))
        .map_err(|()| fault("the path"))?;
    let body = outgoing.body().map_err(|()| fault("the body"))?;
    let future = outgoing_handler::handle(outgoing, None).map_err(|e| lost(stage, e))?;
    // A peer that hangs up while the body is sent shows in the answer, with a reason.
    let _ = write_all(body, request.body.unwrap_or_default().as_bytes());
    loop {
        if let Some(ready) = future.get() {
            let answer = ready.map_err(|()| Error::Other("the answer was taken twice".into()))?;
            let head = answer.map_err(|e| lost(stage, e))?;
            return Ok(Answer {
                stage,
                status: head.status(),
                head,
            });
        }
        future.subscribe().block();
    }
}

fn owned((name, value): (&str, &str)) -> (String, Vec<u8>) {
    (name.to_owned(), value.into())
}

impl Answer {
    /// A header's first value, when it is text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values = self.head.headers().get(name);
        values
            .into_iter()
            .next()
            .and_then(|value| String::from_utf8(value).ok())
    }

    /// Reads the body to its end, chunk by chunk, and stops with `too-large` at
    /// `max_bytes`.
    pub(crate) fn read(&self, max_bytes: u64, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        let over = || {
            Error::TooLarge(TooLarge {
                stage: self.stage,
                limit: max_bytes,
            })
        };
        let announced = self
            .header("content-length")
            .and_then(|text| text.parse::<u64>().ok());
        if announced.is_some_and(|length| length > max_bytes) {
            return Err(over());
        }
        let body = self.take_body()?;
        let stream = body
            .stream()
            .map_err(|()| Error::Other("the body was taken twice".into()))?;
        let mut left = max_bytes;
        while let Some(chunk) = next(self.stage, &stream, CHUNK.min(left.saturating_add(1)))? {
            left = left.checked_sub(chunk.len() as u64).ok_or_else(over)?;
            each(&chunk);
        }
        Ok(())
    }

    /// The body's first `most` bytes, of what may be words about a refusal: a fault
    /// while reading them is no news.
    pub(crate) fn read_some(&self, most: usize) -> Vec<u8> {
        let mut words = Vec::new();
        if let Ok(body) = self.take_body()
            && let Ok(stream) = body.stream()
        {
            while words.len() < most
                && let Ok(Some(chunk)) = next(self.stage, &stream, (most - words.len()) as u64)
            {
                words.extend_from_slice(&chunk);
            }
        }
        words
    }

    fn take_body(&self) -> Result<IncomingBody, Error> {
        self.head
            .consume()
            .map_err(|()| Error::Other("the body was taken twice".into()))
    }
}

fn next(stage: Stage, stream: &InputStream, most: u64) -> Result<Option<Vec<u8>>, Error> {
    match stream.blocking_read(most) {
        Ok(chunk) => Ok(Some(chunk)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => Err(match http_error_code(&error) {
            Some(code) => lost(stage, code),
            None => Error::Unreachable(Failure {
                stage,
                message: "the connection broke".into(),
            }),
        }),
    }
}

fn write_all(body: OutgoingBody, bytes: &[u8]) -> Result<(), StreamError> {
    if let Ok(stream) = body.write() {
        for part in bytes.chunks(WRITE) {
            stream.blocking_write_and_flush(part)?;
        }
    }
    let _ = OutgoingBody::finish(body, None);
    Ok(())
}

/// Sorts what `wasi:http` reports by what a caller can do about it.
fn lost(stage: Stage, code: ErrorCode) -> Error {
    let failure = |message: String| Failure { stage, message };
    let told = |what: &str| failure(what.to_owned());
    match code {
        ErrorCode::DnsTimeout => Error::TimedOut(told("resolving the name took too long")),
        ErrorCode::ConnectionTimeout => Error::TimedOut(told("connecting took too long")),
        ErrorCode::ConnectionReadTimeout => Error::TimedOut(told("the next bytes took too long")),
        ErrorCode::ConnectionWriteTimeout => Error::TimedOut(told("sending took too long")),
        ErrorCode::HttpResponseTimeout => Error::TimedOut(told("the answer took too long")),
        ErrorCode::HttpRequestDenied => Error::Denied(told("the host's policy denies the request")),
        ErrorCode::DestinationIpProhibited => Error::Denied(told(
            "the host's policy denies the address that the name has",
        )),
        ErrorCode::DnsError(payload) => Error::Unreachable(failure(format!(
            "the name does not resolve{}",
            payload
                .rcode
                .map(|code| format!(" ({code})"))
                .unwrap_or_default()
        ))),
        ErrorCode::ConnectionRefused => Error::Unreachable(told("the connection was refused")),
        ErrorCode::ConnectionTerminated => Error::Unreachable(told("the connection was closed")),
        ErrorCode::HttpResponseIncomplete => {
            Error::Unreachable(told("the connection was closed before the body's end"))
        }
        ErrorCode::TlsCertificateError => {
            Error::Unreachable(told("TLS: the server's certificate is not trusted"))
        }
        ErrorCode::TlsProtocolError => Error::Unreachable(told("TLS: the handshake failed")),
        ErrorCode::TlsAlertReceived(alert) => Error::Unreachable(failure(format!(
            "TLS: the server refused the handshake{}",
            alert
                .alert_message
                .map(|text| format!(" ({text})"))
                .unwrap_or_default()
        ))),
        ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionLimitReached => {
            Error::Unreachable(told("the destination cannot be reached"))
        }
        ErrorCode::HttpResponseBodySize(limit) => Error::TooLarge(TooLarge {
            stage,
            limit: limit.unwrap_or_default(),
        }),
        ErrorCode::HttpResponseHeaderSectionSize(limit) => Error::TooLarge(TooLarge {
            stage,
            limit: limit.unwrap_or_default().into(),
        }),
        ErrorCode::HttpResponseContentCoding(_) => {
            Error::Other("the answer is compressed, which nobody asked for".to_owned())
        }
        ErrorCode::HttpProtocolError => Error::Other("the server's answer is not HTTP".to_owned()),
        other => Error::Other(format!("wasi:http: {other:?}")),
    }
}
