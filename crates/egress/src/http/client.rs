//! Pools of connections, each under one policy, one set of roots and one set of proxies,
//! and how they are tuned.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::bounds::{Bounds, MAX_HEADER_BYTES};
use super::connector::{ALPN, Connector};
use super::request_body::RequestBody;
use super::session::Session;
use crate::dial::{ConnectionQuota, Dialer, Proxies, Resources, Trust, TrustId};
use crate::policy::Policy;

/// How long a connection waits for its next request. Longer than the usual interval of a
/// source (60 s), so that each poll finds the last one's connection; shorter than the 120
/// s and more after which Microsoft's front doors close theirs.
const IDLE: Duration = Duration::from_secs(90);

/// Connections that wait, for each scheme, host and port.
const IDLE_PER_HOST: usize = 32;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

pub(super) struct Pool {
    pub(super) dialer: Dialer,
    pub(super) http: legacy::Client<Connector, RequestBody>,
}

impl Pool {
    fn new(dialer: Dialer) -> Self {
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
            .build(Connector(dialer.clone()));
        Self { dialer, http }
    }
}

/// Who may be reached, and as whom.
type PoolKey = (Policy, TrustId, Proxies);

/// One pool for each distinct set of policy, roots and proxies.
///
/// A connection was judged by the policy that it was dialled under and trusted by the
/// roots that it was dialled with. If another policy could pick it out of the pool, it
/// would reach what it may not, so pools are divided by exactly that. Equal ones share:
/// ten thousand tenants of one service are one pool. A connection in it carries one
/// request at a time and goes back only when both messages have ended, so nothing of
/// one tenant rides on another's.
#[derive(Default)]
pub(crate) struct Pools(Mutex<HashMap<PoolKey, Entry>>);

struct Entry {
    pool: Arc<Pool>,
    asked_for: Instant,
}

impl Pools {
    /// The client for these, over the pool that there is or a new one.
    pub(crate) fn client(
        &self,
        policy: Policy,
        trust: Trust,
        proxies: &Proxies,
        resources: &Arc<Resources>,
    ) -> Client {
        let key = (policy, trust.id, proxies.clone());
        let asked_for = Instant::now();
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = pools.get_mut(&key) {
            entry.asked_for = asked_for;
            return Client::new(Arc::clone(&entry.pool));
        }
        pools.retain(|_, entry| {
            Arc::strong_count(&entry.pool) > 1 || entry.asked_for.elapsed() < IDLE
        });
        let resources = Arc::clone(resources);
        let dialer = Dialer::new(key.0.clone(), trust, proxies, resources, ALPN);
        let pool = Arc::new(Pool::new(dialer));
        let client = Client::new(Arc::clone(&pool));
        pools.insert(key, Entry { pool, asked_for });
        client
    }
}

/// What one configuration may reach, and its connections. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
    quota: ConnectionQuota,
}

impl Client {
    fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            quota: ConnectionQuota::default(),
        }
    }

    /// The same on a party's account. Without this a client has a [`ConnectionQuota`] of its own.
    #[must_use]
    pub fn with_quota(mut self, quota: &ConnectionQuota) -> Self {
        self.quota = quota.clone();
        self
    }

    /// What it may reach.
    pub fn policy(&self) -> &Policy {
        self.pool.dialer.policy()
    }

    /// Whether another one reaches the same places in the same way: by the same policy, over
    /// the same roots and proxies.
    pub fn has_same_pool(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pool, &other.pool)
    }

    /// Opens the books for one guest call. The total time runs from now.
    pub fn session(&self, bounds: Bounds) -> Session {
        Session::new(Arc::clone(&self.pool), self.quota.clone(), bounds)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("policy", self.policy())
            .finish_non_exhaustive()
    }
}
