//! `watchbell run`: every source on its interval, through the transforms, to the sinks.

use super::reload::Reload;
use super::settings::config_failure;
use crate::config::{self, Config};
use crate::control;
use crate::exit::{Exit, Failure};
use crate::observe::metrics;
use crate::pipeline::Pipeline;
use crate::schedule::{Ended, Plan, Puller, Runtime, Service};
use clap::Args;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use watchbell_ledger::{Ledger, OpenError, Sqlite};
use watchbell_sandbox::Pool;

/// Poll every source on its interval and deliver what is new, each detection once.
///
/// What was read and what is still to be delivered is kept in data_dir, so it may be
/// stopped or killed at any time and goes on where it was. At SIGTERM or Ctrl-C it stops
/// polling, delivers what it has, and says what remains; a second signal ends it at once.
/// At SIGHUP it reads the configuration again, with the files of tenants and components:
/// what changed is changed and nothing else, and when anything is wrong nothing is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  watchbell run -c watchbell.toml
  watchbell run -c watchbell.toml --once     # for cron: exit code 75 when something remains")]
pub(super) struct Run {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Read every source up to now, deliver, and end: 0 when all was read and delivered,
    /// 75 when something remains.
    #[arg(long)]
    once: bool,
    /// Read the configuration again whenever one of its files changes, as at SIGHUP.
    #[arg(long)]
    watch_config: bool,
    /// Give up what still waits for a sink that is gone from the configuration. May be
    /// repeated.
    #[arg(long, value_name = "NAME")]
    forget_sink: Vec<String>,
    /// How long delivery may go on after SIGTERM, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    graceful_shutdown_limit_secs: u64,
}

impl Run {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = load(&self.config)?;
        if config.sources.is_empty() {
            let words = format!(
                "{}: has no sources; add [sources.NAME]",
                self.config.display()
            );
            return Err(Failure::new(Exit::Config, words));
        }
        raise_open_files();
        if let Some(listen) = config.metrics {
            metrics::serve(listen).map_err(|error| {
                Failure::new(Exit::Config, format!("metrics.listen {listen}: {error}"))
            })?;
            tracing::info!("metrics at http://{listen}/metrics");
        }
        let folder = data_dir(&config, &self.config)?;
        let ledger: Arc<dyn Ledger> = Arc::new(Sqlite::open(&folder).map_err(not_opened)?);
        let prepared = prepare_config(&config).await?;
        tracing::info!("{prepared}; polling");
        let runtime = prepared.runtime;
        let opened = Service::open(
            Arc::clone(&ledger),
            &folder,
            prepared.plan,
            self.forget_sink,
        );
        let (service, forgotten) = opened.await.map_err(|e| Failure::new(Exit::Config, e))?;
        for gone in forgotten {
            tracing::warn!(
                sink = gone.name,
                detections = gone.backlog.records,
                "given up"
            );
        }
        let stop = service.stop();
        let drain = Duration::from_secs(self.graceful_shutdown_limit_secs);
        let operator = control::Operator::new(Arc::clone(&ledger), service.roster());
        let serving = match control::Server::start(&folder) {
            Ok(server) => Some(tokio::spawn(server.serve(operator))),
            // A path of more than 107 bytes cannot be a socket's; all else works.
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "no orders can be taken while this runs");
                None
            }
        };
        let reload = Reload {
            file: self.config.clone(),
            loaded: config,
            runtime,
            tried: Vec::new(),
            replan: service.replan(),
            watch: self.watch_config,
        };
        let reloading = tokio::spawn(reload.run());
        let working = async {
            if self.once {
                service.run_polls(1, drain).await
            } else {
                service.run(drain).await
            }
        };
        let stopping = async {
            if let Err(error) = super::asked_to_end().await {
                tracing::error!(%error, "signals cannot be received");
                return std::future::pending().await;
            }
            tracing::info!("asked to end; delivering what there is");
            stop.send_replace(true);
            // A second one does not wait.
            let _ = super::asked_to_end().await;
        };
        let ended = tokio::select! {
            ended = working => ended,
            error = reloading => return Err(match error {
                Ok(error) => Failure::new(Exit::Internal, error),
                Err(error) => Failure::new(Exit::Internal, error),
            }),
            () = stopping => {
                return Err(Failure::new(Exit::Later, "ended at once; what remains is kept"));
            }
        };
        if let Some(serving) = serving {
            serving.abort();
        }
        finish(&ended, self.once)
    }
}

