//! From the ledger to the sinks: through the processors in the order of `inputs`, then
//! through the sink's encoder, then written and acknowledged.
//!
//! Each sink has its own route for each path that leads from a source to it, and its own
//! position in the ledger, so that a slow one delays itself alone. Where two paths lead
//! to one sink, it gets the alerts by both, as in Vector.

mod bisect;
mod deliver;
mod encode;
mod error;
mod identity;
mod load;
mod partition;
mod probe;
mod probe_entries;
mod process;
mod report;
mod route;
mod tenant_queue;

use crate::names::{Name, TenantKey};
use crate::sinks::{Format, SinkFactory};
use crate::tenant_member::TenantMember;
pub use deliver::{LostSinks, Phase, SinkTask};
pub use encode::LoadedCodec;
pub use error::{LoadFault, PipelineError, RouteError};
use identity::Identity;
pub(crate) use process::LoadedTransform;
use route::Encoded;
pub(crate) use route::Route;
use std::ops::Range;
use std::sync::Arc;
use watchbell_ledger::Entry;
use watchbell_sandbox::Alert;

/// Bytes of JSON in one call of a plugin, roughly: its memory is bounded.
const CALL_BYTES: usize = 4 << 20;

/// A sink with what leads to it.
pub struct SinkSpec {
    /// The member that names the tenant in what it writes; none: records as they came.
    tenant_key: Option<TenantKey>,
    name: Name,
    routes: Vec<Route>,
    codec: LoadedCodec,
    /// How the codec's events become a file.
    format: Arc<Format>,
    identity: Arc<Identity>,
    kind: &'static str,
    is_partitioned: bool,
    factory: Arc<dyn SinkFactory>,
    max_buffer: u64,
}

impl SinkSpec {
    /// A sink of a type that all tenants share, with its codec, how that becomes a file, and
    /// every path that leads to it.
    pub(crate) fn new(
        name: Name,
        kind: &'static str,
        routes: Vec<Route>,
        codec: LoadedCodec,
        format: Arc<Format>,
        factory: Arc<dyn SinkFactory>,
    ) -> Self {
        Self {
            tenant_key: None,
            identity: Identity::sink(format!("sinks.{name}")),
            name,
            routes,
            format,
            codec,
            kind,
            is_partitioned: false,
            factory,
            max_buffer: u64::MAX,
        }
    }

    /// The same, where this member names the tenant; none: records as they came.
    pub(crate) fn with_tenant_key(self, tenant_key: Option<TenantKey>) -> Self {
        Self { tenant_key, ..self }
    }

    /// The same, for which so many bytes may wait in the ledger.
    pub(crate) fn with_max_buffer(self, max_buffer: u64) -> Self {
        Self { max_buffer, ..self }
    }

    /// The same, where each tenant may have a place of its own.
    pub(crate) fn partitioned(self, is_partitioned: bool) -> Self {
        Self {
            is_partitioned,
            ..self
        }
    }

    /// The sink's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The sources that lead to it, each once.
    #[must_use]
    pub fn sources(&self) -> Vec<String> {
        let mut sources: Vec<String> = self
            .routes
            .iter()
            .map(|route| route.source.to_string())
            .collect();
        sources.sort();
        sources.dedup();
        sources
    }

    /// What kind of sink it is, as the configuration names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether each tenant has a place of its own there.
    #[must_use]
    pub fn is_partitioned(&self) -> bool {
        self.is_partitioned
    }

    /// Bytes that may wait for it in the ledger.
    #[must_use]
    pub fn max_buffer(&self) -> u64 {
        self.max_buffer
    }

    /// An entry's alerts as the sink's bytes, and what of it no plugin can handle.
    async fn encode(&self, entry: &Entry) -> Result<Encoded, RouteError> {
        let member = self.member(entry);
        let mut encoded = Encoded::default();
        for route in self.routes_of(entry) {
            route
                .encode(entry, &self.codec, &member, &mut encoded)
                .await?;
        }
        Ok(encoded)
    }

    /// Whether a plugin has handled an alert by now, with an entry's first one, if need be.
    async fn probe_with(&self, plugin: &str, entry: &Entry) -> Result<bool, RouteError> {
        let member = self.member(entry);
        for route in self.routes_of(entry) {
            route.try_out(entry, &self.codec, &member).await?;
        }
        let steps = self.routes.iter().flat_map(|route| &route.steps);
        let mut known = steps
            .map(|step| &step.identity)
            .chain(self.codec.plugin().map(|plugin| &plugin.identity));
        Ok(known.any(|known| known.name == plugin && known.has_worked()))
    }

    fn member(&self, entry: &Entry) -> TenantMember {
        let key = self.tenant_key.as_ref().map(TenantKey::as_str);
        TenantMember::new(key, &entry.tenant)
    }

    fn routes_of(&self, entry: &Entry) -> impl Iterator<Item = &Route> {
        self.routes
            .iter()
            .filter(|route| route.source.as_str() == entry.source)
    }
}

/// Parts of a batch that are small enough for one call of a plugin, in order.
fn calls(alerts: &[Alert]) -> impl Iterator<Item = &[Alert]> {
    parts(alerts)
        .into_iter()
        .filter_map(|range| alerts.get(range))
}

/// The same as ranges.
fn parts(alerts: &[Alert]) -> Vec<Range<usize>> {
    split(alerts, usize::MAX, CALL_BYTES, |alert| alert.json.len())
}

/// Parts of at most so many items and bytes, in order; an item that is larger is a part of
/// its own.
fn split<T>(
    items: &[T],
    max_items: usize,
    max_bytes: usize,
    size: impl Fn(&T) -> usize,
) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut begin, mut bytes) = (0, 0_usize);
    for (at, item) in items.iter().enumerate() {
        let size = size(item);
        if at > begin && (at - begin >= max_items || bytes.saturating_add(size) > max_bytes) {
            parts.push(begin..at);
            (begin, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    if begin < items.len() {
        parts.push(begin..items.len());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_large_as_they_may_be_and_a_large_item_is_one_of_its_own() {
        let sizes = [3, 3, 3, 20, 1, 1, 1, 1];
        let parts = split(&sizes, 3, 6, |size| *size);
        assert_eq!(parts, [0..2, 2..3, 3..4, 4..7, 7..8]);
        assert!(split(&[0; 0], 3, 6, |size| *size).is_empty());
    }
}
