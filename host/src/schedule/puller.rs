//! Asking a source once.
//!
//! The token is got in one instance, which may reach only the authority and holds the
//! secret for that one call; the detections in another, which may reach only the
//! endpoint and holds neither. The host adds the Authorization header where the second
//! cannot see it.

use super::clock::Sighting;
use super::error::PullError;
use super::hidden;
use super::runtime::{Loaded, Rate, Runtime, SetupError};
use super::token::{Access, Held, Key};
use crate::config;
use crate::observe::Trouble;
use crate::pipeline::has_member;
use crate::secret::{Consent, Credential, Secret, SecretError};
use chrono::{DateTime, SecondsFormat, Utc};
use governor::clock::{Clock as _, DefaultClock};
use http::Uri;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::Instrument;
use watchbell_egress::{
    self as egress, Bounds, Client, Exchange, HostPattern, Policy, REQUESTS_AT_ONCE, Session,
    Share, Target, Tls,
};
use watchbell_sandbox::contract::{
    Api, ClientSecret, Config, Credentials, Error, Limits as Caps, Query, RefreshToken,
};
use watchbell_sandbox::{Alert, Authorization, CallError, Limits};
use zeroize::Zeroize;

/// Pages of one call. The SIEM API has one; Graph's cap comes with Graph.
const MAX_PAGES: u32 = 1000;

/// Bytes of the login service's answer: a token has a few thousand.
const TOKEN_ROOM: u64 = 1 << 20;

/// What part of time to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// From that long before the service's now: an ISO 8601 duration, sent as it is.
    Ago(String),
    /// Between two instants; a missing one is the service's default.
    Between(Option<DateTime<Utc>>, Option<DateTime<Utc>>),
}

/// What a poll brought.
#[derive(Debug)]
pub struct Pulled {
    /// The detections, in the service's order.
    pub alerts: Vec<Alert>,
    /// What egress saw of the request.
    pub exchange: Option<Exchange>,
}

/// What came of a poll, and what was seen on the way, which a poll that failed has too.
#[derive(Debug)]
pub struct Asked {
    /// The detections, in the service's order.
    pub outcome: Result<Vec<Alert>, PullError>,
    /// What egress saw of the request; none when it did not come to that.
    pub exchange: Option<Exchange>,
    /// What the answers' Date headers say.
    pub sighting: Option<Sighting>,
}

/// A configured source, ready to be asked.
#[derive(Clone)]
pub struct Puller {
    runtime: Runtime,
    component: Loaded,
    settings: Arc<config::Source>,
    authority: Client,
    endpoint: Client,
    detections: Uri,
    bounds: Bounds,
    rate: Option<Arc<Rate>>,
    /// The digest of a secret that the login service refused.
    refused: Arc<Mutex<Option<[u8; 32]>>>,
    /// What the component asked for and the policy denied.
    denied: Arc<Mutex<Trouble>>,
}

impl Puller {
    /// Loads the component and judges the settings.
    ///
    /// # Errors
    /// When the component or a setting cannot be used.
    pub fn new(
        runtime: &Runtime,
        settings: impl Into<Arc<config::Source>>,
    ) -> Result<Self, SetupError> {
        let settings = settings.into();
        runtime
            .secrets
            .check(&settings.credential)
            .map_err(|e| setting("client_secret", e))?;
        let component = runtime.source(settings.component.as_deref())?;
        let share = share(&settings);
        let detections = format!("{}/api/alerts", settings.endpoint)
            .parse()
            .map_err(|e: http::uri::InvalidUri| setting("endpoint", e))?;
        Ok(Self {
            runtime: runtime.clone(),
            component,
            authority: client(runtime, &settings, "authority", settings.authority.as_str())?
                .sharing(&share),
            endpoint: client(runtime, &settings, "endpoint", settings.endpoint.as_str())?
                .sharing(&share),
            detections,
            bounds: bounds(&settings),
            rate: runtime.rate(&settings),
            refused: Arc::default(),
            denied: Arc::default(),
            settings,
        })
    }

