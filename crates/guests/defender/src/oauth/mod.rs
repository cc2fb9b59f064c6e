//! Asks the login service for an access token.
//!
//! An OAuth flow is a file that makes a [`Grant`] of its credentials; an endpoint is a file
//! that says where and for which API to ask. What all of them share stands here: the
//! request, its checks, and the reading of the answer, which is one for all.

mod answer;
mod client_secret;
mod refresh_token;
mod refused;
mod v1;

use crate::bindings::exports::watchbell::detections::source::{
    Api, Config, Credentials, Error, Stage, Token,
};
use crate::checks::{check_common, check_text, graph_is_not_supported, invalid};
use crate::http;
use crate::url::{Base, pair};

/// Who asks for a token, and with what.
struct Grant<'a> {
    tenant_id: &'a str,
    client_id: &'a str,
    grant_type: &'static str,
    /// What proves it: the form's names and values. All of the values are secrets.
    proofs: Vec<(&'static str, &'a str)>,
}

/// Where to ask for a token, and for what.
struct Endpoint {
    /// Below the tenant's path.
    path: &'static str,
    /// The form's name and value that say which API the token is for.
    audience: (&'static str, &'static str),
}

/// One POST for a token: it can only be made by checking, and holds exactly what goes on
/// the wire.
struct Request {
    base: Base,
    /// Path.
    target: String,
    /// The form.
    body: String,
    /// What the service's words must not repeat.
    secrets: Vec<String>,
}

/// Asks for an access token.
pub(crate) fn authenticate(config: &Config) -> Result<Token, Error> {
    let request = Request::check(config)?;
    let answer = http::send(&http::Request {
        stage: Stage::Token,
        body: Some(&request.body),
        base: &request.base,
        target: &request.target,
        headers: &[
            ("accept", "application/json"),
            ("content-type", "application/x-www-form-urlencoded"),
        ],
    })?;
    if answer.status != 200 {
        return Err(refused::refused(&answer, &request.secrets));
    }
    answer::read(&answer, config.limits.max_bytes)
}

impl<'a> Grant<'a> {
    fn check(credentials: &'a Credentials) -> Result<Self, Error> {
        match credentials {
            Credentials::ClientSecret(known) => client_secret::grant(known),
            Credentials::RefreshToken(known) => refresh_token::grant(known),
            Credentials::ClientAssertion(_) => Err(not_supported("client-assertion")),
            Credentials::AuthorizationCode(_) => Err(not_supported("authorization-code")),
            Credentials::AccessToken(_) | Credentials::Host => Err(invalid(
                "credentials",
                "there is no token to ask for with access-token or host; call poll",
            )),
        }
    }
}

impl Endpoint {
    fn check(api: Api) -> Result<Self, Error> {
        match api {
            Api::Siem => Ok(v1::SIEM),
            Api::Graph => Err(graph_is_not_supported()),
        }
    }
}

impl Request {
    /// Checks everything that a request for a token uses.
    fn check(config: &Config) -> Result<Self, Error> {
        let endpoint = Endpoint::check(config.api)?;
        check_common(config)?;
        let grant = Grant::check(&config.credentials)?;
        let base = Base::check("authority", &config.authority)?;
        let tenant = grant.tenant_id;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if tenant.is_empty() || !tenant.chars().all(plain) || tenant.starts_with('.') {
            return Err(invalid(
                "credentials.tenant-id",
                "must be the directory's GUID or one of its domain names",
            ));
        }
        check_text("credentials.client-id", grant.client_id)?;
        let mut form = vec![
            ("grant_type", grant.grant_type),
            ("client_id", grant.client_id),
        ];
        form.extend(&grant.proofs);
        form.push(endpoint.audience);
        let form: Vec<String> = form.iter().map(|(name, value)| pair(name, value)).collect();
        let secrets = grant.proofs.iter().map(|(_, value)| (*value).to_owned());
        Ok(Self {
            target: format!("{}/{tenant}/{}", base.path, endpoint.path),
            base,
            body: form.join("&"),
            secrets: secrets.collect(),
        })
    }
}

fn not_supported(flow: &str) -> Error {
    invalid(
        "credentials",
        &format!("{flow} is not supported by this version; use client-secret or refresh-token"),
    )
}
