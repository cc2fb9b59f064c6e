//! From the contract's config to a request that may be sent.
//!
//! Parse, don't validate: a [`Detections`] or a [`TokenRequest`] can only be made by
//! checking, and holds exactly what goes on the wire. Each refusal names the field by
//! its path in the contract. Nothing here does I/O.

use crate::bindings::exports::watchbell::detections::source::{
    Api, Config, Credentials, Error, InvalidConfig, Limits, Query,
};
use ::http::Uri;
use ixdtf::parsers::IsoDurationParser;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::net::IpAddr;
use watchbell_detection::Timestamp;

/// RFC 3986's unreserved characters stay, all else is encoded: `+` of a time zone
/// read back as a space is a classic of this API.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The v1 resource that the SIEM API's tokens are for (its documentation).
const SIEM_RESOURCE: &str = "https://graph.windows.net";

/// A base URL: scheme, authority and a path without its last slash.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// True for `https`.
    pub(crate) tls: bool,
    /// Host and port as they go into the request.
    pub(crate) authority: String,
    path: String,
}

/// One GET for detections.
#[derive(Debug)]
pub(crate) struct Detections {
    /// Where to.
    pub(crate) base: Base,
    /// Path and query.
    pub(crate) target: String,
    /// The bearer token; none when the host adds it.
    pub(crate) token: Option<String>,
    /// Most bytes of body.
    pub(crate) max_bytes: u64,
}

/// One POST for a token.
#[derive(Debug)]
pub(crate) struct TokenRequest {
    /// Where to.
    pub(crate) base: Base,
    /// Path.
    pub(crate) target: String,
    /// The form.
    pub(crate) body: String,
    /// What must not come back in any error.
    /// What the service's words must not repeat.
    pub(crate) secrets: Vec<String>,
}

/// Who asks for a token, and with what.
struct Asker<'a> {
    tenant_id: &'a str,
    client_id: &'a str,
    grant: &'static str,
    /// What proves it: the form's names and values.
    proofs: Vec<(&'static str, &'a str)>,
}

impl<'a> Asker<'a> {
    fn of(credentials: &'a Credentials) -> Result<Self, Error> {
        match credentials {
            Credentials::ClientSecret(known) => {
                check_text("credentials.secret", &known.secret)?;
                Ok(Self {
                    tenant_id: &known.tenant_id,
                    client_id: &known.client_id,
                    grant: "client_credentials",
                    proofs: vec![("client_secret", &known.secret)],
                })
            }
            Credentials::RefreshToken(known) => {
                check_text("credentials.refresh-token", &known.refresh_token)?;
                let mut proofs = vec![("refresh_token", known.refresh_token.as_str())];
                if let Some(secret) = &known.secret {
                    check_text("credentials.secret", secret)?;
                    proofs.push(("client_secret", secret));
                }
                Ok(Self {
                    tenant_id: &known.tenant_id,
                    client_id: &known.client_id,
                    grant: "refresh_token",
                    proofs,
                })
            }
            Credentials::ClientAssertion(_) => Err(later("client-assertion")),
            Credentials::AuthorizationCode(_) => Err(later("authorization-code")),
            Credentials::AccessToken(_) | Credentials::Host => Err(invalid(
                "credentials",
                "there is no token to ask for with access-token or host; call poll",
            )),
        }
    }
}

impl Detections {
    /// Checks everything that a poll uses. `token` is what to send as bearer token.
    pub(crate) fn check(config: &Config, token: Option<String>) -> Result<Self, Error> {
        check_common(config)?;
        let base = Base::check("endpoint", &config.endpoint)?;
        if let Some(token) = &token {
            check_token(token)?;
        }
        let query = encode_query(&config.query)?;
        let path = format!("{}/api/alerts", base.path);
        let target = if query.is_empty() {
            path
        } else {
            format!("{path}?{query}")
        };
        Ok(Self {
            base,
            target,
            token,
            max_bytes: config.limits.max_bytes,
        })
    }
}

impl TokenRequest {
    /// Checks everything that a request for a token uses.
    pub(crate) fn check(config: &Config) -> Result<Self, Error> {
        check_common(config)?;
        let asker = Asker::of(&config.credentials)?;
        let base = Base::check("authority", &config.authority)?;
        let tenant = asker.tenant_id;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if tenant.is_empty() || !tenant.chars().all(plain) || tenant.starts_with('.') {
            return Err(invalid(
                "credentials.tenant-id",
                "must be the directory's GUID or one of its domain names",
            ));
        }
        check_text("credentials.client-id", asker.client_id)?;
        let mut form = vec![("grant_type", asker.grant), ("client_id", asker.client_id)];
        form.extend(&asker.proofs);
        form.push(("resource", SIEM_RESOURCE));
        let form: Vec<String> = form.iter().map(|(name, value)| pair(name, value)).collect();
        let secrets = asker.proofs.iter().map(|(_, value)| (*value).to_owned());
        Ok(Self {
            target: format!("{}/{tenant}/oauth2/token", base.path),
            base,
            body: form.join("&"),
            secrets: secrets.collect(),
        })
    }
}