    /// Whether another one does the same: with the same settings and component, whose file
    /// may have changed under the same name, secrets from the same place, and the same way
    /// out, whose certificates may have changed likewise. What it does not use may differ.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let secrets = &self.runtime.secrets;
        *self.settings == *other.settings
            && self.component.is_as(&other.component)
            && secrets.are_as(&other.runtime.secrets, &self.settings.credential)
            && self.authority.is_as(&other.authority)
            && self.endpoint.is_as(&other.endpoint)
            && self.runtime.tenant_key == other.runtime.tenant_key
    }

    /// Takes its turn under the rate limit of its application and tenant; else how long
    /// until there is one.
    ///
    /// # Errors
    /// The wait.
    pub fn take_turn(&self) -> Result<(), Duration> {
        let Some(rate) = &self.rate else {
            return Ok(());
        };
        rate.check()
            .map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))
    }

    /// Whether the secret that was refused is another one by now.
    pub async fn has_new_secret(&self, anew: bool) -> bool {
        let Some(refused) = *self.refused() else {
            return false;
        };
        let secret = self.runtime.secrets.of(&self.settings.credential, anew);
        secret.await.is_ok_and(|secret| secret.digest() != refused)
    }

    /// Whether the login service refused the secret.
    #[must_use]
    pub fn is_secret_refused(&self) -> bool {
        self.refused().is_some()
    }

    fn refused(&self) -> MutexGuard<'_, Option<[u8; 32]>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &config::Source {
        &self.settings
    }

    /// A token: a kept one, or a new one from the login service.
    ///
    /// # Errors
    /// [`PullError`].
    pub async fn token(&self) -> Result<Access, PullError> {
        self.token_other_than(None).await
    }

    /// Asks once for detections, with the configured limit. When the API refuses a kept
    /// token, a new one is got and it is asked once more: tokens end early when someone
    /// revokes them.
    ///
    /// # Errors
    /// [`PullError`].
    pub async fn poll(&self, window: &Window) -> Result<Pulled, PullError> {
        let room = self.settings.max_response_bytes;
        let asked = self.ask(window, self.settings.limit, room).await;
        Ok(Pulled {
            alerts: asked.outcome?,
            exchange: asked.exchange,
        })
    }

    /// As [`Puller::poll`], with a limit of the caller's, for an answer of at most `room`
    /// bytes, and with what was seen on the way whatever came of it.
    pub async fn ask(&self, window: &Window, limit: Option<NonZeroU32>, room: u64) -> Asked {
        let room = room.min(self.settings.max_response_bytes);
        let access = match self.token().await {
            Ok(access) => access,
            Err(error) => return Asked::without_answer(error),
        };
        let asked = self.ask_with(window, limit, room, &access).await;
        match &asked.outcome {
            Err(error) if error.wants_new_token() => {
                tracing::info!("the API refused the token; getting another");
                match self.token_other_than(Some(&access)).await {
                    Ok(access) => self.ask_with(window, limit, room, &access).await,
                    Err(error) => Asked::without_answer(error),
                }
            }
            _ => asked,
        }
    }

    async fn token_other_than(&self, refused: Option<&Access>) -> Result<Access, PullError> {
        let settings = &self.settings;
        let key = Key::new(
            settings.authority.as_str(),
            settings.tenant_id.as_str(),
            settings.client_id.as_str(),
            &settings.credential,
        );
        let mut held = self.runtime.tokens.hold(key).await;
        let Credential::RefreshToken(consent) = &settings.credential else {
            return match held.fresh(refused) {
                Some(access) => Ok(access),
                None => self.renew(&mut held).await,
            };
        };
        if let Some(token) = held.unsealed() {
            self.seal(&mut held, consent, token).await;
        }
        if let Some(access) = held.fresh(refused) {
            return Ok(access);
        }
        // The service replaces a refresh token with its answer. Whoever gives up waiting
        // for that must not leave the new one behind.
        let puller = self.clone();
        let renewing = async move { puller.renew(&mut held).await };
        let renewed = tokio::spawn(renewing.in_current_span()).await;
        renewed.unwrap_or(Err(PullError::Secret(SecretError::Interrupted)))
    }

    /// Gets a token with the secret of now.
    async fn renew(&self, held: &mut Held) -> Result<Access, PullError> {
        let (secrets, credential) = (&self.runtime.secrets, &self.settings.credential);
        let secret = match held.unsealed() {
            Some(token) => token,
            None => secrets.of(credential, false).await?,
        };
        let mut got = self.authenticate(&secret).await;
        if got.as_ref().is_err_and(PullError::refuses_secret) {
            *self.refused() = Some(secret.digest());
            // It may have been rotated since it was fetched.
            if let Ok(newer) = secrets.of(credential, true).await
                && newer != secret
            {
                tracing::info!(
                    "the login service refused the secret, and there is another; trying that"
                );
                got = self.authenticate(&newer).await;
                if got.as_ref().is_err_and(PullError::refuses_secret) {
                    *self.refused() = Some(newer.digest());
                }
            }
        }
        let (access, next) = got?;
        *self.refused() = None;
        held.put(&access);
        if let (Credential::RefreshToken(consent), Some(next)) = (credential, next) {
            self.seal(held, consent, next).await;
        }
        Ok(access)
    }

    /// Writes a refresh token down. One that cannot be is held here, since the access token
    /// is good all the same, and tried again with the next poll.
    async fn seal(&self, held: &mut Held, consent: &Consent, token: Secret) {
        let was_unsealed = held.unsealed();
        match self.runtime.secrets.keep(consent, &token).await {
            Ok(()) => {
                if was_unsealed.is_some() {
                    tracing::info!("the new refresh token is written down now");
                }
                held.set_unsealed(None);
            }
            Err(error) => {
                if was_unsealed.is_none() {
                    tracing::error!(
                        %error,
                        "the new refresh token cannot be written down; it is held in memory and tried again, and lost if this ends before"
                    );
                }
                held.set_unsealed(Some(token));
            }
        }
    }

    /// A token, and the refresh token that takes the place of the one that was used.
    async fn authenticate(&self, secret: &Secret) -> Result<(Access, Option<Secret>), PullError> {
        let own_secret = self.own_secret().await?;
        let credentials = self.credentials(secret, own_secret.as_ref());
        let room = TOKEN_ROOM;
        let session = self.authority.session(self.bounds(room));
        let config = Told(self.config(credentials, empty_query(), room));
        let shown: Vec<&Secret> = std::iter::once(secret).chain(&own_secret).collect();
        let answer = self
            .component
            .source
            .authenticate(&config.0, session.clone(), &self.limits(room))
            .await;
        self.say_denied(&session, &shown);
        let answer = answer.map_err(|error| hidden::call(error, &shown))?;
        let mut token = answer.map_err(|error| {
            let (error, cause) = (hidden::error(error, &shown), cause(&session));
            let cause = cause.filter(|cause| !hidden::shows(&cause.to_string(), &shown));
            PullError::Service {
                error: Box::new(error),
                cause,
            }
        })?;
        let next = token.refresh_token.take().map(Secret::new);
        let sighting = session.exchanges().last().and_then(Sighting::of);
        Ok((Access::new(token, sighting), next))
    }

    /// The application's secret beside a user's consent.
    async fn own_secret(&self) -> Result<Option<Secret>, PullError> {
        let place = match &self.settings.credential {
            Credential::RefreshToken(consent) => consent.client_secret.as_ref(),
            _ => None,
        };
        match place {
            Some(place) => Ok(Some(self.runtime.secrets.of(place, false).await?)),
            None => Ok(None),
        }
    }

    /// What is shown to the login service.
    fn credentials(&self, secret: &Secret, own_secret: Option<&Secret>) -> Credentials {
        let tenant_id = self.settings.tenant_id.to_string();
        let client_id = self.settings.client_id.to_string();
        let shown = secret.expose().to_owned();
        if matches!(self.settings.credential, Credential::RefreshToken(_)) {
            return Credentials::RefreshToken(RefreshToken {
                tenant_id,
                client_id,
                secret: own_secret.map(|secret| secret.expose().to_owned()),
                refresh_token: shown,
            });
        }
        Credentials::ClientSecret(ClientSecret {
            tenant_id,
            client_id,
            secret: shown,
        })
    }

    async fn ask_with(
        &self,
        window: &Window,
        limit: Option<NonZeroU32>,
        room: u64,
        access: &Access,
    ) -> Asked {
        let session = self.endpoint.session(self.bounds(room));
        let config = self.config(Credentials::Host, self.query(window, limit), room);
        let authorization = Authorization::bearer(self.detections.clone(), access.value.expose());
        let answer = self
            .component
            .source
            .poll(
                &config,
                session.clone(),
                Some(authorization),
                &self.limits(room),
            )
            .await;
        self.say_denied(&session, &[]);
        let outcome = match answer {
            Ok(answer) => self
                .without_tenant(&answer)
                .and_then(|()| answer.map_err(|error| service(error, &session))),
            Err(error) => Err(error.into()),
        };
        let exchange = session.exchanges().pop();
        Asked {
            outcome,
            sighting: exchange.as_ref().and_then(Sighting::of),
            exchange,
        }
    }

    /// Refuses alerts that say whose they are, which is the host's to say: of an answer,
    /// or the readable rest of one.
    fn without_tenant(&self, answer: &Result<Vec<Alert>, Error>) -> Result<(), PullError> {
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
            Some(index) => Err(PullError::Component(CallError::Contract(format!(
                "alert {index} has a member {key}, which names the tenant; set log_schema.tenant_key to another name"
            )))),
            None => Ok(()),
        }
    }

    /// Says what the component asked for and the policy denied, which it need not tell; the
    /// secrets that it was shown are taken out, since a name may hold one.
    fn say_denied(&self, session: &Session, shown: &[&Secret]) {
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
        let words = hidden::text(&words, shown);
        let mut trouble = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever it asks for next time, it is the same trouble.
        if let Some(say) = trouble.met_kind("denied", &words) {
            tracing::warn!("{say}");
        }
    }

    fn config(&self, credentials: Credentials, query: Query, room: u64) -> Config {
        Config {
            endpoint: self.settings.endpoint.as_str().to_owned(),
            authority: self.settings.authority.as_str().to_owned(),
            api: match self.settings.api {
                config::Api::Siem => Api::Siem,
                config::Api::Graph => Api::Graph,
            },
            query,
            limits: Caps {
                max_bytes: room,
                max_pages: MAX_PAGES,
            },
            credentials,
            options: self
                .settings
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
        Query {
            ago,
            since,
            until,
            limit: limit.map(u32::from),
            machine_groups: self.settings.machine_groups.clone(),
            device_created_machine_tags: self.settings.device_created_machine_tags.clone(),
            cloud_created_machine_tags: self.settings.cloud_created_machine_tags.clone(),
        }
    }

    fn bounds(&self, room: u64) -> Bounds {
        Bounds {
            response_bytes: room,
            ..self.bounds
        }
    }

    fn limits(&self, room: u64) -> Limits {
        // The guest's own time comes on top of what the network may take.
        let usual = Limits::for_source(room, self.bounds.total);
        let limits = self.settings.limits.over(usual);
        Limits {
            wall: limits.wall.saturating_add(limits.cpu),
            ..limits
        }
    }
}

