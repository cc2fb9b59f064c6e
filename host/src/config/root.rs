//! A whole configuration, and what is known of it as a whole.

use super::labels;
use super::sink::Sink;
use super::transform::Transform;
use crate::component::proxies_from_env;
use crate::names::{Name, TenantKey, TenantKeys};
use crate::sources::Source;
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use watchbell_egress::Proxies;
use watchbell_secrets::{SecretLocation, SecretSettings, Secrets};
use watchbell_settings::{ByteSize, ConfigError, Problem};

/// A poll that waits for its service holds a slot, so there are many more than cores.
const DEFAULT_CONCURRENCY: u32 = 256;

/// 256 MiB: four answers of the largest size, and thousands of the usual one.
const DEFAULT_IN_FLIGHT: u64 = 256 << 20;

/// Room on the disk that is left for acknowledgements: 256 MiB.
const DEFAULT_MIN_FREE: u64 = 256 << 20;

/// A whole configuration, checked.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Where state and compiled components are kept.
    pub data_dir: Option<PathBuf>,
    /// A folder on which a disk must be mounted before anything is made or read there.
    pub require_mount: Option<PathBuf>,
    /// Bytes that must be free on its disk for polling to go on; none is the default.
    pub min_free: Option<ByteSize>,
    /// Calls of components that may run at one time; none is the default.
    pub max_concurrency: Option<NonZeroU32>,
    /// Bytes of answers that may be in memory at one time; none is the default.
    pub max_in_flight: Option<ByteSize>,
    /// Which records have a member that names their tenant.
    pub tenant_keys: TenantKeys,
    /// The sources that have `tenants`.
    pub multi_tenant: BTreeSet<Name>,
    /// Where Prometheus may fetch metrics; none: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Through whom requests go out; none is as the environment says.
    pub proxy: Option<Proxies>,
    /// Where secrets are.
    pub secrets: IndexMap<Name, SecretSettings>,
    /// The files and folders of `tenants`.
    pub tenant_files: Vec<PathBuf>,
    /// Where alerts come from: for each source its tenants, one or more.
    pub sources: IndexMap<Name, Vec<Arc<Source>>>,
    /// What happens to them.
    pub transforms: IndexMap<Name, Transform>,
    /// Where they go; none is enough for `poll`.
    pub sinks: IndexMap<Name, Sink>,
}

impl Config {
    /// Bytes that must be free on the disk for polling to go on.
    #[must_use]
    pub fn min_free(&self) -> u64 {
        self.min_free.map_or(DEFAULT_MIN_FREE, |size| size.0)
    }

    /// Through whom requests go out: what `proxy` says, else the environment.
    ///
    /// # Errors
    /// When a variable names no proxy.
    pub fn proxies(&self) -> Result<Proxies, ConfigError> {
        self.proxy.clone().map_or_else(proxies_from_env, Ok)
    }

    /// The backends of secrets, for those who need these secrets; those that were
    /// there `before` and are the same stay.
    #[must_use]
    pub fn secrets(&self, before: &Secrets, named: &[SecretLocation]) -> Secrets {
        let backends = self.secrets.iter();
        let backends = backends.map(|(name, settings)| (name.to_string(), settings.clone()));
        let secrets = before.changed_to(backends);
        secrets.expect(named);
        secrets
    }

    /// Where the secrets are that it needs.
    #[must_use]
    pub fn secret_locations(&self) -> Vec<SecretLocation> {
        let of_sources = self
            .feeds()
            .flat_map(|(_, source)| source.settings.secrets());
        let of_sinks = self.sinks.values().flat_map(|sink| sink.settings.secrets());
        of_sources.chain(of_sinks).collect()
    }

    /// Every source once for each of its tenants.
    pub fn feeds(&self) -> impl Iterator<Item = (&Name, &Arc<Source>)> {
        let tenants = self.sources.iter();
        tenants.flat_map(|(name, all)| all.iter().map(move |one| (name, one)))
    }

    /// What the tenants are called whose alerts a sink gets.
    pub fn tenants_of<'c>(&'c self, sink: &'c Sink) -> impl Iterator<Item = &'c str> {
        labels::leading_to(self, &sink.inputs)
    }

    /// The member that names the tenant in what a sink writes; none: records as they came.
    ///
    /// It is decided for a sink as a whole: where the alerts of several tenants meet, the
    /// source of one of them must not be able to say that an alert is another's.
    #[must_use]
    pub fn tenant_key_of(&self, sink: &Sink) -> Option<TenantKey> {
        match &self.tenant_keys {
            TenantKeys::Everywhere(key) => Some(key.clone()),
            TenantKeys::Nowhere => None,
            TenantKeys::WhereTenantsAre => {
                let has_tenants = |name: &Name| self.multi_tenant.contains(name);
                labels::sources_of(self, &sink.inputs)
                    .any(has_tenants)
                    .then(TenantKey::default)
            }
        }
    }

    /// The member that names the tenant wherever a source's alerts go, which it may not send.
    #[must_use]
    pub fn tenant_key_from(&self, source: &Name) -> Option<TenantKey> {
        let sinks = self.sinks.values();
        let mut its =
            sinks.filter(|sink| labels::sources_of(self, &sink.inputs).any(|name| name == source));
        its.find_map(|sink| self.tenant_key_of(sink))
    }

    /// The member that names the tenant in what a transform gets, of whichever sink.
    #[must_use]
    pub fn tenant_key_through(&self, transform: &Transform) -> Option<TenantKey> {
        labels::sources_of(self, &transform.inputs).find_map(|source| self.tenant_key_from(source))
    }

    /// Every file that says what is polled, how and where it goes, beside the
    /// configuration's own: those of tenants, of components and of certificates.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let of_sources = self.feeds().flat_map(|(_, source)| source.settings.files());
        let transforms = self.transforms.values();
        let of_transforms = transforms.flat_map(|transform| transform.settings.files());
        let of_sinks = self.sinks.values().flat_map(Sink::files);
        let components = of_sources.chain(of_transforms).chain(of_sinks);
        let mut files: Vec<PathBuf> = self
            .tenant_files
            .iter()
            .cloned()
            .chain(components)
            .collect();
        files.sort();
        files.dedup();
        files
    }

    /// Calls of components that may run at one time.
    #[must_use]
    pub fn max_concurrency(&self) -> u32 {
        self.max_concurrency.map_or(DEFAULT_CONCURRENCY, u32::from)
    }

    /// Bytes of answers that may be in memory at one time.
    #[must_use]
    pub fn max_in_flight(&self) -> u64 {
        self.max_in_flight.map_or(DEFAULT_IN_FLIGHT, |size| size.0)
    }
}

/// A configuration and what is worth saying about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What stops nothing, in the order of the file.
    pub warnings: Vec<Problem>,
}
