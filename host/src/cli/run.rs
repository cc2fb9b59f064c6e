//! `watchbell run`: every source on its interval, through the transforms, to the sinks.

use super::settings::config_failure;
use crate::config::{self, Config, Name};
use crate::exit::{Exit, Failure};
use crate::pipeline::Pipeline;
use crate::schedule::{self, Puller, Runtime};
use clap::Args;
use std::fmt;
use std::path::{Path, PathBuf};
use tokio::sync::watch;
use watchbell_sandbox::Pool;

/// Calls that may run at one time. Each holds at most its source's
/// limits.max_response_bytes twice.
const CALLS: u32 = 16;

/// Poll every source on its interval and deliver what is new.
///
/// Runs until SIGTERM or Ctrl-C; a poll that is under way is finished and delivered.
/// The cursor is kept in memory: after a start each source begins at its `since`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
}

impl Run {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let prepared = prepare(&self.config).await?;
        if prepared.sources.is_empty() {
            return Err(Failure::new(
                Exit::Config,
                format!(
                    "{}: has no sources; add [sources.NAME]",
                    self.config.display()
                ),
            ));
        }
        let (stop, stopped) = watch::channel(false);
        tracing::info!("{prepared}; polling");
        let polling = schedule::run(prepared.sources, prepared.pipeline, stopped);
        let stopping = async {
            if let Err(error) = super::asked_to_end().await {
                tracing::error!(%error, "signals cannot be received");
            }
            tracing::info!("asked to end; finishing what is under way");
            stop.send_replace(true);
        };
        tokio::join!(polling, stopping);
        tracing::info!("ended");
        Ok(())
    }
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
    let loaded = config::load(path, &config::process_env).map_err(config_failure)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    prepare_config(&loaded.config).await
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
