//! From settings to policies, connections and bounds.

use crate::config;
use crate::sources::{Runtime, SetupError};
use http::Uri;
use std::num::NonZeroU32;
use watchbell_egress::{
    self as egress, Bounds, Client, ConnectionQuota, HostPattern, Policy, REQUESTS_AT_ONCE, Target,
    Tls,
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
pub fn validate_destinations(settings: &config::Source) -> Result<(), SetupError> {
    for (field, url) in [
        ("authority", settings.authority.as_str()),
        ("endpoint", settings.endpoint.as_str()),
    ] {
        let (policy, url) = policy(settings, field, url)?;
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
fn policy(
    settings: &config::Source,
    field: &'static str,
    url: &str,
) -> Result<(Policy, Uri), SetupError> {
    let url: Uri = url
        .parse()
        .map_err(|e: http::uri::InvalidUri| setting(field, e))?;
    let target = Target::parse(&url).map_err(|e| setting(field, e))?;
    let host = HostPattern::exactly(target.host, target.port);
    let policy = Policy::new([host], settings.allow_addresses.iter().copied())
        .with_nat64(settings.nat64_prefixes.iter().copied());
    Ok((policy, url))
}

/// A client that may reach the host and port of `url` and no other.
pub(super) fn client(
    runtime: &Runtime,
    settings: &config::Source,
    field: &'static str,
    url: &str,
) -> Result<Client, SetupError> {
    let (policy, _) = policy(settings, field, url)?;
    let proxies = settings.proxy.as_ref().unwrap_or(&runtime.proxies);
    let tls = Tls {
        ca_file: settings.ca_file.clone(),
        ..Tls::default()
    };
    runtime
        .egress
        .client_through(policy, &tls, proxies)
        .map_err(|e| setting("tls.ca_file", e))
}

/// Knows the passwords of the proxies from the beginning, and the rest as it is used.
pub(super) fn redactor(runtime: &Runtime, settings: &config::Source) -> Redactor {
    let redactor = Redactor::default();
    let proxies = settings.proxy.as_ref().unwrap_or(&runtime.proxies);
    for password in proxies.passwords() {
        redactor.learn(&Secret::new(password.to_string()));
    }
    redactor
}

/// What the tenant may have open at one time.
pub(super) fn connection_quota(settings: &config::Source) -> ConnectionQuota {
    let limit = settings.max_connections.map(NonZeroU32::get);
    ConnectionQuota::new(limit.map_or(REQUESTS_AT_ONCE, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    }))
}

pub(super) fn bounds(settings: &config::Source) -> Bounds {
    let usual = Bounds::default();
    let own = settings.timeouts;
    Bounds {
        resolve: own.resolve.unwrap_or(usual.resolve),
        connect: own.connect.unwrap_or(usual.connect),
        tls: own.tls.unwrap_or(usual.tls),
        first_byte: own.first_byte.unwrap_or(usual.first_byte),
        between_bytes: own.between_bytes.unwrap_or(usual.between_bytes),
        total: own.total.unwrap_or(usual.total),
        header_bytes: settings
            .limits
            .max_header_bytes
            .map_or(usual.header_bytes, |bytes| bytes.min(usual.header_bytes)),
        ..usual
    }
}
