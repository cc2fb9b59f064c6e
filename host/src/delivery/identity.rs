//! Who works on a batch, a plugin or a sink, and what is known of it.

use super::bisect::Failure;
use super::error::RouteError;
use crate::telemetry::Incident;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use watchbell_sandbox::{CallError, Limit, Limits, PluginError};

/// A plugin or a sink, and what is known of it.
pub(super) struct Identity {
    /// As in the configuration, e.g. `transforms.severe`.
    pub(super) name: String,
    /// The CPU time of one call of a plugin; a sink has none.
    pub(super) cpu: Option<Duration>,
    /// Whether it has handled anything since it was loaded. One that never did may be
    /// broken or wrongly configured, and then no record is to blame.
    has_worked: AtomicBool,
    incident: Mutex<Incident>,
}

impl Identity {
    /// A plugin, whose calls may use so much.
    pub(super) fn plugin(name: String, limits: &Limits) -> Arc<Self> {
        Self::new(name, Some(limits.cpu))
    }

    /// A sink.
    pub(super) fn sink(name: String) -> Arc<Self> {
        Self::new(name, None)
    }

    fn new(name: String, cpu: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            name,
            cpu,
            has_worked: AtomicBool::new(false),
            incident: Mutex::default(),
        })
    }

    pub(super) fn has_worked(&self) -> bool {
        self.has_worked.load(Ordering::Relaxed)
    }

    /// It handled so many.
    pub(super) fn handled(&self, count: usize) {
        if count > 0 {
            self.has_worked.store(true, Ordering::Relaxed);
        }
    }

    /// Says what went wrong, if it was not said just now.
    pub(super) fn log(&self, words: &str) {
        let mut incident = self.incident.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(say) = incident.record_kind("rejected", &words) {
            tracing::error!(component = self.name, "{say}");
        }
    }

    /// It was stopped, or broke the contract.
    pub(super) fn stopped(self: &Arc<Self>, source: CallError) -> Failure {
        let name = self.name.clone();
        self.failed(RouteError::Call { name, source })
    }

    /// It made something that the contract forbids.
    pub(super) fn broke(self: &Arc<Self>, words: &str) -> Failure {
        self.stopped(CallError::Contract(words.to_owned()))
    }

    /// It said that an alert is another tenant's.
    pub(super) fn forged(self: &Arc<Self>) -> Failure {
        self.broke(
            "it changed or repeated the member that names the tenant (log_schema.tenant_key)",
        )
    }

    /// Refuses more than one call may make from all calls of a batch together.
    pub(super) fn bound(
        self: &Arc<Self>,
        limits: &Limits,
        count: usize,
        bytes: usize,
    ) -> Result<(), Failure> {
        let limit = if count > limits.output_count {
            Limit::Count
        } else if bytes > limits.transfer_bytes {
            Limit::Transfer
        } else {
            return Ok(());
        };
        Err(self.stopped(CallError::limit(limit, limits)))
    }

    pub(super) fn refused(self: &Arc<Self>, error: PluginError, before: usize) -> Failure {
        let item = match &error {
            PluginError::BadRecord(record) => usize::try_from(record.index).ok(),
            _ => None,
        };
        let name = self.name.clone();
        Failure {
            item: item.map(|index| index.saturating_add(before)),
            ..self.failed(RouteError::Plugin { name, error })
        }
    }

    pub(super) fn failed(self: &Arc<Self>, error: RouteError) -> Failure {
        Failure {
            error,
            item: None,
            by: Arc::clone(self),
        }
    }
}
