//! Whether a plugin works at all, found out when it is loaded.
//!
//! Of a plugin that never handled anything it cannot be said whether it is broken or the
//! one alert that it fails for is bad. So each is given detections that the service
//! published, as its first: one that handles any of them works, and a first bad alert is
//! bisected and quarantined like any later one.

use super::bisect::Failure;
use super::identity::Identity;
use crate::tenant_member::TenantMember;
use watchbell_detection::{self as detection, SAMPLES, Timestamp, split};
use watchbell_sandbox::{Alert, Severity};

/// The tenant of the sample.
const TENANT: &str = "sample";

/// Has a plugin handle one detection after the other until it has handled one. That it can
/// handle none is a warning: what it was made for may not be among them.
pub(super) async fn probe(
    plugin: &Identity,
    tenant_key: Option<&str>,
    mut handle: impl AsyncFnMut(&[Alert], &TenantMember) -> Result<(), Failure>,
) {
    let member = TenantMember::new(tenant_key, TENANT);
    let mut reason = None;
    for alert in samples(&member) {
        match handle(&[alert], &member).await {
            Ok(()) => return,
            Err(failure) => reason = reason.or(Some(failure.error)),
        }
    }
    if let Some(reason) = reason {
        tracing::warn!(
            component = plugin.name,
            "none of the sample detections can be handled; until one of the service's is, its sink waits at what cannot be: {reason}"
        );
    }
}

/// The detections, as a source would return them.
fn samples(member: &TenantMember) -> Vec<Alert> {
    let alerts = SAMPLES
        .iter()
        .filter_map(|body| split(body.as_bytes()).ok());
    let alert = |alert: detection::Alert| Alert {
        id: alert.id,
        alert_id: alert.alert_id,
        alert_time: alert.alert_time.map(Timestamp::as_nanos),
        last_processed_time: alert.last_processed_time.map(Timestamp::as_nanos),
        severity: match alert.severity {
            detection::Severity::Unspecified => Severity::Unspecified,
            detection::Severity::Informational => Severity::Informational,
            detection::Severity::Low => Severity::Low,
            detection::Severity::Medium => Severity::Medium,
            detection::Severity::High => Severity::High,
        },
        category: alert.category,
        json: member.put(&alert.json),
    };
    alerts.flatten().map(alert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchbell_sandbox::{CallError, Limits};

    #[test]
    fn the_sample_is_what_a_source_returns() {
        let member = TenantMember::new(Some("tenant"), TENANT);
        let alerts = samples(&member);
        assert_eq!(alerts.len(), SAMPLES.len());
        for alert in alerts {
            assert!(
                alert
                    .json
                    .starts_with("{\"tenant\":\"sample\",\"AlertTime\":")
            );
            assert!(!alert.json.contains(['\r', '\n']), "{}", alert.json);
            assert!(alert.id.contains(':') && alert.alert_time.is_some());
        }
    }

    #[tokio::test]
    async fn a_plugin_is_asked_until_it_has_handled_one() {
        let plugin = Identity::plugin("picky".to_owned(), &Limits::for_plugin());
        for (bad, calls_wanted) in [(0, 1), (1, 2), (2, 2)] {
            let mut calls = 0;
            probe(&plugin, None, async |_, _| {
                calls += 1;
                if calls <= bad {
                    return Err(plugin.stopped(CallError::Trap("as meant".to_owned())));
                }
                Ok(())
            })
            .await;
            assert_eq!(calls, calls_wanted, "{bad} bad ones");
        }
    }
}
