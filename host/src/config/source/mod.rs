//! A source: which service to ask, as whom, how often and for what.

mod base;
mod read;
mod reading;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use watchbell_egress::Proxies;
use watchbell_settings::{BaseUrl, TimeBound};

pub(super) use read::{Raw, read};
pub use reading::{Reading, Rescan};

use super::cloud::Api;
use super::limits::CallLimits;
use super::names::{ClientId, TenantId};
use super::options::Options;
pub use crate::sources::defender::Credential;

/// The `type`s of source there are.
pub(super) const TYPES: &[&str] = &["defender"];

/// A configured source.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Source {
    /// The component to run; none is the bundled one.
    pub component: Option<PathBuf>,
    /// What the component gets beside the settings below.
    pub options: Options,
    /// Which API `endpoint` speaks.
    pub api: Api,
    /// The base URL of the API.
    pub endpoint: BaseUrl,
    /// The base URL of the login service.
    pub authority: BaseUrl,
    /// What the tenant is called downstream, in logs and in metrics: its entry's name,
    /// else its id.
    pub tenant: String,
    /// The directory.
    pub tenant_id: TenantId,
    /// The application.
    pub client_id: ClientId,
    /// What proves that we are the application.
    pub credential: Credential,
    /// From the start of one poll to the start of the next.
    pub scrape_interval: Duration,
    /// How far back each poll looks, and in what pieces.
    pub reading: Reading,
    /// Where a first run begins.
    pub since: TimeBound,
    /// Where to end; none is now.
    pub until: Option<TimeBound>,
    /// Only the most recent that many of a range.
    pub limit: Option<NonZeroU32>,
    /// Device groups; empty for all.
    pub machine_groups: Vec<String>,
    /// One device tag from the registry.
    pub device_created_machine_tags: Option<String>,
    /// Tags made in the portal.
    pub cloud_created_machine_tags: Option<String>,
    /// Special address ranges that may be reached nevertheless.
    pub allow_addresses: Vec<IpNet>,
    /// Prefixes of IPv6 that a NAT64 gateway translates.
    pub nat64_prefixes: Vec<Ipv6Net>,
    /// Through whom its requests go out; none is as for all.
    pub proxy: Option<Proxies>,
    /// Requests under way at one time; none is egress's default.
    pub max_connections: Option<NonZeroU32>,
    /// Certificates to trust beside the platform's, PEM.
    pub ca_file: Option<PathBuf>,
    /// Bytes of one answer, decompressed.
    pub max_response_bytes: u64,
    /// Bytes that its quarantine may hold.
    pub max_quarantine_bytes: u64,
    /// Requests for detections a minute, of one application in one tenant; none: as many
    /// as are due.
    pub max_requests_per_minute: Option<NonZeroU32>,
    /// What one call of the component may use.
    pub limits: CallLimits,
    /// How long each step of a request may take.
    pub timeouts: Timeouts,
}

/// How long each step of a request may take; none leaves it to the client's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// To resolve a name.
    pub resolve: Option<Duration>,
    /// To connect.
    pub connect: Option<Duration>,
    /// To agree on TLS.
    pub tls: Option<Duration>,
    /// From the request's end to the answer's first byte.
    pub first_byte: Option<Duration>,
    /// Between two bytes of the answer.
    pub between_bytes: Option<Duration>,
    /// For all of it.
    pub total: Option<Duration>,
}
