//! The connector: where a URL becomes a connection, and the one place that dials.
//!
//! hyper's pool asks it for a connection when it has none to the URL's scheme, host and
//! port. It trusts nothing that was decided before: it judges the URL that it was given,
//! resolves the name itself, judges every address, and dials exactly those it judged, so
//! that no second resolution can put another address in between. Of a name with good and
//! bad addresses only the good are dialled. Pooled connections need no second judgement
//! because a pool belongs to one policy.
//!
//! The bounds and the share come from the session whose request needs the connection,
//! through a task local, since hyper's connector interface passes only the URL. When an idle connection
//! turns up while one is being made, hyper finishes the latter in the background for the
//! pool; the bounds end it in any case.

use std::future::{Future, Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::InvalidUri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::bounds::{Bounds, after};
use crate::client_certificate::Identity;
use crate::connection_quota::ConnectionQuota;
use crate::denied::Denied;
use crate::error::{Error, Phase, words};
use crate::host::Host;
use crate::overheard::{Heard, Overheard};
use crate::policy::{Policy, Scheme, Target};
use crate::proxy::{Proxies, Proxy, ProxyWays};
use crate::resolve::Resolver;
use crate::stream::{Io, Remote, Stream};
use crate::tls::{Roots, handshake};

tokio::task_local! {
    /// Who asks for a connection.
    pub(crate) static ASKER: Asker;
}

/// The session whose request needs a connection.
#[derive(Clone, Default)]
pub(crate) struct Asker {
    pub(crate) bounds: Bounds,
    pub(crate) share: ConnectionQuota,
}

#[derive(Clone)]
pub(crate) struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    policy: Policy,
    roots: Arc<Roots>,
    identity: Option<Identity>,
    ways: Arc<Ways>,
    proxies: ProxyWays,
    tls: OnceCell<TlsConnector>,
}

/// What every connection of the process needs.
pub(crate) struct Ways {
    pub(crate) resolver: Resolver,
    /// As many as the process may have open.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) most_sockets: usize,
}

impl Connector {
    pub(crate) fn new(
        policy: Policy,
        (roots, identity): (Arc<Roots>, Option<Identity>),
        proxies: &Proxies,
        ways: Arc<Ways>,
    ) -> Self {
        let tls = OnceCell::new();
        Self {
            shared: Arc::new(Shared {
                policy,
                roots,
                identity,
                ways,
                proxies: proxies.ways(),
                tls,
            }),
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// Whether most sockets are taken, so that none should be kept for later: those that
    /// wait for their next request would be in the way of who needs one now.
    pub(crate) fn is_short_of_sockets(&self) -> bool {
        let ways = &self.shared.ways;
        ways.sockets.available_permits() < ways.most_sockets / 2
    }

    /// The proxy that gets a plain request to `target` whole; none for a tunnel.
    pub(crate) fn plain_proxy(&self, target: &Target) -> Result<Option<Proxy>, Denied> {
        match target.scheme {
            Scheme::Http => self.shared.proxy(target),
            Scheme::Https => Ok(None),
        }
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
        let asker = ASKER.try_with(Clone::clone).unwrap_or_default();
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.dial(&url, &asker).await.map(TokioIo::new) })
    }
}

impl Shared {
    async fn dial(&self, url: &Uri, asker: &Asker) -> Result<Stream, Error> {
        let bounds = &asker.bounds;
        let target = self.policy.judge_url(url)?;
        let proxy = self.proxy(&target)?;
        let addresses = match &proxy {
            None => self.judged_addresses(&target, asker).await?,
            // The operator named it, so its address is as good as any.
            Some(proxy) => self
                .addresses(&proxy.host, proxy.port, asker)
                .await
                .map_err(|error| by(proxy, &error))?,
        };
        let socket = Arc::clone(&self.ways.sockets).acquire_owned();
        let socket = within(Phase::Socket, bounds.connect, socket)
            .await?
            .map_err(|error| Error::Request {
                message: error.to_string(),
            })?;
        let host = proxy.as_ref().map_or(&target.host, |proxy| &proxy.host);
        let connected = connect(host, &addresses, bounds.connect).await;
        let (tcp, remote) = match &proxy {
            None => connected?,
            Some(proxy) => {
                let (tcp, remote) = connected.map_err(|error| by(proxy, &error))?;
                match target.scheme {
                    Scheme::Http => (tcp, remote),
                    Scheme::Https => {
                        let tunnel = tunnel(proxy, &target, tcp);
                        (
                            within(Phase::Connect, bounds.connect, tunnel).await??,
                            remote,
                        )
                    }
                }
            }
        };
        // Requests are small and written at once; waiting for more to send only delays.
        let _ = tcp.set_nodelay(true);
        let io = match target.scheme {
            Scheme::Http => Io::Plain(tcp),
            Scheme::Https => {
                let connector = || self.roots.connector(self.identity.as_ref());
                let connector = self.tls.get_or_try_init(connector).await?;
                let shake = handshake(connector, &target.host, tcp);
                let tls = within(Phase::Tls, bounds.tls, shake).await??;
                Io::Tls(Box::new(tls))
            }
        };
        Ok(Stream {
            remote: Remote(remote),
            io,
            proxied: proxy.is_some() && target.scheme == Scheme::Http,
            _socket: socket,
        })
    }

