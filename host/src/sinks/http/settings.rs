//! What a person writes for a `http` sink.

use http::{HeaderName, HeaderValue, Uri};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use watchbell_egress::{ClientCertificate, Target, Tls};
use watchbell_secrets::SecretLocation;
use watchbell_settings::{
    AddressRange, ByteSize, InvalidValue, KeyPath, Report, Seconds, deserialize_from_text,
    json_schemas,
};

/// Sends events to a URL, at least once each.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The URL that events are sent to: https, or http on this machine. User and password go
    /// into `auth`.
    pub(super) uri: SinkUrl,
    /// The method of the requests. Default: post.
    #[serde(default)]
    pub(super) method: Method,
    /// How several events become one body.
    #[serde(default)]
    pub(super) framing: Framing,
    /// What the body is compressed with. Default: none.
    #[serde(default)]
    pub(super) compression: Compression,
    /// What proves to the server who is sending. Default: nothing.
    pub(super) auth: Option<Auth>,
    /// How much is sent at a time.
    #[serde(default)]
    pub(super) batch: Batching,
    /// What each request has beside its body.
    #[serde(default)]
    pub(super) request: RequestSettings,
    /// Which servers are trusted, and the certificate that is shown to them.
    #[serde(default)]
    pub(super) tls: TlsSettings,
    /// What the server is asked at the start.
    #[serde(default)]
    pub(super) healthcheck: Healthcheck,
    /// Which special addresses may be dialled.
    #[serde(default)]
    pub(super) egress: EgressSettings,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Method {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
}

/// How several events become one body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Framing {
    /// How events are framed. Default: newline_delimited.
    #[serde(default)]
    pub(super) method: FramingMethod,
}

/// The same by its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FramingMethod {
    /// Each on a line of its own.
    #[default]
    NewlineDelimited,
    /// As the elements of one JSON array.
    JsonArray,
    /// Each in a request of its own.
    None,
}

/// What a body is compressed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    /// Nothing.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// What proves who is sending.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    /// The kind of credentials.
    pub(super) strategy: AuthStrategy,
    /// The user's name, without a colon. Goes with the strategy `basic`.
    pub(super) user: Option<String>,
    /// The user's password, such as `SECRET[backend.key]`. Goes with the strategy `basic`.
    pub(super) password: Option<SecretLocation>,
    /// The token, such as `SECRET[backend.key]`. Goes with the strategy `bearer`.
    pub(super) token: Option<SecretLocation>,
    /// The name of the header. Goes with the strategy `header`.
    pub(super) header: Option<Name>,
    /// The value of the header, such as `SECRET[backend.key]`. Goes with the strategy `header`.
    pub(super) value: Option<SecretLocation>,
}

/// The kinds there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuthStrategy {
    /// `user` and `password`.
    Basic,
    /// `token`, as a bearer token.
    Bearer,
    /// `header` and `value`: a header of any name, such as `X-Api-Key`.
    Header,
}

/// How much is sent at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batching {
    /// Events of one request. With `framing.method = "none"` each request has one event and this
    /// is refused. Default: 1000.
    pub(super) max_events: Option<NonZeroUsize>,
    /// Bytes of the events of one request, before compression. A larger event is sent by itself.
    /// Default: 1 MB.
    pub(super) max_bytes: Option<ByteSize>,
    /// Seconds that an event waits for others. Default: 1.
    pub(super) timeout_secs: Option<Seconds>,
}

/// What each request has beside.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestSettings {
    /// Headers of every request: names and values. `content-type` among them replaces the usual
    /// one. Default: none.
    #[schemars(with = "BTreeMap<Name, Content>")]
    #[serde(default)]
    pub(super) headers: IndexMap<Name, Content>,
    /// A header that gets the same value whenever the same events are sent again. Default: none.
    #[schemars(extend("examples" = ["Idempotency-Key"]))]
    pub(super) idempotency_header: Option<Name>,
    /// Seconds for a request and its answer. Default: 60.
    timeout_secs: Option<Seconds>,
}

impl RequestSettings {
    /// A minute, as Vector has it.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout_secs
            .map_or(Duration::from_secs(60), |time| time.0)
    }
}

/// Whom to trust, and what to show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSettings {
    /// A file of certificates (PEM) to trust beside the system's. Default: none.
    ca_file: Option<PathBuf>,
    /// The certificate (PEM) that is shown to a server that asks for one; goes with `key_file`.
    /// Default: none.
    crt_file: Option<PathBuf>,
    /// The key (PEM, not encrypted) of the certificate in `crt_file`.
    key_file: Option<PathBuf>,
}

impl TlsSettings {
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.ca_file, &self.crt_file, &self.key_file]
            .into_iter()
            .flatten()
    }

    pub(super) fn tls(&self) -> Tls {
        let both = self.crt_file.clone().zip(self.key_file.clone());
        Tls {
            ca_file: self.ca_file.clone(),
            certificate: both.map(|(crt_file, key_file)| ClientCertificate { crt_file, key_file }),
        }
    }
}

