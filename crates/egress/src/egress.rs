//! The process's way out: what all connections share, and the clients and dialers over it.

use std::sync::Arc;

use rustix::process::{Resource, getrlimit};

use crate::dial::{Dialer, Proxies, Resolver, Resources, RootsCache, Tls};
use crate::error::Error;
use crate::http::{Client, Pools};
use crate::policy::Policy;

/// Everything that is shared by all clients and dialers. Make one for the process; clones
/// share it.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
}

struct Shared {
    pools: Pools,
    roots: RootsCache,
    resources: Arc<Resources>,
}

impl Default for Egress {
    fn default() -> Self {
        Self::new()
    }
}

impl Egress {
    /// Nothing is read or dialled yet. At most half of the files that the process may
    /// have open (`RLIMIT_NOFILE`) will be sockets; the rest is for all else.
    pub fn new() -> Self {
        let files = getrlimit(Resource::Nofile).current;
        let half = files.map_or(usize::MAX, |files| {
            usize::try_from(files / 2).unwrap_or(usize::MAX)
        });
        Self::with_sockets(half)
    }

    /// The same with at most that many connections at one time, idle ones included. Who
    /// needs one more waits, as long as connecting may take.
    pub fn with_sockets(sockets: usize) -> Self {
        Self::with(sockets, Resolver::system())
    }

    pub(crate) fn with(sockets: usize, resolver: Resolver) -> Self {
        let shared = Shared {
            pools: Pools::default(),
            roots: RootsCache::default(),
            resources: Arc::new(Resources::new(sockets, resolver)),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The HTTP client for that policy and those roots, without a proxy: as
    /// [`Egress::client_through`].
    pub fn client(&self, policy: Policy, tls: &Tls) -> Result<Client, Error> {
        self.client_through(policy, tls, &Proxies::default())
    }

    /// The HTTP client for that policy, those roots and those proxies. Reads the CA file and
    /// the certificate, where they are named, which is the only error: [`Error::Roots`]; a
    /// file that has changed since makes another client with another pool.
    ///
    /// The pool outlives the client for as long as an idle connection is kept, so a
    /// caller may keep the client or ask again; both find the connections.
    pub fn client_through(
        &self,
        policy: Policy,
        tls: &Tls,
        proxies: &Proxies,
    ) -> Result<Client, Error> {
        let trust = self.shared.roots.load(tls)?;
        let resources = &self.shared.resources;
        Ok(self.shared.pools.client(policy, trust, proxies, resources))
    }

    /// What makes connections for a protocol other than HTTP, by that policy, over those
    /// roots and through those proxies. Its handshakes offer no application protocol. Reads
    /// files as [`Egress::client_through`] does, which is the only error.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncWriteExt;
    /// use watchbell_egress::{ConnectLimits, Egress, Policy, Proxies, Target, Tls};
    ///
    /// let policy = Policy::new(["syslog.example.com:6514".parse()?], []);
    /// let dialer = Egress::new().dialer(policy, &Tls::default(), &Proxies::default())?;
    /// let target = Target::tls("syslog.example.com", 6514)?;
    /// let mut stream = dialer.connect(&target, &ConnectLimits::default()).await?;
    /// stream.write_all(b"6 <14>1 -").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn dialer(&self, policy: Policy, tls: &Tls, proxies: &Proxies) -> Result<Dialer, Error> {
        let trust = self.shared.roots.load(tls)?;
        let resources = Arc::clone(&self.shared.resources);
        Ok(Dialer::new(policy, trust, proxies, resources, &[]))
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}
