//! What is delivered to one place, in order: a sink, or one tenant's part of it.

use super::bisect::{Attempt, Bisection, Failure, Fault};
use super::identity::Identity;
use super::probe_entries::probe_entries;
use super::report::Report;
use super::route::{Prepared, new_rejected};
use super::{Encoded, RouteError, SinkSpec, split};
use crate::polling::local_now;
use crate::sinks::{Batch, Checkpoint, DeliveryError, Event, Refused, Sink};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use watchbell_ledger::{Entry, EntryId, Ledger, NewRejected};

/// Bytes of events that are delivered and acknowledged together, unless the sink says
/// otherwise.
const BATCH_BYTES: usize = 8 << 20;

/// From the first failure to the next try; doubles.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait between two tries.
const LAST_WAIT: Duration = Duration::from_secs(30);

/// The longest that another side may want to be left alone.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What is delivered to one place, in order.
pub(super) struct PartitionTask {
    spec: Arc<SinkSpec>,
    ledger: Arc<dyn Ledger>,
    /// The tenant, of a sink that has a place for each.
    partition: Option<String>,
    /// None until it was looked up.
    at: Option<Place>,
    /// What is not enough to be delivered yet, and since when.
    gathered: Option<(Pending, Instant)>,
    /// What was delivered in part.
    under_way: Option<Delivery>,
    pub(super) report: Report,
    wait: Duration,
    /// When it may be tried again.
    pub(super) retry_at: Instant,
    /// Events that were delivered.
    pub(super) delivered: u64,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A batch was delivered.
    Delivered,
    /// What waits may be joined by more, until then.
    Gathering(Instant),
    /// Nothing waits.
    Idle,
}

impl Step {
    /// Returns when what was gathered is to be delivered.
    pub(super) async fn is_due(self) {
        match self {
            Self::Gathering(until) => tokio::time::sleep_until(until).await,
            Self::Delivered | Self::Idle => std::future::pending().await,
        }
    }
}

/// Where it is.
struct Place {
    sink: Box<dyn Sink>,
    position: EntryId,
}

/// Events, what each was made of, and the last entry that is in it.
#[derive(Default)]
struct Pending {
    events: Vec<Event>,
    bytes: usize,
    made_of: Vec<(EntryId, Range<usize>)>,
    rejected: Vec<NewRejected>,
    last: EntryId,
}

impl Pending {
    fn push(&mut self, entry: EntryId, encoded: Encoded) {
        for Prepared { event, records } in encoded.events {
            self.bytes += event.bytes.len();
            self.events.push(event);
            self.made_of.push((entry, records));
        }
        self.rejected.extend(encoded.rejected);
        self.last = entry;
    }
}

/// A batch on its way.
struct Delivery {
    batch: Arc<Batch>,
    made_of: Vec<(EntryId, Range<usize>)>,
    /// What no plugin could handle.
    rejected: Vec<NewRejected>,
    last: EntryId,
    bisection: Bisection<()>,
    /// What the other side refused one by one.
    refused: Vec<Refused>,
    state: Option<Vec<u8>>,
}

impl PartitionTask {
    pub(super) fn new(
        spec: Arc<SinkSpec>,
        ledger: Arc<dyn Ledger>,
        partition: Option<String>,
        report: Report,
    ) -> Self {
        Self {
            spec,
            ledger,
            partition,
            at: None,
            gathered: None,
            under_way: None,
            report,
            wait: FIRST_WAIT,
            retry_at: Instant::now(),
            delivered: 0,
        }
    }

    pub(super) fn sink_name(&self) -> &str {
        self.spec.name()
    }

    pub(super) fn span(&self) -> tracing::Span {
        let sink = self.spec.name();
        match &self.partition {
            Some(tenant) => tracing::error_span!("sink", sink, tenant),
            None => tracing::error_span!("sink", sink),
        }
    }

    /// The next failure is waited out as long as any is.
    pub(super) fn back_off_long(&mut self) {
        self.wait = LAST_WAIT;
    }

