//! The ledger as one SQLite file: WAL, every commit on disk before it is told.
//!
//! Reading waits for the disk on tokio's threads for what blocks; writing has a thread of its
//! own, which makes one transaction of what waits.

mod commit;
mod covered;
mod cursors;
mod disk;
mod durable;
mod failing;
mod folder;
mod open;
mod outbox;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod power;
mod quarantine;
mod readers;
mod rejected;
mod rows;
mod writer;

use crate::{Error, OpenError};
use disk::Disk;
pub use folder::private_folder;
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::spawn_blocking;
use writer::Writer;

/// What a simulation does between two steps: others' turns, or the end of the process.
pub type Pause = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A ledger in a folder. Its calls are made within a tokio runtime.
pub struct Sqlite {
    shared: Arc<Shared>,
    /// Awaited before and after each call, which then is made in the thread that awaits it.
    pause: Option<Pause>,
}

struct Shared {
    /// None when this only reads beside another process.
    writer: Option<Writer>,
    reading: Mutex<Connection>,
    /// What lay in the folder when it was made; none when it was there.
    made_beside: Option<Vec<PathBuf>>,
    /// Held as long as this is.
    _lock: Option<File>,
}

impl Shared {
    fn reading(&self) -> MutexGuard<'_, Connection> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sqlite {
    /// Opens the ledger in `data_dir` (in its [`private_folder`]), which is made (mode 0700)
    /// with an empty one when it is missing. Only one process at a time can.
    ///
    /// # Errors
    /// [`OpenError`]; what is there is left as it is.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        Self::open_on(&disk::System, data_dir)
    }

    fn open_on(disk: &dyn Disk, data_dir: &Path) -> Result<Self, OpenError> {
        let folder = private_folder(data_dir);
        let rests = folder::rests(&folder);
        folder::make(&folder)?;
        folder::tighten_files(&folder)?;
        let lock = open::lock(&folder)?;
        let file = open::file(&folder);
        let (connection, is_new) = open::writing(&file, disk)?;
        let writer = Writer::start(connection).map_err(|error| OpenError::io(&file, error))?;
        Ok(Self::new(Shared {
            writer: Some(writer),
            reading: Mutex::new(open::reading(&file, disk)?),
            made_beside: is_new.then_some(rests),
            _lock: Some(lock),
        }))
    }

    /// Opens the ledger in `data_dir` to look at, beside a process that writes it or
    /// without one. Whatever would change it is refused.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn look(data_dir: &Path) -> Result<Self, OpenError> {
        let file = open::file(&private_folder(data_dir));
        Ok(Self::new(Shared {
            writer: None,
            reading: Mutex::new(open::looking(&file, &disk::System)?),
            made_beside: None,
            _lock: None,
        }))
    }

    fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            pause: None,
        }
    }

    /// The same ledger for a simulation: its calls are made in the thread that awaits them,
    /// with `pause` before and after each, so that a seed says in which order everything
    /// happens.
    #[must_use]
    pub fn simulated(&self, pause: Pause) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            pause: Some(pause),
        }
    }

    /// When the ledger was missing and an empty one was made: what lay in its folder, which
    /// may say that there was one. None when it was there.
    #[must_use]
    pub fn made_beside(&self) -> Option<&[PathBuf]> {
        self.shared.made_beside.as_deref()
    }

    /// Looks at what was written.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.call(move |shared| work(&shared.reading())).await
    }

    /// Does what waits for the disk.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if let Some(pause) = &self.pause {
            pause().await;
            let done = work(&self.shared);
            pause().await;
            return done;
        }
        let shared = Arc::clone(&self.shared);
        match spawn_blocking(move || work(&shared)).await {
            Ok(done) => done,
            // Its words name tokio's task.
            Err(error) if error.is_cancelled() => Err(Error::Cancelled),
            Err(_) => Err(Error::Other("a defect: a call panicked".to_owned())),
        }
    }

    /// Does something in a transaction.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let writer = self.shared.writer.as_ref();
        let writer = writer.ok_or_else(|| Error::Other("was opened to look at only".to_owned()))?;
        let Some(pause) = &self.pause else {
            return writer.run(work).await;
        };
        pause().await;
        let done = writer.run_here(work);
        pause().await;
        done
    }
}
