//! The v1 endpoint, which gives out tokens for a resource.

use super::Endpoint;

/// Tokens for the SIEM API; its documentation names the resource.
pub(super) const SIEM: Endpoint = Endpoint {
    path: "oauth2/token",
    audience: ("resource", "https://graph.windows.net"),
};
