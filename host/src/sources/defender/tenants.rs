//! What the entry of a tenant may say over its source.

use super::cloud::{Api, Region};
use crate::sources::TenantRules;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use watchbell_settings::{BaseUrl, Table, Value};

/// What concerns one tenant alone, and who gets the secrets that it inherits.
pub(super) const RULES: TenantRules = TenantRules {
    own: &[
        "tenant_id",
        "client_id",
        "client_secret",
        "client_secret_file",
        "refresh_token_file",
        "refresh_token_key",
        "machine_groups",
        "device_created_machine_tags",
        "cloud_created_machine_tags",
    ],
    listed: &[
        "api",
        "authority",
        "component",
        "egress",
        "endpoint",
        "options",
        "proxy",
        "region",
        "timeouts",
        "tls",
    ],
    rivals: &[
        ("region", &["endpoint", "authority"]),
        ("endpoint", &["region"]),
        ("authority", &["region"]),
        ("client_secret", &["client_secret_file"]),
        ("client_secret_file", &["client_secret"]),
    ],
    inherited: &["client_secret", "client_secret_file", "refresh_token_file"],
    receivers: &["authority", "region"],
    receiver: authority,
};

/// The login service that settings lead to, by its URL; none where they name none.
fn authority(table: &Table) -> Option<String> {
    let text = |key: &str| match table.get(key).map(|one| &one.node.value) {
        Some(Value::String(text)) => Some(text.as_str().to_owned()),
        _ => None,
    };
    if let Some(own) = text("authority") {
        let parsed = own.parse::<BaseUrl>();
        return Some(parsed.map_or(own, |url| url.as_str().to_owned()));
    }
    let region = text("region")?;
    let region = IntoDeserializer::<ValueError>::into_deserializer(region.as_str());
    let region = Region::deserialize(region).ok()?;
    let urls = region.base_urls(Api::Siem).ok()?;
    Some(urls.1.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::defender::Settings;
    use schemars::SchemaGenerator;
    use std::collections::BTreeSet;

    #[test]
    fn every_setting_is_the_tenants_own_or_listed() {
        let schema = SchemaGenerator::default().into_root_schema_for::<Settings>();
        let all: BTreeSet<&str> = schema
            .get("properties")
            .unwrap()
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let known: BTreeSet<&str> = RULES.own.iter().chain(RULES.listed).copied().collect();
        assert_eq!(all, known);
    }
}
