//! Events sent to any URL.
//!
//! At least once: whether a request was taken whose answer was lost cannot be known, so it
//! is sent again, with the same idempotency key where the other side has a header for one.

mod answer;
mod body;
mod settings;

pub(crate) use settings::Settings;

use super::{
    Acknowledged, Batch, BatchLimits, Checkpoint, DeliveryError, Sink, SinkConfig, SinkContext,
    SinkFactory, is_json,
};
use crate::component::{BuildError, ComponentConfig, ComponentSettings, SettingPaths};
use answer::Answer;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{Empty, Full};
use ipnet::IpNet;
use settings::{Auth, AuthStrategy, FramingMethod, SinkUrl};
use sha2::{Digest, Sha256};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use watchbell_egress::{Asked, Bounds, Client, HostPattern, Policy};
use watchbell_secrets::{Redactor, Secret, SecretError, SecretLocation, Secrets};
use watchbell_settings::{KeyPath, Report};

/// Events of one request. An answer to more of them would say less about each.
const MAX_EVENTS: usize = 1000;

/// Bytes of one request before compression: most servers take 1 MiB.
const MAX_BYTES: usize = 1_000_000;

/// How long an event waits for others, as in Vector.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Bytes of an answer that are read: enough for what is wrong.
const ANSWER_BYTES: u64 = 64 << 10;

/// Where receivers usually are: on this machine or in one's own network. Who writes the URL
/// is the operator, but what its name leads to is not always theirs: other special
/// addresses, those of metadata services among them, are refused.
const USUAL_ADDRESSES: [&str; 7] = [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

impl ComponentSettings for Settings {
    const TYPE: &'static str = "http";
    const PATHS: SettingPaths = &[
        &["tls", "ca_file"],
        &["tls", "crt_file"],
        &["tls", "key_file"],
    ];
    const SECRETS: SettingPaths = &[
        &["auth", "password"],
        &["auth", "token"],
        &["auth", "value"],
    ];
}

impl ComponentConfig for Settings {
    fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        Settings::check(self, path, report);
    }

    fn files(&self) -> Vec<PathBuf> {
        self.tls.files().cloned().collect()
    }

    fn secrets(&self) -> Vec<SecretLocation> {
        self.auth.iter().flat_map(Auth::secrets).cloned().collect()
    }
}

impl SinkConfig for Settings {
    fn build(&self, context: &SinkContext<'_>) -> Result<Arc<dyn SinkFactory>, BuildError> {
        let framing = self.framing.method;
        let format = &context.format.content_type;
        if framing == FramingMethod::JsonArray && !is_json(format) {
            let words =
                format!("json_array goes with events that are JSON, and these are {format}");
            return Err(BuildError::new("framing.method", words));
        }
        let ranges: Vec<IpNet> = match &self.egress.allow_addresses {
            Some(ranges) => ranges.iter().map(|range| range.0).collect(),
            None => USUAL_ADDRESSES
                .iter()
                .filter_map(|range| range.parse().ok())
                .collect(),
        };
        let urls = std::iter::once(&self.uri).chain(&self.healthcheck.uri);
        let hosts = urls.map(|url| HostPattern::exactly(url.target.host.clone(), url.target.port));
        let policy = Policy::new(hosts, ranges);
        policy
            .judge_url(&self.uri.uri)
            .map_err(|error| BuildError::new("uri", error))?;
        let client = context
            .egress
            .client_through(policy, &self.tls.tls(), context.proxies)
            .map_err(|error| BuildError::new("tls", error))?;
        Ok(Arc::new(HttpFactory(Arc::new(Shared {
            headers: self.headers(format),
            settings: self.clone(),
            client,
            secrets: context.secrets.clone(),
            redactor: Redactor::default(),
            is_secret_refused: AtomicBool::new(false),
        }))))
    }
}

impl Settings {
    /// What each request has, whatever is in it.
    fn headers(&self, format: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let agent = concat!("watchbell/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if let Some(value) = body::content_type(format, self.framing.method) {
            headers.insert(CONTENT_TYPE, value);
        }
        if let Some(value) = body::encoding(self.compression) {
            headers.insert(CONTENT_ENCODING, value);
        }
        for (name, content) in &self.request.headers {
            headers.insert(name.0.clone(), content.0.clone());
        }
        headers
    }

    fn method(&self) -> Method {
        match self.method {
            settings::Method::Post => Method::POST,
            settings::Method::Put => Method::PUT,
            settings::Method::Patch => Method::PATCH,
        }
    }
}

struct HttpFactory(Arc<Shared>);

#[async_trait]
impl SinkFactory for HttpFactory {
    fn open(&self, _: Option<&str>, _: Option<&[u8]>) -> Box<dyn Sink> {
        Box::new(HttpSink(Arc::clone(&self.0)))
    }

    fn batch_limits(&self) -> Option<BatchLimits> {
        let batch = &self.0.settings.batch;
        let max_events = match self.0.settings.framing.method {
            FramingMethod::None => 1,
            _ => batch.max_events.map_or(MAX_EVENTS, NonZeroUsize::get),
        };
        let max_bytes = batch.max_bytes.map(|size| size.0);
        Some(BatchLimits {
            max_events,
            max_bytes: max_bytes.map_or(MAX_BYTES, |size| {
                usize::try_from(size).unwrap_or(usize::MAX)
            }),
            max_age: batch.timeout_secs.map_or(MAX_AGE, |time| time.0),
        })
    }