impl Base {
    fn check(field: &str, text: &str) -> Result<Self, Error> {
        let uri: Uri = text
            .parse()
            .map_err(|e| invalid(field, &format!("is not a URL ({e}); write https://host")))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(invalid(field, "must begin with https://")),
        };
        let authority = uri
            .authority()
            .ok_or_else(|| invalid(field, "names no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid(field, "must not hold a user name or password"));
        }
        if authority.host().is_empty() || authority.port_u16() == Some(0) {
            return Err(invalid(
                field,
                "must name a host, and a port other than 0 if any",
            ));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(invalid(field, "must be a base URL, without ? and #"));
        }
        if !tls && !is_loopback(authority.host()) {
            return Err(invalid(
                field,
                "must begin with https:// unless the host is loopback",
            ));
        }
        Ok(Self {
            tls,
            authority: authority.as_str().to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// Whether a URL's host is this machine by its spelling alone.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Checks what both requests share.
fn check_common(config: &Config) -> Result<(), Error> {
    if config.api == Api::Graph {
        return Err(invalid(
            "api",
            "graph is not supported by this version; use siem",
        ));
    }
    let Limits {
        max_bytes,
        max_pages,
    } = config.limits;
    if max_bytes == 0 {
        return Err(invalid("limits.max-bytes", "must be 1 or more"));
    }
    if max_pages == 0 {
        return Err(invalid("limits.max-pages", "must be 1 or more"));
    }
    match config.options.first() {
        Some((name, _)) => Err(invalid(&format!("options.{name}"), "is not an option")),
        None => Ok(()),
    }
}

/// The query string of the SIEM API, in the documentation's order.
fn encode_query(query: &Query) -> Result<String, Error> {
    let mut pairs = Vec::new();
    let since = instant("query.since", query.since.as_deref())?;
    let until = instant("query.until", query.until.as_deref())?;
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(invalid("query.until", "must not lie before query.since"));
    }
    if let Some(since) = since {
        pairs.push(pair("sinceTimeUtc", &since.to_string()));
    }
    if let Some(until) = until {
        pairs.push(pair("untilTimeUtc", &until.to_string()));
    }
    if let Some(ago) = &query.ago {
        if since.is_some() || until.is_some() {
            return Err(invalid("query.ago", "excludes query.since and query.until"));
        }
        if !is_duration(ago) {
            return Err(invalid(
                "query.ago",
                "must be an ISO 8601 duration such as PT10M",
            ));
        }
        pairs.push(pair("ago", ago));
    }
    if let Some(limit) = query.limit {
        if limit == 0 {
            return Err(invalid("query.limit", "must be 1 or more"));
        }
        pairs.push(pair("limit", &limit.to_string()));
    }
    for group in &query.machine_groups {
        check_text("query.machine-groups", group)?;
        pairs.push(pair("machinegroups", group));
    }
    let tags = [
        (
            "query.device-created-machine-tags",
            "DeviceCreatedMachineTags",
            &query.device_created_machine_tags,
        ),
        (
            "query.cloud-created-machine-tags",
            "CloudCreatedMachineTags",
            &query.cloud_created_machine_tags,
        ),
    ];
    for (field, name, tag) in tags {
        if let Some(tag) = tag {
            check_text(field, tag)?;
            pairs.push(pair(name, tag));
        }
    }
    Ok(pairs.join("&"))
}

/// An ISO 8601 duration that counts back, so without a sign.
fn is_duration(text: &str) -> bool {
    text.starts_with('P') && IsoDurationParser::from_str(text).parse().is_ok()
}

fn instant(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    text.map(|text| {
        text.parse().map_err(|_| {
            invalid(
                field,
                "must be an RFC 3339 instant such as 2026-01-31T12:00:00Z",
            )
        })
    })
    .transpose()
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}={}", encode(value))
}

/// Percent-encodes a value for a query or a form.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}

/// A bearer token goes into a header: RFC 6750's alphabet and no other byte.
fn check_token(token: &str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.is_empty() || !token.bytes().all(allowed) {
        return Err(invalid(
            "credentials.access-token",
            "must be one token of letters, digits and -._~+/= (without \"Bearer\")",
        ));
    }
    Ok(())
}

fn check_text(field: &str, text: &str) -> Result<(), Error> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(invalid(
            field,
            "must not be empty or hold control characters",
        ));
    }
    Ok(())
}

fn later(case: &str) -> Error {
    invalid(
        "credentials",
        &format!("{case} is not supported by this version; use client-secret or refresh-token"),
    )
}

fn invalid(field: &str, message: &str) -> Error {
    Error::InvalidConfig(InvalidConfig {
        field: field.to_owned(),
        message: message.to_owned(),
    })
}
