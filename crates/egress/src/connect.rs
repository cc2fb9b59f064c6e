//! The connector: where a URL becomes a connection, and the one place that dials.
//!
//! hyper's pool asks it for a connection when it has none to the URL's scheme, host and
//! port. It trusts nothing that was decided before: it judges the URL that it was given,
//! resolves the name itself, judges every address, and dials exactly those it judged, so
//! that no second resolution can put another address in between. Of a name with good and
//! bad addresses only the good are dialled. Pooled connections need no second judgement
//! because a pool belongs to one policy.
//!
//! The bounds come from the session whose request needs the connection, through a task
//! local, since hyper's connector interface passes only the URL. When an idle connection
//! turns up while one is being made, hyper finishes the latter in the background for the
//! pool; the bounds end it in any case.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::bounds::{Bounds, after};
use crate::denied::Denied;
use crate::error::{Error, Phase};
use crate::host::Host;
use crate::policy::{Policy, Scheme, Target};
use crate::resolve::Resolver;
use crate::stream::{Io, Remote, Stream};
use crate::tls::{Roots, handshake};

tokio::task_local! {
    /// The bounds of the session that asks for a connection.
    pub(crate) static DIAL_BOUNDS: Bounds;
}

#[derive(Clone)]
pub(crate) struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    policy: Policy,
    roots: Arc<Roots>,
    resolver: Arc<Resolver>,
    tls: OnceCell<TlsConnector>,
}

impl Connector {
    pub(crate) fn new(policy: Policy, roots: Arc<Roots>, resolver: Arc<Resolver>) -> Self {
        let tls = OnceCell::new();
        Self {
            shared: Arc::new(Shared {
                policy,
                roots,
                resolver,
                tls,
            }),
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.shared.policy
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let bounds = DIAL_BOUNDS.try_with(|bounds| *bounds).unwrap_or_default();
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.dial(&url, bounds).await.map(TokioIo::new) })
    }
}

impl Shared {
    async fn dial(&self, url: &Uri, bounds: Bounds) -> Result<Stream, Error> {
        let target = self.policy.judge_url(url)?;
        let addresses = self.judged_addresses(&target, bounds.resolve).await?;
        let (tcp, remote) = connect(&target, &addresses, bounds.connect).await?;
        // Requests are small and written at once; waiting for more to send only delays.
        let _ = tcp.set_nodelay(true);
        let io = match target.scheme {
            Scheme::Http => Io::Plain(tcp),
            Scheme::Https => {
                let connector = self.tls.get_or_try_init(|| self.roots.connector()).await?;
                let shake = handshake(connector, &target.host, tcp);
                let tls = within(Phase::Tls, bounds.tls, shake).await??;
                Io::Tls(Box::new(tls))
            }
        };
        Ok(Stream {
            remote: Remote(remote),
            io,
        })
    }

    /// The addresses that may be dialled, at least one.
    async fn judged_addresses(
        &self,
        target: &Target,
        limit: Duration,
    ) -> Result<Vec<SocketAddr>, Error> {
        let name = match &target.host {
            // `judge_url` has judged it.
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, target.port)]),
            Host::Name(name) => name,
        };
        let dns = |message: String| Error::Dns {
            host: name.clone(),
            message,
        };
        let found = within(
            Phase::Resolve,
            limit,
            self.resolver.resolve(name, target.port),
        )
        .await?
        .map_err(|error| dns(error.to_string()))?;
        let good = judged(&self.policy, target, found)?;
        if good.is_empty() {
            return Err(dns("it has no addresses".to_owned()));
        }
        Ok(good)
    }
}

/// Of a name's addresses those that may be dialled; if none of them may, the first
/// refusal.
fn judged(
    policy: &Policy,
    target: &Target,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Denied> {
    let mut refused = None;
    let mut good = Vec::with_capacity(found.len());
    for address in found {
        match policy.judge_target_address(target, address.ip()) {
            Ok(()) => good.push(address),
            Err(denied) => refused = refused.or(Some(denied)),
        }
    }
    match refused {
        Some(denied) if good.is_empty() => Err(denied),
        _ => Ok(good),
    }
}

/// Tries one address after the other; each gets an equal part of the time that is left.
async fn connect(
    target: &Target,
    addresses: &[SocketAddr],
    limit: Duration,
) -> Result<(TcpStream, SocketAddr), Error> {
    let end = after(Instant::now(), limit);
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut failed = Error::TimedOut {
        phase: Phase::Connect,
        limit,
    };
    for &address in addresses {
        let share = end.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok((tcp, address)),
            Ok(Err(error)) => {
                failed = Error::Connect {
                    host: target.host.to_string(),
                    address,
                    kind: error.kind(),
                    message: error.to_string(),
                };
            }
            Err(_) => {
                failed = Error::TimedOut {
                    phase: Phase::Connect,
                    limit,
                }
            }
        }
    }
    Err(failed)
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

#[cfg(test)]
mod tests;
