//! A source's table, read and judged.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use ipnet::{IpNet, Ipv6Net};
use schemars::JsonSchema;
use serde::Deserialize;
use watchbell_settings::{
    AddressRange, BaseUrl, KeyPath, Node, Report, Seconds, TimeBound, decode,
};

use super::base;
use super::reading::{self, MOST_SECS, RawRescan};
use super::{Credential, Source, Timeouts};
use crate::config::cloud::{Api, Region};
use crate::config::limits::RawLimits;
use crate::config::names::{ClientId, TenantId};
use crate::config::options::Options;
use crate::config::proxy::RawProxy;
use crate::sources::defender::Consent;
use watchbell_secrets::{SealedFile, Secret, SecretLocation};

/// Seconds from the start of one poll to the start of the next.
const DEFAULT_INTERVAL_SECS: u32 = 60;

/// A day. The service answers for its last hours; asking more rarely is a mistake.
const MAX_INTERVAL_SECS: u32 = 86_400;

/// What cannot be read is kept up to that; then its source stops until someone has looked.
const DEFAULT_QUARANTINE_BYTES: u64 = 64 << 20;

/// 35,000 detections at the 1,900 bytes that one has.
const DEFAULT_RESPONSE_BYTES: u64 = 64 * 1024 * 1024;

/// What a 32-bit component can address.
const MAX_RESPONSE_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// A `since` that lies further ahead of this machine's clock than any clock is wrong is a
/// mistake.
const FURTHEST_AHEAD: TimeDelta = TimeDelta::days(1);

/// What the service answers for when asked for nothing else.
fn two_hours_back() -> TimeBound {
    TimeBound::Back(TimeDelta::hours(2))
}

