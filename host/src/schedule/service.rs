//! The whole at work: each source on its interval, each sink at its own pace, until told
//! to stop or until everything was read once.

use super::feed::{Feed, Handle, Shared, Step, blocking};
use super::gate::{Bound, Gate};
use super::puller::Puller;
use crate::config::Name;
use crate::pipeline::{Outlet, Output, Phase, Pipeline};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use watchbell_ledger::{self as ledger, Forgotten, Ledger};

/// The longest wait that a reading which must end puts up with.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a window that is being asked for may take after a stop.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// Sources and sinks around one ledger.
pub struct Service {
    feeds: Vec<Feed>,
    outlets: Vec<Outlet>,
    shared: Shared,
    stop: watch::Sender<bool>,
    sinks: Vec<String>,
}

/// How it ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Sources that were not read up to now.
    pub behind: Vec<String>,
    /// Events that sinks got.
    pub delivered: u64,
    /// Sinks and how many detections wait for them.
    pub waiting: Vec<(String, u64)>,
    /// Sources and how much of them is in quarantine.
    pub quarantined: Vec<(String, u64)>,
    /// Ticks at which a source was still being polled.
    pub missed: u64,
}

impl Service {
    /// Registers the sinks with the ledger and finds out where everything stands.
    ///
    /// # Errors
    /// The ledger's, [`ledger::Error::ReaderGone`] among them.
    pub async fn open(
        ledger: Arc<dyn Ledger>,
        folder: &Path,
        min_free: u64,
        sources: Vec<(Name, Puller)>,
        pipeline: Pipeline,
        forget: Vec<String>,
    ) -> Result<(Self, Vec<Forgotten>), ledger::Error> {
        let outputs = pipeline.outputs;
        let readers: Vec<_> = outputs.iter().map(Outlet::reader).collect();
        let registering = Arc::clone(&ledger);
        let forgotten = blocking(move || registering.register(&readers, &forget)).await?;
        let bounds = outputs.iter().map(bound).collect();
        let shared = Shared {
            gate: Gate::new(Arc::clone(&ledger), bounds, folder.to_owned(), min_free),
            ledger: Arc::clone(&ledger),
            news: watch::Sender::new(0),
        };
        let stop = watch::Sender::new(false);
        let mut feeds = Vec::new();
        for (name, puller) in sources {
            feeds.push(Feed::open(name, puller, shared.clone(), stop.subscribe()).await?);
        }
        let sinks = outputs
            .iter()
            .map(|output| output.name().to_owned())
            .collect();
        let mut outlets = Vec::new();
        for output in outputs {
            outlets.push(Outlet::open(output, Arc::clone(&ledger)).await?);
        }
        let service = Self {
            feeds,
            outlets,
            shared,
            stop,
            sinks,
        };
        Ok((service, forgotten))
    }

    /// What others need to work on its feeds.
    #[must_use]
    pub fn handles(&self) -> Vec<Handle> {
        self.feeds.iter().map(Feed::handle).collect()
    }

    /// What stops it.
    #[must_use]
    pub fn stop(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }

    /// Polls each source on its interval until stopped, then delivers what there is, for
    /// at most `drain`.
    pub async fn run(mut self, drain: Duration) -> Ended {
        let polling = poll_all(std::mem::take(&mut self.feeds), self.stop.clone(), None);
        let (polled, ended) = self.during(polling, drain).await;
        ended.with(polled)
    }

    /// Reads each source up to its service's now that many times, and delivers.
    pub async fn run_polls(mut self, polls: usize, drain: Duration) -> Ended {
        let feeds = std::mem::take(&mut self.feeds);
        let polling = poll_all(feeds, self.stop.clone(), Some(polls));
        let (polled, ended) = self.during(polling, drain).await;
        ended.with(polled)
    }

