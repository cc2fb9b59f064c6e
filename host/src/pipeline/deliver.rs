//! One sink's way: what waits in the ledger, encoded, written, acknowledged.
//!
//! Entries are taken together up to a size, always from the first that is not
//! acknowledged. So after a crash the batch that was being written begins as it did, and
//! the sink can tell how much of it is there already.

use super::{Output, RouteError, Target};
use crate::observe::Trouble;
use crate::schedule::blocking;
use crate::sinks::{Batch, Sink};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use watchbell_ledger::{Entry, EntryId, Ledger, Reader};

/// Bytes of events that are written and acknowledged together.
const BATCH_BYTES: usize = 8 << 20;

/// From the first failure to the next try; doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait between two tries.
const LAST_WAIT: Duration = Duration::from_secs(30);

/// Whether more is coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Sources are polled.
    Running,
    /// They are not any more: deliver what there is and end.
    Draining,
}

/// A sink at work.
pub struct Outlet {
    output: Output,
    ledger: Arc<dyn Ledger>,
    sink: Option<Sink>,
    position: EntryId,
    trouble: Trouble,
    wait: Duration,
    delivered: u64,
}

/// A batch and the last entry that is in it.
#[derive(Default)]
struct Pending {
    batch: Batch,
    last: EntryId,
}

impl Outlet {
    /// Who it is to the ledger.
    #[must_use]
    pub fn reader(output: &Output) -> Reader {
        Reader {
            name: output.name().to_owned(),
            sources: output.sources(),
        }
    }

    /// Goes on where the ledger says that it was.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn open(
        output: Output,
        ledger: Arc<dyn Ledger>,
    ) -> Result<Self, watchbell_ledger::Error> {
        let name = output.name().to_owned();
        let asked = Arc::clone(&ledger);
        let position = blocking(move || asked.position(&name)).await?;
        let sink = match &output.target {
            Target::Console => Sink::console(),
            Target::File(settings) => Sink::file(settings.clone(), position.state.as_deref()),
        };
        Ok(Self {
            output,
            ledger,
            sink: Some(sink),
            position: position.acknowledged,
            trouble: Trouble::default(),
            wait: FIRST_WAIT,
            delivered: 0,
        })
    }

    /// Delivers until it is draining and nothing waits. Returns how many events it
    /// delivered.
    pub async fn run(
        mut self,
        mut news: watch::Receiver<u64>,
        mut phase: watch::Receiver<Phase>,
    ) -> u64 {
        loop {
            news.mark_unchanged();
            let is_draining = *phase.borrow_and_update() == Phase::Draining;
            match self.step().await {
                Ok(true) => {}
                Ok(false) if is_draining => return self.delivered,
                Ok(false) => {
                    tokio::select! {
                        _ = news.changed() => {}
                        _ = phase.changed() => {}
                    }
                }
                Err(error) => {
                    if let Some(say) = self.trouble.met(&error) {
                        tracing::error!(sink = self.output.name(), "{say}");
                    }
                    tokio::time::sleep(self.wait).await;
                    self.wait = (self.wait * 2).min(LAST_WAIT);
                }
            }
        }
    }

    /// Delivers a batch; false when nothing waits.
    async fn step(&mut self) -> Result<bool, RouteError> {
        let Some(Pending { batch, last }) = self.next().await? else {
            return Ok(false);
        };
        let events = batch.events;
        self.write(batch, last).await?;
        self.position = last;
        self.delivered += events as u64;
        self.wait = FIRST_WAIT;
        if let Some(say) = self.trouble.over() {
            tracing::info!(sink = self.output.name(), "{say}");
        }
        Ok(true)
    }

    /// What waits, up to a batch. An entry that cannot be encoded holds up itself and what
    /// is behind it, not what is before.
    async fn next(&self) -> Result<Option<Pending>, RouteError> {
        let mut pending: Option<Pending> = None;
        loop {
            let after = pending
                .as_ref()
                .map_or(self.position, |pending| pending.last);
            let Some(entry) = self.entry(after).await? else {
                return Ok(pending);
            };
            let mut batch = Batch::default();
            match self.output.encode(&entry, &mut batch).await {
                Ok(()) => {}
                Err(_) if pending.is_some() => return Ok(pending),
                Err(error) => return Err(error),
            }
            let pending = pending.get_or_insert_default();
            pending.batch.append(batch);
            pending.last = entry.id;
            if pending.batch.bytes.len() >= BATCH_BYTES {
                return Ok(Some(std::mem::take(pending)));
            }
        }
    }

    async fn entry(&self, after: EntryId) -> Result<Option<Entry>, RouteError> {
        let (ledger, reader) = (Arc::clone(&self.ledger), self.output.name().to_owned());
        Ok(blocking(move || ledger.next(&reader, after)).await?)
    }

    async fn write(&mut self, batch: Batch, last: EntryId) -> Result<(), RouteError> {
        let (ledger, reader) = (Arc::clone(&self.ledger), self.output.name().to_owned());
        let (position, Some(mut sink)) = (self.position, self.sink.take()) else {
            return Err(RouteError::Defect("the sink was lost".to_owned()));
        };
        let work = move || {
            let written = if batch.events == 0 {
                Ok(None)
            } else {
                sink.deliver(&batch, &mut |state| {
                    ledger
                        .acknowledge(&reader, position, Some(state))
                        .map_err(io::Error::other)
                })
            };
            let notices = sink.notices();
            let done = written.map_err(RouteError::from).and_then(|state| {
                ledger
                    .acknowledge(&reader, last, state)
                    .map_err(RouteError::from)
            });
            (sink, notices, done)
        };
        // Writing waits for the disk.
        let (sink, notices, done) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| RouteError::Defect(error.to_string()))?;
        self.sink = Some(sink);
        for notice in notices {
            tracing::warn!(sink = self.output.name(), "{notice}");
        }
        done
    }
}