    /// Asks with HEAD, so that nothing is delivered.
    async fn healthcheck(&self) -> Result<(), DeliveryError> {
        let shared = &self.0;
        let check = &shared.settings.healthcheck;
        if !check.enabled {
            return Ok(());
        }
        let url = check.uri.as_ref().unwrap_or(&shared.settings.uri);
        let answer = shared.ask(url).await?;
        answer.check_health(check.uri.is_some())
    }
}

/// What every request needs.
struct Shared {
    settings: Settings,
    headers: HeaderMap,
    client: Client,
    secrets: Secrets,
    redactor: Redactor,
    /// The secret may be another one by now.
    is_secret_refused: AtomicBool,
}

struct HttpSink(Arc<Shared>);

#[async_trait]
impl Sink for HttpSink {
    async fn deliver(
        &mut self,
        batch: &Arc<Batch>,
        _: &Checkpoint,
    ) -> Result<Acknowledged, DeliveryError> {
        let (shared, batch) = (Arc::clone(&self.0), Arc::clone(batch));
        let framing = shared.settings.framing.method;
        let compression = shared.settings.compression;
        let key = shared.idempotency_key(&batch);
        let packing = tokio::task::spawn_blocking(move || {
            body::compress(body::of(&batch, framing), compression)
        });
        let body = packing.await?.map_err(DeliveryError::retry)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = shared.settings.method();
        *request.headers_mut() = shared.headers.clone();
        request.headers_mut().extend(key);
        shared.send(request, &shared.settings.uri).await?.outcome()
    }
}

/// Secrets that cannot be sent.
#[derive(Debug, thiserror::Error)]
enum AuthError {
    #[error("auth: {0}")]
    Secret(#[from] SecretError),
    #[error("auth: the secret holds what no header may")]
    NotAHeader,
}

impl Shared {
    async fn ask(&self, url: &SinkUrl) -> Result<Answer, DeliveryError> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::HEAD;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().remove(CONTENT_TYPE);
        request.headers_mut().remove(CONTENT_ENCODING);
        self.send(request, url).await
    }

    async fn send<B>(&self, mut request: Request<B>, url: &SinkUrl) -> Result<Answer, DeliveryError>
    where
        B: http_body::Body<Data = bytes::Bytes, Error = std::convert::Infallible> + Send + 'static,
    {
        *request.uri_mut() = url.uri.clone();
        if let Some(auth) = &self.settings.auth {
            let (name, value) = self.credential(auth).await.map_err(DeliveryError::retry)?;
            request.headers_mut().insert(name, value);
        }
        let timeout = self.settings.request.timeout();
        let session = self.client.session(Bounds {
            first_byte: timeout,
            total: timeout,
            response_bytes: ANSWER_BYTES,
            ..Bounds::default()
        });
        let answer = session.send(request, Asked::default()).await;
        let answer = Answer::read(answer.map_err(DeliveryError::retry)?, &self.redactor).await;
        let is_refused = answer.refuses_secret();
        self.is_secret_refused.store(is_refused, Ordering::Relaxed);
        Ok(answer)
    }

    /// The header that proves who is sending, with the secret of now.
    async fn credential(&self, auth: &Auth) -> Result<(HeaderName, HeaderValue), AuthError> {
        let (name, text) = match auth.strategy {
            AuthStrategy::Basic => {
                let password = self.secret(auth.password.as_ref()).await?;
                let user = auth.user.as_deref().unwrap_or_default();
                let both = Secret::new(STANDARD.encode(format!("{user}:{}", password.expose())));
                self.redactor.learn(&both);
                (AUTHORIZATION, format!("Basic {}", both.expose()))
            }
            AuthStrategy::Bearer => {
                let token = self.secret(auth.token.as_ref()).await?;
                (AUTHORIZATION, format!("Bearer {}", token.expose()))
            }
            AuthStrategy::Header => {
                let value = self.secret(auth.value.as_ref()).await?;
                let name = auth.header.as_ref().map(|name| name.0.clone());
                (name.unwrap_or(AUTHORIZATION), value.expose().to_owned())
            }
        };
        let text = zeroize::Zeroizing::new(text);
        let mut value = HeaderValue::from_str(&text).map_err(|_| AuthError::NotAHeader)?;
        value.set_sensitive(true);
        Ok((name, value))
    }

    async fn secret(&self, location: Option<&SecretLocation>) -> Result<Secret, AuthError> {
        let location = location.ok_or(AuthError::NotAHeader)?;
        let anew = self.is_secret_refused.load(Ordering::Relaxed);
        let secret = self.secrets.get(location, anew).await?;
        self.redactor.learn(&secret);
        Ok(secret)
    }

    /// The same each time that these events are sent.
    fn idempotency_key(&self, batch: &Batch) -> Option<(HeaderName, HeaderValue)> {
        let name = self.settings.request.idempotency_header.as_ref()?;
        let mut digest = Sha256::new();
        for event in &batch.events {
            digest.update(event.idempotency_key());
            digest.update(b"\n");
        }
        let text: String = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Some((name.0.clone(), HeaderValue::from_str(&text).ok()?))
    }
}
