//! A service from its start to its end: the listener, its connections, and the
//! handle that a test holds.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::Error;
use crate::fault::Fault;
use crate::serve::serve;
use crate::state::{Exchange, State, Stats};

/// Starts services.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Starts a service on the current tokio runtime; it accepts connections
    /// once this returns. It ends when the answer is stopped or dropped.
    ///
    /// # Errors
    /// [`Error::Config`] for a value that cannot be, [`Error::Listen`] for an
    /// address that cannot be had.
    pub async fn start(config: Config) -> Result<Running, Error> {
        let catalog = Catalog::new(&config, config.clock.now())?;
        let listen = config.listen;
        let failed = |source| Error::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let state = Arc::new(State::new(config, catalog));
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Running { addr, state, task })
    }
}

/// A service that runs. Dropping it ends it.
pub struct Running {
    addr: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The endpoint to ask for detections: `{endpoint}/api/alerts`. A service that listens
    /// on every address is reached by loopback.
    pub fn endpoint(&self) -> String {
        let mut addr = self.addr;
        match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        format!("http://{addr}")
    }

    /// The authority to ask for tokens: `{authority}/{tenant}/oauth2/token`.
    pub fn authority(&self) -> String {
        self.endpoint()
    }

    /// The service's time.
    pub fn now(&self) -> DateTime<Utc> {
        crate::text::instant(self.state.now())
    }

    /// Sets the service's clock.
    pub fn set_clock(&self, clock: Clock) {
        self.state.set_clock(clock);
    }

    /// Everything that this tenant can ever see (the tenant matters only with
    /// [`Config::tenants_differ`]).
    pub fn catalog(&self, tenant: &str) -> Catalog {
        self.state.catalog(tenant)
    }

    /// Adds a fault after those that are there.
    pub fn add_fault(&self, fault: Fault) {
        self.state.add_faults(vec![fault]);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.state.clear_faults();
    }

    /// The faults that are not used up, each with how often it has struck.
    pub fn faults(&self) -> Vec<(Fault, u64)> {
        self.state.faults()
    }

    /// Voids every token issued so far.
    pub fn expire_tokens(&self) {
        self.state.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// The refresh token that is good now: a user's consent. Using it replaces it.
    pub fn refresh_token(&self) -> String {
        let used = self.state.refreshed.load(Ordering::Relaxed);
        crate::token::refresh_token(self.state.config.seed, used)
    }

    /// Counts since the start.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// The last few thousand exchanges, oldest first.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.state.exchanges()
    }

    /// The indices of the detections that were put into an answer, whether or not
    /// it arrived; all tenants together. Empty without [`Config::record`].
    pub fn served(&self) -> Vec<u64> {
        self.state.served()
    }

    /// Ends it: connections are closed where they stand.
    pub async fn stop(mut self) {
        self.task.abort();
        let _aborted = (&mut self.task).await;
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _unset = stream.set_nodelay(true);
                    state.counters.connections.fetch_add(1, Ordering::Relaxed);
                    let state = Arc::clone(&state);
                    connections.spawn(async move {
                        let service = service_fn(move |request| serve(Arc::clone(&state), request));
                        let server = auto::Builder::new(TokioExecutor::new());
                        let _broken = server.serve_connection(TokioIo::new(stream), service).await;
                    });
                }
                // Out of file descriptors: the connections that end give some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}