/// What is asked at the start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Healthcheck {
    /// Whether the server is asked at the start. Default: true.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// The URL that is asked with HEAD; any answer but 2xx is a failure. Default: `uri` of the
    /// sink, where only 401, 403, 407, redirects and 5xx are failures.
    pub(super) uri: Option<SinkUrl>,
}

impl Default for Healthcheck {
    fn default() -> Self {
        Self {
            enabled: true,
            uri: None,
        }
    }
}

fn yes() -> bool {
    true
}

/// Which addresses may be dialled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EgressSettings {
    /// Special addresses that may be dialled beside public ones. Default: loopback and private
    /// networks.
    pub(super) allow_addresses: Option<Vec<AddressRange>>,
}

/// An absolute `https` or `http` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SinkUrl {
    pub(super) uri: Uri,
    pub(super) target: Target,
}

impl FromStr for SinkUrl {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let uri: Option<Uri> = text.parse().ok().filter(|_| !text.contains('#'));
        let both = uri.and_then(|uri| Some((Target::parse(&uri).ok()?, uri)));
        let (target, uri) = both.ok_or_else(|| {
            InvalidValue::new(
                "is not a URL such as https://siem.example/ingest; user and password go into auth",
            )
        })?;
        Ok(Self { uri, target })
    }
}

/// A header's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name(pub(super) HeaderName);

impl FromStr for Name {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
            .map(Self)
            .map_err(|_| InvalidValue::new("is not the name of a header, such as X-Api-Key"))
    }
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content(pub(super) HeaderValue);

impl FromStr for Content {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
            .map(Self)
            .map_err(|_| InvalidValue::new("holds what no header may; write printable ASCII"))
    }
}

deserialize_from_text!(SinkUrl, Name, Content);

json_schemas! {
    SinkUrl: {
        "description": "An absolute URL: https, or http on this machine, without a user and a fragment.",
        "type": "string",
        "pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://|\$\{",
        "examples": ["https://siem.example/ingest"]
    };
    Name: {
        "description": "The name of an HTTP header.",
        "type": "string",
        "pattern": r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$|\$\{",
        "examples": ["X-Api-Key"]
    };
    Content: {
        "description": "The value of an HTTP header: printable ASCII.",
        "type": "string"
    };
}

impl Settings {
    /// What only shows when all of it is there.
    pub(super) fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        if let Some(auth) = &self.auth {
            auth.check(&path.key("auth"), report);
        }
        let tls = path.key("tls");
        for (key, has_this, has_other) in [
            (
                "key_file",
                self.tls.key_file.is_some(),
                self.tls.crt_file.is_some(),
            ),
            (
                "crt_file",
                self.tls.crt_file.is_some(),
                self.tls.key_file.is_some(),
            ),
        ] {
            if has_other && !has_this {
                report.error(&tls.key(key), "is missing; a certificate goes with its key");
            }
        }
        if self.framing.method == FramingMethod::None && self.batch.max_events.is_some() {
            let message = "goes with framing.method = \"newline_delimited\" or \"json_array\"; with \"none\" each request has one event";
            report.error(&path.key("batch").key("max_events"), message);
        }
        let headers = path.key("request").key("headers");
        for name in self.request.headers.keys() {
            let name = &name.0;
            let reserved = match *name {
                http::header::AUTHORIZATION => "goes into auth, where it is kept secret",
                http::header::CONTENT_LENGTH
                | http::header::TRANSFER_ENCODING
                | http::header::HOST
                | http::header::CONNECTION => "is set by this program; remove it",
                http::header::CONTENT_ENCODING => "goes into compression",
                _ => continue,
            };
            report.error(&headers.key(name.as_str()), reserved);
        }
    }
}

impl Auth {
    fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        use AuthStrategy::{Basic, Bearer, Header};
        let own = |strategy| self.strategy == strategy;
        for (key, is_set, is_own) in [
            ("user", self.user.is_some(), own(Basic)),
            ("password", self.password.is_some(), own(Basic)),
            ("token", self.token.is_some(), own(Bearer)),
            ("header", self.header.is_some(), own(Header)),
            ("value", self.value.is_some(), own(Header)),
        ] {
            if is_own && !is_set {
                report.error(&path.key(key), "is missing; add it");
            } else if is_set && !is_own {
                report.error(&path.key(key), "goes with another strategy; remove it");
            }
        }
        if self.user.as_ref().is_some_and(|user| user.contains(':')) {
            report.error(&path.key("user"), "holds a colon, which no user name may");
        }
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretLocation> {
        [&self.password, &self.token, &self.value]
            .into_iter()
            .flatten()
    }
}
