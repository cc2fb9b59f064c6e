//! One path from a source to a sink: every transform on it, then the sink's encoder.
//!
//! A batch goes the whole way or not at all, since what is quarantined is the alert as it
//! came: half-processed it could not be tried again.

use super::bisect::{Attempt, Failure, Fault, Rejected, bisect};
use super::error::RouteError;
use super::identity::Identity;
use super::process::LoadedTransform;
use super::{LoadedCodec, parts};
use crate::names::Name;
use crate::record;
use crate::sinks::{Event, Origin};
use crate::tenant_member::TenantMember;
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use watchbell_ledger::{Entry, NewRejected};
use watchbell_sandbox::{Alert, Limits};

/// Ids that a line on quarantined alerts names.
const NAMED: usize = 3;

/// One path from a source to a sink.
pub(crate) struct Route {
    pub(crate) source: Name,
    pub(crate) steps: Vec<Arc<LoadedTransform>>,
}

/// An entry, ready for the sink.
#[derive(Default)]
pub(super) struct Encoded {
    /// What can be delivered.
    pub(super) events: Vec<Prepared>,
    /// What cannot.
    pub(super) rejected: Vec<NewRejected>,
}

/// An event, and the records of its entry that it may have been made of.
pub(super) struct Prepared {
    pub(super) event: Event,
    pub(super) records: Range<usize>,
}

impl Route {
    /// Puts what an entry comes to behind what is there.
    ///
    /// # Errors
    /// When nothing of it can be said to be handled or quarantined.
    pub(super) async fn encode(
        &self,
        entry: &Entry,
        codec: &LoadedCodec,
        member: &TenantMember,
        into: &mut Encoded,
    ) -> Result<(), RouteError> {
        let origin = Arc::new(Origin {
            source: entry.source.clone(),
            tenant: entry.tenant.clone(),
        });
        if self.last(codec).is_none() {
            return as_received(entry, member, &origin, &mut into.events);
        }
        let alerts = alerts(entry, member, usize::MAX)?;
        let mut work = self.under_way(codec, member, &origin, &alerts);
        let done = bisect(&mut work, parts(&alerts)).await?;
        into.events.extend(done.made.into_iter().flatten());
        if !done.rejected.is_empty() {
            log(&done.rejected, &alerts, &entry.tenant);
            reject(&done.rejected, entry, &mut into.rejected);
        }
        Ok(())
    }

    /// Has a first alert go the way, to see whether plugins handle it at all.
    ///
    /// # Errors
    /// When the entry cannot be read.
    pub(super) async fn try_out(
        &self,
        entry: &Entry,
        codec: &LoadedCodec,
        member: &TenantMember,
    ) -> Result<(), RouteError> {
        if self.last(codec).is_some() {
            let (alerts, origin) = (alerts(entry, member, 1)?, Arc::default());
            let mut work = self.under_way(codec, member, &origin, &alerts);
            // What it comes to shows at the plugins themselves.
            let _ = work.attempt(0..alerts.len()).await;
        }
        Ok(())
    }

    /// The last plugin on the way.
    fn last<'r>(&'r self, codec: &'r LoadedCodec) -> Option<(&'r Arc<Identity>, &'r Limits)> {
        let step = self.steps.last();
        codec
            .plugin()
            .map(|plugin| (&plugin.identity, &plugin.limits))
            .or_else(|| step.map(|step| (&step.identity, &step.limits)))
    }

    fn under_way<'r>(
        &'r self,
        codec: &'r LoadedCodec,
        member: &'r TenantMember,
        origin: &'r Arc<Origin>,
        alerts: &'r [Alert],
    ) -> UnderWay<'r> {
        UnderWay {
            route: self,
            codec,
            member,
            origin,
            alerts,
            bytes: 0,
        }
    }
}

/// The service's own lines, each with its tenant, without a plugin.
fn as_received(
    entry: &Entry,
    member: &TenantMember,
    origin: &Arc<Origin>,
    into: &mut Vec<Prepared>,
) -> Result<(), RouteError> {
    let size: usize = entry.records().map(<[u8]>::len).sum();
    // All of them in one piece, of which each event is a part.
    let mut bytes = Vec::with_capacity(size);
    let mut heads = Vec::with_capacity(entry.len);
    for record in entry.records() {
        let (head, json) = record::split(record)?;
        let begin = bytes.len();
        member.write(json, &mut bytes);
        heads.push((begin..bytes.len(), head));
    }
    let bytes = Bytes::from(bytes);
    let events = heads.into_iter().enumerate().map(|(index, (range, head))| {
        let event = Event {
            bytes: bytes.slice(range),
            origin: Arc::clone(origin),
            time: head.time(),
            id: head.id.into_owned(),
            ordinal: 0,
        };
        Prepared {
            event,
            records: index..index + 1,
        }
    });
    into.extend(events);
    Ok(())
}

/// An entry on its way.
struct UnderWay<'r> {
    route: &'r Route,
    codec: &'r LoadedCodec,
    member: &'r TenantMember,
    origin: &'r Arc<Origin>,
    alerts: &'r [Alert],
    /// What was made of it by now: all of it is bounded as one call is.
    bytes: usize,
}