/// The table as it is written, but for `type` and `tenants`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Raw {
    /// A component file (.wasm) to run in place of the bundled one. A relative path is relative
    /// to the file that it stands in. Default: the bundled component of `type`.
    component: Option<PathBuf>,
    /// What the component of `component` gets beside the settings here.
    #[serde(default)]
    options: Options,
    /// The API that `endpoint` speaks. The bundled component of this version refuses `graph`.
    /// Default: siem.
    #[serde(default)]
    api: Api,
    /// Where the tenant's data is: sets `endpoint` and `authority`, which must not stand beside
    /// it.
    region: Option<Region>,
    /// The base URL of the API, in place of `region`; goes with `authority`. Without
    /// `/api/alerts`, which is added.
    endpoint: Option<BaseUrl>,
    /// The base URL of the login service, in place of `region`; goes with `endpoint`. Without
    /// the tenant and `/oauth2/token`, which are added.
    authority: Option<BaseUrl>,
    /// The directory that is asked for detections: its GUID or a domain name. Required, here or
    /// in each entry of `tenants`.
    tenant_id: Option<TenantId>,
    /// The application that asks: its GUID. Required, here or in each entry of `tenants`.
    client_id: Option<ClientId>,
    /// The application's secret: `SECRET[backend.key]`, `${VARIABLE}`, or the secret itself.
    /// `client_secret_file` goes in its place.
    #[schemars(extend("examples" = ["SECRET[vault.contoso]", "${CONTOSO_SECRET}"]))]
    client_secret: Option<Secret>,
    /// A file that holds the application's secret and nothing else. It is read whenever a token
    /// is needed.
    client_secret_file: Option<PathBuf>,
    /// A file with the sealed refresh token of a user who gave consent, in place of the
    /// application's own permission; goes with `refresh_token_key`.
    refresh_token_file: Option<PathBuf>,
    /// The key that `refresh_token_file` is sealed with, of 32 characters or more:
    /// `SECRET[backend.key]` or `${VARIABLE}`.
    #[schemars(extend("examples" = ["SECRET[vault.seal]"]))]
    refresh_token_key: Option<Secret>,
    /// Seconds from the start of one poll to the start of the next, from 1 to 86400 (a day).
    /// Default: 60.
    #[schemars(range(min = 1, max = MAX_INTERVAL_SECS))]
    scrape_interval_secs: Option<u32>,
    /// Seconds behind the cursor that each poll reads again, for detections that arrive late; at
    /// most a week. Default: 600.
    #[schemars(range(max = MOST_SECS))]
    overlap_secs: Option<u32>,
    /// Seconds behind the service's present time at which a poll ends; at most a week. Default:
    /// 0.
    #[schemars(range(max = MOST_SECS))]
    settle_secs: Option<u32>,
    /// Seconds of the longest range that one request asks for, at most a week. What is too large
    /// for one answer is halved anyway. Default: 3600.
    #[schemars(range(min = 1, max = MOST_SECS))]
    max_window_secs: Option<u32>,
    /// Reads further back now and then, for detections that arrive later than `overlap_secs`
    /// allows. Default: off.
    rescan: Option<RawRescan>,
    /// Where the first run begins: an instant that is not in the future, or a duration back.
    /// Default: PT2H.
    since: Option<TimeBound>,
    /// Where to end: an instant or a duration back, after `since`. Default: now.
    until: Option<TimeBound>,
    /// Only the most recent detections of one request, that many. `run` asks for less time until
    /// an answer has fewer. Default: all.
    limit: Option<NonZeroU32>,
    /// The device groups whose detections are asked for. Default: all.
    #[serde(default)]
    machine_groups: Vec<String>,
    /// Only detections on devices with this tag, as it is set in the device's registry.
    device_created_machine_tags: Option<String>,
    /// Only detections on devices with this tag, as it is set in the Defender portal.
    cloud_created_machine_tags: Option<String>,
    /// Which addresses the source may reach beside public ones.
    #[serde(default)]
    egress: RawEgress,
    /// Through which proxy the requests of this source go out. Default: as `proxy` at the top
    /// of the file says.
    proxy: Option<RawProxy>,
    /// Which certificates are trusted.
    #[serde(default)]
    tls: RawTls,
    /// What one call of the component, and one tenant, may use.
    #[serde(default)]
    limits: RawLimits,
    /// How long each step of a request may take.
    #[serde(default)]
    timeouts: RawTimeouts,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawEgress {
    /// Special address ranges that may be reached, such as 127.0.0.0/8 for a service on this
    /// machine. Default: none.
    #[serde(default)]
    allow_addresses: Vec<AddressRange>,
    /// IPv6 prefixes that a NAT64 gateway of yours translates, of length 32, 40, 48, 56, 64 or
    /// 96. The IPv4 addresses in them are judged. Default: none.
    #[schemars(extend("examples" = [["2001:db8:64::/96"]]))]
    #[serde(default)]
    nat64_prefixes: Vec<AddressRange>,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawTls {
    /// A file of certificates (PEM) to trust beside the platform's, such as those of a gateway
    /// that signs its own. Default: none.
    ca_file: Option<PathBuf>,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawTimeouts {
    /// Seconds to resolve a name. Default: 10.
    resolve_secs: Option<Seconds>,
    /// Seconds to connect. Default: 10.
    connect_secs: Option<Seconds>,
    /// Seconds to agree on TLS. Default: 10.
    tls_secs: Option<Seconds>,
    /// Seconds until the answer begins. Default: 100.
    first_byte_secs: Option<Seconds>,
    /// Seconds between two reads of the answer. Default: 30.
    between_bytes_secs: Option<Seconds>,
    /// Seconds for the whole request. Default: 300.
    total_secs: Option<Seconds>,
}

impl From<RawTimeouts> for Timeouts {
    fn from(raw: RawTimeouts) -> Self {
        let time = |seconds: Option<Seconds>| seconds.map(|seconds| seconds.0);
        Self {
            resolve: time(raw.resolve_secs),
            connect: time(raw.connect_secs),
            tls: time(raw.tls_secs),
            first_byte: time(raw.first_byte_secs),
            between_bytes: time(raw.between_bytes_secs),
            total: time(raw.total_secs),
        }
    }
}

/// Reads the source that stands at `path`, whose `type` is known already.
pub(in crate::config) fn read(
    node: &Node,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Source> {
    let raw: Raw = decode(node, path, &["type"], report)?;
    check_values(&raw, path, report);
    let reading = reading::read(
        raw.overlap_secs,
        raw.settle_secs,
        raw.max_window_secs,
        raw.rescan.as_ref(),
        path,
        report,
    );
    let place = place(&raw, path, report);
    let tenant_id = required(raw.tenant_id, "tenant_id", path, report);
    let client_id = required(raw.client_id, "client_id", path, report);
    let nat64_prefixes = nat64(&raw.egress.nat64_prefixes, path, report);
    let proxy = raw
        .proxy
        .as_ref()
        .and_then(|proxy| proxy.read(&path.key("proxy"), report));
    let limits = raw.limits.of_call(&path.key("limits"), report);
    let owner = match (&tenant_id, &client_id) {
        (Some(tenant), Some(client)) => format!("{tenant}/{client}"),
        _ => String::new(),
    };
    let consent = consent(raw.refresh_token_file, raw.refresh_token_key, path, report);
    let secret = client_secret(raw.client_secret, raw.client_secret_file, path, report);
    let credential = credential(consent, secret, owner, path, report);
    let (endpoint, authority) = place?;
    let tenant_id = tenant_id?;
    Some(Source {
        component: raw.component,
        options: raw.options,
        api: raw.api,
        endpoint,
        authority,
        tenant: tenant_id.to_string(),
        tenant_id,
        client_id: client_id?,
        credential: credential?,
        scrape_interval: Duration::from_secs(
            raw.scrape_interval_secs
                .unwrap_or(DEFAULT_INTERVAL_SECS)
                .into(),
        ),
        reading,
        since: raw.since.unwrap_or_else(two_hours_back),
        until: raw.until,
        limit: raw.limit,
        machine_groups: raw.machine_groups,
        device_created_machine_tags: raw.device_created_machine_tags,
        cloud_created_machine_tags: raw.cloud_created_machine_tags,
        allow_addresses: raw
            .egress
            .allow_addresses
            .iter()
            .map(|range| range.0)
            .collect(),
        nat64_prefixes,
        proxy,
        max_connections: raw.limits.max_connections,
        ca_file: raw.tls.ca_file,
        max_response_bytes: raw
            .limits
            .max_response_bytes
            .map_or(DEFAULT_RESPONSE_BYTES, |size| size.0),
        max_quarantine_bytes: raw
            .limits
            .max_quarantine_bytes
            .map_or(DEFAULT_QUARANTINE_BYTES, |size| size.0),
        max_requests_per_minute: raw.limits.max_requests_per_minute,
        limits,
        timeouts: raw.timeouts.into(),
    })
}

fn required<T>(value: Option<T>, key: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<T> {
    if value.is_none() {
        report.error(&path.key(key), "is missing; add it");
    }
    value
}

/// The prefixes of IPv6 that a NAT64 gateway translates.
fn nat64(ranges: &[AddressRange], path: &KeyPath, report: &mut Report<'_>) -> Vec<Ipv6Net> {
    let mut found = Vec::new();
    for (index, range) in ranges.iter().enumerate() {
        match range.0 {
            IpNet::V6(net) if [32, 40, 48, 56, 64, 96].contains(&net.prefix_len()) => {
                found.push(net);
            }
            _ => report.error(
                &path.dotted("egress.nat64_prefixes").index(index),
                "is not a NAT64 prefix; write an IPv6 one of length 32, 40, 48, 56, 64 or 96",
            ),
        }
    }
    found
}

/// The endpoint and the authority: by region, or both as they are written.
fn place(raw: &Raw, path: &KeyPath, report: &mut Report<'_>) -> Option<(BaseUrl, BaseUrl)> {
    match (raw.region, &raw.endpoint, &raw.authority) {
        (Some(region), None, None) => match region.base_urls(raw.api) {
            Ok(urls) => Some(urls),
            Err(error) => {
                report.error(&path.key("region"), error.to_string());
                None
            }
        },
        (Some(_), ..) => {
            report.error(
                &path.key("region"),
                "stands beside endpoint or authority; keep region, or those two",
            );
            None
        }
        (None, Some(endpoint), Some(authority)) => {
            let tenant = raw.tenant_id.as_ref().map(ToString::to_string);
            let faults = [
                ("endpoint", base::endpoint_fault(endpoint.as_str())),
                (
                    "authority",
                    base::authority_fault(authority.as_str(), tenant.as_deref()),
                ),
            ];
            for (key, fault) in faults {
                if let Some(fault) = fault {
                    report.error(&path.key(key), fault);
                }
            }
            Some((endpoint.clone(), authority.clone()))
        }
        (None, Some(_), None) => {
            report.error(&path.key("authority"), "is missing; it goes with endpoint");
            None
        }
        (None, None, Some(_)) => {
            report.error(&path.key("endpoint"), "is missing; it goes with authority");
            None
        }
        (None, None, None) => {
            let message =
                "is missing; add it (eu, us, uk, gcc, gcc-high or dod), or endpoint and authority";
            report.error(&path.key("region"), message);
            None
        }
    }
}

/// What is known of one of two settings: nothing, it, or that it is wrong, which was told.
enum Known<T> {
    Nothing,
    Wrong,
    It(T),
}

fn client_secret(
    secret: Option<Secret>,
    file: Option<PathBuf>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Known<SecretLocation> {
    match (secret, file) {
        (Some(secret), None) => Known::It(secret.into()),
        (None, Some(file)) => Known::It(SecretLocation::File(file)),
        (Some(_), Some(_)) => {
            let message = "stands beside client_secret; keep one of the two";
            report.error(&path.key("client_secret_file"), message);
            Known::Wrong
        }
        (None, None) => Known::Nothing,
    }
}

/// The sealed file of a refresh token and its key.
fn consent(
    file: Option<PathBuf>,
    key: Option<Secret>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Known<(PathBuf, SecretLocation)> {
    match (file, key) {
        (Some(file), Some(key)) => Known::It((file, key.into())),
        (Some(_), None) => {
            let message = "is missing; it goes with refresh_token_file, as \"SECRET[backend.key]\"";
            report.error(&path.key("refresh_token_key"), message);
            Known::Wrong
        }
        (None, Some(_)) => {
            let message = "is missing; it goes with refresh_token_key";
            report.error(&path.key("refresh_token_file"), message);
            Known::Wrong
        }
        (None, None) => Known::Nothing,
    }
}

fn credential(
    consent: Known<(PathBuf, SecretLocation)>,
    secret: Known<SecretLocation>,
    owner: String,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<Credential> {
    match (consent, secret) {
        (Known::Wrong, _) | (_, Known::Wrong) => None,
        (Known::Nothing, Known::It(secret)) => Some(Credential::ClientSecret(secret)),
        (Known::It((file, key)), secret) => {
            let client_secret = match secret {
                Known::It(secret) => Some(secret),
                _ => None,
            };
            let token = SealedFile {
                path: file,
                key,
                owner,
            };
            Some(Credential::RefreshToken(Box::new(Consent {
                token,
                client_secret,
            })))
        }
        (Known::Nothing, Known::Nothing) => {
            let message = "is missing; add it as \"SECRET[backend.key]\" or \"${VARIABLE}\", or add client_secret_file";
            report.error(&path.key("client_secret"), message);
            None
        }
    }
}

/// What a type alone does not say.
fn check_values(raw: &Raw, path: &KeyPath, report: &mut Report<'_>) {
    if raw.api == Api::Graph && raw.component.is_none() {
        let message = "is graph, which the bundled component of this version does not speak; remove it, or name a component that does";
        report.error(&path.key("api"), message);
    }
    let interval = raw.scrape_interval_secs.unwrap_or(DEFAULT_INTERVAL_SECS);
    if !(1..=MAX_INTERVAL_SECS).contains(&interval) {
        let message = format!("must be from 1 to {MAX_INTERVAL_SECS} (a day)");
        report.error(&path.key("scrape_interval_secs"), message);
    }
    let size = raw
        .limits
        .max_response_bytes
        .map_or(DEFAULT_RESPONSE_BYTES, |size| size.0);
    if !(1..=MAX_RESPONSE_BYTES).contains(&size) {
        let message = "must be from 1 byte to 4 GiB, which is all a component can hold";
        report.error(&path.dotted("limits.max_response_bytes"), message);
    }
    let since = raw.since.unwrap_or_else(two_hours_back);
    if let TimeBound::At(since) = since {
        let ahead = since - Utc::now();
        let words = "lies in the future, so nothing would be found; write an instant that has been, or a duration back such as PT2H";
        if ahead > FURTHEST_AHEAD {
            report.error(&path.key("since"), words);
        } else if ahead > TimeDelta::zero() {
            report.warn(&path.key("since"), words);
        }
    }
    let reversed = match (since, raw.until) {
        (TimeBound::At(since), Some(TimeBound::At(until))) => since >= until,
        (TimeBound::Back(since), Some(TimeBound::Back(until))) => since <= until,
        _ => false,
    };
    if reversed {
        report.error(
            &path.key("until"),
            "is not after since; make it later, or leave it out",
        );
    }
    for (index, group) in raw.machine_groups.iter().enumerate() {
        let at = path.key("machine_groups").index(index);
        if group.is_empty() {
            report.error(&at, "is empty; write a group's name or remove it");
        } else if raw
            .machine_groups
            .iter()
            .take(index)
            .any(|other| other == group)
        {
            report.error(&at, "stands there twice; remove one");
        }
    }
    let empty = |path: &Option<PathBuf>| {
        path.as_ref()
            .is_some_and(|path| path.as_os_str().is_empty())
    };
    let no_text = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
    for (key, is_empty) in [
        ("component", empty(&raw.component)),
        ("client_secret_file", empty(&raw.client_secret_file)),
        ("tls.ca_file", empty(&raw.tls.ca_file)),
        (
            "device_created_machine_tags",
            no_text(&raw.device_created_machine_tags),
        ),
        (
            "cloud_created_machine_tags",
            no_text(&raw.cloud_created_machine_tags),
        ),
    ] {
        if is_empty {
            report.error(&path.dotted(key), "is empty; set it or remove it");
        }
    }
}
