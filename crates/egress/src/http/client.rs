//! A pool of connections under one policy and one set of roots, and how it is tuned.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::bounds::{Bounds, MAX_HEADER_BYTES};
use crate::connect::Connector;
use crate::connection_quota::ConnectionQuota;
use crate::outgoing::RequestBody;
use crate::policy::Policy;
use crate::session::Session;

/// How long a connection waits for its next request. Longer than the usual interval of a
/// source (60 s), so that each poll finds the last one's connection; shorter than the 120
/// s and more after which Microsoft's front doors close theirs.
pub(crate) const IDLE: Duration = Duration::from_secs(90);

/// Connections that wait, for each scheme, host and port.
const IDLE_PER_HOST: usize = 32;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

pub(crate) struct Pool {
    pub(crate) connector: Connector,
    pub(crate) http: legacy::Client<Connector, RequestBody>,
}

impl Pool {
    pub(crate) fn new(connector: Connector) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            // A request that met a pooled connection just as it closed, before any byte
            // of it was sent, is sent again on another. Nothing else is ever retried.
            .retry_canceled_requests(true)
            // Both a cap on the head and the most that one read of a body takes. Reads
            // grow up to it: 188 MB over loopback at 3.9 GB/s, the bare socket 3.7
            // (examples/egress_throughput, two cores); fixed sizes from 64 to 256 KiB were no
            // faster.
            .http1_max_buf_size(MAX_HEADER_BYTES)
            .build(connector.clone());
        Self { connector, http }
    }
}

/// What one configuration may reach, and its connections. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
    share: ConnectionQuota,
}

impl Client {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            share: ConnectionQuota::default(),
        }
    }

    /// The same on a party's account. Without this a client has a [`ConnectionQuota`] of its own.
    #[must_use]
    pub fn sharing(mut self, share: &ConnectionQuota) -> Self {
        self.share = share.clone();
        self
    }

    /// What it may reach.
    pub fn policy(&self) -> &Policy {
        self.pool.connector.policy()
    }

    /// Whether another one reaches the same places in the same way: by the same policy, over
    /// the same roots and proxies.
    pub fn is_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pool, &other.pool)
    }

    /// Opens the books for one guest call. The total time runs from now.
    pub fn session(&self, bounds: Bounds) -> Session {
        Session::new(Arc::clone(&self.pool), self.share.clone(), bounds)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("policy", self.policy())
            .finish_non_exhaustive()
    }
}
