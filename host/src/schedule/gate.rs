//! What must hold for polling to go on: room behind the sinks, and room on the disk.
//!
//! What was read waits in the ledger, so a sink that is down would fill the disk, and on
//! a full disk not even an acknowledgement can be kept.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use watchbell_ledger::{self as ledger, Ledger};

/// A sink and how much may wait for it.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The sink.
    pub sink: String,
    /// The sources that lead to it.
    pub sources: Vec<String>,
    /// Bytes that may wait for it.
    pub most: u64,
}

/// Why polling pauses.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// Too much waits for a sink.
    #[error(
        "{waiting} bytes wait for the sink {sink} (buffer.max_size is {most}); polling pauses until it has taken some"
    )]
    Backlog {
        /// The sink.
        sink: String,
        /// What waits.
        waiting: u64,
        /// What may wait.
        most: u64,
    },
    /// The disk is nearly full.
    #[error("{}: {free} bytes are free (min_free is {least}); polling pauses until there is room", folder.display())]
    Disk {
        /// The ledger's folder.
        folder: PathBuf,
        /// What is free.
        free: u64,
        /// What must be.
        least: u64,
    },
    /// The disk cannot be asked.
    #[error("{}: {source}", folder.display())]
    Io {
        /// The ledger's folder.
        folder: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The ledger cannot be asked.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// The bounds of one process.
#[derive(Clone)]
pub struct Gate {
    ledger: Arc<dyn Ledger>,
    bounds: Arc<[Bound]>,
    folder: PathBuf,
    min_free: u64,
}

impl Gate {
    /// With `bounds` for the sinks and `min_free` bytes on the disk of `folder`.
    #[must_use]
    pub fn new(
        ledger: Arc<dyn Ledger>,
        bounds: Vec<Bound>,
        folder: PathBuf,
        min_free: u64,
    ) -> Self {
        Self {
            ledger,
            bounds: bounds.into(),
            folder,
            min_free,
        }
    }

    /// Whether `source` may be read further. Blocks.
    ///
    /// # Errors
    /// [`Closed`]: not now.
    pub fn check(&self, source: &str) -> Result<(), Closed> {
        let of_source = |bound: &&Bound| bound.sources.iter().any(|one| one == source);
        for bound in self.bounds.iter().filter(of_source) {
            let waiting = self.ledger.backlog(&bound.sink)?.bytes;
            if waiting >= bound.most {
                return Err(Closed::Backlog {
                    sink: bound.sink.clone(),
                    waiting,
                    most: bound.most,
                });
            }
        }
        let disk = rustix::fs::statvfs(&self.folder).map_err(|error| Closed::Io {
            folder: self.folder.clone(),
            source: error.into(),
        })?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < self.min_free {
            return Err(Closed::Disk {
                folder: self.folder.clone(),
                free,
                least: self.min_free,
            });
        }
        Ok(())
    }
}

impl Closed {
    /// What kind it is, in words that are the same each time.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Backlog { .. } => "backlog",
            Self::Disk { .. } => "disk",
            Self::Io { .. } => "disk cannot be asked",
            Self::Ledger(_) => "ledger",
        }
    }
}
