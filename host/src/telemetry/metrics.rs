//! What is counted, for Prometheus to fetch: per source and tenant, and per sink.
//!
//! Names and labels are part of what users build on: they are listed in
//! `docs/reference/metrics.md`, and are Vector's where it has them. No label holds what a service or a plugin said.

use super::serve;
use metrics::{Counter, Gauge, Label, counter, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// Whether somebody may fetch what is counted.
static IS_SERVED: AtomicBool = AtomicBool::new(false);

/// Why metrics are not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] io::Error),
    /// They are counted for somebody else already.
    #[error(transparent)]
    Counted(#[from] BuildError),
}

/// Serves `http://listen/metrics` from now on. Call it once, on the runtime, before
/// anything is counted.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(listen: SocketAddr) -> Result<(), MetricsError> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let handle = PrometheusBuilder::new().install_recorder()?;
    IS_SERVED.store(true, Ordering::Relaxed);
    tracing::info!("metrics at http://{address}/metrics");
    if !address.ip().is_loopback() {
        tracing::warn!(
            "metrics.listen: {address} can be reached from other machines, and who asks is not asked for a password: the names of sources, tenants and sinks are shown to everybody; listen on 127.0.0.1, or let a firewall decide"
        );
    }
    tokio::spawn(serve::metrics(listener, handle));
    Ok(())
}

/// Whether somebody may fetch what is counted: what costs something is not counted in vain.
pub(crate) fn are_served() -> bool {
    IS_SERVED.load(Ordering::Relaxed)
}

/// The counts of one sink, or of one tenant of a sink that has a place for each.
pub(crate) struct SinkCounts {
    labels: Vec<Label>,
    /// Events that it has.
    pub(crate) events: Counter,
    /// Their bytes.
    pub(crate) bytes: Counter,
    /// Detections that it could not take, which went into quarantine.
    pub(crate) quarantined: Counter,
}

impl SinkCounts {
    pub(crate) fn of(sink: &str, kind: &'static str, tenant: Option<&str>) -> Self {
        let mut labels = of_sink(sink, kind);
        labels.extend(tenant.map(|tenant| Label::new("tenant", tenant.to_owned())));
        Self {
            events: counter!("component_sent_events_total", labels.clone()),
            bytes: counter!("component_sent_bytes_total", labels.clone()),
            quarantined: counter!("watchbell_quarantined_total", labels.clone()),
            labels,
        }
    }

    /// A batch did not get there. `kind` is one of ours.
    pub(crate) fn failed(&self, kind: &'static str) {
        let mut labels = self.labels.clone();
        labels.push(Label::from_static_parts("stage", "sending"));
        labels.push(Label::from_static_parts("error_type", kind));
        counter!("component_errors_total", labels).increment(1);
    }
}

/// What waits for a sink.
pub(crate) struct Buffer {
    events: Gauge,
    bytes: Gauge,
}

impl Buffer {
    pub(crate) fn of(sink: &str, kind: &'static str) -> Self {
        let mut labels = of_sink(sink, kind);
        labels.push(Label::from_static_parts("buffer_type", "disk"));
        Self {
            events: gauge!("buffer_events", labels.clone()),
            bytes: gauge!("buffer_byte_size", labels),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float, and exact up to 2^53"
    )]
    pub(crate) fn set(&self, events: u64, bytes: u64) {
        self.events.set(events as f64);
        self.bytes.set(bytes as f64);
    }
}

fn of_sink(sink: &str, kind: &'static str) -> Vec<Label> {
    vec![
        Label::from_static_parts("component_kind", "sink"),
        Label::new("component_id", sink.to_owned()),
        Label::from_static_parts("component_type", kind),
    ]
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
