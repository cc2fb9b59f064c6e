//! Plugins at work: a batch in calls that are small enough, and a transform's part of it.
//!
//! A batch succeeds whole or fails whole. Which alerts a failure is about is for
//! [`bisect`](super::bisect) to find out.

use super::bisect::Failure;
use super::calls;
use super::identity::Identity;
use crate::tenant_member::{Said, TenantMember};
use std::sync::Arc;
use watchbell_sandbox::{Alert, CallError, Limits, Options, PluginError, Processor};

/// A plugin that makes something of alerts.
pub(super) trait Work: Sync {
    /// What it makes.
    type Made: Send;

    /// Who it is.
    fn identity(&self) -> &Arc<Identity>;

    /// What one call of it may use.
    fn limits(&self) -> &Limits;

    /// Bytes that what it made takes, roughly.
    fn size(made: &Self::Made) -> usize;

    /// One call.
    fn call(
        &self,
        alerts: &[Alert],
    ) -> impl Future<Output = Result<Result<Vec<Self::Made>, PluginError>, CallError>> + Send;
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
        plugin.bound(work.limits(), made.len() + more.len(), bytes)?;
        made.extend(more);
        before += part.len();
    }
    Ok(made)
}

/// A transform: a component and its options.
pub(crate) struct LoadedTransform {
    pub(super) identity: Arc<Identity>,
    pub(super) processor: Processor,
    pub(super) options: Options,
    /// What one call may use.
    pub(super) limits: Limits,
}

impl Work for LoadedTransform {
    type Made = Alert;

    fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    fn limits(&self) -> &Limits {
        &self.limits
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
            .process(&self.options, alerts, &self.limits)
            .await
    }
}

impl LoadedTransform {
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
        self.identity.handled(alerts.len());
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchbell_sandbox::Severity;

    /// Makes `each` of every alert.
    struct Copier(Arc<Identity>, Limits, Vec<String>);

    impl Work for Copier {
        type Made = String;

        fn identity(&self) -> &Arc<Identity> {
            &self.0
        }

        fn limits(&self) -> &Limits {
            &self.1
        }

        fn size(text: &String) -> usize {
            text.len()
        }

        async fn call(&self, _: &[Alert]) -> Result<Result<Vec<String>, PluginError>, CallError> {
            Ok(Ok(self.2.clone()))
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
            let identity = Identity::plugin("copier".to_owned(), &limits);
            Copier(identity, limits.clone(), each)
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
