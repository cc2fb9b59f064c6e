//! Delivery to one sink: what waits in the ledger, encoded, written, acknowledged.
//!
//! Entries are taken together up to a size, always from the first that is not
//! acknowledged. So after a crash the batch that was being written begins as it did, and
//! the sink can tell how much of it is there already.
//!
//! Most sinks are one partition. One that has a place for each tenant has a partition for each that
//! something waits for, with a position of its own, so that one whose folder is full or
//! whose alerts an encoder refuses delays itself alone.

use super::probe_entries::probe_entries;
use super::report::{Failing, Report, count_what_waits};
use super::tenant_queue::TenantQueue;
use super::{Encoded, RouteError, SinkSpec};
use crate::polling::{blocking, local_now};
use crate::sinks::{Batch, Owner, Sink, SinkError};
use crate::telemetry::Incident;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::Instrument;
use watchbell_ledger::{self as ledger, Entry, EntryId, Ledger, NewRejected, Reader};

/// Bytes of events that are written and acknowledged together.
const BATCH_BYTES: usize = 8 << 20;

/// From the first failure to the next try; doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait between two tries.
const LAST_WAIT: Duration = Duration::from_secs(30);

/// From one look whether somebody still reads standard output to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Batches of one tenant before others are served.
const PARTITION_BATCHES: usize = 4;

/// Whether more is coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Sources are polled.
    Running,
    /// Another will take the sink's place: finish what is being written and end.
    Resting,
    /// Sources are not polled any more: deliver what there is and end.
    Draining,
}

/// Hears of sinks that failed for good: which, and why.
pub type LostSinks = mpsc::UnboundedSender<(String, String)>;

/// A sink at work.
pub struct SinkTask {
    spec: Arc<SinkSpec>,
    ledger: Arc<dyn Ledger>,
    owner: Arc<Owner>,
    lost: LostSinks,
    failing: Failing,
}

impl SinkTask {
    /// Who it is to the ledger.
    #[must_use]
    pub fn reader(spec: &SinkSpec) -> Reader {
        Reader {
            name: spec.name().to_owned(),
            sources: spec.sources(),
        }
    }

    /// A sink that goes on where the ledger says that it was.
    #[must_use]
    pub fn new(spec: Arc<SinkSpec>, ledger: Arc<dyn Ledger>, lost: LostSinks) -> Self {
        let owner = Arc::new(Owner::new(spec.name()));
        Self {
            spec,
            ledger,
            owner,
            lost,
            failing: Failing::default(),
        }
    }

    /// Delivers until it is draining and nothing waits, or it fails for good. Returns how
    /// many events it delivered.
    pub async fn run(mut self, news: watch::Receiver<u64>, phase: watch::Receiver<Phase>) -> u64 {
        self.failing = Failing::read(&self.ledger, self.spec.name()).await;
        let counting = count_what_waits(Arc::clone(&self.ledger), Arc::clone(&self.spec));
        tokio::select! {
            delivered = self.deliver(news, phase) => delivered,
            never = counting => match never {},
        }
    }

    async fn deliver(self, news: watch::Receiver<u64>, phase: watch::Receiver<Phase>) -> u64 {
        if self.spec.is_partitioned() {
            return self.run_partitions(news, phase).await;
        }
        let task = self.task(None);
        let span = task.span();
        run_one(task, news, phase, self.lost).instrument(span).await
    }

    fn task(&self, partition: Option<String>) -> PartitionTask {
        PartitionTask {
            spec: Arc::clone(&self.spec),
            ledger: Arc::clone(&self.ledger),
            owner: Arc::clone(&self.owner),
            report: Report::new(&self.ledger, &self.spec, partition.clone(), &self.failing),
            partition,
            at: None,
            wait: FIRST_WAIT,
            retry_at: Instant::now(),
            delivered: 0,
        }
    }

