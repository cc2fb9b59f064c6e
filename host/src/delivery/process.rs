//! Plugins at work: a batch in calls that are small enough, and a transform's part of it.
//!
//! A batch succeeds whole or fails whole. Which alerts a failure is about is for
//! [`bisect`](super::bisect) to find out.

use super::calls;
use super::error::RouteError;
use super::tenant::{Said, TenantMember};
use crate::telemetry::Incident;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use watchbell_sandbox::{Alert, CallError, Limit, Limits, Options, PluginError, Processor};

/// Who a plugin is, and what is known of it.
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) limits: Limits,
    /// Whether it has handled an alert since it was loaded. One that never did may be
    /// broken, and then no alert is to blame.
    has_worked: AtomicBool,
    incident: Mutex<Incident>,
}

/// What a plugin did not do for a batch.
pub(super) struct Failure {
    pub(super) error: RouteError,
    /// The one alert that it is about, if the plugin said so: its place in the batch.
    pub(super) alert: Option<usize>,
    pub(super) plugin: Arc<Identity>,
}

/// A plugin that makes something of alerts.
pub(super) trait Work: Sync {
    /// What it makes.
    type Made: Send;

    /// Who it is.
    fn identity(&self) -> &Arc<Identity>;

    /// Bytes that what it made takes, roughly.
    fn size(made: &Self::Made) -> usize;

    /// One call.
    fn call(
        &self,
        alerts: &[Alert],
    ) -> impl Future<Output = Result<Result<Vec<Self::Made>, PluginError>, CallError>> + Send;
}

impl Identity {
    pub(super) fn new(name: String, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            name,
            limits,
            has_worked: AtomicBool::new(false),
            incident: Mutex::default(),
        })
    }

    pub(super) fn has_worked(&self) -> bool {
        self.has_worked.load(Ordering::Relaxed)
    }

    /// It handled these.
    pub(super) fn handled(&self, alerts: &[Alert]) {
        if !alerts.is_empty() {
            self.has_worked.store(true, Ordering::Relaxed);
        }
    }

    /// Says what went wrong, if it was not said just now.
    pub(super) fn tell(&self, words: &str) {
        let mut incident = self.incident.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(say) = incident.record_kind("rejected", &words) {
            tracing::error!(plugin = self.name, "{say}");
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
    pub(super) fn bound(self: &Arc<Self>, count: usize, bytes: usize) -> Result<(), Failure> {
        let limit = if count > self.limits.output_count {
            Limit::Count
        } else if bytes > self.limits.transfer_bytes {
            Limit::Transfer
        } else {
            return Ok(());
        };
        Err(self.stopped(CallError::limit(limit, &self.limits)))
    }

    fn refused(self: &Arc<Self>, error: PluginError, before: usize) -> Failure {
        let alert = match &error {
            PluginError::BadRecord(record) => usize::try_from(record.index).ok(),
            _ => None,
        };
        let name = self.name.clone();
        Failure {
            alert: alert.map(|index| index.saturating_add(before)),
            ..self.failed(RouteError::Plugin { name, error })
        }
    }

    fn failed(self: &Arc<Self>, error: RouteError) -> Failure {
        Failure {
            error,
            alert: None,
            plugin: Arc::clone(self),
        }
    }
}

/// Has a batch worked on, in parts that are small enough for one call. What comes of all
/// of them together is bounded as one call is.
pub(super) async fn all<W: Work>(work: &W, alerts: &[Alert]) -> Result<Vec<W::Made>, Failure> {
    let plugin = work.identity();
    let mut made = Vec::new();
    let (mut bytes, mut before) = (0_usize, 0);
    for part in calls(alerts) {
        let answer = work.call(part).await.map_err(|e| plugin.stopped(e))?;
        let more = answer.map_err(|error| plugin.refused(error, before))?;
        bytes = more.iter().map(W::size).fold(bytes, usize::saturating_add);
        plugin.bound(made.len() + more.len(), bytes)?;
        made.extend(more);
        before += part.len();
    }
    Ok(made)
}

/// A transform: a component and its options.
pub(super) struct Step {
    pub(super) identity: Arc<Identity>,
    pub(super) processor: Processor,
    pub(super) options: Options,
}

impl Work for Step {
    type Made = Alert;

    fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    fn size(alert: &Alert) -> usize {
        let text = |part: &Option<String>| part.as_ref().map_or(0, String::len);
        size_of::<Alert>()
            + alert.json.len()
            + alert.id.len()
            + text(&alert.alert_id)
            + text(&alert.category)
    }

    async fn call(&self, alerts: &[Alert]) -> Result<Result<Vec<Alert>, PluginError>, CallError> {
        self.processor
            .process(&self.options, alerts, &self.identity.limits)
            .await
    }
}

impl Step {
    /// What the transform makes of a batch, each alert with its tenant.
    pub(super) async fn process(
        &self,
        alerts: &[Alert],
        member: &TenantMember,
    ) -> Result<Vec<Alert>, Failure> {
        let mut made = all(self, alerts).await?;
        for alert in &mut made {
            match member.said(&alert.json) {
                Said::Right => {}
                // It may have built the object anew, and whose it is is known here.
                Said::Nothing => alert.json = member.put(&alert.json),
                Said::Forged => return Err(self.identity.forged()),
            }
        }
        self.identity.handled(alerts);
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchbell_sandbox::Severity;

    /// Makes `each` of every alert.
    struct Copier(Arc<Identity>, Vec<String>);

    impl Work for Copier {
        type Made = String;

        fn identity(&self) -> &Arc<Identity> {
            &self.0
        }

        fn size(text: &String) -> usize {
            text.len()
        }

        async fn call(&self, _: &[Alert]) -> Result<Result<Vec<String>, PluginError>, CallError> {
            Ok(Ok(self.1.clone()))
        }
    }

    /// An alert that fills a call.
    fn large() -> Alert {
        Alert {
            id: String::new(),
            alert_id: None,
            alert_time: None,
            last_processed_time: None,
            severity: Severity::Low,
            category: None,
            json: format!("{{\"x\":\"{}\"}}", "x".repeat(super::super::CALL_BYTES)),
        }
    }

    #[tokio::test]
    async fn all_calls_of_a_batch_together_make_no_more_than_one_may() {
        let limits = Limits {
            transfer_bytes: 100,
            output_count: 10,
            ..Limits::for_plugin()
        };
        let copier = |each: &[&str]| {
            let each = each.iter().map(|text| (*text).to_owned()).collect();
            Copier(Identity::new("copier".to_owned(), limits.clone()), each)
        };
        let batch = vec![large(); 4];
        let fits = all(&copier(&["0123456789"; 2]), &batch).await;
        assert_eq!(fits.ok().map(|made| made.len()), Some(8));
        for (each, setting) in [
            (vec!["x"; 3], "limits.max_output_count"),
            (vec!["0123456789abcdef"; 2], "limits.max_output_bytes"),
        ] {
            let failure = all(&copier(&each), &batch).await.err().unwrap();
            let words = failure.error.to_string();
            assert!(words.contains(setting), "{words}");
        }
    }
}
