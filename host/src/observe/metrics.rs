//! What is counted, for Prometheus to fetch: per source and tenant.
//!
//! Names and labels are part of what users build on: they are listed in
//! `docs/configuration.md`. No label holds what a service or a plugin said.

use metrics::{Counter, Gauge, counter, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use std::net::SocketAddr;

/// Serves `http://listen/metrics` from now on. Call it once, on the runtime, before
/// anything is counted.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve(listen: SocketAddr) -> Result<(), BuildError> {
    PrometheusBuilder::new()
        .with_http_listener(listen)
        .install()
}

/// The counts of one source and tenant. Without [`serve`] they count nothing.
pub(crate) struct Counts {
    labels: [(&'static str, String); 2],
    /// Polls that read up to the service's now, or as far as their turn went.
    pub(crate) polls: Counter,
    /// Detections that were new.
    pub(crate) new: Counter,
    /// Detections that were known, because polls overlap.
    pub(crate) known: Counter,
    /// Entries that went into quarantine.
    pub(crate) quarantined: Counter,
    /// How far it was read, in seconds since 1970.
    pub(crate) cursor: Gauge,
}

impl Counts {
    pub(crate) fn of(source: &str, tenant: &str) -> Self {
        let labels = [("source", source.to_owned()), ("tenant", tenant.to_owned())];
        Self {
            polls: counter!("watchbell_polls_total", &labels),
            new: counter!("watchbell_detections_total", &labels),
            known: counter!("watchbell_duplicates_total", &labels),
            quarantined: counter!("watchbell_quarantined_total", &labels),
            cursor: gauge!("watchbell_cursor_timestamp_seconds", &labels),
            labels,
        }
    }

    /// A poll gave nothing, or not all.
    pub(crate) fn failed(&self, cause: &str) {
        let mut labels = self.labels.to_vec();
        labels.push(("cause", cause.to_owned()));
        counter!("watchbell_poll_errors_total", &labels).increment(1);
    }
}
