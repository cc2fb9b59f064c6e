//! What must permit for polling to go on: room behind the sinks, and room on the disk.
//!
//! What was read waits in the ledger, so a sink that is down would fill the disk, and on
//! a full disk not even an acknowledgement can be kept.

use super::clock::Clock;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use watchbell_ledger::{self as ledger, Ledger};

/// Between two looks whether reading may go on.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A sink and how much may wait for it.
#[derive(Debug, Clone)]
pub struct BufferLimit {
    /// The sink.
    pub sink: String,
    /// The sources that lead to it.
    pub sources: Vec<String>,
    /// Whether it takes each tenant by itself, so that one that is stuck holds up none but
    /// its own.
    pub is_partitioned: bool,
    /// Bytes that may wait for it.
    pub most: u64,
}

/// Why polling pauses.
#[derive(Debug, thiserror::Error)]
pub enum PauseReason {
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

/// The limits of one process.
#[derive(Clone)]
pub struct Backpressure {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    folder: PathBuf,
    min_free: u64,
    moment: Duration,
    buffers: Arc<Mutex<Buffers>>,
    /// Bytes that are free on the disk, and when that was seen.
    free: Arc<Mutex<Option<(Instant, u64)>>>,
}

/// What may wait, and what was seen to wait a moment ago: many tenants ask the same at one
/// time.
struct Buffers {
    limits: Vec<BufferLimit>,
    backlogs: HashMap<String, Figure>,
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

impl Backpressure {
    /// With `limits` for the sinks and `min_free` bytes on the disk of `folder`.
    #[must_use]
    pub fn new(
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        limits: Vec<BufferLimit>,
        folder: PathBuf,
        min_free: u64,
    ) -> Self {
        Self {
            ledger,
            clock,
            folder,
            min_free,
            moment: MOMENT,
            buffers: Arc::new(Mutex::new(Buffers {
                limits,
                backlogs: HashMap::new(),
            })),
            free: Arc::default(),
        }
    }

    /// Other sinks, or other limits, from now on.
    pub async fn set_limits(&self, limits: Vec<BufferLimit>) {
        *self.buffers.lock().await = Buffers {
            limits,
            backlogs: HashMap::new(),
        };
    }

    /// So many bytes more may wait than a moment ago. Waits while the ledger counts.
    pub async fn add_growth(&self, bytes: u64) {
        for figure in self.buffers.lock().await.backlogs.values_mut() {
            figure.grown = figure.grown.saturating_add(bytes);
        }
    }

    /// Whether `source` may be read further for `tenant`.
    ///
    /// # Errors
    /// [`PauseReason`]: not now.
    pub async fn check(&self, source: &str, tenant: &str) -> Result<(), PauseReason> {
        for (limit, waiting) in self.full_buffers(source).await? {
            if limit.is_partitioned {
                let own = self.ledger.backlog(&limit.sink, Some(tenant)).await?;
                if own.bytes == 0 {
                    continue;
                }
            }
            return Err(PauseReason::Backlog {
                sink: limit.sink,
                waiting,
                most: limit.most,
            });
        }
        self.check_disk().await
    }

    /// The sinks of a source for which too much waits, and how much does.
    async fn full_buffers(&self, source: &str) -> Result<Vec<(BufferLimit, u64)>, PauseReason> {
        // Held while the ledger counts: whoever asks meanwhile has the same answer.
        let mut buffers = self.buffers.lock().await;
        let Buffers { limits, backlogs } = &mut *buffers;
        let mut full = Vec::new();
        for limit in limits {
            if limit.sources.iter().any(|one| one == source) {
                let waiting = self.waiting(limit, backlogs).await?;
                if waiting >= limit.most {
                    full.push((limit.clone(), waiting));
                }
            }
        }
        Ok(full)
    }

    async fn waiting(
        &self,
        limit: &BufferLimit,
        backlogs: &mut HashMap<String, Figure>,
    ) -> Result<u64, PauseReason> {
        if let Some(figure) = backlogs.get(&limit.sink)
            && self.clock.monotonic() < figure.until
            && figure.decides(limit.most)
        {
            return Ok(figure.bytes);
        }
        let began = self.clock.monotonic();
        let bytes = self.ledger.backlog(&limit.sink, None).await?.bytes;
        let counted = self.clock.monotonic();
        let figure = Figure {
            bytes,
            grown: 0,
            until: counted + self.moment.max((counted - began) * (COUNTING - 1)),
        };
        backlogs.insert(limit.sink.clone(), figure);
        Ok(bytes)
    }

    /// Whether there is room on the disk.
    async fn check_disk(&self) -> Result<(), PauseReason> {
        if self.min_free == 0 {
            return Ok(());
        }
        let free = self.free().await?;
        if free >= self.min_free {
            return Ok(());
        }
        let (spare, floor) = (self.ledger.unused_bytes().await?, self.min_free / FLOOR);
        if free >= floor && free.saturating_add(spare) >= self.min_free {
            return Ok(());
        }
        Err(PauseReason::Disk {
            folder: self.folder.clone(),
            free,
            spare,
            least: self.min_free,
            floor,
        })
    }

    async fn free(&self) -> Result<u64, PauseReason> {
        let far = |bytes: u64| bytes / 2 > self.min_free;
        let mut seen = self.free.lock().await;
        if let Some((at, bytes)) = *seen
            && self.clock.elapsed(at) < self.moment
            && far(bytes)
        {
            return Ok(bytes);
        }
        let folder = self.folder.clone();
        let disk = spawn_blocking(move || rustix::fs::statvfs(&folder)).await;
        let disk = disk.map_err(|_| ledger::Error::Cancelled)?;
        let disk = disk.map_err(|error| PauseReason::Io {
            folder: self.folder.clone(),
            source: error.into(),
        })?;
        let bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        *seen = Some((self.clock.monotonic(), bytes));
        Ok(bytes)
    }
}

impl Figure {
    /// Whether it says on which side of a bound it is. Only what was counted says that too
    /// much waits.
    fn decides(&self, most: u64) -> bool {
        self.bytes >= most || self.bytes.saturating_add(self.grown) < most
    }
}

impl PauseReason {
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
