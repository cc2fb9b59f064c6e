//! The whole at work: each source on its interval, each sink at its own pace, until told
//! to stop or until everything was read once. What it works on may be changed meanwhile.

use super::feed::{Epoch, Feed, Handle, Shared, blocking};
use super::flight::Flight;
use super::gate::{Bound, Gate};
use super::puller::Puller;
use super::roster::Roster;
use super::turns::{Change, Polled, Turns};
use crate::config::{Config, Name};
use crate::pipeline::{Outlet, Output, Phase, Pipeline};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use watchbell_ledger::{self as ledger, FeedId, FeedName, Forgotten, Ledger};

/// What is polled and where it goes.
pub struct Plan {
    /// The sources, each once for each of its tenants.
    pub sources: Vec<(Name, Arc<Puller>)>,
    /// From the ledger to the sinks.
    pub pipeline: Pipeline,
    /// Bytes that must be free on the disk.
    pub min_free: u64,
    /// Turns at one time.
    pub concurrency: u32,
    /// Bytes of answers at one time.
    pub in_flight: u64,
}

/// Sources and sinks around one ledger.
pub struct Service {
    feeds: Vec<Feed>,
    outputs: Vec<Output>,
    concurrency: u32,
    shared: Shared,
    roster: Roster,
    stop: watch::Sender<bool>,
    plans: (mpsc::Sender<Planned>, mpsc::Receiver<Planned>),
}

type Planned = (Plan, oneshot::Sender<Result<Changed, String>>);

/// How it ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// How polling went.
    pub polled: Polled,
    /// Events that sinks got.
    pub delivered: u64,
    /// Sinks and how many detections wait for them.
    pub waiting: Vec<(String, u64)>,
    /// Sources and how much of them is in quarantine.
    pub quarantined: Vec<(String, u64)>,
}

/// What a new plan changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// Feeds that are new.
    pub added: usize,
    /// Feeds whose settings or component changed.
    pub replaced: usize,
    /// Feeds that went.
    pub removed: usize,
    /// Sinks that were begun anew, new ones among them.
    pub sinks: usize,
}

/// Hands plans to a service at work. Cheap to clone.
#[derive(Clone)]
pub struct Replan(mpsc::Sender<Planned>);

impl Replan {
    /// Has a plan take the place of the one before, as far as they differ.
    ///
    /// # Errors
    /// Why the one before goes on, in words.
    pub async fn put(&self, plan: Plan) -> Result<Changed, String> {
        let (told, hears) = oneshot::channel();
        let gone = |()| "it is ending".to_owned();
        self.0.send((plan, told)).await.map_err(|_| gone(()))?;
        hears.await.map_err(|_| gone(()))?
    }
}

impl Plan {
    /// The bounds of a configuration around what was loaded for it.
    #[must_use]
    pub fn new(config: &Config, sources: Vec<(Name, Arc<Puller>)>, pipeline: Pipeline) -> Self {
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
        let outputs = plan.pipeline.outputs;
        let forgotten = register(&ledger, &outputs, forget).await?;
        let bounds = outputs.iter().map(bound).collect();
        let gate = Gate::new(
            Arc::clone(&ledger),
            bounds,
            folder.to_owned(),
            plan.min_free,
        );
        let shared = Shared {
            gate,
            ledger: Arc::clone(&ledger),
            news: watch::Sender::new(0),
            flight: Flight::new(plan.in_flight),
        };
        let stop = watch::Sender::new(false);
        let roster = Roster::default();
        let mut feeds = Vec::new();
        let ids = enrol(&ledger, &plan.sources).await?;
        for (id, (name, puller)) in ids.into_iter().zip(plan.sources) {
            let handle = Handle {
                name,
                id,
                puller,
                shared: shared.clone(),
                epoch: Epoch::default(),
            };
            feeds.push(Feed::new(&handle, stop.subscribe()));
            roster.put(handle);
        }
        let service = Self {
            feeds,
            outputs,
            concurrency: plan.concurrency,
            shared,
            roster,
            stop,
            plans: mpsc::channel(1),
        };
        Ok((service, forgotten))
    }