/// The last words, and the exit code.
fn finish(ended: &Ended, once: bool) -> Result<(), Failure> {
    for (source, count) in &ended.quarantined {
        tracing::warn!(%source, count, "in quarantine (watchbell state quarantine list)");
    }
    for (sink, count) in &ended.waiting {
        tracing::warn!(%sink, detections = count, "not delivered; kept for the next start");
    }
    let polled = &ended.polled;
    for source in &polled.behind {
        tracing::warn!(%source, "not read up to now");
    }
    tracing::info!(
        delivered = ended.delivered,
        polls = polled.polls,
        missed_ticks = polled.missed,
        start_lag_p99_ms = polled.start_lag.value_at_quantile(0.99) / 1000,
        "ended"
    );
    if once && !(ended.waiting.is_empty() && polled.behind.is_empty()) {
        return Err(Failure::new(Exit::Later, "something remains; run it again"));
    }
    Ok(())
}

/// Reads a configuration; what is odd about it goes to the log.
pub(super) fn load(path: &Path) -> Result<Config, Failure> {
    let loaded = config::load(path, &config::process_env).map_err(config_failure)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded.config)
}

/// Where the ledger is.
pub(super) fn data_dir(config: &Config, path: &Path) -> Result<PathBuf, Failure> {
    config.data_dir.clone().ok_or_else(|| {
        let words = format!(
            "{}: data_dir: is missing; name a folder of watchbell's own for what was read and what is to be delivered, e.g. data_dir = \"/var/lib/watchbell\"",
            path.display()
        );
        Failure::new(Exit::Config, words)
    })
}

/// A ledger that cannot be opened.
pub(super) fn not_opened(error: OpenError) -> Failure {
    let exit = match error {
        OpenError::Locked { .. } => Exit::Later,
        OpenError::Io { .. } => Exit::Io,
        _ => Exit::Config,
    };
    Failure::new(exit, error)
}

/// A configuration whose every part was loaded.
pub(super) struct Prepared {
    pub(super) runtime: Runtime,
    pub(super) plan: Plan,
    sources: usize,
    tenants: usize,
    sinks: usize,
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sources: {}, ", self.sources)?;
        if self.tenants > self.sources {
            write!(f, "tenants: {}, ", self.tenants)?;
        }
        write!(f, "sinks: {}", self.sinks)
    }
}

/// Takes as many open files as this user may have: the usual soft limit of 1,024 is for
/// programs that use `select`. Half of them may be sockets.
fn raise_open_files() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, files) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}

/// Loads a configuration and everything that it names.
pub(super) async fn prepare(path: &Path) -> Result<Prepared, Failure> {
    prepare_config(&load(path)?).await
}

/// Loads everything that a configuration names.
pub(super) async fn prepare_config(config: &Config) -> Result<Prepared, Failure> {
    let calls = Pool::Service(config.max_concurrency());
    let runtime = Runtime::start(calls, config.data_dir.as_deref())?;
    prepare_on(&runtime, config).await
}

/// Loads everything that a configuration names, on what another one left.
pub(super) async fn prepare_on(runtime: &Runtime, config: &Config) -> Result<Prepared, Failure> {
    let runtime = runtime
        .clone()
        .with_secrets(config.secrets(&runtime.secrets, config.credentials()))
        .with_proxies(config.proxies().map_err(config_failure)?)
        .with_tenant_key(config.tenant_key.clone());
    let mut sources = Vec::new();
    for (name, settings) in config.feeds() {
        let puller = Puller::new(&runtime, Arc::clone(settings)).map_err(|e| {
            let words = format!("sources.{name} (tenant {}): {e}", settings.tenant);
            Failure::new(Exit::Config, words)
        })?;
        sources.push((name.clone(), Arc::new(puller)));
    }
    let pipeline = Pipeline::load(config, &runtime.engine)
        .await
        .map_err(|e| Failure::new(Exit::Config, e))?;
    Ok(Prepared {
        sources: config.sources.len(),
        tenants: sources.len(),
        sinks: config.sinks.len(),
        plan: Plan::new(config, sources, pipeline),
        runtime,
    })
}