impl Attempt for UnderWay<'_> {
    type Made = Vec<Prepared>;

    async fn attempt(&mut self, range: Range<usize>) -> Result<Vec<Prepared>, Fault> {
        let came = self.alerts.get(range.clone()).unwrap_or_default();
        let steps = &self.route.steps;
        let mut alerts = Cow::Borrowed(came);
        for (index, step) in steps.iter().enumerate() {
            let made = step.process(&alerts, self.member).await;
            alerts = Cow::Owned(made.map_err(|failure| of_stage(index, failure))?);
        }
        let made = self.codec.encode(&alerts, Some(self.member)).await;
        let made = made.map_err(|failure| of_stage(steps.len(), failure))?;
        let size = made
            .iter()
            .map(Bytes::len)
            .fold(self.bytes, usize::saturating_add);
        if let Some((last, limits)) = self.route.last(self.codec) {
            last.bound(limits, made.len(), size)?;
        }
        self.bytes = size;
        let mut origins = Origins::new(came, range, !steps.is_empty());
        let prepare = |(bytes, alert): (Bytes, &Alert)| {
            let (records, ordinal) = origins.of(alert);
            let event = Event {
                bytes,
                origin: Arc::clone(self.origin),
                id: alert.id.clone(),
                ordinal,
                time: record::time_of(alert),
            };
            Prepared { event, records }
        };
        Ok(made.into_iter().zip(alerts.iter()).map(prepare).collect())
    }
}

/// Which records alerts were made of.
struct Origins<'a> {
    all: Range<usize>,
    next: usize,
    /// Behind transforms: the records by their detections' identities, and how many alerts
    /// there were of each.
    by_id: Option<HashMap<&'a str, (usize, u32)>>,
    /// The same of identities that no record has.
    unknown: HashMap<String, u32>,
}

impl<'a> Origins<'a> {
    fn new(came: &'a [Alert], all: Range<usize>, is_transformed: bool) -> Self {
        let ids = || came.iter().map(|alert| alert.id.as_str());
        let by_id = || {
            ids()
                .zip(all.clone())
                .map(|(id, at)| (id, (at, 0)))
                .collect()
        };
        Self {
            by_id: is_transformed.then(by_id),
            next: all.start,
            all,
            unknown: HashMap::new(),
        }
    }

    /// The records that the next alert may have been made of, and which it is of those.
    fn of(&mut self, alert: &Alert) -> (Range<usize>, u32) {
        let Some(by_id) = &mut self.by_id else {
            self.next += 1;
            return (self.next - 1..self.next, 0);
        };
        let (records, count) = match by_id.get_mut(alert.id.as_str()) {
            Some((at, count)) => (*at..*at + 1, count),
            // A transform gave it an identity of its own.
            None => {
                let count = self.unknown.entry(alert.id.clone()).or_default();
                (self.all.clone(), count)
            }
        };
        *count += 1;
        (records, *count - 1)
    }
}

/// The index that a later plugin names is one of its own input, not of ours, so it is dropped.
fn of_stage(index: usize, failure: Failure) -> Failure {
    Failure {
        item: failure.item.filter(|_| index == 0),
        ..failure
    }
}

/// An entry's first alerts, each with its tenant.
fn alerts(entry: &Entry, member: &TenantMember, most: usize) -> Result<Vec<Alert>, RouteError> {
    let with_tenant = |bytes| {
        let mut alert = record::read(bytes)?;
        alert.json = member.put(&alert.json);
        Ok(alert)
    };
    entry.records().take(most).map(with_tenant).collect()
}

/// One line for a batch: how many, the first of them, and why the first is.
fn log(rejected: &[Rejected], alerts: &[Alert], tenant: &str) {
    let Some(first) = rejected.first() else {
        return;
    };
    let count: usize = rejected.iter().map(|rejected| rejected.range.len()).sum();
    let ids = rejected.iter().flat_map(|rejected| rejected.range.clone());
    let ids: Vec<String> = ids
        .take(NAMED)
        .filter_map(|at| alerts.get(at))
        .map(|alert| crate::telemetry::printable(&alert.id))
        .collect();
    first.by.log(&format!(
        "{count} of {tenant} quarantined (watchbell state quarantine list): {}{}: {}",
        ids.join(", "),
        if count > NAMED { ", …" } else { "" },
        first.reason
    ));
}

/// The records that are quarantined, as they came.
fn reject(rejected: &[Rejected], entry: &Entry, into: &mut Vec<NewRejected>) {
    let mut rejected = rejected.iter().peekable();
    for (at, record) in entry.records().enumerate() {
        while rejected.next_if(|one| one.range.end <= at).is_some() {}
        if let Some(one) = rejected.peek().filter(|one| one.range.contains(&at)) {
            into.push(new_rejected(entry, record, &one.reason));
        }
    }
}

/// A record of an entry, to be quarantined.
pub(super) fn new_rejected(entry: &Entry, record: &[u8], reason: &str) -> NewRejected {
    NewRejected {
        source: entry.source.clone(),
        tenant: entry.tenant.clone(),
        reason: reason.to_owned(),
        record: record.to_vec(),
    }
}
