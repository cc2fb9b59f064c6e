//! What the suites that cross crates share: a source that is loaded once, and servers
//! on loopback that answer whatever a test wants, byte for byte.

// A test that cannot be set up has failed.
#![allow(clippy::expect_used)]

pub mod bombs;
pub mod server;

use std::sync::LazyLock;
use std::time::Duration;
use watchbell_egress::{Bounds, Egress, HostPattern, Policy, Session, Tls};
use watchbell_sandbox::contract::{
    Api, ClientSecret, Config, Credentials, Error, Limits as Caps, Query, Token,
};
use watchbell_sandbox::{Alert, Authorization, Cache, CallError, Engine, Limits, Pool, Source};

/// The secret of [`config`]'s application. Marked, so that a test can look for it.
pub const SECRET: &str = "MARKED+secret/with=odd&characters%41~";

/// A source that shows whatever it can see: `tests/guests/mirror`.
pub const MIRROR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mirror.wasm"));

/// A source that attacks its host: `tests/guests/hostile-source`.
pub const HOSTILE_SOURCE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile-source.wasm"));

/// A processor that attacks its host: `tests/guests/hostile-processor`.
pub const HOSTILE_PROCESSOR: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/hostile-processor.wasm"));

/// An encoder that attacks its host: `tests/guests/hostile-encoder`.
pub const HOSTILE_ENCODER: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/hostile-encoder.wasm"));

/// The processor that others begin from: `examples/processor`.
pub const EXAMPLE_PROCESSOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/processor.wasm"));

/// The encoder that others begin from: `examples/encoder`.
pub const EXAMPLE_ENCODER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/encoder.wasm"));

/// A token to search for.
pub const TOKEN: &str = "MARKED.token-with_odd~characters+/=";

/// How long a session waits for the first and for the next byte.
pub const WAIT: Duration = Duration::from_secs(2);

/// The engine, with compiled code kept below the target folder: the suites' processes
/// compile each component once.
///
/// # Panics
/// When the engine cannot start.
pub static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    // target/PROFILE/deps/suite-…: beside the suites' own files.
    let program = std::env::current_exe().expect("a path of this program");
    let folder = program.with_file_name("watchbell-compiled");
    let cache = Cache::open(&folder).expect("a folder of our own");
    Engine::new(Pool::Service(8), Some(cache)).expect("an engine")
});

/// The bundled source.
///
/// # Panics
/// When it does not load.
pub static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    Source::load(&ENGINE, watchbell_components::DEFENDER).expect("the bundled source")
});

/// A config for `endpoint` and `authority` with everything else as usual.
#[must_use]
pub fn config(endpoint: &str, authority: &str) -> Config {
    Config {
        endpoint: endpoint.to_owned(),
        authority: authority.to_owned(),
        api: Api::Siem,
        query: Query::default(),
        limits: Caps {
            max_bytes: 1 << 20,
            max_pages: 1,
        },
        credentials: Credentials::ClientSecret(ClientSecret {
            tenant_id: watchbell_simulator::TENANT_ID.to_owned(),
            client_id: watchbell_simulator::CLIENT_ID.to_owned(),
            secret: SECRET.to_owned(),
        }),
        options: Vec::new(),
    }
}

/// A session that may reach these hosts, and loopback among them.
///
/// # Panics
/// When a pattern is wrong.
#[must_use]
pub fn session(names: &[&str], tls: &Tls) -> Session {
    let hosts = names
        .iter()
        .map(|name| name.parse::<HostPattern>().expect("a host pattern"));
    let opened = ["127.0.0.0/8".parse().expect("a range")];
    client(Policy::new(hosts, opened), tls)
}

/// A session under `policy`.
///
/// # Panics
/// When the roots cannot be read.
#[must_use]
pub fn client(policy: Policy, tls: &Tls) -> Session {
    let bounds = Bounds {
        first_byte: WAIT,
        between_bytes: WAIT,
        ..Bounds::default()
    };
    Egress::new()
        .client(policy, tls)
        .expect("a client")
        .session(bounds)
}

/// Host and port of a base URL.
#[must_use]
pub fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Limits with room for every test.
#[must_use]
pub fn limits() -> Limits {
    Limits::for_source(1 << 20, Duration::from_secs(60))
}

/// Authenticates; a call that was stopped fails the test.
///
/// # Errors
/// The contract's.
///
/// # Panics
/// When the component was stopped.
pub async fn authenticate(config: &Config) -> Result<Token, Error> {
    let session = session(&[host(&config.authority)], &Tls::default());
    SOURCE
        .authenticate(config, session, &limits())
        .await
        .expect("the component answers")
}

/// Polls with the host's credentials; a call that was stopped fails the test.
///
/// # Errors
/// The contract's.
///
/// # Panics
/// When the component was stopped.
pub async fn poll(config: &Config) -> Result<Vec<Alert>, Error> {
    let config = Config {
        credentials: Credentials::Host,
        ..config.clone()
    };
    let session = session(&[host(&config.endpoint)], &Tls::default());
    poll_in(&config, session)
        .await
        .expect("the component answers")
}

/// Polls in a session of the test's own, with [`TOKEN`] added by the host.
///
/// # Errors
/// Outside: the component was stopped. Inside: the contract's.
///
/// # Panics
/// When the endpoint is no URL.
pub async fn poll_in(
    config: &Config,
    session: Session,
) -> Result<Result<Vec<Alert>, Error>, CallError> {
    let target = format!("{}/api/alerts", config.endpoint).parse().ok();
    let authorization = target.map(|target| Authorization::bearer(target, TOKEN));
    SOURCE.poll(config, session, authorization, &limits()).await
}