    /// The proxy for a target. Plain http goes to loopback alone, and who does not resolve
    /// a name cannot tell that it is that.
    fn proxy(&self, target: &Target) -> Result<Option<Proxy>, Denied> {
        let proxy = Proxy::of(&self.proxies, target);
        if proxy.is_some() && target.scheme == Scheme::Http && matches!(target.host, Host::Name(_))
        {
            return Err(Denied::PlainText {
                host: target.host.to_string(),
            });
        }
        Ok(proxy)
    }

    /// The addresses that may be dialled, at least one.
    async fn judged_addresses(
        &self,
        target: &Target,
        asker: &Asker,
    ) -> Result<Vec<SocketAddr>, Error> {
        let found = self.addresses(&target.host, target.port, asker).await?;
        match target.host {
            // `judge_url` has judged it.
            Host::Address(_) => Ok(found),
            Host::Name(_) => Ok(judged(&self.policy, target, found)?),
        }
    }

    /// A host's addresses, at least one.
    async fn addresses(
        &self,
        host: &Host,
        port: u16,
        asker: &Asker,
    ) -> Result<Vec<SocketAddr>, Error> {
        let name = match host {
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, port)]),
            Host::Name(name) => name,
        };
        let dns = |message: String| Error::Dns {
            host: name.clone(),
            message,
        };
        let lookup = self.ways.resolver.resolve(name, port, &asker.share);
        let found = within(Phase::Resolve, asker.bounds.resolve, lookup)
            .await?
            .map_err(|error| dns(error.to_string()))?;
        if found.is_empty() {
            return Err(dns("it has no addresses".to_owned()));
        }
        Ok(found)
    }
}

/// What kept us from a proxy, which is nobody's fault but the network's.
fn by(proxy: &Proxy, error: &Error) -> Error {
    Error::Proxy {
        proxy: proxy.to_string(),
        status: None,
        message: error.to_string(),
    }
}

/// Asks the proxy for a tunnel to the target.
async fn tunnel(proxy: &Proxy, target: &Target, tcp: TcpStream) -> Result<TcpStream, Error> {
    let url = format!("https://{}:{}/", target.host, target.port);
    let wrong = |message: String| Error::Proxy {
        proxy: proxy.to_string(),
        status: None,
        message,
    };
    let url: Uri = url
        .parse()
        .map_err(|error: InvalidUri| wrong(error.to_string()))?;
    let heard = Heard::default();
    let mut tunnel = Tunnel::new(
        proxy.url.clone(),
        Connected(Some(TokioIo::new(Overheard::new(tcp, &heard)))),
    );
    if let Some(value) = proxy.authorization.clone() {
        tunnel = tunnel.with_auth(value);
    }
    let connection = tower_service::Service::call(&mut tunnel, url);
    let connection = connection.await.map_err(|error| match heard.status() {
        Some((status, line)) if !(200..300).contains(&status) => Error::Proxy {
            proxy: proxy.to_string(),
            status: Some(status),
            message: format!("it answered {line}"),
        },
        _ => wrong(words(&error)),
    })?;
    Ok(connection.into_inner().into_inner())
}

/// A connection that is there already, in the shape that hyper's tunnel wants.
struct Connected(Option<TokioIo<Overheard<TcpStream>>>);

impl tower_service::Service<Uri> for Connected {
    type Response = TokioIo<Overheard<TcpStream>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(
            self.0
                .take()
                .ok_or_else(|| io::ErrorKind::NotConnected.into()),
        )
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
    host: &Host,
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
                    host: host.to_string(),
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