impl Asked {
    fn without_answer(error: PullError) -> Self {
        Self {
            outcome: Err(error),
            exchange: None,
            sighting: None,
        }
    }
}

fn service(error: Error, session: &Session) -> PullError {
    PullError::Service {
        error: Box::new(error),
        cause: cause(session),
    }
}

/// What egress saw of the last request.
fn cause(session: &Session) -> Option<watchbell_egress::Error> {
    session.exchanges().pop()?.error
}

/// What a component is told, with a secret in it that is zeroed on drop.
struct Told(Config);

impl Drop for Told {
    fn drop(&mut self) {
        match &mut self.0.credentials {
            Credentials::ClientSecret(told) => told.secret.zeroize(),
            Credentials::RefreshToken(told) => {
                told.secret.zeroize();
                told.refresh_token.zeroize();
            }
            _ => {}
        }
    }
}

fn setting(field: &'static str, error: impl ToString) -> SetupError {
    SetupError::Setting {
        field,
        message: error.to_string(),
    }
}

/// A client that may reach the host and port of `url` and no other.
fn client(
    runtime: &Runtime,
    settings: &config::Source,
    field: &'static str,
    url: &str,
) -> Result<Client, SetupError> {
    let url: Uri = url
        .parse()
        .map_err(|e: http::uri::InvalidUri| setting(field, e))?;
    let target = Target::parse(&url).map_err(|e| setting(field, e))?;
    let host = HostPattern::exactly(target.host, target.port);
    let policy = Policy::new([host], settings.allow_addresses.iter().copied())
        .with_nat64(settings.nat64_prefixes.iter().copied());
    let proxies = settings.proxy.as_ref().unwrap_or(&runtime.proxies);
    let tls = Tls {
        ca_file: settings.ca_file.clone(),
    };
    runtime
        .egress
        .client_through(policy, &tls, proxies)
        .map_err(|e| setting("tls.ca_file", e))
}

/// What the tenant may have open at one time.
fn share(settings: &config::Source) -> Share {
    let limit = settings.max_connections.map(NonZeroU32::get);
    Share::new(limit.map_or(REQUESTS_AT_ONCE, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    }))
}

fn bounds(settings: &config::Source) -> Bounds {
    let usual = Bounds::default();
    let own = settings.timeouts;
    Bounds {
        resolve: own.resolve.unwrap_or(usual.resolve),
        connect: own.connect.unwrap_or(usual.connect),
        tls: own.tls.unwrap_or(usual.tls),
        first_byte: own.first_byte.unwrap_or(usual.first_byte),
        between_bytes: own.between_bytes.unwrap_or(usual.between_bytes),
        total: own.total.unwrap_or(usual.total),
        header_bytes: settings
            .limits
            .max_header_bytes
            .map_or(usual.header_bytes, |bytes| bytes.min(usual.header_bytes)),
        ..usual
    }
}

fn empty_query() -> Query {
    Query {
        since: None,
        until: None,
        ago: None,
        limit: None,
        machine_groups: Vec::new(),
        device_created_machine_tags: None,
        cloud_created_machine_tags: None,
    }
}
