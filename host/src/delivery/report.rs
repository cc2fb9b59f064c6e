//! How delivery to one place goes, for whoever looks: in the log, as metrics, and in the
//! ledger, where `watchbell state` finds it beside this process and after its end.

use super::SinkSpec;
use super::error::RouteError;
use crate::polling::local_now;
use crate::telemetry::Incident;
use crate::telemetry::metrics::{self, SinkCounts};
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use watchbell_ledger::{Failure, Ledger, Partition};

/// From one count of what waits to the next, and which part of the time that may take.
const COUNT_EVERY: Duration = Duration::from_secs(5);
const COUNTING: u32 = 10;

/// What the ledger says of a sink's partitions: those of which it says that they fail.
#[derive(Clone, Default)]
pub(super) struct Failing(Arc<Mutex<HashSet<Option<String>>>>);

impl Failing {
    /// As the process before left it.
    pub(super) async fn read(ledger: &dyn Ledger, sink: &str) -> Self {
        let failures = ledger.list_reader_failures().await;
        let of_sink = failures.unwrap_or_default().into_iter();
        let of_sink = of_sink.filter(|failure| failure.reader == sink);
        Self(Arc::new(Mutex::new(
            of_sink.map(|failure| failure.partition).collect(),
        )))
    }

    fn put(&self, partition: Option<String>) {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        partitions.insert(partition);
    }

    fn take(&self, partition: &Option<String>) -> bool {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        partitions.remove(partition)
    }

    /// Forgets those of which nothing waits: an error that is nobody's concern any more.
    pub(super) async fn keep(&self, ledger: &dyn Ledger, sink: &str, waiting: &[String]) {
        let gone: Vec<Option<String>> = {
            let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_gone = |partition: &Option<String>| {
                partition
                    .as_ref()
                    .is_none_or(|tenant| !waiting.contains(tenant))
            };
            partitions.extract_if(is_gone).collect()
        };
        for partition in gone {
            clear(ledger, sink, partition.as_deref()).await;
        }
    }
}

/// How delivery to one place goes.
pub(super) struct Report {
    ledger: Arc<dyn Ledger>,
    sink: String,
    partition: Option<String>,
    failing: Failing,
    incident: Incident,
    counts: SinkCounts,
}

impl Report {
    pub(super) fn new(
        ledger: &Arc<dyn Ledger>,
        spec: &SinkSpec,
        partition: Option<String>,
        failing: &Failing,
    ) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            sink: spec.name().to_owned(),
            counts: SinkCounts::of(spec.name(), spec.kind(), partition.as_deref()),
            partition,
            failing: failing.clone(),
            incident: Incident::default(),
        }
    }

    /// A batch did not get there.
    pub(super) async fn failed(&mut self, error: &RouteError) {
        if matches!(error, RouteError::Cancelled) {
            return;
        }
        self.counts.failed(error.kind());
        let Some(say) = self.incident.record(error) else {
            return;
        };
        tracing::error!("{say}");
        let failure = Failure {
            at: local_now(),
            kind: error.kind().to_owned(),
            words: error.to_string(),
        };
        let (sink, partition) = (&self.sink, self.partition.as_deref());
        let kept = self.ledger.record_reader_failure(sink, partition, failure);
        // The ledger may be what is wrong.
        if kept.await.is_ok() {
            self.failing.put(self.partition.clone());
        }
    }

    /// A batch got there.
    pub(super) async fn delivered(&mut self, events: u64, bytes: u64, rejected: u64) {
        self.counts.events.increment(events);
        self.counts.bytes.increment(bytes);
        self.counts.quarantined.increment(rejected);
        self.is_well().await;
    }

    /// Nothing is wrong any more.
    pub(super) async fn is_well(&mut self) {
        if let Some(say) = self.incident.end() {
            tracing::info!("{say}");
        }
        if self.failing.take(&self.partition) {
            clear(&*self.ledger, &self.sink, self.partition.as_deref()).await;
        }
    }
}

async fn clear(ledger: &dyn Ledger, sink: &str, partition: Partition<'_>) {
    if let Err(error) = ledger.clear_reader_failure(sink, partition).await {
        tracing::debug!(%error, "that a sink works again cannot be kept");
    }
}

/// Counts what waits for a sink, again and again, where metrics show it.
pub(super) async fn count_what_waits(ledger: Arc<dyn Ledger>, spec: Arc<SinkSpec>) -> Infallible {
    let gauges = metrics::Buffer::of(spec.name(), spec.kind());
    loop {
        let began = Instant::now();
        if metrics::are_served()
            && let Ok(waiting) = ledger.backlog(spec.name(), None).await
        {
            gauges.set(waiting.records, waiting.bytes);
        }
        tokio::time::sleep(COUNT_EVERY.max(began.elapsed() * COUNTING)).await;
    }
}