    /// Delivers while `work` goes on, and then what there is, for at most `drain`.
    pub async fn during<T>(self, work: impl Future<Output = T>, drain: Duration) -> (T, Ended) {
        let phase = watch::Sender::new(Phase::Running);
        let mut sinks = JoinSet::new();
        for outlet in self.outlets {
            sinks.spawn(outlet.run(self.shared.news.subscribe(), phase.subscribe()));
        }
        let done = work.await;
        let mut ended = Ended::default();
        phase.send_replace(Phase::Draining);
        let deadline = Instant::now() + drain;
        loop {
            match tokio::time::timeout_at(deadline, sinks.join_next()).await {
                Ok(Some(Ok(delivered))) => ended.delivered += delivered,
                Ok(Some(Err(error))) => {
                    tracing::error!(%error, "a sink's task ended by a defect of ours");
                }
                Ok(None) | Err(_) => break,
            }
        }
        sinks.shutdown().await;
        let (ledger, names) = (self.shared.ledger, self.sinks);
        let remains = blocking(move || {
            let mut waiting = Vec::new();
            for name in names {
                let records = ledger.backlog(&name)?.records;
                if records > 0 {
                    waiting.push((name, records));
                }
            }
            let mut quarantined = Vec::new();
            for feed in ledger.feeds()? {
                if feed.totals.quarantined > 0 {
                    quarantined.push((feed.name.source, feed.totals.quarantined));
                }
            }
            Ok((waiting, quarantined))
        });
        match remains.await {
            Ok((waiting, quarantined)) => {
                ended.waiting = waiting;
                ended.quarantined = quarantined;
            }
            Err(error) => tracing::error!(%error, "what remains is not known"),
        }
        (done, ended)
    }
}

impl Ended {
    fn with(mut self, polled: Polled) -> Self {
        self.missed = polled.missed;
        self.behind = polled.behind;
        self
    }
}

/// Polls every source until stopped, or that many times.
async fn poll_all(feeds: Vec<Feed>, stop: watch::Sender<bool>, polls: Option<usize>) -> Polled {
    let mut sources = JoinSet::new();
    for feed in feeds {
        sources.spawn(poll_on_interval(feed, stop.subscribe(), polls));
    }
    let mut all = Polled::default();
    while let Some(done) = sources.join_next().await {
        match done {
            Ok(done) => {
                all.missed += done.missed;
                all.behind.extend(done.behind);
            }
            Err(error) => tracing::error!(%error, "a source's task ended by a defect of ours"),
        }
    }
    all
}

fn bound(output: &Output) -> Bound {
    Bound {
        sink: output.name().to_owned(),
        sources: output.sources(),
        most: output.max_buffer(),
    }
}

/// How polling ended: ticks that were missed, sources that were not read up to now.
#[derive(Default)]
struct Polled {
    missed: u64,
    behind: Vec<String>,
}

/// Resolves a while after `stop`.
async fn overdue(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        return std::future::pending().await;
    }
    tokio::time::sleep(UNDER_WAY).await;
}

async fn poll_on_interval(
    mut feed: Feed,
    mut stop: watch::Receiver<bool>,
    polls: Option<usize>,
) -> Polled {
    let period = feed.handle().puller.settings().scrape_interval;
    let mut ticks = interval_at(Instant::now(), period);
    // Polls of one source never overlap; a tick that was missed is not made up for,
    // since the next poll asks for its time too.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut polled = Polled::default();
    let mut left = polls;
    let mut due: Option<Instant> = None;
    loop {
        let tick = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return polled,
            tick = ticks.tick() => tick,
        };
        if let Some(due) = due {
            polled.missed +=
                u64::try_from((tick - due).as_nanos() / period.as_nanos().max(1)).unwrap_or(0);
        }
        due = Some(tick + period);
        loop {
            let step = tokio::select! {
                step = feed.poll() => step,
                // What a window found is written down whole or not at all, so it may be
                // given up at any point.
                () = overdue(stop.clone()) => Step::Stopped,
            };
            let wait = match step {
                Step::Done => break,
                Step::Stopped => return polled,
                Step::Stuck(_) if left.is_some() => {
                    polled.behind.push(feed.name().to_string());
                    return polled;
                }
                Step::Later(wait) if left.is_some() && (feed.is_spent() || wait > PATIENCE) => {
                    polled.behind.push(feed.name().to_string());
                    return polled;
                }
                Step::Later(wait) | Step::Stuck(wait) => wait,
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {
                    polled.behind.extend(left.map(|_| feed.name().to_string()));
                    return polled;
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Some(left) = &mut left {
            *left -= 1;
            if *left == 0 {
                return polled;
            }
        }
    }
}
