//! The guest's HTTP, handed to egress.
//!
//! `wasi:http` asks its embedder for `send_request`; this is it, and the only one in
//! the program: wasmtime-wasi-http is built without a transport of its own. The
//! Authorization header is added here, after the guest let go of the request, so that
//! the instance which parses the answer never holds the token. It is added to one
//! request only: a GET for the scheme, host, port and path that were configured.

use crate::state::Online;
use http::header::{self, AUTHORIZATION, HeaderValue};
use http::{HeaderName, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use std::fmt;
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, IoError};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, Result, WasiBody,
    WasiHttpHooks,
};
use watchbell_egress::{Asked, Error as Fault, Phase, Session, TlsFault};
use zeroize::Zeroizing;

/// A bearer token, and the one request that may carry it.
#[derive(Clone)]
pub struct Authorization {
    target: Uri,
    value: Arc<Zeroizing<String>>,
}

impl Authorization {
    /// `token` for a GET of `target`, an absolute URL whose query does not count.
    #[must_use]
    pub fn bearer(target: Uri, token: &str) -> Self {
        Self {
            target,
            value: Arc::new(Zeroizing::new(format!("Bearer {token}"))),
        }
    }

    fn fits(&self, method: &Method, url: &Uri) -> bool {
        method == Method::GET
            && url.scheme() == self.target.scheme()
            && url.authority() == self.target.authority()
            && url.path() == self.target.path()
    }

    fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&self.value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorization(*** for {})", self.target.path())
    }
}

type Sending<T> = Box<dyn Future<Output = T> + Send>;

/// One call's door to the network.
pub(crate) struct Hooks {
    session: Session,
    authorization: Option<Authorization>,
}

impl Hooks {
    pub(crate) fn new(session: Session, authorization: Option<Authorization>) -> Self {
        Self {
            session,
            authorization,
        }
    }
}

/// Headers that a guest may not set, beside wasmtime's (Host, Connection, Keep-Alive,
/// Transfer-Encoding, Upgrade and those of proxies). Each would change what the
/// connection or a proxy does, ask for an answer that nobody here decodes, or speak for
/// somebody else. A Content-Length that does not match its body is refused by wasmtime.
const FORBIDDEN: [HeaderName; 8] = [
    AUTHORIZATION,
    header::ACCEPT_ENCODING,
    header::COOKIE,
    header::EXPECT,
    header::FORWARDED,
    header::TE,
    header::TRAILER,
    header::VIA,
];

/// Families of such headers.
const FORBIDDEN_PREFIXES: [&str; 2] = ["proxy-", "x-forwarded-"];

fn is_forbidden(name: &HeaderName) -> bool {
    FORBIDDEN.contains(name)
        || DEFAULT_FORBIDDEN_HEADERS.contains(name)
        || FORBIDDEN_PREFIXES
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix))
}

/// Bytes of a request's body that wasi:http takes in one write, and keeps twice while
/// the request is not sent. A source sends a form of some hundred bytes.
const BODY_CHUNK: usize = 16 * 1024;

impl WasiHttpHooks for Hooks {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Sending<Result<(), Error>>,
    ) -> Sending<Result<(Response<WasiBody>, Sending<Result<(), Error>>)>> {
        let session = self.session.clone();
        if let Some(own) = &self.authorization
            && own.fits(request.method(), request.uri())
            && let Some(value) = own.header()
        {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let asked = options.map_or_else(Asked::default, |options| Asked {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        });
        Box::new(async move {
            let request = request.map(|body| body.map_err(|error| Sent(error.to_string())));
            let answer = session
                .send(request, asked)
                .await
                .map_err(|fault| told(&fault))?;
            let answer = answer.map(|body| body.map_err(|fault| told(&fault)).boxed_unsync());
            let done: Sending<Result<(), Error>> = Box::new(async { Ok(()) });
            Ok((answer, done))
        })
    }
}

/// A request body that the guest did not finish. `wasi:http`'s own error is not one
/// that can be passed on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Sent(String);

/// What the guest is told: the case, without addresses or the policy's rules. The host
/// reads the rest from the session.
fn told(fault: &Fault) -> Error {
    match fault {
        Fault::Denied(_) | Fault::TooManyRequests { .. } | Fault::TooManyAtOnce { .. } => {
            Error::HttpRequestDenied
        }
        Fault::Dns { .. } => Error::DnsError {
            rcode: None,
            info_code: None,
        },
        Fault::Connect { .. } | Fault::Proxy { .. } => Error::ConnectionRefused,
        Fault::Tls {
            fault: TlsFault::Certificate,
            ..
        }
        | Fault::Roots { .. } => Error::TlsCertificateError,
        Fault::Tls {
            fault: TlsFault::Alert,
            ..
        } => Error::TlsAlertReceived {
            alert_id: None,
            alert_message: None,
        },
        Fault::Tls { .. } => Error::TlsProtocolError,
        Fault::TimedOut {
            phase: Phase::Resolve,
            ..
        } => Error::DnsTimeout,
        Fault::TimedOut {
            phase: Phase::Connect | Phase::Socket | Phase::Tls,
            ..
        } => Error::ConnectionTimeout,
        Fault::TimedOut {
            phase: Phase::BetweenBytes,
            ..
        } => Error::ConnectionReadTimeout,
        Fault::TimedOut { .. } => Error::HttpResponseTimeout,
        Fault::ResponseTooLarge { limit } => Error::HttpResponseBodySize(Some(*limit)),
        Fault::HeadersTooLarge { limit } => {
            Error::HttpResponseHeaderSectionSize(u32::try_from(*limit).ok())
        }
        Fault::Encoded { encoding } => Error::HttpResponseContentCoding(Some(encoding.clone())),
        Fault::Closed { .. } => Error::ConnectionTerminated,
        Fault::Incomplete { .. } => Error::HttpResponseIncomplete,
        Fault::Protocol { .. } => Error::HttpProtocolError,
        _ => Error::InternalError(None),
    }
}

/// Where wasmtime-wasi-http 48 puts the interface that guests import as 0.2.0.
const TYPES: &str = "wasi:http/types@0.2.12";

/// Replaces `http-error-code`, by which a guest learns why a body broke off. The one of
/// wasmtime-wasi-http 48 looks for an error of another type than its own body streams
/// report, and so always answers "none": a slow body could not be told from a cut one.
pub(crate) fn tell_body_errors(linker: &mut Linker<Online>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance(TYPES)?.func_wrap(
        "http-error-code",
        |store: StoreContextMut<'_, Online>, (error,): (Resource<IoError>,)| {
            let error = store.data().table.get(&error)?;
            Ok((error.downcast_ref().and_then(code),))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The cases of [`told`] that can end a body.
fn code(error: &Error) -> Option<ErrorCode> {
    Some(match error {
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        Error::HttpResponseBodySize(limit) => ErrorCode::HttpResponseBodySize(*limit),
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::HttpResponseTimeout => ErrorCode::HttpResponseTimeout,
        _ => return None,
    })
}
