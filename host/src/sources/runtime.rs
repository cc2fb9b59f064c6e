//! What all sources of a process share: the engine, the way out, the tokens.

use super::Polling;
use super::defender::{ClientId, Defender, TenantId, Tokens};
use crate::exit::{Exit, Failure};
use crate::names::TenantKey;
use governor::{DefaultDirectRateLimiter, Quota};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use watchbell_egress::{Egress, Proxies};
use watchbell_ledger::private_folder;
use watchbell_sandbox::{Cache, Compiler, Engine, LoadError, Pool, Source, read_component};
use watchbell_secrets::{Secrets, Stamp};

/// Why a source cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The engine or the component.
    #[error("{}: {source}", component.as_ref().map_or("the bundled component".to_owned(), |path| path.display().to_string()))]
    Component {
        /// The component's file; none is the bundled one.
        component: Option<PathBuf>,
        /// What is wrong.
        source: LoadError,
    },
    /// The component's file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A setting that only shows here.
    #[error("{field}: {message}")]
    Setting {
        /// Which.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl Loaded {
    /// Whether another one came from the same file, unchanged.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.path == other.path && self.stamp == other.stamp
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self::new(Exit::Config, error)
    }
}

/// What all sources of a process share. Clones share it too.
#[derive(Clone)]
pub struct Runtime {
    /// The WebAssembly engine.
    pub engine: Engine,
    /// The way out.
    pub egress: Egress,
    /// The tokens.
    pub tokens: Tokens,
    /// Where secrets are.
    pub secrets: Secrets,
    /// Through whom requests go out.
    pub(crate) proxies: Proxies,
    /// The member that is the host's, which no source may send.
    pub(super) tenant_key: Option<TenantKey>,
    loaded: Arc<Mutex<HashMap<Option<PathBuf>, Loaded>>>,
    rate_limiters: Arc<Mutex<RateLimiters>>,
}

/// A token bucket.
pub(super) type RateLimiter = DefaultDirectRateLimiter;

/// Buckets held before those that nobody has any more are looked for.
const FIRST_SWEEP: usize = 64;

/// The buckets that somebody has.
#[derive(Default)]
struct RateLimiters {
    kept: HashMap<(ClientId, TenantId, NonZeroU32), Weak<RateLimiter>>,
    sweep_at: usize,
}

impl RateLimiters {
    fn get(&mut self, key: (ClientId, TenantId, NonZeroU32)) -> Arc<RateLimiter> {
        if let Some(rate) = self.kept.get(&key).and_then(Weak::upgrade) {
            return rate;
        }
        if self.kept.len() >= self.sweep_at {
            self.kept.retain(|_, rate| rate.strong_count() > 0);
            self.sweep_at = (self.kept.len() * 2).max(FIRST_SWEEP);
        }
        let rate = Arc::new(RateLimiter::direct(Quota::per_minute(key.2)));
        self.kept.insert(key, Arc::downgrade(&rate));
        rate
    }
}

/// A component and the file that it was loaded from, as that was then.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) source: Source,
    path: Option<PathBuf>,
    stamp: Option<Stamp>,
}

impl Runtime {
    /// Starts the engine. Compiled code is kept below `data_dir`, else in the user's
    /// cache folder. Where there is none that can be used, it is kept nowhere.
    ///
    /// # Errors
    /// When the engine cannot start.
    pub fn start(pool: Pool, data_dir: Option<&Path>) -> Result<Self, SetupError> {
        let folder = data_dir
            .map(|folder| private_folder(folder).join("compiled"))
            .or_else(cache_folder);
        let cache = folder.and_then(|folder| {
            Cache::open(&folder)
                .inspect_err(|error| tracing::debug!(%error, "compiled code is not kept"))
                .ok()
        });
        Self::with_cache(pool, cache)
    }

    /// Starts the engine for a look: what it compiles is kept nowhere.
    ///
    /// # Errors
    /// When the engine cannot start.
    pub fn start_without_cache(pool: Pool) -> Result<Self, SetupError> {
        Self::with_cache(pool, None)
    }

    fn with_cache(pool: Pool, cache: Option<Cache>) -> Result<Self, SetupError> {
        let told = |source| SetupError::Component {
            component: None,
            source,
        };
        Ok(Self {
            engine: Engine::new(pool, cache).map_err(told)?,
            egress: Egress::new(),
            tokens: Tokens::default(),
            secrets: Secrets::default(),
            proxies: Proxies::default(),
            tenant_key: None,
            loaded: Arc::default(),
            rate_limiters: Arc::default(),
        })
    }

    /// The same, where components that are not the program's own are compiled by processes
    /// of their own.
    #[must_use]
    pub fn with_compiler(mut self, compiler: Compiler) -> Self {
        self.engine = self.engine.with_compiler(compiler);
        self
    }

    /// The same with the secrets of another configuration.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// The same through these proxies.
    #[must_use]
    pub fn with_proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// The same for alerts that go downstream, where this member is the host's.
    #[must_use]
    pub fn with_tenant_key(mut self, key: TenantKey) -> Self {
        self.tenant_key = Some(key);
        self
    }

    /// The bucket of an application in a tenant, which all sources share that ask as it and
    /// have the same limit. Another limit is another bucket: what is reloaded counts.
    pub(super) fn rate_limiter(
        &self,
        polling: &Polling,
        settings: &Defender,
    ) -> Option<Arc<RateLimiter>> {
        let limit = polling.limits.max_requests_per_minute?;
        let key = (
            settings.client_id.clone(),
            settings.tenant_id.clone(),
            limit,
        );
        let mut rate_limiters = self
            .rate_limiters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some(rate_limiters.get(key))
    }

    /// The source component at `path`, or the bundled one. Each is loaded once, and again
    /// when its file has changed.
    pub(super) fn source(&self, path: Option<&Path>) -> Result<Loaded, SetupError> {
        let key = path.map(Path::to_owned);
        let stamp = path.and_then(Stamp::of);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = loaded.get(&key)
            && held.stamp == stamp
        {
            return Ok(held.clone());
        }
        let told = |source| SetupError::Component {
            component: key.clone(),
            source,
        };
        let source = match path {
            None => {
                let engine = self.engine.in_process();
                Source::load(&engine, watchbell_components::DEFENDER).map_err(told)?
            }
            Some(path) => {
                let bytes = read_component(path).map_err(|source| SetupError::Read {
                    path: path.to_owned(),
                    source,
                })?;
                Source::load(&self.engine, &bytes).map_err(told)?
            }
        };
        let source = Loaded {
            source,
            path: key.clone(),
            stamp,
        };
        loaded.insert(key, source.clone());
        Ok(source)
    }
}

/// `$XDG_CACHE_HOME/watchbell`, else `~/.cache/watchbell`.
fn cache_folder() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    base.is_absolute().then(|| base.join("watchbell"))
}
