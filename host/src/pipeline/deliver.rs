//! One sink's way: what waits in the ledger, encoded, written, acknowledged.
//!
//! Entries are taken together up to a size, always from the first that is not
//! acknowledged. So after a crash the batch that was being written begins as it did, and
//! the sink can tell how much of it is there already.
//!
//! Most sinks are one lane. One that has a place for each tenant has a lane for each that
//! something waits for, with a position of its own, so that one whose folder is full or
//! whose alerts an encoder refuses delays itself alone.

use super::lanes::Lanes;
use super::witness::witnesses;
use super::{Encoded, Output, RouteError};
use crate::observe::Trouble;
use crate::schedule::{blocking, local_now};
use crate::sinks::{Batch, Sink};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;
use watchbell_ledger::{self as ledger, Entry, EntryId, Ledger, NewHeld, Reader};

/// Bytes of events that are written and acknowledged together.
const BATCH_BYTES: usize = 8 << 20;

/// From the first failure to the next try; doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait between two tries.
const LAST_WAIT: Duration = Duration::from_secs(30);

/// Batches of one tenant before others have their turn.
const LANE_BATCHES: usize = 4;

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

/// A sink at work.
pub struct Outlet {
    output: Arc<Output>,
    ledger: Arc<dyn Ledger>,
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

    /// A sink that goes on where the ledger says that it was.
    #[must_use]
    pub fn new(output: Arc<Output>, ledger: Arc<dyn Ledger>) -> Self {
        Self { output, ledger }
    }

    /// Delivers until it is draining and nothing waits. Returns how many events it
    /// delivered.
    pub async fn run(self, news: watch::Receiver<u64>, phase: watch::Receiver<Phase>) -> u64 {
        if self.output.is_parted() {
            return self.run_lanes(news, phase).await;
        }
        let lane = self.lane(None);
        let span = lane.span();
        run_one(lane, news, phase).instrument(span).await
    }

    fn lane(&self, part: Option<String>) -> Lane {
        Lane {
            output: Arc::clone(&self.output),
            ledger: Arc::clone(&self.ledger),
            part,
            at: None,
            trouble: Trouble::default(),
            wait: FIRST_WAIT,
            retry_at: Instant::now(),
            delivered: 0,
        }
    }

    async fn run_lanes(
        self,
        mut news: watch::Receiver<u64>,
        mut phase: watch::Receiver<Phase>,
    ) -> u64 {
        let mut delivered = 0;
        let mut trouble = Trouble::default();
        // Lanes that failed, until something of theirs was delivered.
        let mut failed: HashMap<String, Lane> = HashMap::new();
        let mut lanes = Lanes::new();
        loop {
            news.mark_unchanged();
            let now_phase = *phase.borrow_and_update();
            if now_phase == Phase::Resting && lanes.are_idle() {
                return delivered;
            }
            let mut wake: Option<Instant> = None;
            if now_phase != Phase::Resting {
                self.serve(&mut lanes, &mut failed, &mut wake);
                let began = Instant::now();
                match lanes.look_at() {
                    Some(at) if at > began => sooner(&mut wake, at),
                    None => {}
                    Some(_) => match self.who_waits().await {
                        Ok(waiting) => {
                            let is_done = waiting.is_empty() && lanes.are_idle();
                            if is_done && now_phase == Phase::Draining {
                                return delivered;
                            }
                            lanes.line_up(waiting, began.elapsed());
                            self.serve(&mut lanes, &mut failed, &mut wake);
                        }
                        Err(error) => {
                            if let Some(say) = trouble.met(&error) {
                                tracing::error!(sink = self.output.name(), "{say}");
                            }
                            sooner(&mut wake, began + FIRST_WAIT);
                        }
                    },
                }
            }
            tokio::select! {
                _ = news.changed(), if lanes.have_room() => {}
                _ = phase.changed() => {}
                Some((tenant, done)) = lanes.ended() => match done {
                    Ok((mut lane, is_well)) => {
                        delivered += std::mem::take(&mut lane.delivered);
                        if !is_well {
                            failed.insert(tenant, lane);
                        }
                    }
                    Err(error) => {
                        let mut lane = self.lane(Some(tenant.clone()));
                        lane.wait = LAST_WAIT;
                        lane.span().in_scope(|| lane.failed(&RouteError::Defect(error.to_string())));
                        failed.insert(tenant, lane);
                    }
                },
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    async fn who_waits(&self) -> Result<Vec<String>, ledger::Error> {
        let (ledger, reader) = (Arc::clone(&self.ledger), self.output.name().to_owned());
        blocking(move || ledger.waiting(&reader)).await
    }

    /// Gives those a turn who are next; `wake` is when one who failed may have another.
    fn serve(
        &self,
        lanes: &mut Lanes<(Lane, bool)>,
        failed: &mut HashMap<String, Lane>,
        wake: &mut Option<Instant>,
    ) {
        while let Some(tenant) = lanes.next() {
            let retry_at = failed.get(&tenant).map(|lane| lane.retry_at);
            if let Some(at) = retry_at.filter(|at| *at > Instant::now()) {
                sooner(wake, at);
                continue;
            }
            let lane = failed
                .remove(&tenant)
                .unwrap_or_else(|| self.lane(Some(tenant.clone())));
            let span = lane.span();
            lanes.serve(tenant, some_batches(lane).instrument(span));
        }
    }
}

fn sooner(wake: &mut Option<Instant>, at: Instant) {
    *wake = Some(wake.map_or(at, |wake| wake.min(at)));
}

async fn run_one(
    mut lane: Lane,
    mut news: watch::Receiver<u64>,
    mut phase: watch::Receiver<Phase>,
) -> u64 {
    loop {
        news.mark_unchanged();
        let now = *phase.borrow_and_update();
        if now == Phase::Resting {
            return lane.delivered;
        }
        match lane.step().await {
            Ok(true) => {}
            Ok(false) if now == Phase::Draining => return lane.delivered,
            Ok(false) => {
                tokio::select! {
                    _ = news.changed() => {}
                    _ = phase.changed() => {}
                }
            }
            Err(error) => {
                lane.failed(&error);
                tokio::select! {
                    () = tokio::time::sleep_until(lane.retry_at) => {}
                    _ = phase.wait_for(|phase| *phase == Phase::Resting) => {}
                }
            }
        }
    }
}

/// A tenant's turn; also says whether it went well.
async fn some_batches(mut lane: Lane) -> (Lane, bool) {
    for _ in 0..LANE_BATCHES {
        match lane.step().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                lane.failed(&error);
                return (lane, false);
            }
        }
    }
    (lane, true)
}

/// What is written to one place, in order.
struct Lane {
    output: Arc<Output>,
    ledger: Arc<dyn Ledger>,
    /// The tenant, of a sink that has a place for each.
    part: Option<String>,
    /// None until it was looked up.
    at: Option<Place>,
    trouble: Trouble,
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
    held: Vec<NewHeld>,
    last: EntryId,
}

impl Lane {
    fn span(&self) -> tracing::Span {
        let sink = self.output.name();
        match &self.part {
            Some(tenant) => tracing::error_span!("sink", sink, tenant),
            None => tracing::error_span!("sink", sink),
        }
    }

