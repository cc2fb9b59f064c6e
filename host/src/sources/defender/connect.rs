//! From settings to policies and connections.

use super::resolved::Defender;
use crate::sources::{Polling, Runtime, SetupError};
use http::Uri;
use std::num::NonZeroU32;
use watchbell_egress::{
    self as egress, Client, ConnectionQuota, HostPattern, Policy, REQUESTS_AT_ONCE, Target, Tls,
};
use watchbell_secrets::{Redactor, Secret};

pub(super) fn setting(field: &'static str, error: impl ToString) -> SetupError {
    SetupError::Setting {
        field,
        message: error.to_string(),
    }
}

/// Judges the permits that a source would reach, as far as that needs no resolving of names.
///
/// # Errors
/// The setting, and why the policy denies it.
pub(super) fn check_destinations(source: &Defender) -> Result<(), SetupError> {
    for (field, url) in [
        ("authority", source.authority.as_str()),
        ("endpoint", source.endpoint.as_str()),
    ] {
        let (policy, url) = policy(source, field, url)?;
        policy.judge_url(&url).map_err(|denied| {
            let remedy = match denied {
                egress::Denied::Address { .. } => {
                    "; if you mean it, open its range with egress.allow_addresses"
                }
                _ => "",
            };
            setting(field, format!("{denied}{remedy}"))
        })?;
    }
    Ok(())
}

/// What allows the host and port of `url` and no other.
fn policy(source: &Defender, field: &'static str, url: &str) -> Result<(Policy, Uri), SetupError> {
    let url: Uri = url
        .parse()
        .map_err(|e: http::uri::InvalidUri| setting(field, e))?;
    let target = Target::parse(&url).map_err(|e| setting(field, e))?;
    let host = HostPattern::exactly(target.host, target.port);
    let egress = &source.settings.egress;
    let policy = Policy::new([host], egress.allow_addresses.iter().map(|range| range.0))
        .with_nat64(egress.nat64_prefixes.iter().map(|prefix| prefix.0));
    Ok((policy, url))
}

/// A client that may reach the host and port of `url` and no other.
pub(super) fn client(
    runtime: &Runtime,
    source: &Defender,
    field: &'static str,
    url: &str,
) -> Result<Client, SetupError> {
    let (policy, _) = policy(source, field, url)?;
    let proxies = source.proxies.as_ref().unwrap_or(&runtime.proxies);
    let tls = Tls {
        ca_file: source.settings.tls.ca_file.clone(),
        ..Tls::default()
    };
    runtime
        .egress
        .client_through(policy, &tls, proxies)
        .map_err(|e| setting("tls.ca_file", e))
}

/// Knows the passwords of the proxies from the beginning, and the rest as it is used.
pub(super) fn redactor(runtime: &Runtime, source: &Defender) -> Redactor {
    let redactor = Redactor::default();
    let proxies = source.proxies.as_ref().unwrap_or(&runtime.proxies);
    for password in proxies.passwords() {
        redactor.learn(&Secret::new(password.to_string()));
    }
    redactor
}

/// What the tenant may have open at one time.
pub(super) fn connection_quota(polling: &Polling) -> ConnectionQuota {
    let limit = polling.limits.max_connections.map(NonZeroU32::get);
    ConnectionQuota::new(limit.map_or(REQUESTS_AT_ONCE, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    }))
}
