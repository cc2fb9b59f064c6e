//! The services that detections come from.
//!
//! A [`SourceClient`] asks one service as one tenant, once for each call. When it is asked,
//! for which window and how often is for `polling` to decide, which knows no more of a
//! service than this trait says. So a simulated service can stand for a real one.

mod config;
pub mod defender;
mod error;
mod polling_settings;
mod runtime;
mod service_date;

pub use config::{Source, SourceConfig};
pub(crate) use config::{SourceType, TYPES, TenantRules};
pub use defender::{Access, DefenderClient, Tokens};
pub use error::PollError;
pub use polling_settings::{Polling, Rescan};
pub use runtime::{Runtime, SetupError};
pub use service_date::ServiceDate;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use std::any::Any;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use watchbell_sandbox::Alert;

/// What part of time to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// From that long before the service's now: an ISO 8601 duration, sent as it is.
    Ago(String),
    /// Between two instants; a missing one is the service's default.
    Between(Option<DateTime<Utc>>, Option<DateTime<Utc>>),
}

/// What came of a poll, with what was seen on the way, which a poll that failed has too.
#[derive(Debug)]
pub struct PollOutcome {
    /// The detections, in the service's order.
    pub result: Result<Vec<Alert>, PollError>,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// How the body of an answer began that could not be read, as it came. Empty for an
    /// answer that was read.
    pub body_head: Vec<u8>,
    /// When the request was sent; none when it did not come to that.
    pub sent_at: Option<Instant>,
    /// What the answer's Date header says.
    pub date: Option<ServiceDate>,
}

impl PollOutcome {
    /// There was no request.
    #[must_use]
    pub fn without_request(error: PollError) -> Self {
        Self {
            result: Err(error),
            bytes: 0,
            body_head: Vec::new(),
            sent_at: None,
            date: None,
        }
    }
}

/// Asks one service as one tenant.
///
/// Dropping a future that it returned gives the call up; the client can be used again.
pub trait SourceClient: Any + Send + Sync {
    /// The settings that it was made with.
    fn settings(&self) -> &Source;

    /// Makes sure that there is a token, and says what the login service's answer showed of
    /// the service's clock.
    fn authenticate(&self) -> BoxFuture<'_, Result<Option<ServiceDate>, PollError>>;

    /// Asks once for the detections of a window: for the newest `limit` of them, in an
    /// answer of at most `max_bytes`.
    fn poll_window<'c>(
        &'c self,
        window: &'c Window,
        limit: Option<NonZeroU32>,
        max_bytes: u64,
    ) -> BoxFuture<'c, PollOutcome>;

    /// Takes a request out of the rate limit, for one poll.
    ///
    /// # Errors
    /// How long until there is one.
    fn try_acquire_request(&self) -> Result<(), Duration>;

    /// Whether the login service refused the secret.
    fn is_secret_refused(&self) -> bool;

    /// Whether the secret that was refused is another one by now. With `is_fetched_anew`,
    /// the program that a secret comes from is asked again.
    fn has_new_secret(&self, is_fetched_anew: bool) -> BoxFuture<'_, bool>;

    /// What may be kept of an answer's body: without the secrets and tokens in use.
    fn redact_body(&self, body: &[u8]) -> Vec<u8>;

    /// Whether another client does the same: asks the same service, with the same component,
    /// secrets and connections, as far as this one uses them.
    fn is_same_config(&self, other: &dyn SourceClient) -> bool;
}
