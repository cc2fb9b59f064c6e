//! What all sources of a process share: the engine, the way out, the tokens.

use super::token::Tokens;
use crate::exit::{Exit, Failure};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use watchbell_egress::Egress;
use watchbell_sandbox::{Cache, Engine, LoadError, Pool, Source};

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
    loaded: Arc<Mutex<HashMap<Option<PathBuf>, Source>>>,
}

impl Runtime {
    /// Starts the engine. Compiled code is kept below `data_dir`, else in the user's
    /// cache folder, else nowhere.
    ///
    /// # Errors
    /// When the engine cannot start, or the folder is not ours alone.
    pub fn start(pool: Pool, data_dir: Option<&Path>) -> Result<Self, SetupError> {
        let told = |source| SetupError::Component {
            component: None,
            source,
        };
        let folder = data_dir
            .map(|folder| folder.join("compiled"))
            .or_else(cache_folder);
        let cache = folder
            .as_deref()
            .map(Cache::open)
            .transpose()
            .map_err(told)?;
        Ok(Self {
            engine: Engine::new(pool, cache).map_err(told)?,
            egress: Egress::new(),
            tokens: Tokens::default(),
            loaded: Arc::default(),
        })
    }

    /// The source component at `path`, or the bundled one. Each is loaded once.
    pub(super) fn source(&self, path: Option<&Path>) -> Result<Source, SetupError> {
        let key = path.map(Path::to_owned);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = loaded.get(&key) {
            return Ok(source.clone());
        }
        let told = |source| SetupError::Component {
            component: key.clone(),
            source,
        };
        let source = match path {
            None => Source::load(&self.engine, watchbell_components::DEFENDER).map_err(told)?,
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|source| SetupError::Read {
                    path: path.to_owned(),
                    source,
                })?;
                Source::load(&self.engine, &bytes).map_err(told)?
            }
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
