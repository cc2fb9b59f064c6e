//! What is counted, for Prometheus to fetch: per source and tenant.
//!
//! Names and labels are part of what users build on: they are listed in
//! `docs/configuration.md`, and are Vector's where it has them. No label holds what a service or a plugin said.

use metrics::{Counter, Gauge, Label, counter, gauge};
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
    labels: Vec<Label>,
    /// Polls that read up to the service's now.
    pub(crate) polls: Counter,
    /// Ticks of its interval that passed while a poll was late or under way.
    pub(crate) missed: Counter,
    /// Detections that were new.
    pub(crate) received: Counter,
    /// Detections that were known, because polls overlap.
    pub(crate) known: Counter,
    /// Entries that went into quarantine.
    pub(crate) quarantined: Counter,
    /// How far it was read, in seconds since 1970.
    pub(crate) cursor: Gauge,
}

impl Counts {
    pub(crate) fn of(source: &str, tenant: &str) -> Self {
        let labels = vec![
            Label::from_static_parts("component_kind", "source"),
            Label::new("component_id", source.to_owned()),
            Label::from_static_parts("component_type", "defender"),
            Label::new("tenant", tenant.to_owned()),
        ];
        let with = |name, value| {
            let more = Label::from_static_parts(name, value);
            labels.iter().cloned().chain([more]).collect::<Vec<_>>()
        };
        Self {
            polls: counter!("watchbell_polls_total", labels.clone()),
            missed: counter!("watchbell_missed_polls_total", labels.clone()),
            received: counter!("component_received_events_total", labels.clone()),
            known: counter!(
                "component_discarded_events_total",
                with("intentional", "true")
            ),
            quarantined: counter!("watchbell_quarantined_total", labels.clone()),
            cursor: gauge!("watchbell_cursor_timestamp_seconds", labels.clone()),
            labels,
        }
    }

    /// A poll gave nothing, or not all. `kind` is one of ours, never what somebody said.
    pub(crate) fn failed(&self, kind: &str) {
        let mut labels = self.labels.clone();
        labels.push(Label::from_static_parts("stage", "receiving"));
        labels.push(Label::new("error_type", kind.to_owned()));
        counter!("component_errors_total", labels).increment(1);
    }
}
