//! Delivery to one sink: what waits in the ledger, encoded, written, acknowledged.
//!
//! Entries are taken together up to a size, always from the first that is not
//! acknowledged. So after a crash the batch that was being written begins as it did, and
//! the sink can tell how much of it is there already.
//!
//! Most sinks are one partition. One that has a place for each tenant has a partition for each that
//! something waits for, with a position of its own, so that one whose folder is full or
//! whose alerts an encoder refuses delays itself alone.

use super::partition::{FIRST_WAIT, PartitionTask, Step};
use super::report::{Failing, Report, count_what_waits};
use super::tenant_queue::TenantQueue;
use super::{RouteError, SinkSpec};
use crate::telemetry::Incident;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::Instrument;
use watchbell_ledger::{self as ledger, Ledger, Reader};

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
        Self {
            spec,
            ledger,
            lost,
            failing: Failing::default(),
        }
    }

    /// Delivers until it is draining and nothing waits, or it fails for good. Returns how
    /// many events it delivered.
    pub async fn run(mut self, news: watch::Receiver<u64>, phase: watch::Receiver<Phase>) -> u64 {
        self.failing = Failing::read(&*self.ledger, self.spec.name()).await;
        let counting = count_what_waits(Arc::clone(&self.ledger), Arc::clone(&self.spec));
        let checking = check_health(Arc::clone(&self.spec));
        tokio::select! {
            delivered = self.deliver(news, phase) => delivered,
            never = counting => match never {},
            never = checking => match never {},
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
        let report = Report::new(&self.ledger, &self.spec, partition.clone(), &self.failing);
        PartitionTask::new(
            Arc::clone(&self.spec),
            Arc::clone(&self.ledger),
            partition,
            report,
        )
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
                            self.failing.keep(&*self.ledger, sink, &waiting).await;
                            let is_done = waiting.is_empty() && queue.is_idle();
                            if is_done && now_phase == Phase::Draining {
                                return delivered;
                            }
                            queue.enqueue(waiting, began.elapsed());
                            self.serve(&mut queue, &mut failed, &mut wake);
                        }
                        Err(error) => {
                            if error != ledger::Error::Cancelled
                                && let Some(say) = incident.record(&error)
                            {
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
                        task.back_off_long();
                        let (span, error) = (task.span(), RouteError::from(error));
                        task.failed(&error).instrument(span).await;
                        failed.insert(tenant, task);
                    }
                },
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    async fn who_waits(&self) -> Result<Vec<String>, ledger::Error> {
        self.ledger.waiting_tenants(self.spec.name()).await
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

/// Says at the start whether the other side is there. Delivery does not wait for it.
async fn check_health(spec: Arc<SinkSpec>) -> Infallible {
    match spec.factory.healthcheck().await {
        Ok(()) => tracing::debug!(sink = spec.name(), "the health check passed"),
        Err(error) => tracing::error!(
            sink = spec.name(),
            "the health check failed (healthcheck.enabled = false turns it off): {error}"
        ),
    }
    std::future::pending().await
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
    loop {
        news.mark_unchanged();
        let now = *phase.borrow_and_update();
        if now == Phase::Resting {
            return task.delivered;
        }
        let error = match task.step(now == Phase::Draining).await {
            Ok(Step::Delivered) => continue,
            Ok(Step::Idle) if now == Phase::Draining => return task.delivered,
            Ok(step) => {
                if step == Step::Idle {
                    task.report.is_well().await;
                }
                tokio::select! {
                    _ = news.changed() => continue,
                    _ = phase.changed() => continue,
                    () = step.is_due() => continue,
                    // Whoever has nothing to write would not notice.
                    error = task.closed() => error,
                }
            }
            Err(error) => error,
        };
        task.failed(&error).await;
        if error.is_final() {
            let _ = lost.send((task.sink_name().to_owned(), error.to_string()));
            return task.delivered;
        }
        tokio::select! {
            () = tokio::time::sleep_until(task.retry_at) => {}
            _ = phase.wait_for(|phase| *phase == Phase::Resting) => {}
        }
    }
}

/// Some batches of one tenant; also whether it went well.
async fn some_batches(mut task: PartitionTask) -> (PartitionTask, bool) {
    for _ in 0..PARTITION_BATCHES {
        match task.step(true).await {
            Ok(Step::Delivered) => {}
            Ok(_) => break,
            Err(error) => {
                task.failed(&error).await;
                return (task, false);
            }
        }
    }
    (task, true)
}
