//! A source of type `defender` with what its settings come to: whom it asks, and as whom.

use super::client::DefenderClient;
use super::cloud::Region;
use super::connect;
use super::credential::{Consent, Credential};
use super::ids::{ClientId, TenantId};
use super::settings::Settings;
use super::{base_url, tenants};
use crate::component::ComponentConfig;
use crate::sources::{Runtime, SetupError, Source, SourceClient, SourceConfig, SourceType};
use schemars::SchemaGenerator;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use watchbell_egress::{Bounds, Proxies};
use watchbell_secrets::{SealedFile, SecretLocation};
use watchbell_settings::{BaseUrl, KeyPath, Node, Report, decode};

/// The line of the registry.
pub(in crate::sources) const TYPE: SourceType = SourceType {
    name: "defender",
    paths: &[
        &["component"],
        &["client_secret_file"],
        &["refresh_token_file"],
        &["tls", "ca_file"],
    ],
    secrets: &["client_secret", "refresh_token_key"],
    schema: SchemaGenerator::subschema_for::<Settings>,
    tenants: tenants::RULES,
    read: |node, path, read_already, report| {
        let source = Defender::read(node, path, read_already, report)?;
        Some(Arc::new(source))
    },
};

/// A source of type `defender`, with what its settings come to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Defender {
    /// What was written.
    pub settings: Settings,
    /// The base URL of the API.
    pub endpoint: BaseUrl,
    /// The base URL of the login service.
    pub authority: BaseUrl,
    /// The directory.
    pub tenant_id: TenantId,
    /// The application.
    pub client_id: ClientId,
    /// What proves that we are the application.
    pub credential: Credential,
    /// Through whom its requests go out; none is as for all.
    pub proxies: Option<Proxies>,
}

impl Defender {
    /// Reads the source that stands at `path`. What is wrong is in the report.
    fn read(
        node: &Node,
        path: &KeyPath,
        read_already: &[&str],
        report: &mut Report<'_>,
    ) -> Option<Self> {
        let settings: Settings = decode(node, path, read_already, report)?;
        settings.check(path, report);
        let urls = base_urls(&settings, path, report);
        let tenant_id = required(settings.tenant_id.clone(), "tenant_id", path, report);
        let client_id = required(settings.client_id.clone(), "client_id", path, report);
        let proxies = settings.proxy.as_ref();
        let proxies = proxies.and_then(|proxy| proxy.proxies(&path.key("proxy"), report));
        let owner = match (&tenant_id, &client_id) {
            (Some(tenant), Some(client)) => format!("{tenant}/{client}"),
            _ => String::new(),
        };
        let (file, key) = (
            settings.refresh_token_file.as_ref(),
            settings.refresh_token_key.as_ref(),
        );
        let consent = consent(file, key, path, report);
        let (secret, file) = (
            settings.client_secret.as_ref(),
            settings.client_secret_file.as_ref(),
        );
        let secret = client_secret(secret, file, path, report);
        let credential = credential(consent, secret, owner, path, report);
        let (endpoint, authority) = urls?;
        Some(Self {
            endpoint,
            authority,
            tenant_id: tenant_id?,
            client_id: client_id?,
            credential: credential?,
            proxies,
            settings,
        })
    }

    /// How long each step of a request may take.
    pub(super) fn bounds(&self) -> Bounds {
        let usual = Bounds::default();
        let own = &self.settings.timeouts;
        Bounds {
            resolve: own.resolve.map_or(usual.resolve, |time| time.0),
            connect: own.connect.map_or(usual.connect, |time| time.0),
            tls: own.tls.map_or(usual.tls, |time| time.0),
            first_byte: own.first_byte.map_or(usual.first_byte, |time| time.0),
            between_bytes: own.between_bytes.map_or(usual.between_bytes, |time| time.0),
            total: own.total.map_or(usual.total, |time| time.0),
            ..usual
        }
    }
}

impl ComponentConfig for Defender {
    fn files(&self) -> Vec<PathBuf> {
        let component = self.settings.component.iter();
        component
            .chain(&self.settings.tls.ca_file)
            .cloned()
            .collect()
    }

    fn secrets(&self) -> Vec<SecretLocation> {
        self.credential.locations().cloned().collect()
    }
}

impl SourceConfig for Defender {
    fn tenant_id(&self) -> &str {
        self.tenant_id.as_str()
    }

    fn api(&self) -> &'static str {
        self.settings.api.as_str()
    }

    fn credential(&self) -> &Credential {
        &self.credential
    }

    fn request_timeout(&self) -> Duration {
        self.bounds().total
    }

    fn check_destinations(&self) -> Result<(), SetupError> {
        connect::check_destinations(self)
    }

    fn build(
        &self,
        source: &Arc<Source>,
        runtime: &Runtime,
    ) -> Result<Arc<dyn SourceClient>, SetupError> {
        Ok(Arc::new(DefenderClient::new(runtime, Arc::clone(source))?))
    }
}

fn required<T>(value: Option<T>, key: &str, path: &KeyPath, report: &mut Report<'_>) -> Option<T> {
    if value.is_none() {
        report.error(&path.key(key), "is missing; add it");
    }
    value
}

/// The endpoint and the authority: by region, or both as they are written.
fn base_urls(
    written: &Settings,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Option<(BaseUrl, BaseUrl)> {
    match (written.region, &written.endpoint, &written.authority) {
        (Some(region), None, None) => match region.base_urls(written.api) {
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
            let tenant = written.tenant_id.as_ref().map(ToString::to_string);
            let faults = [
                ("endpoint", base_url::endpoint_fault(endpoint.as_str())),
                (
                    "authority",
                    base_url::authority_fault(authority.as_str(), tenant.as_deref()),
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
            let names = Region::NAMES;
            let message = format!("is missing; add it ({names}), or endpoint and authority");
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
    secret: Option<&SecretLocation>,
    file: Option<&PathBuf>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Known<SecretLocation> {
    match (secret, file) {
        (Some(secret), None) => Known::It(secret.clone()),
        (None, Some(file)) => Known::It(SecretLocation::File(file.clone())),
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
    file: Option<&PathBuf>,
    key: Option<&SecretLocation>,
    path: &KeyPath,
    report: &mut Report<'_>,
) -> Known<(PathBuf, SecretLocation)> {
    match (file, key) {
        (Some(file), Some(key)) => Known::It((file.clone(), key.clone())),
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
            Some(Credential::RefreshToken(Box::new(Consent {
                token: SealedFile {
                    path: file,
                    key,
                    owner,
                },
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
