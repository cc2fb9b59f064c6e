//! One poll: the question, the answer, and what of both may be shown.

use super::cloud;
use super::connect::{client, connection_quota, redactor, setting};
use super::redact;
use super::resolved::Defender;
use super::token::Access;
use crate::sources::runtime::{Loaded, RateLimiter};
use crate::sources::{
    PollError, PollOutcome, Runtime, ServiceDate, SetupError, Source, SourceClient, SourceConfig,
    Window,
};
use crate::telemetry::Incident;
use crate::tenant_member::has_member;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::BoxFuture;
use governor::clock::{Clock as _, DefaultClock};
use http::Uri;
use std::any::Any;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use watchbell_egress::{self as egress, Bounds, Client, Session};
use watchbell_sandbox::contract::{Api, Config, Credentials, Error, Limits as Caps, Query};
use watchbell_sandbox::{Alert, Authorization, CallError, Limits};
use watchbell_secrets::Redactor;

/// Pages of one call. The SIEM API has one; Graph's cap comes with Graph.
const MAX_PAGES: u32 = 1000;

/// A configured source, ready to be asked.
#[derive(Clone)]
pub struct DefenderClient {
    pub(super) runtime: Runtime,
    pub(super) component: Loaded,
    source: Arc<Source>,
    /// The settings of its type.
    pub(super) settings: Arc<Defender>,
    pub(super) authority: Client,
    endpoint: Client,
    detections: Uri,
    bounds: Bounds,
    rate_limiter: Option<Arc<RateLimiter>>,
    /// The digest of a secret that the login service refused.
    pub(super) refused: Arc<Mutex<Option<[u8; 32]>>>,
    /// What the component asked for and the policy denied.
    denied: Arc<Mutex<Incident>>,
    /// Knows what no text of a service or component may show.
    pub(super) redactor: Redactor,
}

