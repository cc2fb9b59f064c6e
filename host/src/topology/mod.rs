//! The whole at work: each source on its interval, each sink at its own pace, until told
//! to stop or until everything was read once. What it works on may be changed meanwhile.

mod pipeline;
mod reload;
mod sinks;

pub use pipeline::Pipeline;
pub use reload::{Changed, Difference, Replan};

use crate::config::Config;
use crate::delivery::{SinkSpec, SinkTask};
use crate::names::Name;
use crate::polling::{
    Backpressure, BufferLimit, Clock, Feed, FeedChanges, FeedRegistry, Handle, MemoryBudget,
    PollingReport, Scheduler, Shared, SystemClock,
};
use crate::sources::SourceClient;
use pipeline::PlannedSink;
use reload::{Planned, Reload};
use sinks::RunningSinks;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use watchbell_ledger::{self as ledger, FeedId, FeedName, Forgotten, Ledger};

/// What is polled and where it goes.
pub struct Plan {
    /// The sources, each once for each of its tenants.
    pub sources: Vec<(Name, Arc<dyn SourceClient>)>,
    /// From the ledger to the sinks.
    pub pipeline: Pipeline,
    /// Bytes that must be free on the disk.
    pub min_free: u64,
    /// Polls at one time.
    pub concurrency: u32,
    /// Bytes of answers at one time.
    pub in_flight: u64,
}

/// Sources and sinks around one ledger.
pub struct Service {
    feeds: Vec<Feed>,
    sinks: Vec<Arc<PlannedSink>>,
    concurrency: u32,
    shared: Shared,
    registry: FeedRegistry,
    stop: CancellationToken,
    plans: (mpsc::Sender<Planned>, mpsc::Receiver<Planned>),
}

/// How it ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// How polling went.
    pub polled: PollingReport,
    /// Events that sinks got.
    pub delivered: u64,
    /// Sinks and how many detections wait for them.
    pub waiting: Vec<(String, u64)>,
    /// Sources and how much of them is in quarantine.
    pub quarantined: Vec<(String, u64)>,
    /// Sinks that failed for good, which ended it, and why.
    pub lost: Vec<(String, String)>,
}

impl Plan {
    /// The bounds of a configuration around what was loaded for it.
    #[must_use]
    pub fn new(
        config: &Config,
        sources: Vec<(Name, Arc<dyn SourceClient>)>,
        pipeline: Pipeline,
    ) -> Self {
        Self {
            sources,
            pipeline,
            min_free: config.min_free(),
            concurrency: config.max_concurrency(),
            in_flight: config.max_in_flight(),
        }
    }
}

impl Service {
    /// Registers the sinks with the ledger and finds out where everything stands.
    ///
    /// # Errors
    /// The ledger's, [`ledger::Error::ReaderGone`] among them.
    pub async fn open(
        ledger: Arc<dyn Ledger>,
        folder: &Path,
        plan: Plan,
        forget: Vec<String>,
    ) -> Result<(Self, Vec<Forgotten>), ledger::Error> {
        let sinks = plan.pipeline.sinks;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let forgotten = register_sinks(&*ledger, &sinks, &forget).await?;
        let limits = sinks.iter().map(|one| buffer_limit(&one.spec)).collect();
        let backpressure = Backpressure::new(
            ledger.clone(),
            Arc::clone(&clock),
            limits,
            folder.to_owned(),
            plan.min_free,
        );
        let shared = Shared {
            backpressure,
            ledger: ledger.clone(),
            news: watch::Sender::new(0),
            memory: MemoryBudget::new(plan.in_flight),
            clock,
        };
        let stop = CancellationToken::new();
        let registry = FeedRegistry::default();
        let mut feeds = Vec::new();
        let ids = register_feeds(&*ledger, &plan.sources).await?;
        for (id, (name, client)) in ids.into_iter().zip(plan.sources) {
            let handle = Handle {
                name,
                id,
                client,
                shared: shared.clone(),
            };
            feeds.push(Feed::new(&handle, stop.clone()));
            registry.insert(handle);
        }
        let service = Self {
            feeds,
            sinks,
            concurrency: plan.concurrency,
            shared,
            registry,
            stop,
            plans: mpsc::channel(1),
        };
        Ok((service, forgotten))
    }

    /// What others need to work on its feeds.
    #[must_use]
    pub fn registry(&self) -> FeedRegistry {
        self.registry.clone()
    }

    /// What changes it while it runs.
    #[must_use]
    pub fn replan(&self) -> Replan {
        Replan(self.plans.0.clone())
    }

    /// What stops it.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Polls each source on its interval until stopped, then delivers what there is, for
    /// at most `drain`.
    pub async fn run(self, drain: Duration) -> Ended {
        self.poll(None, drain).await
    }

    /// Reads each source up to its service's now that many times, and delivers.
    pub async fn run_polls(self, polls: usize, drain: Duration) -> Ended {
        self.poll(Some(polls), drain).await
    }

