//! The configuration read again while it is at work: at SIGHUP, or when a file changed.

use super::changes::Changes;
use super::run::{check_runnable, prepare_on};
use crate::config::{self, Config};
use crate::sources::Runtime;
use crate::topology::Replan;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::signal::unix::Signal;
use watchbell_secrets::Stamp;
use watchbell_secrets::files;

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is at work, and how to change it.
pub(super) struct Reload {
    pub(super) file: PathBuf,
    pub(super) loaded: Config,
    pub(super) runtime: Runtime,
    /// The files of what was tried last, which may be what has to be mended.
    pub(super) tried: Vec<PathBuf>,
    pub(super) replan: Replan,
    /// Also when a file changes.
    pub(super) watch: bool,
}

impl Reload {
    /// Reloads at each SIGHUP, and whenever else it is told to. For a task of its own: it
    /// looks at every file.
    pub(super) async fn run(mut self, mut hangup: Signal) -> Infallible {
        let mut seen = self.stamps().await;
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                () = self.changed(&seen), if self.watch => {}
            }
            seen = self.stamps().await;
            match self.reload().await {
                Ok(changes) => changes.say(),
                Err(words) => {
                    // Several problems stand in as many lines.
                    let words = words.lines().collect::<Vec<_>>().join("; ");
                    tracing::error!(
                        "the configuration was read again and cannot be used; the old one goes on: {words}"
                    );
                }
            }
        }
    }

    async fn reload(&mut self) -> Result<Changes, String> {
        let file = self.file.clone();
        let loading =
            tokio::task::spawn_blocking(move || config::try_load(&file, &config::process_env));
        let (files, loaded) = loading.await.map_err(|error| error.to_string())?;
        self.tried = files;
        let loaded = loaded.map_err(|error| error.to_string())?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let config = loaded.config;
        check_runnable(&config).map_err(|words| format!("{}: {words}", self.file.display()))?;
        if config.data_dir != self.loaded.data_dir {
            return Err("data_dir has changed, which needs a restart".to_owned());
        }
        if config.max_concurrency() != self.loaded.max_concurrency()
            || config.max_in_flight() != self.loaded.max_in_flight()
        {
            tracing::warn!("max_concurrency and max_in_flight change with a restart only");
        }
        if config.min_free() != self.loaded.min_free() {
            tracing::warn!("min_free changes with a restart only");
        }
        if config.metrics != self.loaded.metrics {
            tracing::warn!("metrics.listen changes with a restart only");
        }
        // Compiling takes seconds, and a component that is tried out may take all it is
        // given: neither holds up those who poll.
        let (runtime, here) = (self.runtime.clone(), Handle::current());
        let preparing = tokio::task::spawn_blocking(move || {
            let prepared = here.block_on(prepare_on(&runtime, &config));
            (prepared, config)
        });
        let (prepared, config) = preparing.await.map_err(|error| error.to_string())?;
        let prepared = prepared.map_err(|failure| failure.to_string())?;
        let changed = self.replan.put(prepared.plan).await?;
        self.runtime = prepared.runtime;
        self.runtime
            .secrets
            .forget_others(&config.secret_locations());
        let changes = Changes::between(&self.loaded, &config, changed);
        self.loaded = config;
        Ok(changes)
    }

    /// Resolves when a file is another one than `seen`, and has come to rest.
    async fn changed(&self, seen: &[(PathBuf, Option<Stamp>)]) {
        let mut last = seen.to_vec();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.stamps().await;
            // Whoever writes is let finish.
            if now != seen && now == last {
                return;
            }
            last = now;
        }
    }

    /// Every file that counts, as it is now.
    async fn stamps(&self) -> Vec<(PathBuf, Option<Stamp>)> {
        let mut files = vec![self.file.clone()];
        files.extend(self.loaded.files());
        files.extend(self.tried.iter().cloned());
        files::stamps(files).await
    }
}
