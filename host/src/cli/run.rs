//! `watchbell run`: every source on its interval, through the transforms, to the sinks.

use super::settings::config_failure;
use crate::config::{self, Config, Name};
use crate::control;
use crate::exit::{Exit, Failure};
use crate::pipeline::Pipeline;
use crate::schedule::{Ended, Puller, Runtime, Service};
use clap::Args;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use watchbell_ledger::{Ledger, OpenError, Sqlite};
use watchbell_sandbox::Pool;

/// Calls that may run at one time. Each holds at most its source's
/// limits.max_response_bytes twice.
const CALLS: u32 = 16;

/// Poll every source on its interval and deliver what is new, each detection once.
///
/// What was read and what is still to be delivered is kept in data_dir, so it may be
/// stopped or killed at any time and goes on where it was. At SIGTERM or Ctrl-C it stops
/// polling, delivers what it has, and says what remains; a second signal ends it at once.
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
        let folder = data_dir(&config, &self.config)?;
        let ledger: Arc<dyn Ledger> = Arc::new(Sqlite::open(&folder).map_err(not_opened)?);
        let prepared = prepare_config(&config).await?;
        tracing::info!("{prepared}; polling");
        let opened = Service::open(
            Arc::clone(&ledger),
            &folder,
            config.min_free(),
            prepared.sources,
            prepared.pipeline,
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
        let operator = control::Operator::new(Arc::clone(&ledger), service.handles());
        let serving = match control::Server::start(&folder) {
            Ok(server) => Some(tokio::spawn(server.serve(operator))),
            // A path of more than 107 bytes cannot be a socket's; all else works.
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "no orders can be taken while this runs");
                None
            }
        };
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
    for source in &ended.behind {
        tracing::warn!(%source, "not read up to now");
    }
    tracing::info!(
        delivered = ended.delivered,
        missed_ticks = ended.missed,
        "ended"
    );
    if once && !(ended.waiting.is_empty() && ended.behind.is_empty()) {
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
    pub(super) sources: Vec<(Name, Puller)>,
    pub(super) pipeline: Pipeline,
    sinks: usize,
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sources: {}, sinks: {}", self.sources.len(), self.sinks)
    }
}

/// Loads a configuration and everything that it names.
pub(super) async fn prepare(path: &Path) -> Result<Prepared, Failure> {
    prepare_config(&load(path)?).await
}

/// Loads everything that a configuration names.
pub(super) async fn prepare_config(config: &Config) -> Result<Prepared, Failure> {
    let runtime = Runtime::start(Pool::Service(CALLS), config.data_dir.as_deref())?;
    let mut sources = Vec::new();
    for (name, settings) in &config.sources {
        let puller = Puller::new(&runtime, settings)
            .map_err(|e| Failure::new(Exit::Config, format!("sources.{name}: {e}")))?;
        sources.push((name.clone(), puller));
    }
    let pipeline = Pipeline::load(config, &runtime.engine)
        .await
        .map_err(|e| Failure::new(Exit::Config, e))?;
    Ok(Prepared {
        sources,
        pipeline,
        sinks: config.sinks.len(),
    })
}
