//! Names: of the configuration's components, and of the member that names a tenant.

use std::str::FromStr;

use watchbell_settings::{InvalidValue, as_text, deserialize_from_text, json_schemas};

deserialize_from_text!(Name, TenantKey, TenantKeys);
as_text!(Name, TenantKey);

json_schemas! {
    Name: {
        "description": "The name of a source, a transform, a sink or a secret backend: letters, digits, _ and -, at most 64, a letter or a digit first.",
        "type": "string",
        "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$|\$\{",
        "examples": ["contoso"]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quoting_anywhere() {
        assert!("a".parse::<Name>().is_ok() && "9-b_C".parse::<Name>().is_ok());
        for text in ["", "-a", "a.b", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
