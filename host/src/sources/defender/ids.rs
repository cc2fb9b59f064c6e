//! What names a tenant and an application to Microsoft.

use std::str::FromStr;

use watchbell_settings::{InvalidValue, as_text, deserialize_from_text, json_schemas};

deserialize_from_text!(TenantId, ClientId);
as_text!(TenantId, ClientId);

json_schemas! {
    TenantId: {
        "description": "A directory (tenant): its GUID or one of its domain names.",
        "type": "string",
        "pattern": r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$|^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$|\$\{",
        "examples": ["11111111-2222-3333-4444-555555555555", "contoso.onmicrosoft.com"]
    };
    ClientId: {
        "description": "An application (client): its GUID.",
        "type": "string",
        "pattern": r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$|\$\{",
        "examples": ["66666666-7777-8888-9999-000000000000"]
    };
}

/// A directory (tenant): its GUID or one of its domain names. In lower case, since the
/// service knows no difference and what is kept is found by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(String);

impl FromStr for TenantId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if is_guid(text) || is_domain(text) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(InvalidValue::new(
            "is not a tenant; write its directory id (a GUID) or a domain name such as contoso.onmicrosoft.com",
        ))
    }
}

/// An application (client): its GUID, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(String);

impl FromStr for ClientId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if is_guid(text) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(InvalidValue::new(
            "is not an application id; write its GUID",
        ))
    }
}

/// 8-4-4-4-12 hexadecimal digits.
fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Two or more labels of letters, digits and inner hyphens.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_guid_or_a_domain() {
        for text in [
            "11111111-2222-3333-4444-555555555555",
            "contoso.onmicrosoft.com",
            "a-b.io",
        ] {
            assert!(text.parse::<TenantId>().is_ok(), "{text}");
        }
        for text in [
            "common",
            "",
            "a..b",
            "-a.com",
            "a.com/",
            "a.com ",
            "../x.y",
            "1111-2222",
        ] {
            assert!(text.parse::<TenantId>().is_err(), "{text}");
        }
        assert!("contoso.com".parse::<ClientId>().is_err());
        let id: TenantId = "Contoso.OnMicrosoft.com".parse().unwrap();
        assert_eq!(id.as_str(), "contoso.onmicrosoft.com");
        let id: ClientId = "ABCDEF00-2222-3333-4444-55555555555F".parse().unwrap();
        assert_eq!(id.as_str(), "abcdef00-2222-3333-4444-55555555555f");
    }
}
