//! What must hold for polling to go on: room behind the sinks, and room on the disk.
//!
//! What was read waits in the ledger, so a sink that is down would fill the disk, and on
//! a full disk not even an acknowledgement can be kept.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use watchbell_ledger::{self as ledger, Ledger};

/// A sink and how much may wait for it.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The sink.
    pub sink: String,
    /// The sources that lead to it.
    pub sources: Vec<String>,
    /// Whether it takes each tenant by itself, so that one that is stuck holds up none but
    /// its own.
    pub parted: bool,
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
    #[error("{}: {free} bytes are free, and {spare} within the ledger (min_free is {least}, of it {floor} outside the ledger); polling pauses until there is room", folder.display())]
    Disk {
        /// The ledger's folder.
        folder: PathBuf,
        /// What is free.
        free: u64,
        /// What is free within the ledger, which keeps what it once took of the disk.
        spare: u64,
        /// What must be, both together.
        least: u64,
        /// What must be outside the ledger.
        floor: u64,
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
    bounds: Arc<RwLock<Vec<Bound>>>,
    folder: PathBuf,
    min_free: u64,
    moment: Duration,
    seen: Arc<Mutex<Seen>>,
}

/// What was seen a moment ago: many tenants ask the same at one time.
#[derive(Default)]
struct Seen {
    backlogs: HashMap<String, Figure>,
    free: Option<(Instant, u64)>,
}

/// One part in so many of `min_free` must be on the disk itself, where the ledger's log of
/// what is being committed is: of the 256 MiB by default 64, the most that it keeps.
const FLOOR: u64 = 4;

/// What waits for a sink.
struct Figure {
    /// Bytes, as the ledger counted them.
    bytes: u64,
    /// Bytes that came to any sink since. What was taken since is not known, so both
    /// together are the most that can wait.
    grown: u64,
    /// Until when that is believed.
    until: Instant,
}

/// How long something counts as seen, at least.
const MOMENT: Duration = Duration::from_millis(200);

/// The ledger counts for longer the more waits. That may take one part of so many of the
/// time.
const COUNTING: u32 = 10;

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
            bounds: Arc::new(RwLock::new(bounds)),
            folder,
            min_free,
            moment: MOMENT,
            seen: Arc::default(),
        }
    }

    /// Other sinks, or others' bounds, from now on.
    pub fn set(&self, bounds: Vec<Bound>) {
        *self.bounds.write().unwrap_or_else(PoisonError::into_inner) = bounds;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }

    /// So many bytes more may wait than a moment ago. Blocks while the ledger counts.
    pub fn grew(&self, bytes: u64) {
        for figure in self.seen().backlogs.values_mut() {
            figure.grown = figure.grown.saturating_add(bytes);
        }
    }

    /// Whether `source` may be read further for `tenant`.
    ///
    /// # Errors
    /// [`Closed`]: not now.
    pub async fn pass(&self, source: &str, tenant: &str) -> Result<(), Closed> {
        let (gate, source, tenant) = (self.clone(), source.to_owned(), tenant.to_owned());
        tokio::task::spawn_blocking(move || gate.check(&source, &tenant))
            .await
            .unwrap_or_else(|error| Err(ledger::Error::Other(error.to_string()).into()))
    }

    /// As [`Gate::pass`]; blocks.
    fn check(&self, source: &str, tenant: &str) -> Result<(), Closed> {
        let bounds = self.bounds.read().unwrap_or_else(PoisonError::into_inner);
        let of_source = |bound: &&Bound| bound.sources.iter().any(|one| one == source);
        for bound in bounds.iter().filter(of_source) {
            let waiting = self.waiting(bound)?;
            if waiting < bound.most {
                continue;
            }
            if bound.parted && self.ledger.backlog(&bound.sink, Some(tenant))?.bytes == 0 {
                continue;
            }
            return Err(Closed::Backlog {
                sink: bound.sink.clone(),
                waiting,
                most: bound.most,
            });
        }
        drop(bounds);
        let free = self.free()?;
        if free >= self.min_free {
            return Ok(());
        }
        let (spare, floor) = (self.ledger.spare()?, self.min_free / FLOOR);
        if free >= floor && free.saturating_add(spare) >= self.min_free {
            return Ok(());
        }
        Err(Closed::Disk {
            folder: self.folder.clone(),
            free,
            spare,
            least: self.min_free,
            floor,
        })
    }
}

impl Gate {
    fn waiting(&self, bound: &Bound) -> Result<u64, Closed> {
        // Held while the ledger counts: whoever asks meanwhile has the same answer.
        let mut seen = self.seen();
        if let Some(figure) = seen.backlogs.get(&bound.sink)
            && Instant::now() < figure.until
            && figure.decides(bound.most)
        {
            return Ok(figure.bytes);
        }
        let began = Instant::now();
        let bytes = self.ledger.backlog(&bound.sink, None)?.bytes;
        let counted = Instant::now();
        let figure = Figure {
            bytes,
            grown: 0,
            until: counted + self.moment.max((counted - began) * (COUNTING - 1)),
        };
        seen.backlogs.insert(bound.sink.clone(), figure);
        Ok(bytes)
    }

    fn free(&self) -> Result<u64, Closed> {
        let far = |bytes: u64| bytes / 2 > self.min_free;
        if let Some((at, bytes)) = self.seen().free
            && at.elapsed() < self.moment
            && far(bytes)
        {
            return Ok(bytes);
        }
        let disk = rustix::fs::statvfs(&self.folder).map_err(|error| Closed::Io {
            folder: self.folder.clone(),
            source: error.into(),
        })?;
        let bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        self.seen().free = Some((Instant::now(), bytes));
        Ok(bytes)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figure {
    /// Whether it says on which side of a bound it is. Only what was counted says that too
    /// much waits.
    fn decides(&self, most: u64) -> bool {
        self.bytes >= most || self.bytes.saturating_add(self.grown) < most
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

#[cfg(test)]
mod tests;