    /// It failed, and is tried again after a while: at random within the second half of the
    /// wait, so that many that failed together do not come back together.
    pub(super) async fn failed(&mut self, error: &RouteError) {
        self.report.failed(error).await;
        let wait = self.wait.mul_f64(fastrand::f64().mul_add(0.5, 0.5));
        let asked_for = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
        self.retry_at = Instant::now() + wait.max(asked_for);
        self.wait = (self.wait * 2).min(LAST_WAIT);
    }

    /// Returns when nobody takes anything there any more.
    pub(super) async fn closed(&self) -> RouteError {
        match &self.at {
            Some(place) => place.sink.closed().await.into(),
            None => std::future::pending().await,
        }
    }

    async fn place(&mut self) -> Result<Place, RouteError> {
        if let Some(place) = self.at.take() {
            return Ok(place);
        }
        let partition = self.partition.as_deref();
        let position = self.ledger.position(self.spec.name(), partition).await?;
        let state = position.state.as_deref();
        Ok(Place {
            sink: self.spec.factory.open(partition, state),
            position: position.acknowledged,
        })
    }

    /// Delivers a batch, if enough waits; `is_last` when nothing more is waited for.
    pub(super) async fn step(&mut self, is_last: bool) -> Result<Step, RouteError> {
        let mut place = self.place().await?;
        let mut delivery = match self.under_way.take() {
            Some(delivery) => delivery,
            None => match self.next(place.position, is_last).await {
                Ok(Next::Batch(pending)) => self.delivery(pending),
                Ok(Next::Not(step)) => {
                    self.at = Some(place);
                    return Ok(step);
                }
                Err(error) => {
                    self.at = Some(place);
                    return Err(error);
                }
            },
        };
        let delivered = self.deliver(&mut place, &mut delivery).await;
        for notice in place.sink.notices() {
            tracing::warn!("{notice}");
        }
        match delivered {
            Ok(counts) => {
                self.at = Some(place);
                self.delivered += counts.events;
                self.wait = FIRST_WAIT;
                let Counts {
                    events,
                    bytes,
                    quarantined,
                } = counts;
                self.report.delivered(events, bytes, quarantined).await;
                Ok(Step::Delivered)
            }
            Err(error) => {
                if !matches!(error, RouteError::Defect(_) | RouteError::Cancelled) {
                    self.at = Some(place);
                }
                // What was delivered of it is not delivered again. Else it is read again, and
                // may be more by then.
                if delivery.bisection.has_begun() {
                    self.under_way = Some(delivery);
                }
                Err(error)
            }
        }
    }

    fn delivery(&self, pending: Pending) -> Delivery {
        let events = &pending.events;
        let limits = self.spec.factory.batch_limits();
        let (max_events, max_bytes) = limits.map_or((usize::MAX, usize::MAX), |limits| {
            (limits.max_events, limits.max_bytes)
        });
        let parts = split(events, max_events, max_bytes, |event| event.bytes.len());
        Delivery {
            bisection: Bisection::new(parts),
            batch: Arc::new(Batch {
                format: Arc::clone(&self.spec.format),
                events: pending.events,
            }),
            made_of: pending.made_of,
            rejected: pending.rejected,
            last: pending.last,
            refused: Vec::new(),
            state: None,
        }
    }

