//! What making one connection may cost.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::connection_quota::ConnectionQuota;
use crate::error::{Error, Phase};

/// Limits of one connection while it is made. The default is 10 s for each step and a
/// quota of its own.
#[derive(Debug, Clone)]
pub struct ConnectLimits {
    /// To resolve a name. 10 s: two tries of a resolver's usual 5 s.
    pub resolve: Duration,
    /// To connect, over all of a host's addresses, and as much again for a proxy's tunnel.
    /// 10 s: three SYNs (1, 3, 7 s).
    pub connect: Duration,
    /// For the TLS handshake. 10 s.
    pub tls: Duration,
    /// On whose account a name is resolved.
    pub quota: ConnectionQuota,
}

impl Default for ConnectLimits {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            quota: ConnectionQuota::default(),
        }
    }
}

/// That long after an instant; a duration that no clock can hold is a year.
pub(crate) fn after(start: Instant, duration: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    start.checked_add(duration).unwrap_or_else(|| start + YEAR)
}

/// Bounds one phase.
pub(crate) async fn within<F: Future>(
    phase: Phase,
    limit: Duration,
    work: F,
) -> Result<F::Output, Error> {
    timeout(limit, work)
        .await
        .map_err(|_| Error::TimedOut { phase, limit })
}
