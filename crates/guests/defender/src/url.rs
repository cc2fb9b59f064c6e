//! URLs as the contract's config has them, and values as URLs and forms carry them.

use crate::bindings::exports::watchbell::detections::source::Error;
use crate::checks::invalid;
use ::http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::net::IpAddr;

/// RFC 3986's unreserved characters stay, all else is encoded: `+` of a time zone
/// read back as a space is a classic of this API.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A base URL: scheme, authority and path.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// True for `https`.
    pub(crate) tls: bool,
    /// Host and port as they go into the request.
    pub(crate) authority: String,
    /// Path without its last slash.
    pub(crate) path: String,
}

impl Base {
    /// Reads the base URL in `field`.
    pub(crate) fn check(field: &str, text: &str) -> Result<Self, Error> {
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

/// `name=value`, for a query or a form.
pub(crate) fn pair(name: &str, value: &str) -> String {
    format!("{name}={}", encode(value))
}

/// Percent-encodes a value for a query or a form.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}
