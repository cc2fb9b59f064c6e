//! `{{ tenant }}` in a path, as Vector writes templates.

use std::path::{Path, PathBuf};

/// What may stand between the braces.
const TENANT: &str = "tenant";

/// Whether anything is to be filled in.
pub(super) fn is_one(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.contains("{{"))
}

/// Whether a path may be filled in.
///
/// # Errors
/// What is wrong, in words for a configuration.
pub(super) fn check_template(path: &Path) -> Result<(), &'static str> {
    let Some(text) = path.to_str() else {
        return Ok(());
    };
    for after in text.split("{{").skip(1) {
        match after.split_once("}}") {
            Some((name, _)) if name.trim() == TENANT => {}
            _ => {
                return Err(
                    "holds {{ without tenant }} behind it; write {{ tenant }}, which is all that is known",
                );
            }
        }
    }
    Ok(())
}

/// The path of one tenant. The names of tenants are checked by the configuration; what an
/// old ledger or another version may hold is made harmless here.
pub(super) fn fill(path: &Path, tenant: &str) -> PathBuf {
    let Some(text) = path.to_str() else {
        return path.to_owned();
    };
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '_'
        }
    };
    let mut name: String = tenant.chars().map(plain).collect();
    if name.is_empty() || name.starts_with('.') {
        name.insert(0, '_');
    }
    let mut filled = String::with_capacity(text.len() + name.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        filled.push_str(&name);
        rest = after.split_once("}}").map_or("", |(_, rest)| rest);
    }
    filled.push_str(rest);
    filled.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_fills_its_place_and_never_leaves_its_folder() {
        let path = Path::new("/var/{{ tenant }}/{{tenant}}.ndjson");
        assert!(is_one(path) && check_template(path).is_ok());
        assert_eq!(
            fill(path, "contoso"),
            Path::new("/var/contoso/contoso.ndjson")
        );
        assert_eq!(
            fill(path, "../etc"),
            Path::new("/var/_.._etc/_.._etc.ndjson")
        );
        assert_eq!(fill(path, ""), Path::new("/var/_/_.ndjson"));
        for wrong in ["/{{ source }}", "/{{ tenant", "/{{tenant}}/{{"] {
            assert!(check_template(Path::new(wrong)).is_err(), "{wrong}");
        }
        assert!(!is_one(Path::new("/var/{tenant}")));
    }
}