    /// What others need to work on its feeds.
    #[must_use]
    pub fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// What changes it while it runs.
    #[must_use]
    pub fn replan(&self) -> Replan {
        Replan(self.plans.0.clone())
    }

    /// What stops it.
    #[must_use]
    pub fn stop(&self) -> watch::Sender<bool> {
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
        let flight = self.shared.flight.clone();
        let turns = Turns::new(self.concurrency, flight, self.stop.subscribe(), polls);
        let (change, changes) = mpsc::channel(1);
        let feeds = std::mem::take(&mut self.feeds);
        // A task of its own: sinks that come to rest for another plan hold up no poll.
        let polling = tokio::spawn(turns.run(feeds, changes));
        let polling = async {
            polling.await.unwrap_or_else(|error| {
                tracing::error!(%error, "polling ended by a defect of ours");
                Polled::default()
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
        changes: Option<mpsc::Sender<Change>>,
        drain: Duration,
    ) -> (T, Ended) {
        let Self {
            outputs,
            shared,
            roster,
            stop,
            plans: (_, mut plans),
            ..
        } = self;
        let mut sinks = Sinks::new(shared.clone());
        for output in outputs {
            sinks.start(output);
        }
        let done = {
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    done = &mut work => break done,
                    Some((plan, told)) = plans.recv(), if changes.is_some() => {
                        let Some(changes) = &changes else { continue };
                        let change = Replanning {
                            shared: &shared,
                            roster: &roster,
                            stop: &stop,
                            sinks: &mut sinks,
                        };
                        let changed = match change.apply(plan).await {
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
        let mut ended = Ended {
            delivered: sinks.drain(drain).await,
            ..Ended::default()
        };
        let ledger = shared.ledger;
        match blocking(move || remains(&*ledger, names)).await {
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
fn remains(ledger: &dyn Ledger, sinks: Vec<String>) -> Result<(Counts, Counts), ledger::Error> {
    let mut waiting = Vec::new();
    for name in sinks {
        let records = ledger.backlog(&name, None)?.records;
        if records > 0 {
            waiting.push((name, records));
        }
    }
    let mut quarantined: BTreeMap<String, u64> = BTreeMap::new();
    for feed in ledger.feeds()? {
        if feed.totals.quarantined > 0 {
            *quarantined.entry(feed.name.source).or_default() += feed.totals.quarantined;
        }
    }
    Ok((waiting, quarantined.into_iter().collect()))
}

async fn register(
    ledger: &Arc<dyn Ledger>,
    outputs: &[Output],
    forget: Vec<String>,
) -> Result<Vec<Forgotten>, ledger::Error> {
    let readers: Vec<_> = outputs.iter().map(Outlet::reader).collect();
    let ledger = Arc::clone(ledger);
    blocking(move || ledger.register(&readers, &forget)).await
}

async fn enrol(
    ledger: &Arc<dyn Ledger>,
    sources: &[(Name, Arc<Puller>)],
) -> Result<Vec<FeedId>, ledger::Error> {
    let feeds: Vec<(FeedName, String)> = sources
        .iter()
        .map(|(name, puller)| {
            let settings = puller.settings();
            (Handle::feed_name(name, settings), settings.tenant.clone())
        })
        .collect();
    let ledger = Arc::clone(ledger);
    blocking(move || ledger.enrol(&feeds)).await
}

fn bound(output: &Output) -> Bound {
    Bound {
        sink: output.name().to_owned(),
        sources: output.sources(),
        parted: output.is_parted(),
        most: output.max_buffer(),
    }
}

/// A service while its plan changes.
struct Replanning<'s> {
    shared: &'s Shared,
    roster: &'s Roster,
    stop: &'s watch::Sender<bool>,
    sinks: &'s mut Sinks,
}

impl Replanning<'_> {
    /// Changes the sinks; the feeds' change is the caller's to hand on.
    async fn apply(self, plan: Plan) -> Result<(Changed, Change), ledger::Error> {
        let mut changed = Changed::default();
        let ledger = &self.shared.ledger;
        // First, since a feed that is enrolled and not polled does no harm.
        let ids = enrol(ledger, &plan.sources).await?;
        let outputs = plan.pipeline.outputs;
        // What changes comes to rest first, so that nobody writes to what is registered.
        let stays: HashSet<String> = outputs
            .iter()
            .filter(|output| self.sinks.is_same(output))
            .map(|output| output.name().to_owned())
            .collect();
        let rested = self.sinks.rest(&stays).await;
        if let Err(error) = register(ledger, &outputs, Vec::new()).await {
            for output in rested {
                self.sinks.start_again(output);
            }
            return Err(error);
        }
        self.shared.gate.set(outputs.iter().map(bound).collect());
        for output in outputs {
            if !stays.contains(output.name()) {
                self.sinks.start(output);
                changed.sinks += 1;
            }
        }
        let mut feeds = Change::default();
        let mut kept = HashSet::new();
        for (id, (name, puller)) in ids.into_iter().zip(plan.sources) {
            kept.insert(id);
            let old = self.roster.get(id);
            if old.as_ref().is_some_and(|old| old.puller.is_as(&puller)) {
                continue;
            }
            let handle = Handle {
                name,
                id,
                puller,
                shared: self.shared.clone(),
                epoch: old
                    .as_ref()
                    .map(|old| Arc::clone(&old.epoch))
                    .unwrap_or_default(),
            };
            match old {
                Some(_) => changed.replaced += 1,
                None => changed.added += 1,
            }
            feeds.put.push(Feed::new(&handle, self.stop.subscribe()));
            self.roster.put(handle);
        }
        for id in self.roster.ids() {
            if !kept.contains(&id) {
                self.roster.remove(id);
                feeds.remove.push(id);
                changed.removed += 1;
            }
        }
        // Whoever comes back may have something waiting.
        self.shared.news.send_modify(|count| *count += 1);
        Ok((changed, feeds))
    }
}

/// The sinks at work.
struct Sinks {
    shared: Shared,
    working: HashMap<String, Working>,
    delivered: u64,
}

struct Working {
    output: Arc<Output>,
    phase: watch::Sender<Phase>,
    task: JoinHandle<u64>,
}

impl Sinks {
    fn new(shared: Shared) -> Self {
        Self {
            shared,
            working: HashMap::new(),
            delivered: 0,
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.working.keys().cloned().collect();
        names.sort();
        names
    }

    fn start(&mut self, output: Output) {
        self.start_again(Arc::new(output));
    }

    fn start_again(&mut self, output: Arc<Output>) {
        let phase = watch::Sender::new(Phase::Running);
        let outlet = Outlet::new(Arc::clone(&output), Arc::clone(&self.shared.ledger));
        let running = outlet.run(self.shared.news.subscribe(), phase.subscribe());
        let working = Working {
            task: tokio::spawn(running),
            phase,
            output: Arc::clone(&output),
        };
        self.working.insert(output.name().to_owned(), working);
    }

    fn is_same(&self, output: &Output) -> bool {
        let old = self.working.get(output.name());
        old.is_some_and(|old| old.output.recipe() == output.recipe())
    }

    /// Has all but these finish what they are writing, and returns them.
    async fn rest(&mut self, stays: &HashSet<String>) -> Vec<Arc<Output>> {
        let mut rested = Vec::new();
        let goes: Vec<String> = self
            .names()
            .into_iter()
            .filter(|name| !stays.contains(name))
            .collect();
        for name in goes {
            if let Some(mut working) = self.working.remove(&name) {
                working.phase.send_replace(Phase::Resting);
                self.delivered += working.end().await;
                rested.push(working.output);
            }
        }
        rested
    }

    /// Delivers what waits, for at most `drain`.
    async fn drain(mut self, drain: Duration) -> u64 {
        let deadline = Instant::now() + drain;
        for working in self.working.values() {
            working.phase.send_replace(Phase::Draining);
        }
        for (_, mut working) in self.working {
            match tokio::time::timeout_at(deadline, &mut working.task).await {
                Ok(done) => self.delivered += told(done),
                Err(_) => working.task.abort(),
            }
        }
        self.delivered
    }
}

impl Working {
    async fn end(&mut self) -> u64 {
        told((&mut self.task).await)
    }
}

fn told(done: Result<u64, tokio::task::JoinError>) -> u64 {
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "a sink's task ended by a defect of ours");
        0
    })
}
