//! Base URLs with a path that Watchbell puts there itself.
//!
//! Microsoft's documentation shows whole URLs, so that is what gets copied. With the path
//! twice the service answers a bare 404, which says nothing of why.

/// What is wrong with the path of an `endpoint`, and what to write.
pub(super) fn endpoint_fault(url: &str) -> Option<String> {
    let (base, path) = split(url)?;
    let at = path
        .iter()
        .position(|part| part.eq_ignore_ascii_case("api"))?;
    let next = path.get(at + 1).map(|part| part.to_ascii_lowercase());
    let is_own = matches!(next.as_deref(), None | Some("alerts"));
    is_own.then(|| {
        let base = with(base, path.get(..at).unwrap_or_default());
        format!("must not hold the API's own path, /api/alerts; write {base}")
    })
}

/// The same of an `authority`, which must not hold the tenant either.
pub(super) fn authority_fault(url: &str, tenant: Option<&str>) -> Option<String> {
    let (base, path) = split(url)?;
    let is_tenant = |part: &&str| {
        tenant.is_some_and(|tenant| part.eq_ignore_ascii_case(tenant)) || is_guid(part)
    };
    let is_own = |part: &&str| {
        ["oauth2", "token", "authorize", "common", "organizations"]
            .iter()
            .any(|own| part.eq_ignore_ascii_case(own))
    };
    let at = path
        .iter()
        .position(|part| is_tenant(part) || is_own(part))?;
    // "…/contoso.com/oauth2/token": the tenant stands before it.
    let before_own = path.get(at).is_some_and(is_own) && at > 0;
    let keep = if before_own && path.get(at - 1).is_some_and(|part| part.contains('.')) {
        at - 1
    } else {
        at
    };
    let base = with(base, path.get(..keep).unwrap_or_default());
    Some(format!(
        "must not hold the tenant or the login service's own path, /TENANT/oauth2/token; write {base}"
    ))
}

/// Scheme and host, and the parts of the path.
fn split(url: &str) -> Option<(&str, Vec<&str>)> {
    let from = url.find("://")? + 3;
    let end = url.get(from..)?.find('/').map(|at| from + at)?;
    let (base, path) = url.split_at_checked(end)?;
    let parts = path.split('/').filter(|part| !part.is_empty());
    Some((base, parts.collect()))
}

fn with(base: &str, path: &[&str]) -> String {
    let mut url = base.to_owned();
    for part in path {
        url.push('/');
        url.push_str(part);
    }
    url
}

fn is_guid(part: &str) -> bool {
    let lengths = part.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && part.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these used to pass `validate`, and then the service answered a bare 404.
    #[test]
    fn a_path_that_is_added_anyway_is_refused_with_what_to_write() {
        for (url, want) in [
            ("https://a.example/api/alerts", "https://a.example"),
            ("https://a.example/api/Alerts/", "https://a.example"),
            ("https://a.example/api", "https://a.example"),
            (
                "https://a.example/gate/api/alerts",
                "https://a.example/gate",
            ),
        ] {
            let fault = endpoint_fault(url).unwrap();
            assert!(fault.ends_with(&format!("write {want}")), "{fault}");
        }
        let guid = "11111111-2222-3333-4444-555555555555";
        for (url, want) in [
            (format!("https://l.example/{guid}"), "https://l.example"),
            (
                format!("https://l.example/{guid}/oauth2/token"),
                "https://l.example",
            ),
            (
                "https://l.example/contoso.com/oauth2/token".to_owned(),
                "https://l.example",
            ),
            ("https://l.example/contoso".to_owned(), "https://l.example"),
            (
                "https://l.example/common/oauth2/v2.0/token".to_owned(),
                "https://l.example",
            ),
            (
                "https://l.example/x/oauth2".to_owned(),
                "https://l.example/x",
            ),
            (
                "https://l.example/oauth2/token".to_owned(),
                "https://l.example",
            ),
        ] {
            let fault = authority_fault(&url, Some("contoso")).unwrap();
            assert!(fault.ends_with(&format!("write {want}")), "{url}: {fault}");
        }
        for url in [
            "https://a.example",
            "https://a.example/",
            "http://127.0.0.1:1/gate",
            "https://a.example/api/v2",
        ] {
            assert_eq!(endpoint_fault(url), None, "{url}");
            assert_eq!(authority_fault(url, Some("contoso")), None, "{url}");
        }
    }
}