    fn failed(&mut self, error: &RouteError) {
        if let Some(say) = self.trouble.met(error) {
            tracing::error!("{say}");
        }
        self.retry_at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LAST_WAIT);
    }

    async fn place(&mut self) -> Result<Place, RouteError> {
        if let Some(place) = self.at.take() {
            return Ok(place);
        }
        let (ledger, name) = (Arc::clone(&self.ledger), self.output.name().to_owned());
        let part = self.part.clone();
        let position = blocking(move || ledger.position(&name, part.as_deref())).await?;
        Ok(Place {
            sink: self
                .output
                .open(self.part.as_deref(), position.state.as_deref()),
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
        let events = pending.batch.events;
        self.write(place, pending).await?;
        self.delivered += events as u64;
        self.wait = FIRST_WAIT;
        if let Some(say) = self.trouble.over() {
            tracing::info!("{say}");
        }
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
            let Encoded { batch, held } = match self.encode(&entry).await {
                Ok(encoded) => encoded,
                Err(_) if pending.is_some() => return Ok(pending),
                Err(error) => return Err(error),
            };
            let pending = pending.get_or_insert_default();
            pending.batch.append(batch);
            pending.held.extend(held);
            pending.last = entry.id;
            if pending.batch.bytes.len() >= BATCH_BYTES {
                return Ok(Some(std::mem::take(pending)));
            }
        }
    }

    /// An entry's bytes. Where a plugin that may be broken fails for all of it, others'
    /// alerts show which of the two is to blame.
    async fn encode(&self, entry: &Entry) -> Result<Encoded, RouteError> {
        let encoded = self.output.encode(entry).await;
        let Err(RouteError::Unproven { plugin, .. }) = &encoded else {
            return encoded;
        };
        let (ledger, reader) = (Arc::clone(&self.ledger), self.output.name().to_owned());
        let (own, after) = (entry.tenant.clone(), entry.id);
        let witnesses = move || witnesses(ledger.as_ref(), &reader, &own, after);
        for witness in blocking(witnesses).await? {
            if self.output.proves(plugin, &witness).await? {
                return self.output.encode(entry).await;
            }
        }
        encoded
    }

    async fn entry(&self, after: EntryId) -> Result<Option<Entry>, RouteError> {
        let (ledger, reader) = (Arc::clone(&self.ledger), self.output.name().to_owned());
        let part = self.part.clone();
        Ok(blocking(move || ledger.next(&reader, part.as_deref(), after)).await?)
    }

    async fn write(&mut self, place: Place, pending: Pending) -> Result<(), RouteError> {
        let Pending { batch, held, last } = pending;
        let (ledger, reader) = (Arc::clone(&self.ledger), self.output.name().to_owned());
        let part = self.part.clone();
        let Place { mut sink, position } = place;
        let work = move || {
            let part = part.as_deref();
            // First, since they would be lost with the acknowledgement.
            let kept = if held.is_empty() {
                Ok(0)
            } else {
                ledger.hold_back(&reader, held, local_now())
            };
            let written = kept.map_err(RouteError::from).and_then(|_| {
                if batch.events == 0 {
                    return Ok(None);
                }
                Ok(sink.deliver(&batch, &mut |state| {
                    ledger
                        .acknowledge(&reader, part, position, Some(state))
                        .map_err(io::Error::other)
                })?)
            });
            let notices = sink.notices();
            let done = written.and_then(|state| {
                ledger
                    .acknowledge(&reader, part, last, state)
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