    /// What waits, up to a batch. An entry that cannot be encoded holds up itself and what
    /// is behind it, not what is before.
    async fn next(&mut self, position: EntryId, is_last: bool) -> Result<Next, RouteError> {
        let limits = self.spec.factory.batch_limits();
        let (max_events, max_bytes) = limits.map_or((usize::MAX, BATCH_BYTES), |limits| {
            (limits.max_events, limits.max_bytes)
        });
        let max_age = limits.map_or(Duration::ZERO, |limits| limits.max_age);
        let (mut pending, since) = match self.gathered.take() {
            Some((pending, since)) => (Some(pending), since),
            None => (None, Instant::now()),
        };
        loop {
            let is_full = |pending: &Pending| {
                pending.events.len() >= max_events || pending.bytes >= max_bytes
            };
            if let Some(full) = pending.take_if(|pending| is_full(pending)) {
                return Ok(Next::Batch(full));
            }
            let after = pending.as_ref().map_or(position, |pending| pending.last);
            let encoded = match self.entry(after).await? {
                Some(entry) => self.encode(&entry).await.map(|done| Some((entry.id, done))),
                None => Ok(None),
            };
            match encoded {
                Ok(Some((entry, encoded))) => pending.get_or_insert_default().push(entry, encoded),
                Err(error) if pending.is_none() => return Err(error),
                Ok(None) | Err(_) => {
                    let Some(pending) = pending else {
                        return Ok(Next::Not(Step::Idle));
                    };
                    let due = since + max_age;
                    if is_last || due <= Instant::now() {
                        return Ok(Next::Batch(pending));
                    }
                    self.gathered = Some((pending, since));
                    return Ok(Next::Not(Step::Gathering(due)));
                }
            }
        }
    }

    /// An entry's bytes. Where a plugin that may be broken fails for all of it, others'
    /// alerts show which of the two is to blame.
    async fn encode(&self, entry: &Entry) -> Result<Encoded, RouteError> {
        let encoded = self.spec.encode(entry).await;
        let Err(RouteError::Unproven { name, .. }) = &encoded else {
            return encoded;
        };
        let (ledger, reader) = (&*self.ledger, self.spec.name());
        for other in probe_entries(ledger, reader, &entry.tenant, entry.id).await? {
            if self.spec.probe_with(name, &other).await? {
                return self.spec.encode(entry).await;
            }
        }
        encoded
    }

    async fn entry(&self, after: EntryId) -> Result<Option<Entry>, RouteError> {
        let (reader, partition) = (self.spec.name(), self.partition.as_deref());
        Ok(self.ledger.next_entry(reader, partition, after).await?)
    }

    /// Delivers a batch and acknowledges it. What of it nobody can take is in quarantine
    /// before, since it would be lost with the acknowledgement.
    async fn deliver(
        &self,
        place: &mut Place,
        delivery: &mut Delivery,
    ) -> Result<Counts, RouteError> {
        let mut counts = Counts {
            quarantined: self.quarantine(&mut delivery.rejected).await?,
            ..Counts::default()
        };
        let mut attempt = Attempted {
            sink: place.sink.as_mut(),
            checkpoint: self.checkpoint(place.position),
            identity: &self.spec.identity,
            batch: &delivery.batch,
            refused: &mut delivery.refused,
            state: &mut delivery.state,
        };
        delivery.bisection.run(&mut attempt).await?;
        let refused = delivery.refused()?;
        let mut rejected = self
            .records_of(&refused, &delivery.made_of, place.position)
            .await?;
        counts.quarantined += self.quarantine(&mut rejected).await?;
        counts.events = (delivery.batch.events.len() - refused.len()) as u64;
        counts.bytes = delivery.batch.size() as u64;
        let (reader, partition) = (self.spec.name(), self.partition.as_deref());
        let (last, state) = (delivery.last, delivery.state.clone());
        self.ledger
            .acknowledge(reader, partition, last, state)
            .await?;
        if !delivery.batch.events.is_empty() {
            place.sink.committed();
        }
        place.position = last;
        Ok(counts)
    }

    /// What a sink remembers while a batch is under way.
    fn checkpoint(&self, position: EntryId) -> Checkpoint {
        let (ledger, reader) = (Arc::clone(&self.ledger), self.spec.name().to_owned());
        let (partition, here) = (self.partition.clone(), Handle::current());
        Arc::new(move |state| {
            let kept = ledger.acknowledge(&reader, partition.as_deref(), position, Some(state));
            here.block_on(kept).map_err(io::Error::other)
        })
    }

