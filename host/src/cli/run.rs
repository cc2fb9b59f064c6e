//! `watchbell run`: every source on its interval, through the transforms, to the sinks.

use super::data_dir;
use super::reload::Reload;
use super::settings::config_failure;
use super::signals::{Ends, reloads};
use crate::config::{self, Config};
use crate::control;
use crate::exit::{Exit, Failure};
use crate::mount::check_mounted;
use crate::polling::FeedBehind;
use crate::sources::Runtime;
use crate::telemetry::metrics;
use crate::topology::{Ended, Pipeline, Plan, Service};
use clap::Args;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use watchbell_ledger::Ledger;
use watchbell_sandbox::Pool;
use watchbell_secrets::files;

/// Poll every source on its interval and deliver what is new, each detection once.
///
/// What was read and what is still to be delivered is kept in data_dir, so it may be
/// stopped or killed at any time and goes on where it was. At SIGTERM or Ctrl-C it stops
/// polling, delivers what it has, and says what remains; a second signal ends it at once.
/// When nobody reads the output of a console sink any more, it does the same and ends with
/// exit code 74.
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

/// What a start leads to.
struct Started {
    config: Config,
    folder: PathBuf,
    ledger: Arc<dyn Ledger>,
    runtime: Runtime,
    service: Service,
}

impl Run {
    pub(super) async fn run(self) -> Result<(), Failure> {
        // First of all: what is asked while components are compiled counts.
        let (mut ends, reloads) = (Ends::listen()?, reloads()?);
        let (once, drain) = (
            self.once,
            Duration::from_secs(self.graceful_shutdown_limit_secs),
        );
        let (file, watch) = (self.config.clone(), self.watch_config);
        // It waits for disks and compiles, and whoever ends it need not wait for that.
        let here = Handle::current();
        let starting = tokio::task::spawn_blocking(move || here.block_on(self.start()));
        let started = tokio::select! {
            started = starting => started.map_err(|e| Failure::new(Exit::Internal, e))??,
            () = ends.asked(1) => {
                if once {
                    let words = "ended before anything was read; run it again";
                    return Err(Failure::new(Exit::Later, words));
                }
                tracing::info!("asked to end before polling began");
                return Ok(());
            }
        };
        let Started {
            config,
            folder,
            ledger,
            runtime,
            service,
        } = started;
        let stop = service.stop();
        let operator = control::Operator::new(ledger, service.registry());
        let serving = match control::Server::start(&folder) {
            Ok(server) => Some(tokio::spawn(server.serve(operator))),
            // A path of more than 107 bytes cannot be a socket's; all else works.
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "no orders can be taken while this runs");
                None
            }
        };
        let reload = Reload {
            file,
            loaded: config,
            runtime,
            tried: Vec::new(),
            replan: service.replan(),
            watch,
        };
        // A task of its own: it looks at every file.
        let reloading = tokio::spawn(reload.run(reloads));
        let working = async {
            if once {
                service.run_polls(1, drain).await
            } else {
                service.run(drain).await
            }
        };
        let stopping = async {
            ends.asked(1).await;
            tracing::info!("asked to end; delivering what there is");
            stop.cancel();
            // A second one does not wait.
            ends.asked(2).await;
        };
        let ended = tokio::select! {
            ended = working => ended,
            error = reloading => return Err(match error {
                Ok(never) => match never {},
                Err(error) => Failure::new(Exit::Internal, error),
            }),
            () = stopping => {
                return Err(Failure::new(Exit::Later, "ended at once; what remains is kept"));
            }
        };
        if let Some(serving) = serving {
            serving.abort();
        }
        finish(&ended, once)
    }

    /// Everything up to the first poll.
    async fn start(self) -> Result<Started, Failure> {
        let config = load(&self.config)?;
        check_runnable(&config).map_err(|words| {
            Failure::new(Exit::Config, format!("{}: {words}", self.config.display()))
        })?;
        raise_open_files();
        if let Some(listen) = config.metrics {
            metrics::serve(listen).await.map_err(|error| {
                Failure::new(Exit::Config, format!("metrics.listen {listen}: {error}"))
            })?;
        }
        let folder = data_dir::data_dir(&config, &self.config)?;
        sinks_mounted(&config)?;
        let ledger: Arc<dyn Ledger> = Arc::new(data_dir::open(&config, &folder)?);
        let prepared = prepare_config(&config).await?;
        tracing::info!("{prepared}; polling");
        let opened = Service::open(
            Arc::clone(&ledger),
            &folder,
            prepared.plan,
            self.forget_sink,
        );
        let (service, forgotten) = opened.await.map_err(data_dir::not_begun)?;
        for gone in forgotten {
            tracing::warn!(
                sink = gone.name,
                detections = gone.backlog.records,
                "given up"
            );
        }
        Ok(Started {
            config,
            folder,
            ledger,
            runtime: prepared.runtime,
            service,
        })
    }
}

