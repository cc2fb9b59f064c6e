//! Asking a source once.
//!
//! The token is got in one instance, which may reach only the authority and holds the
//! secret for that one call; the detections in another, which may reach only the
//! endpoint and holds neither. The host adds the Authorization header where the second
//! cannot see it.

use super::clock::Sighting;
use super::error::PullError;
use super::runtime::{Runtime, SetupError};
use super::token::{Access, Key};
use crate::config;
use chrono::{DateTime, SecondsFormat, Utc};
use http::Uri;
use std::num::NonZeroU32;
use watchbell_egress::{Bounds, Client, Exchange, HostPattern, Policy, Session, Target, Tls};
use watchbell_sandbox::contract::{
    Api, ClientSecret, Config, Credentials, Error, Limits as Caps, Query,
};
use watchbell_sandbox::{Alert, Authorization, Limits, Source};

/// Pages of one call. The SIEM API has one; Graph's cap comes with Graph.
const MAX_PAGES: u32 = 1000;

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
    component: Source,
    settings: config::Source,
    authority: Client,
    endpoint: Client,
    detections: Uri,
    bounds: Bounds,
}

impl Puller {
    /// Loads the component and judges the settings.
    ///
    /// # Errors
    /// When the component or a setting cannot be used.
    pub fn new(runtime: &Runtime, settings: &config::Source) -> Result<Self, SetupError> {
        let component = runtime.source(settings.component.as_deref())?;
        let detections = format!("{}/api/alerts", settings.endpoint)
            .parse()
            .map_err(|e: http::uri::InvalidUri| setting("endpoint", e))?;
        Ok(Self {
            runtime: runtime.clone(),
            component,
            authority: client(runtime, settings, "authority", settings.authority.as_str())?,
            endpoint: client(runtime, settings, "endpoint", settings.endpoint.as_str())?,
            detections,
            bounds: bounds(settings),
            settings: settings.clone(),
        })
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
        let asked = self.ask(window, self.settings.limit).await;
        Ok(Pulled {
            alerts: asked.outcome?,
            exchange: asked.exchange,
        })
    }

    /// As [`Puller::poll`], with a limit of the caller's, and with what was seen on the
    /// way whatever came of it.
    pub async fn ask(&self, window: &Window, limit: Option<NonZeroU32>) -> Asked {
        let access = match self.token().await {
            Ok(access) => access,
            Err(error) => return Asked::without_answer(error),
        };
        let asked = self.ask_with(window, limit, &access).await;
        match &asked.outcome {
            Err(error) if error.wants_new_token() => {
                tracing::info!("the API refused the token; getting another");
                match self.token_other_than(Some(&access)).await {
                    Ok(access) => self.ask_with(window, limit, &access).await,
                    Err(error) => Asked::without_answer(error),
                }
            }
            _ => asked,
        }
    }

    async fn token_other_than(&self, refused: Option<&Access>) -> Result<Access, PullError> {
        let secret = self.settings.credential.secret()?;
        let (tenant, client) = (
            self.settings.tenant_id.as_str(),
            self.settings.client_id.as_str(),
        );
        let key = Key::new(self.settings.authority.as_str(), tenant, client, &secret);
        let mut held = self.runtime.tokens.hold(key).await;
        if let Some(access) = held.fresh(refused) {
            return Ok(access);
        }
        let credentials = Credentials::ClientSecret(ClientSecret {
            tenant_id: tenant.to_owned(),
            client_id: client.to_owned(),
            secret: secret.expose().to_owned(),
        });
        let session = self.authority.session(self.bounds);
        let config = self.config(credentials, empty_query());
        let answer = self
            .component
            .authenticate(&config, session.clone(), &self.limits())
            .await?;
        let token = answer.map_err(|error| service(error, &session))?;
        let sighting = session.exchanges().last().and_then(Sighting::of);
        let access = Access::new(token, sighting);
        held.put(&access);
        Ok(access)
    }

    async fn ask_with(&self, window: &Window, limit: Option<NonZeroU32>, access: &Access) -> Asked {
        let session = self.endpoint.session(self.bounds);
        let config = self.config(Credentials::Host, self.query(window, limit));
        let authorization = Authorization::bearer(self.detections.clone(), access.value.expose());
        let answer = self
            .component
            .poll(
                &config,
                session.clone(),
                Some(authorization),
                &self.limits(),
            )
            .await;
        let outcome = match answer {
            Ok(answer) => answer.map_err(|error| service(error, &session)),
            Err(error) => Err(error.into()),
        };
        let exchange = session.exchanges().pop();
        Asked {
            outcome,
            sighting: exchange.as_ref().and_then(Sighting::of),
            exchange,
        }
    }

    fn config(&self, credentials: Credentials, query: Query) -> Config {
        Config {
            endpoint: self.settings.endpoint.as_str().to_owned(),
            authority: self.settings.authority.as_str().to_owned(),
            api: match self.settings.api {
                config::Api::Siem => Api::Siem,
                config::Api::Graph => Api::Graph,
            },
            query,
            limits: Caps {
                max_bytes: self.settings.max_response_bytes,
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

    fn limits(&self) -> Limits {
        // The guest's own time comes on top of what the network may take.
        let limits = Limits::for_source(self.settings.max_response_bytes, self.bounds.total);
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
    let cause = session
        .exchanges()
        .pop()
        .and_then(|exchange| exchange.error);
    PullError::Service {
        error: Box::new(error),
        cause,
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
    let policy = Policy::new([host], settings.allow_addresses.iter().copied());
    let tls = Tls {
        ca_file: settings.ca_file.clone(),
    };
    runtime
        .egress
        .client(policy, &tls)
        .map_err(|e| setting("tls.ca_file", e))
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
        response_bytes: settings.max_response_bytes,
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