    /// Puts records into quarantine; how many.
    async fn quarantine(&self, rejected: &mut Vec<NewRejected>) -> Result<u64, RouteError> {
        let rejected = std::mem::take(rejected);
        if rejected.is_empty() {
            return Ok(0);
        }
        let (count, reader) = (rejected.len() as u64, self.spec.name());
        self.ledger
            .quarantine_rejected(reader, rejected, local_now())
            .await?;
        Ok(count)
    }

    /// The records that refused events were made of, each once, as they came.
    async fn records_of(
        &self,
        refused: &[Refused],
        made_of: &[(EntryId, Range<usize>)],
        position: EntryId,
    ) -> Result<Vec<NewRejected>, RouteError> {
        let mut found = Vec::new();
        let mut refused = refused.iter().peekable();
        let mut after = position;
        while refused.peek().is_some() {
            let Some(entry) = self.entry(after).await? else {
                break;
            };
            let mut reasons: Vec<Option<&str>> = vec![None; entry.len];
            let of_entry = |one: &&Refused| {
                made_of
                    .get(one.event)
                    .is_some_and(|(id, _)| *id <= entry.id)
            };
            while let Some(one) = refused.next_if(of_entry) {
                let records = made_of.get(one.event).map(|(_, records)| records.clone());
                let records = records.and_then(|records| reasons.get_mut(records));
                for reason in records.into_iter().flatten() {
                    reason.get_or_insert(&one.reason);
                }
            }
            for (record, reason) in entry.records().zip(reasons) {
                found.extend(reason.map(|reason| new_rejected(&entry, record, reason)));
            }
            after = entry.id;
        }
        if let Some(first) = found.first() {
            self.spec.identity.log(&format!(
                "{} refused and quarantined (watchbell state quarantine list): {}",
                found.len(),
                first.reason
            ));
        }
        Ok(found)
    }
}

/// What is delivered next, or why nothing is.
enum Next {
    Batch(Pending),
    Not(Step),
}

/// What a delivery came to.
#[derive(Default)]
struct Counts {
    events: u64,
    bytes: u64,
    quarantined: u64,
}

impl Delivery {
    /// What the other side will never take, in order.
    ///
    /// # Errors
    /// [`RouteError::Unproven`], when it never took anything.
    fn refused(&self) -> Result<Vec<Refused>, RouteError> {
        let mut all = self.refused.clone();
        for rejected in self.bisection.rejected()? {
            all.extend(rejected.range.clone().map(|event| Refused {
                event,
                reason: rejected.reason.clone(),
            }));
        }
        all.sort_by_key(|one| one.event);
        Ok(all)
    }
}

/// A batch that is being delivered.
struct Attempted<'a> {
    sink: &'a mut dyn Sink,
    checkpoint: Checkpoint,
    identity: &'a Arc<Identity>,
    batch: &'a Arc<Batch>,
    refused: &'a mut Vec<Refused>,
    state: &'a mut Option<Vec<u8>>,
}

impl Attempt for Attempted<'_> {
    type Made = ();

    async fn attempt(&mut self, range: Range<usize>) -> Result<(), Fault> {
        let part = if range.len() == self.batch.events.len() {
            Arc::clone(self.batch)
        } else {
            Arc::new(self.batch.slice(range.clone()))
        };
        let done = match self.sink.deliver(&part, &self.checkpoint).await {
            Ok(done) => done,
            Err(DeliveryError::Refused(reason)) => {
                let failure: Failure = self.identity.failed(RouteError::Refused(reason));
                return Err(failure.into());
            }
            Err(error) => return Err(Fault::Stop(error.into())),
        };
        let taken = range.len().saturating_sub(done.refused.len());
        self.identity.handled(taken);
        if let Some(first) = done.refused.first()
            && !self.identity.has_worked()
        {
            let (name, reason) = (self.identity.name.clone(), first.reason.clone());
            return Err(Fault::Stop(RouteError::Unproven { name, reason }));
        }
        self.refused
            .extend(done.refused.into_iter().map(|one| Refused {
                event: range.start + one.event,
                reason: one.reason,
            }));
        if done.state.is_some() {
            *self.state = done.state;
        }
        Ok(())
    }
}