/// What a person must correct before a source is read up to now; none where it may pass.
fn hopeless(behind: &[FeedBehind]) -> Option<Failure> {
    let failures = behind.iter().filter_map(|feed| {
        let (exit, words) = feed.failure.as_ref()?;
        let words = format!("sources.{}: {words}", feed.title);
        (*exit != Exit::Later).then(|| Failure::new(*exit, words))
    });
    // What a person must correct says more than what the service answered.
    failures.max_by_key(|failure| failure.exit.code())
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
    for feed in &polled.behind {
        tracing::warn!(source = %feed.title, "not read up to now");
    }
    tracing::info!(
        delivered = ended.delivered,
        polls = polled.polls,
        missed_ticks = polled.missed,
        start_lag_p99_ms = polled.start_lag.value_at_quantile(0.99) / 1000,
        "ended"
    );
    if let Some((sink, words)) = ended.lost.first() {
        let words = format!("sinks.{sink}: {words}; what was not delivered is kept");
        return Err(Failure::new(Exit::Io, words));
    }
    if once && let Some(failure) = hopeless(&polled.behind) {
        return Err(failure);
    }
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

/// Whether the disks are mounted on which the sinks write. What is mounted later is looked
/// for again with each batch.
fn sinks_mounted(config: &Config) -> Result<(), Failure> {
    for (name, sink) in &config.sinks {
        if let Some(mount) = sink.settings.require_mount() {
            check_mounted(mount)
                .map_err(|e| Failure::new(Exit::Later, format!("sinks.{name}.{e}")))?;
        }
    }
    Ok(())
}

/// What `run` needs and verbs that ask once do not.
pub(super) fn check_runnable(config: &Config) -> Result<(), &'static str> {
    if config.sources.is_empty() {
        return Err("has no sources; add [sources.NAME]");
    }
    if config.sinks.is_empty() {
        return Err(
            "has no sinks, so detections would be read and delivered to nobody; add [sinks.NAME], e.g. with type = \"console\"",
        );
    }
    Ok(())
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

/// Loads everything that a configuration names.
pub(super) async fn prepare_config(config: &Config) -> Result<Prepared, Failure> {
    let calls = Pool::Service(config.max_concurrency());
    let runtime = super::start_runtime(calls, config.data_dir.as_deref())?;
    prepare_on(&runtime, config).await
}

/// Refuses files that do not answer before anything waits for them: those of components and
/// certificates. The tenants' were read with the configuration.
async fn files_answer(config: &Config) -> Result<(), Failure> {
    for path in config.files() {
        let file = path.clone();
        let opened = files::wait_for(&path, move || files::open_or_folder(&file)).await;
        if let Err(error) = opened.and_then(|opened| opened)
            && error.kind() != io::ErrorKind::NotFound
        {
            let words = format!("{}: {error}", path.display());
            return Err(Failure::new(Exit::Config, words));
        }
    }
    Ok(())
}

/// Loads everything that a configuration names, on what another one left.
pub(super) async fn prepare_on(runtime: &Runtime, config: &Config) -> Result<Prepared, Failure> {
    let runtime = runtime
        .clone()
        .with_secrets(config.secrets(&runtime.secrets, &config.secret_locations()))
        .with_proxies(config.proxies().map_err(config_failure)?);
    files_answer(config).await?;
    let mut sources = Vec::new();
    for (name, source) in config.feeds() {
        let own = match config.tenant_key_from(name) {
            Some(key) => runtime.clone().with_tenant_key(key),
            None => runtime.clone(),
        };
        let client = source.build(&own).map_err(|e| {
            let words = format!("sources.{name} (tenant {}): {e}", source.tenant);
            Failure::new(Exit::Config, words)
        })?;
        sources.push((name.clone(), client));
    }
    let pipeline = Pipeline::load(config, &runtime)
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