    async fn run_partitions(
        self,
        mut news: watch::Receiver<u64>,
        mut phase: watch::Receiver<Phase>,
    ) -> u64 {
        let mut delivered = 0;
        let mut incident = Incident::default();
        // Partitions that failed, until something of theirs was delivered.
        let mut failed: HashMap<String, PartitionTask> = HashMap::new();
        let mut queue = TenantQueue::new();
        loop {
            news.mark_unchanged();
            let now_phase = *phase.borrow_and_update();
            if now_phase == Phase::Resting && queue.is_idle() {
                return delivered;
            }
            let mut wake: Option<Instant> = None;
            if now_phase != Phase::Resting {
                self.serve(&mut queue, &mut failed, &mut wake);
                let began = Instant::now();
                match queue.look_at() {
                    Some(at) if at > began => sooner(&mut wake, at),
                    None => {}
                    Some(_) => match self.who_waits().await {
                        Ok(waiting) => {
                            let sink = self.spec.name();
                            self.failing.keep(&self.ledger, sink, &waiting).await;
                            let is_done = waiting.is_empty() && queue.is_idle();
                            if is_done && now_phase == Phase::Draining {
                                return delivered;
                            }
                            queue.enqueue(waiting, began.elapsed());
                            self.serve(&mut queue, &mut failed, &mut wake);
                        }
                        Err(error) => {
                            if let Some(say) = incident.record(&error) {
                                tracing::error!(sink = self.spec.name(), "{say}");
                            }
                            sooner(&mut wake, began + FIRST_WAIT);
                        }
                    },
                }
            }
            tokio::select! {
                _ = news.changed(), if queue.has_room() => {}
                _ = phase.changed() => {}
                Some((tenant, done)) = queue.ended() => match done {
                    Ok((mut task, is_well)) => {
                        delivered += std::mem::take(&mut task.delivered);
                        if !is_well {
                            failed.insert(tenant, task);
                        }
                    }
                    Err(error) => {
                        let mut task = self.task(Some(tenant.clone()));
                        task.wait = LAST_WAIT;
                        let (span, error) = (task.span(), RouteError::Defect(error.to_string()));
                        task.failed(&error).instrument(span).await;
                        failed.insert(tenant, task);
                    }
                },
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    async fn who_waits(&self) -> Result<Vec<String>, ledger::Error> {
        let (ledger, reader) = (Arc::clone(&self.ledger), self.spec.name().to_owned());
        blocking(move || ledger.waiting(&reader)).await
    }

    /// Serves those who are next; `wake` is when one who failed may be tried again.
    fn serve(
        &self,
        queue: &mut TenantQueue<(PartitionTask, bool)>,
        failed: &mut HashMap<String, PartitionTask>,
        wake: &mut Option<Instant>,
    ) {
        while let Some(tenant) = queue.next() {
            let retry_at = failed.get(&tenant).map(|task| task.retry_at);
            if let Some(at) = retry_at.filter(|at| *at > Instant::now()) {
                sooner(wake, at);
                continue;
            }
            let task = failed
                .remove(&tenant)
                .unwrap_or_else(|| self.task(Some(tenant.clone())));
            let span = task.span();
            queue.start(tenant, some_batches(task).instrument(span));
        }
    }
}

fn sooner(wake: &mut Option<Instant>, at: Instant) {
    *wake = Some(wake.map_or(at, |wake| wake.min(at)));
}

async fn run_one(
    mut task: PartitionTask,
    mut news: watch::Receiver<u64>,
    mut phase: watch::Receiver<Phase>,
    lost: LostSinks,
) -> u64 {
    let is_console = task.spec.is_console();
    loop {
        news.mark_unchanged();
        let now = *phase.borrow_and_update();
        if now == Phase::Resting {
            return task.delivered;
        }
        let error = match task.step().await {
            Ok(true) => continue,
            Ok(false) if now == Phase::Draining => return task.delivered,
            Ok(false) => {
                task.report.is_well().await;
                tokio::select! {
                    _ = news.changed() => continue,
                    _ = phase.changed() => continue,
                    // Whoever has nothing to write would not notice.
                    () = nobody_reads(), if is_console => RouteError::from(SinkError::ConsoleClosed),
                }
            }
            Err(error) => error,
        };
        task.failed(&error).await;
        if error.is_final() {
            let _ = lost.send((task.spec.name().to_owned(), error.to_string()));
            return task.delivered;
        }
        tokio::select! {
            () = tokio::time::sleep_until(task.retry_at) => {}
            _ = phase.wait_for(|phase| *phase == Phase::Resting) => {}
        }
    }
}

/// Resolves when nobody reads standard output any more.
async fn nobody_reads() {
    while !Sink::is_console_closed() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Some batches of one tenant; also whether it went well.
async fn some_batches(mut task: PartitionTask) -> (PartitionTask, bool) {
    for _ in 0..PARTITION_BATCHES {
        match task.step().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                task.failed(&error).await;
                return (task, false);
            }
        }
    }
    (task, true)
}

/// What is written to one place, in order.
struct PartitionTask {
    spec: Arc<SinkSpec>,
    ledger: Arc<dyn Ledger>,
    /// Whose its files are.
    owner: Arc<Owner>,
    /// The tenant, of a sink that has a place for each.
    partition: Option<String>,
    /// None until it was looked up.
    at: Option<Place>,
    report: Report,
    wait: Duration,
    retry_at: Instant,
    delivered: u64,
}

/// Where it is.
struct Place {
    sink: Sink,
    position: EntryId,
}

/// A batch and the last entry that is in it.
#[derive(Default)]
struct Pending {
    batch: Batch,
    rejected: Vec<NewRejected>,
    last: EntryId,
}

impl PartitionTask {
    fn span(&self) -> tracing::Span {
        let sink = self.spec.name();
        match &self.partition {
            Some(tenant) => tracing::error_span!("sink", sink, tenant),
            None => tracing::error_span!("sink", sink),
        }
    }

    async fn failed(&mut self, error: &RouteError) {
        self.report.failed(error).await;
        self.retry_at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LAST_WAIT);
    }

    async fn place(&mut self) -> Result<Place, RouteError> {
        if let Some(place) = self.at.take() {
            return Ok(place);
        }
        let (ledger, name) = (Arc::clone(&self.ledger), self.spec.name().to_owned());
        let partition = self.partition.clone();
        let position = blocking(move || ledger.position(&name, partition.as_deref())).await?;
        let (partition, state) = (self.partition.as_deref(), position.state.as_deref());
        Ok(Place {
            sink: self.spec.open(&self.owner, partition, state),
            position: position.acknowledged,
        })
    }

    /// Delivers a batch; false when nothing waits.
    async fn step(&mut self) -> Result<bool, RouteError> {
        let place = self.place().await?;
        let pending = self.next(place.position).await;
        let Some(pending) = (match pending {
            Ok(pending) => pending,
            Err(error) => {
                self.at = Some(place);
                return Err(error);
            }
        }) else {
            self.at = Some(place);
            return Ok(false);
        };
        let (events, bytes) = (
            pending.batch.events as u64,
            pending.batch.bytes.len() as u64,
        );
        let rejected = pending.rejected.len() as u64;
        self.write(place, pending).await?;
        self.delivered += events;
        self.wait = FIRST_WAIT;
        self.report.delivered(events, bytes, rejected).await;
        Ok(true)
    }

    /// What waits, up to a batch. An entry that cannot be encoded holds up itself and what
    /// is behind it, not what is before.
    async fn next(&self, position: EntryId) -> Result<Option<Pending>, RouteError> {
        let mut pending: Option<Pending> = None;
        loop {
            let after = pending.as_ref().map_or(position, |pending| pending.last);
            let Some(entry) = self.entry(after).await? else {
                return Ok(pending);
            };
            let Encoded { batch, rejected } = match self.encode(&entry).await {
                Ok(encoded) => encoded,
                Err(_) if pending.is_some() => return Ok(pending),
                Err(error) => return Err(error),
            };
            let pending = pending.get_or_insert_default();
            pending.batch.append(batch);
            pending.rejected.extend(rejected);
            pending.last = entry.id;
            if pending.batch.bytes.len() >= BATCH_BYTES {
                return Ok(Some(std::mem::take(pending)));
            }
        }
    }

    /// An entry's bytes. Where a plugin that may be broken fails for all of it, others'
    /// alerts show which of the two is to blame.
    async fn encode(&self, entry: &Entry) -> Result<Encoded, RouteError> {
        let encoded = self.spec.encode(entry).await;
        let Err(RouteError::Unproven { plugin, .. }) = &encoded else {
            return encoded;
        };
        let (ledger, reader) = (Arc::clone(&self.ledger), self.spec.name().to_owned());
        let (own, after) = (entry.tenant.clone(), entry.id);
        let probe_entries = move || probe_entries(ledger.as_ref(), &reader, &own, after);
        for other in blocking(probe_entries).await? {
            if self.spec.probe_with(plugin, &other).await? {
                return self.spec.encode(entry).await;
            }
        }
        encoded
    }

    async fn entry(&self, after: EntryId) -> Result<Option<Entry>, RouteError> {
        let (ledger, reader) = (Arc::clone(&self.ledger), self.spec.name().to_owned());
        let partition = self.partition.clone();
        Ok(blocking(move || ledger.next(&reader, partition.as_deref(), after)).await?)
    }

    async fn write(&mut self, place: Place, pending: Pending) -> Result<(), RouteError> {
        let Pending {
            batch,
            rejected,
            last,
        } = pending;
        let (ledger, reader) = (Arc::clone(&self.ledger), self.spec.name().to_owned());
        let partition = self.partition.clone();
        let Place { mut sink, position } = place;
        let work = move || {
            let partition = partition.as_deref();
            // First, since they would be lost with the acknowledgement.
            let kept = if rejected.is_empty() {
                Ok(0)
            } else {
                ledger.quarantine(&reader, rejected, local_now())
            };
            let written = kept.map_err(RouteError::from).and_then(|_| {
                if batch.events == 0 {
                    return Ok(None);
                }
                Ok(sink.deliver(&batch, &mut |state| {
                    ledger
                        .acknowledge(&reader, partition, position, Some(state))
                        .map_err(io::Error::other)
                })?)
            });
            let notices = sink.notices();
            let done = written.and_then(|state| {
                ledger
                    .acknowledge(&reader, partition, last, state)
                    .map_err(RouteError::from)
            });
            if done.is_ok() && batch.events > 0 {
                sink.settled();
            }
            let position = if done.is_ok() { last } else { position };
            (Place { sink, position }, notices, done)
        };
        // Writing waits for the disk.
        let (place, notices, done) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| RouteError::Defect(error.to_string()))?;
        self.at = Some(place);
        for notice in notices {
            tracing::warn!("{notice}");
        }
        done
    }
}