    async fn poll(mut self, polls: Option<usize>, drain: Duration) -> Ended {
        let (memory, clock) = (self.shared.memory.clone(), Arc::clone(&self.shared.clock));
        let stop = self.stop.clone();
        // Nothing is polled any more when nobody waits for this.
        let _stopping = stop.clone().drop_guard();
        let scheduler = Scheduler::new(self.concurrency, memory, clock, stop, polls);
        let (change, changes) = mpsc::channel(1);
        let feeds = std::mem::take(&mut self.feeds);
        // A task of its own: sinks that come to rest for another plan hold up no poll.
        let polling = tokio::spawn(scheduler.run(feeds, changes));
        let polling = async {
            polling.await.unwrap_or_else(|error| {
                tracing::error!(%error, "polling ended by a defect of ours");
                PollingReport::default()
            })
        };
        let (polled, ended) = self.deliver_during(polling, Some(change), drain).await;
        Ended { polled, ..ended }
    }

    /// Delivers while `work` goes on, and then what there is, for at most `drain`.
    pub async fn during<T>(self, work: impl Future<Output = T>, drain: Duration) -> (T, Ended) {
        self.deliver_during(work, None, drain).await
    }

    async fn deliver_during<T>(
        self,
        work: impl Future<Output = T>,
        changes: Option<mpsc::Sender<FeedChanges>>,
        drain: Duration,
    ) -> (T, Ended) {
        let Self {
            sinks: planned,
            shared,
            registry,
            stop,
            plans: (_, mut plans),
            ..
        } = self;
        let (lost, mut losses) = mpsc::unbounded_channel();
        let mut sinks = RunningSinks::new(shared.clone(), lost);
        let mut ended = Ended::default();
        for sink in planned {
            sinks.start(sink);
        }
        let done = {
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    done = &mut work => break done,
                    // Others get what there is, and then it ends: nobody may notice
                    // otherwise that one gets nothing any more.
                    Some((sink, words)) = losses.recv() => {
                        tracing::error!(%sink, "{words}; ending");
                        ended.lost.push((sink, words));
                        stop.cancel();
                    }
                    Some((plan, told)) = plans.recv(), if changes.is_some() => {
                        let Some(changes) = &changes else { continue };
                        let reload = Reload {
                            shared: &shared,
                            registry: &registry,
                            stop: &stop,
                            sinks: &mut sinks,
                        };
                        let changed = match reload.apply(plan).await {
                            Ok((changed, all)) => {
                                // Fails when polling is over, and then nothing is polled.
                                let _ = changes.send(all).await;
                                Ok(changed)
                            }
                            Err(error) => Err(error.to_string()),
                        };
                        let _ = told.send(changed);
                    }
                }
            }
        };
        let names = sinks.names();
        ended.delivered = sinks.drain(drain).await;
        while let Ok((sink, words)) = losses.try_recv() {
            tracing::error!(%sink, "{words}");
            ended.lost.push((sink, words));
        }
        match remains(&*shared.ledger, names).await {
            Ok((waiting, quarantined)) => {
                ended.waiting = waiting;
                ended.quarantined = quarantined;
            }
            Err(error) => tracing::error!(%error, "what remains is not known"),
        }
        (done, ended)
    }
}

type Counts = Vec<(String, u64)>;

/// What waits for each sink, and what of each source is in quarantine.
async fn remains(
    ledger: &dyn Ledger,
    sinks: Vec<String>,
) -> Result<(Counts, Counts), ledger::Error> {
    let mut waiting = Vec::new();
    for name in sinks {
        let records = ledger.backlog(&name, None).await?.records;
        if records > 0 {
            waiting.push((name, records));
        }
    }
    let mut quarantined: BTreeMap<String, u64> = BTreeMap::new();
    for feed in ledger.list_feeds().await? {
        if feed.totals.quarantined > 0 {
            *quarantined.entry(feed.name.source).or_default() += feed.totals.quarantined;
        }
    }
    Ok((waiting, quarantined.into_iter().collect()))
}

async fn register_sinks(
    ledger: &dyn Ledger,
    sinks: &[Arc<PlannedSink>],
    forget: &[String],
) -> Result<Vec<Forgotten>, ledger::Error> {
    let readers: Vec<_> = sinks
        .iter()
        .map(|one| SinkTask::reader(&one.spec))
        .collect();
    ledger.register_readers(&readers, forget).await
}

async fn register_feeds(
    ledger: &dyn Ledger,
    sources: &[(Name, Arc<dyn SourceClient>)],
) -> Result<Vec<FeedId>, ledger::Error> {
    let feeds: Vec<(FeedName, String)> = sources
        .iter()
        .map(|(name, client)| {
            let settings = client.settings();
            (Handle::feed_name(name, settings), settings.tenant.clone())
        })
        .collect();
    ledger.register_feeds(&feeds).await
}

fn buffer_limit(spec: &SinkSpec) -> BufferLimit {
    BufferLimit {
        sink: spec.name().to_owned(),
        sources: spec.sources(),
        is_partitioned: spec.is_partitioned(),
        most: spec.max_buffer(),
    }
}