impl DefenderClient {
    /// Loads the component and judges the settings.
    ///
    /// # Errors
    /// When the component or a setting cannot be used.
    pub fn new(runtime: &Runtime, source: impl Into<Arc<Source>>) -> Result<Self, SetupError> {
        let source = source.into();
        let settings: Arc<dyn Any + Send + Sync> = Arc::<dyn SourceConfig>::clone(&source.settings);
        let settings = settings.downcast::<Defender>().map_err(|_| {
            setting(
                "type",
                "is not defender, so it has no token and no detections",
            )
        })?;
        runtime
            .secrets
            .check_backends(settings.credential.locations())
            .map_err(|e| setting("client_secret", e))?;
        let component = runtime.source(settings.settings.component.as_deref())?;
        let quota = connection_quota(&source.polling);
        let detections = format!("{}/api/alerts", settings.endpoint)
            .parse()
            .map_err(|e: http::uri::InvalidUri| setting("endpoint", e))?;
        Ok(Self {
            runtime: runtime.clone(),
            component,
            authority: client(runtime, &settings, "authority", settings.authority.as_str())?
                .with_quota(&quota),
            endpoint: client(runtime, &settings, "endpoint", settings.endpoint.as_str())?
                .with_quota(&quota),
            detections,
            bounds: bounds(&source, &settings),
            rate_limiter: runtime.rate_limiter(&source.polling, &settings),
            refused: Arc::default(),
            denied: Arc::default(),
            redactor: redactor(runtime, &settings),
            settings,
            source,
        })
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Source {
        &self.source
    }

    /// A token: a kept one, or a new one from the login service.
    ///
    /// # Errors
    /// [`PollError`].
    pub async fn token(&self) -> Result<Access, PollError> {
        self.token_other_than(None).await
    }

    /// Asks once for detections, with the configured limit.
    ///
    /// # Errors
    /// [`PollError`].
    pub async fn poll(&self, window: &Window) -> Result<Vec<Alert>, PollError> {
        let polling = &self.source.polling;
        let max_bytes = polling.max_response_bytes();
        let outcome = self.ask(window, polling.limit, max_bytes).await;
        outcome.result
    }

    /// As [`DefenderClient::poll`], with a limit of the caller's, for an answer of at most
    /// `max_bytes`, and with what was seen on the way whatever came of it. When the API refuses
    /// a kept token, a new one is got and it is asked once more: tokens end early when someone
    /// revokes them.
    pub async fn ask(
        &self,
        window: &Window,
        limit: Option<NonZeroU32>,
        max_bytes: u64,
    ) -> PollOutcome {
        let max_bytes = max_bytes.min(self.source.polling.max_response_bytes());
        let access = match self.token().await {
            Ok(access) => access,
            Err(error) => return PollOutcome::without_request(error),
        };
        let outcome = self.ask_with(window, limit, max_bytes, &access).await;
        match &outcome.result {
            Err(error) if error.wants_new_token() => {
                tracing::info!("the API refused the token; getting another");
                match self.token_other_than(Some(&access)).await {
                    Ok(access) => self.ask_with(window, limit, max_bytes, &access).await,
                    Err(error) => PollOutcome::without_request(error),
                }
            }
            _ => outcome,
        }
    }

    async fn ask_with(
        &self,
        window: &Window,
        limit: Option<NonZeroU32>,
        max_bytes: u64,
        access: &Access,
    ) -> PollOutcome {
        self.redactor.learn(&access.value);
        let session = self.endpoint.session(self.bounds(max_bytes));
        let config = self.config(Credentials::Host, self.query(window, limit), max_bytes);
        let authorization = Authorization::bearer(self.detections.clone(), access.value.expose());
        let answer = self
            .component
            .source
            .poll(
                &config,
                session.clone(),
                Some(authorization),
                &self.limits(max_bytes),
            )
            .await;
        self.log_denied(&session);
        let result = match answer {
            Ok(answer) => self
                .without_tenant(&answer)
                .and_then(|()| answer.map_err(|error| self.service_error(error, &session))),
            Err(error) => Err(redact::call(error, &self.redactor).into()),
        };
        let exchange = session.exchanges().pop();
        PollOutcome {
            bytes: exchange.as_ref().map_or(0, |exchange| exchange.bytes),
            body_head: match &exchange {
                Some(exchange) if result.is_err() => exchange.body_head.to_vec(),
                _ => Vec::new(),
            },
            sent_at: exchange.as_ref().map(|exchange| exchange.sent_at),
            date: exchange.as_ref().and_then(ServiceDate::of),
            result,
        }
    }

    /// Refuses alerts that say whose they are, which is the host's to say: of an answer,
    /// or the readable rest of one.
    fn without_tenant(&self, answer: &Result<Vec<Alert>, Error>) -> Result<(), PollError> {
        let Some(key) = &self.runtime.tenant_key else {
            return Ok(());
        };
        let alerts = match answer {
            Ok(alerts) => alerts,
            Err(Error::Malformed(fault)) => &fault.alerts,
            Err(_) => return Ok(()),
        };
        match alerts
            .iter()
            .position(|alert| has_member(&alert.json, key.as_str()))
        {
            Some(index) => Err(PollError::Component(CallError::Contract(format!(
                "alert {index} has a member {key}, which names the tenant; set log_schema.tenant_key to another name"
            )))),
            None => Ok(()),
        }
    }

    /// The service's or component's words, without the secrets and tokens in use.
    pub(super) fn service_error(&self, error: Error, session: &Session) -> PollError {
        let cause = session.exchanges().pop().and_then(|last| last.error);
        PollError::Service {
            error: Box::new(redact::error(error, &self.redactor)),
            cause: cause.filter(|cause| !self.redactor.shows(&cause.to_string())),
        }
    }

    /// Logs what the component asked for and the policy denied, which it need not tell; a
    /// name may hold a secret.
    pub(super) fn log_denied(&self, session: &Session) {
        let exchanges = session.exchanges();
        let denied = exchanges
            .iter()
            .filter_map(|exchange| match &exchange.error {
                Some(egress::Error::Denied(why)) => Some((&exchange.url, why)),
                _ => None,
            });
        let count = denied.clone().count();
        let Some((url, why)) = denied.last() else {
            return;
        };
        let words = format!("the component asked for {url}: {why}; {count} such in this call");
        let words = self.redactor.text(&words);
        let mut incident = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever it asks for next time, it is the same incident.
        if let Some(say) = incident.record_kind("denied", &words) {
            tracing::warn!("{say}");
        }
    }

    pub(super) fn config(&self, credentials: Credentials, query: Query, max_bytes: u64) -> Config {
        let settings = &self.settings.settings;
        Config {
            endpoint: self.settings.endpoint.as_str().to_owned(),
            authority: self.settings.authority.as_str().to_owned(),
            api: match settings.api {
                cloud::Api::Siem => Api::Siem,
                cloud::Api::Graph => Api::Graph,
            },
            query,
            limits: Caps {
                max_bytes,
                max_pages: MAX_PAGES,
            },
            credentials,
            options: settings
                .options
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    fn query(&self, window: &Window, limit: Option<NonZeroU32>) -> Query {
        let text = |time: &DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Nanos, true);
        let (ago, since, until) = match window {
            Window::Ago(ago) => (Some(ago.clone()), None, None),
            Window::Between(since, until) => {
                (None, since.as_ref().map(text), until.as_ref().map(text))
            }
        };
        let settings = &self.settings.settings;
        Query {
            ago,
            since,
            until,
            limit: limit.map(u32::from),
            machine_groups: settings.machine_groups.clone(),
            device_created_machine_tags: settings.device_created_machine_tags.clone(),
            cloud_created_machine_tags: settings.cloud_created_machine_tags.clone(),
        }
    }

    pub(super) fn bounds(&self, max_bytes: u64) -> Bounds {
        Bounds {
            response_bytes: max_bytes,
            ..self.bounds
        }
    }

    pub(super) fn limits(&self, max_bytes: u64) -> Limits {
        // The guest's own time comes on top of what the network may take.
        let usual = Limits::for_source(max_bytes, self.bounds.total);
        let limits = self.source.polling.limits.over(usual);
        Limits {
            wall: limits.wall.saturating_add(limits.cpu),
            ..limits
        }
    }
}

/// How long each step of a request may take, and what of an answer may come.
fn bounds(source: &Source, settings: &Defender) -> Bounds {
    let usual = settings.bounds();
    let header_bytes = source
        .polling
        .limits
        .over(Limits::for_plugin())
        .header_bytes;
    Bounds {
        header_bytes: header_bytes.min(usual.header_bytes),
        ..usual
    }
}

impl SourceClient for DefenderClient {
    fn settings(&self) -> &Source {
        &self.source
    }

    fn authenticate(&self) -> BoxFuture<'_, Result<Option<ServiceDate>, PollError>> {
        Box::pin(async { Ok(self.token().await?.date) })
    }

    fn poll_window<'c>(
        &'c self,
        window: &'c Window,
        limit: Option<NonZeroU32>,
        max_bytes: u64,
    ) -> BoxFuture<'c, PollOutcome> {
        Box::pin(self.ask(window, limit, max_bytes))
    }

    fn try_acquire_request(&self) -> Result<(), Duration> {
        let Some(rate_limiter) = &self.rate_limiter else {
            return Ok(());
        };
        rate_limiter
            .check()
            .map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))
    }

    fn is_secret_refused(&self) -> bool {
        self.refused().is_some()
    }

    fn has_new_secret(&self, is_fetched_anew: bool) -> BoxFuture<'_, bool> {
        Box::pin(self.fetches_new_secret(is_fetched_anew))
    }

    fn redact_body(&self, body: &[u8]) -> Vec<u8> {
        self.redactor.bytes(body)
    }

    /// The component's file may have changed under the same name, and certificates likewise.
    fn is_same_config(&self, other: &dyn SourceClient) -> bool {
        let other: &dyn Any = other;
        let Some(other) = other.downcast_ref::<Self>() else {
            return false;
        };
        let secrets = &self.runtime.secrets;
        *self.source == *other.source
            && self.component.is_as(&other.component)
            && secrets
                .has_same_backends(&other.runtime.secrets, self.settings.credential.locations())
            && self.authority.has_same_pool(&other.authority)
            && self.endpoint.has_same_pool(&other.endpoint)
            && self.runtime.tenant_key == other.runtime.tenant_key
    }
}
