//! One transform at work.
//!
//! An alert that a plugin cannot handle is held back and logged, and the rest goes on:
//! passing it on unprocessed could leak what a filter was to redact, and failing the
//! batch would stop everything behind it.

use super::calls;
use super::error::{RouteError, plugin_words};
use super::tenant::{Said, TenantMember};
use watchbell_sandbox::{Alert, CallError, Limits, Options, PluginError, Processor};

/// A transform: a component and its options.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) processor: Processor,
    pub(super) options: Options,
    pub(super) limits: Limits,
}

/// A plugin that makes something of each alert.
pub(super) trait Work: Sync {
    /// What it makes.
    type Made;

    /// One call.
    fn call(
        &self,
        alerts: &[Alert],
    ) -> impl Future<Output = Result<Result<Vec<Self::Made>, PluginError>, CallError>> + Send;
}

impl Work for Step {
    type Made = Alert;

    async fn call(&self, alerts: &[Alert]) -> Result<Result<Vec<Alert>, PluginError>, CallError> {
        self.processor
            .process(&self.options, alerts, &self.limits)
            .await
    }
}

impl Step {
    pub(super) async fn process(
        &self,
        alerts: &[Alert],
        member: &TenantMember,
    ) -> Result<(Vec<Alert>, usize), RouteError> {
        let (mut made, held_back) = all(&self.name, self, alerts).await?;
        for alert in &mut made {
            match member.said(&alert.json) {
                Said::Right => {}
                // It may have built the object anew, and whose it is is known here.
                Said::Nothing => alert.json = member.put(&alert.json),
                Said::Forged => return Err(forged(&self.name)),
            }
        }
        Ok((made, held_back))
    }
}

/// A plugin said that an alert is another tenant's.
pub(super) fn forged(name: &str) -> RouteError {
    let words = "it changed or repeated the member that names the tenant (log_schema.tenant_key)";
    RouteError::Call {
        name: name.to_owned(),
        source: CallError::Contract(words.to_owned()),
    }
}

/// Has a batch worked on, in parts that are small enough for one call. Returns what was
/// made of it, and how many alerts were held back.
pub(super) async fn all<W: Work>(
    name: &str,
    work: &W,
    alerts: &[Alert],
) -> Result<(Vec<W::Made>, usize), RouteError> {
    let (mut made, mut held_back) = (Vec::new(), 0);
    for part in calls(alerts) {
        let (more, held) = around_bad_records(name, work, part).await?;
        made.extend(more);
        held_back += held;
    }
    Ok((made, held_back))
}

/// Calls `work`, and again around each alert that it cannot handle.
async fn around_bad_records<W: Work>(
    name: &str,
    work: &W,
    alerts: &[Alert],
) -> Result<(Vec<W::Made>, usize), RouteError> {
    let call = |source| RouteError::Call {
        name: name.to_owned(),
        source,
    };
    let (mut made, mut held_back) = (Vec::new(), 0);
    let mut rest = alerts;
    while !rest.is_empty() {
        let error = match work.call(rest).await.map_err(call)? {
            Ok(more) => {
                made.extend(more);
                break;
            }
            Err(error) => error,
        };
        let bad = match &error {
            PluginError::BadRecord(record) => usize::try_from(record.index).ok(),
            _ => None,
        };
        let Some((good, [alert, after @ ..])) = bad.and_then(|index| rest.split_at_checked(index))
        else {
            return Err(RouteError::Plugin {
                name: name.to_owned(),
                error,
            });
        };
        tracing::error!(
            plugin = name,
            id = %crate::observe::printable(&alert.id),
            error = %plugin_words(&error),
            "an alert is held back"
        );
        held_back += 1;
        if !good.is_empty() {
            let again = work.call(good).await.map_err(call)?;
            made.extend(again.map_err(|error| RouteError::Plugin {
                name: name.to_owned(),
                error,
            })?);
        }
        rest = after;
    }
    Ok((made, held_back))
}
