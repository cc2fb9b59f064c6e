//! Names: of the configuration's parts, of tenants and of applications.

use std::str::FromStr;

use watchbell_settings::{InvalidValue, as_text, deserialize_from_text, json_schemas};

deserialize_from_text!(Name, TenantId, ClientId, TenantKey, TenantKeys);
as_text!(Name, TenantId, ClientId, TenantKey);

json_schemas! {
    Name: {
        "description": "The name of a source, a transform, a sink or a secret backend: letters, digits, _ and -, at most 64, a letter or a digit first.",
        "type": "string",
        "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$|\$\{",
        "examples": ["contoso"]
    };
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
    TenantKeys: {
        "description": "The name of a JSON member: printable ASCII without quotes and backslashes, at most 64; \"\" is none.",
        "type": "string",
        "pattern": r"^[!#-\[\]-~]{0,64}$|\$\{",
        "examples": ["tenant", ""]
    };
}

/// The name of a source, a transform or a sink: letters, digits, `_` and `-`, at most
/// 64, beginning with a letter or a digit. It stands in metric labels, file names and
/// on the command line, where anything else would need quoting.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl FromStr for Name {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || text.len() > 64 || !text.chars().all(allowed) {
            return Err(InvalidValue::new(
                "is not a name; use letters, digits, _ and -, at most 64, a letter or digit first",
            ));
        }
        Ok(Self(text.to_owned()))
    }
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

/// The member of an event that names its tenant: a JSON member's name in ASCII that needs
/// no escape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantKey(String);

impl Default for TenantKey {
    fn default() -> Self {
        Self("tenant".to_owned())
    }
}

impl FromStr for TenantKey {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
            return Err(InvalidValue::new(
                "is not a member's name; use printable ASCII without quotes and backslashes, at most 64, or \"\" for none",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// `log_schema.tenant_key`: which records have a member that names their tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TenantKeys {
    /// Not set: those of sinks that a source with `tenants` leads to, as `tenant`.
    #[default]
    WhereTenantsAre,
    /// All, under this name.
    Everywhere(TenantKey),
    /// None: it is set to nothing.
    Nowhere,
}

impl FromStr for TenantKeys {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "" => Ok(Self::Nowhere),
            text => text.parse().map(Self::Everywhere),
        }
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

    #[test]
    fn names_need_no_quoting_anywhere() {
        assert!("a".parse::<Name>().is_ok() && "9-b_C".parse::<Name>().is_ok());
        for text in ["", "-a", "a.b", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
