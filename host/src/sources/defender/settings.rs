//! What a person writes for a source of type `defender`.

use super::cloud::{Api, Region};
use super::ids::{ClientId, TenantId};
use crate::component::{Options, ProxySettings};
use ipnet::{IpNet, Ipv6Net};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use std::str::FromStr;
use watchbell_secrets::SecretLocation;
use watchbell_settings::{
    AddressRange, BaseUrl, InvalidValue, KeyPath, Report, Seconds, deserialize_from_text,
    json_schemas,
};

/// What a person writes for a source of type `defender`, beside how it is polled.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// A component file (.wasm) to run in place of the bundled one. A relative path is relative
    /// to the file that it stands in. Default: the bundled component of `type`.
    pub component: Option<PathBuf>,
    /// What the component of `component` gets beside the settings here.
    #[serde(default)]
    pub options: Options,
    /// The API that `endpoint` speaks. The bundled component of this version refuses `graph`.
    /// Default: siem.
    #[serde(default)]
    pub api: Api,
    /// Where the tenant's data is: sets `endpoint` and `authority`, which must not stand beside
    /// it.
    pub region: Option<Region>,
    /// The base URL of the API, in place of `region`; goes with `authority`. Without
    /// `/api/alerts`, which is added.
    pub endpoint: Option<BaseUrl>,
    /// The base URL of the login service, in place of `region`; goes with `endpoint`. Without
    /// the tenant and `/oauth2/token`, which are added.
    pub authority: Option<BaseUrl>,
    /// The directory that is asked for detections: its GUID or a domain name. Required, here or
    /// in each entry of `tenants`.
    pub tenant_id: Option<TenantId>,
    /// The application that asks: its GUID. Required, here or in each entry of `tenants`.
    pub client_id: Option<ClientId>,
    /// The application's secret: `SECRET[backend.key]`, `${VARIABLE}`, or the secret itself.
    /// `client_secret_file` goes in its place.
    #[schemars(extend("examples" = ["SECRET[vault.contoso]", "${CONTOSO_SECRET}"]))]
    pub client_secret: Option<SecretLocation>,
    /// A file that holds the application's secret and nothing else. It is read whenever a token
    /// is needed.
    pub client_secret_file: Option<PathBuf>,
    /// A file with the sealed refresh token of a user who gave consent, in place of the
    /// application's own permission; goes with `refresh_token_key`.
    pub refresh_token_file: Option<PathBuf>,
    /// The key that `refresh_token_file` is sealed with, of 32 characters or more:
    /// `SECRET[backend.key]` or `${VARIABLE}`.
    #[schemars(extend("examples" = ["SECRET[vault.seal]"]))]
    pub refresh_token_key: Option<SecretLocation>,
    /// The device groups whose detections are asked for. Default: all.
    #[serde(default)]
    pub machine_groups: Vec<String>,
    /// Only detections on devices with this tag, as it is set in the device's registry.
    pub device_created_machine_tags: Option<String>,
    /// Only detections on devices with this tag, as it is set in the Defender portal.
    pub cloud_created_machine_tags: Option<String>,
    /// Which addresses the source may reach beside public ones.
    #[serde(default)]
    pub egress: EgressSettings,
    /// Through which proxy the requests of this source go out. Default: as `proxy` at the top
    /// of the file says.
    pub proxy: Option<ProxySettings>,
    /// Which certificates are trusted.
    #[serde(default)]
    pub tls: TlsSettings,
    /// How long each step of a request may take.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// Which addresses may be reached beside public ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EgressSettings {
    /// Special address ranges that may be reached, such as 127.0.0.0/8 for a service on this
    /// machine. Default: none.
    #[serde(default)]
    pub allow_addresses: Vec<AddressRange>,
    /// IPv6 prefixes that a NAT64 gateway of yours translates, of length 32, 40, 48, 56, 64 or
    /// 96. The IPv4 addresses in them are judged. Default: none.
    #[schemars(extend("examples" = [["2001:db8:64::/96"]]))]
    #[serde(default)]
    pub nat64_prefixes: Vec<Nat64Prefix>,
}

/// Which certificates are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsSettings {
    /// A file of certificates (PEM) to trust beside the platform's, such as those of a gateway
    /// that signs its own. Default: none.
    pub ca_file: Option<PathBuf>,
}

/// How long each step of a request may take; what is not set is egress's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Timeouts {
    /// Seconds to resolve a name. Default: 10.
    #[serde(rename = "resolve_secs")]
    pub resolve: Option<Seconds>,
    /// Seconds to connect. Default: 10.
    #[serde(rename = "connect_secs")]
    pub connect: Option<Seconds>,
    /// Seconds to agree on TLS. Default: 10.
    #[serde(rename = "tls_secs")]
    pub tls: Option<Seconds>,
    /// Seconds until the answer begins. Default: 100.
    #[serde(rename = "first_byte_secs")]
    pub first_byte: Option<Seconds>,
    /// Seconds between two reads of the answer. Default: 30.
    #[serde(rename = "between_bytes_secs")]
    pub between_bytes: Option<Seconds>,
    /// Seconds for the whole request. Default: 300.
    #[serde(rename = "total_secs")]
    pub total: Option<Seconds>,
}

/// A prefix of IPv6 that a NAT64 gateway translates (RFC 6052, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nat64Prefix(pub Ipv6Net);

impl FromStr for Nat64Prefix {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text.parse::<AddressRange>() {
            Ok(AddressRange(IpNet::V6(net)))
                if [32, 40, 48, 56, 64, 96].contains(&net.prefix_len()) =>
            {
                Ok(Self(net))
            }
            _ => Err(InvalidValue::new(
                "is not a NAT64 prefix; write an IPv6 one of length 32, 40, 48, 56, 64 or 96",
            )),
        }
    }
}

deserialize_from_text!(Nat64Prefix);

json_schemas! {
    Nat64Prefix: {
        "description": "A prefix of IPv6 addresses, of length 32, 40, 48, 56, 64 or 96.",
        "type": "string",
        "pattern": r"^[0-9A-Fa-f.:]+/(32|40|48|56|64|96)$|\$\{",
        "examples": ["2001:db8:64::/96"]
    };
}

impl Settings {
    /// Reports what a type alone does not say.
    pub(super) fn check(&self, path: &KeyPath, report: &mut Report<'_>) {
        if self.api == Api::Graph && self.component.is_none() {
            let message = "is graph, which the bundled component of this version does not speak; remove it, or name a component that does";
            report.error(&path.key("api"), message);
        }
        for (index, group) in self.machine_groups.iter().enumerate() {
            let at = path.key("machine_groups").index(index);
            let before = self.machine_groups.get(..index).unwrap_or_default();
            if group.is_empty() {
                report.error(&at, "is empty; write a group's name or remove it");
            } else if before.contains(group) {
                report.error(&at, "stands there twice; remove one");
            }
        }
        let no_path = |path: &Option<PathBuf>| {
            path.as_ref()
                .is_some_and(|path| path.as_os_str().is_empty())
        };
        let no_text = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        for (key, is_empty) in [
            ("component", no_path(&self.component)),
            ("client_secret_file", no_path(&self.client_secret_file)),
            ("tls.ca_file", no_path(&self.tls.ca_file)),
            (
                "device_created_machine_tags",
                no_text(&self.device_created_machine_tags),
            ),
            (
                "cloud_created_machine_tags",
                no_text(&self.cloud_created_machine_tags),
            ),
        ] {
            if is_empty {
                report.error(&path.dotted(key), "is empty; set it or remove it");
            }
        }
    }
}
