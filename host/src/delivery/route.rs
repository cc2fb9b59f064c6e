//! One path from a source to a sink: every transform on it, then the sink's encoder.
//!
//! A batch goes the whole way or not at all, since what is quarantined is the alert as it
//! came: half-processed it could not be tried again.

use super::bisect::{Attempt, Rejected, bisect};
use super::error::RouteError;
use super::process::{Failure, Identity, Step};
use super::tenant::TenantMember;
use super::{Codec, record};
use crate::config::Name;
use crate::sinks::Batch;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use watchbell_ledger::{Entry, NewRejected};
use watchbell_sandbox::Alert;

/// Ids that a line on quarantined alerts names.
const NAMED: usize = 3;

/// One path from a source to a sink.
pub(super) struct Route {
    pub(super) source: Name,
    pub(super) steps: Vec<Arc<Step>>,
}

/// An entry, ready for the sink.
#[derive(Default)]
pub(super) struct Encoded {
    /// What can be delivered.
    pub(super) batch: Batch,
    /// What cannot.
    pub(super) rejected: Vec<NewRejected>,
}

impl Route {
    /// Puts what an entry comes to behind what is there.
    ///
    /// # Errors
    /// When nothing of it can be said to be handled or quarantined.
    pub(super) async fn encode(
        &self,
        entry: &Entry,
        codec: &Codec,
        member: &TenantMember,
        into: &mut Encoded,
    ) -> Result<(), RouteError> {
        let last = self.steps.last().map(|step| &step.identity);
        let Some(last) = codec.identity().or(last) else {
            for bytes in entry.records() {
                member.write(record::json(bytes)?, &mut into.batch.bytes);
                into.batch.bytes.push(b'\n');
                into.batch.events += 1;
            }
            return Ok(());
        };
        let alerts = alerts(entry, member, usize::MAX)?;
        let work = self.under_way(codec, member, last);
        let done = bisect(&work, &alerts).await?;
        for part in done.made {
            into.batch.append(part);
        }
        if !done.rejected.is_empty() {
            tell(&done.rejected, &alerts, &entry.tenant);
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
        codec: &Codec,
        member: &TenantMember,
    ) -> Result<(), RouteError> {
        let last = self.steps.last().map(|step| &step.identity);
        if let Some(last) = codec.identity().or(last) {
            let alerts = alerts(entry, member, 1)?;
            // What it comes to shows at the plugins themselves.
            let _ = self.under_way(codec, member, last).attempt(&alerts).await;
        }
        Ok(())
    }

    fn under_way<'r>(
        &'r self,
        codec: &'r Codec,
        member: &'r TenantMember,
        last: &'r Arc<Identity>,
    ) -> UnderWay<'r> {
        UnderWay {
            steps: &self.steps,
            codec,
            member,
            last,
            bytes: AtomicUsize::new(0),
        }
    }
}

/// An entry on its way.
struct UnderWay<'r> {
    steps: &'r [Arc<Step>],
    codec: &'r Codec,
    member: &'r TenantMember,
    /// The last plugin on the way.
    last: &'r Arc<Identity>,
    /// What was made of it by now: all of it is bounded as one call is.
    bytes: AtomicUsize,
}

impl Attempt for UnderWay<'_> {
    type Made = Batch;

    async fn attempt(&self, alerts: &[Alert]) -> Result<Batch, Failure> {
        let mut alerts = Cow::Borrowed(alerts);
        for (index, step) in self.steps.iter().enumerate() {
            let made = step.process(&alerts, self.member).await;
            alerts = Cow::Owned(made.map_err(|failure| of_stage(index, failure))?);
        }
        let made = self.codec.encode(&alerts, Some(self.member)).await;
        let batch = made.map_err(|failure| of_stage(self.steps.len(), failure))?;
        let size = batch.bytes.len();
        let all = self.bytes.load(Ordering::Relaxed).saturating_add(size);
        self.last.bound(batch.events, all)?;
        self.bytes.store(all, Ordering::Relaxed);
        Ok(batch)
    }
}

/// Which of its own alerts a later plugin could not handle says nothing of ours.
fn of_stage(index: usize, failure: Failure) -> Failure {
    Failure {
        alert: failure.alert.filter(|_| index == 0),
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
fn tell(rejected: &[Rejected], alerts: &[Alert], tenant: &str) {
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
    first.plugin.tell(&format!(
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
        while rejected
            .next_if(|rejected| rejected.range.end <= at)
            .is_some()
        {}
        if let Some(rejected) = rejected
            .peek()
            .filter(|rejected| rejected.range.contains(&at))
        {
            into.push(NewRejected {
                source: entry.source.clone(),
                tenant: entry.tenant.clone(),
                reason: rejected.reason.clone(),
                record: record.to_vec(),
            });
        }
    }
}
