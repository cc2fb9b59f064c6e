//! The v1 token endpoint, and what its tokens are worth later.
//!
//! A token is a JWT signed with a key from the seed, so nothing is kept for it,
//! and one outlives a restart of the simulator as a real one outlives a restart
//! of the API. What voids tokens early is their generation: a claim that must
//! equal the service's own count.

use std::sync::atomic::Ordering;

use hmac::{Hmac, Mac};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::body::Answer;
use crate::config::{Client, Config};
use crate::refusal::{self, LoginRefusal};
use crate::state::State;
use crate::text::{SECOND, base64_url, from_base64_url};

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    aud: String,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    appid: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<String>,
    pub(crate) tid: String,
    ver: String,
    generation: u64,
}

/// Why a token does not open the API.
#[derive(Debug)]
pub(crate) enum Denied {
    /// Its time is over, or it was voided.
    Expired(Box<Claims>),
    /// It is none of ours.
    Invalid,
}

/// A request for a token; the tenant is the path's.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a Method,
    pub(crate) tenant: &'a str,
    pub(crate) form_type: bool,
    pub(crate) body: &'a [u8],
}

/// The answer to a request for a token.
pub(crate) fn issue(state: &State, ask: &Ask<'_>, id: &str, now: i64) -> Answer {
    match granted(state, ask) {
        Ok(grant) => refusal::json(
            StatusCode::OK,
            &token(state, &grant, ask.tenant, now / SECOND),
        ),
        Err(refusal) => refusal.answer(id, now),
    }
}

/// What a request for a token is worth.
struct Grant<'a> {
    client: &'a Client,
    resource: String,
    /// The refresh token that replaces the one that was sent.
    refresh_token: Option<String>,
}

/// The refresh token that is good after so many were used.
pub(crate) fn refresh_token(seed: u64, used: u64) -> String {
    let text = format!("refresh-{used}");
    let signature = signature(seed, &text);
    format!("0.{text}.{signature}")
}

fn granted<'a>(state: &'a State, ask: &Ask<'_>) -> Result<Grant<'a>, LoginRefusal> {
    let config: &Config = &state.config;
    let bad = |error, code, message: String| LoginRefusal {
        status: StatusCode::BAD_REQUEST,
        error,
        code,
        message,
    };
    if ask.method != Method::POST {
        let message = format!(
            "Endpoint only accepts POST requests. Received a {} request.",
            ask.method
        );
        return Err(bad("invalid_request", 900_561, message));
    }
    let tenant = ask.tenant;
    if !is_tenant(tenant) {
        let message = format!(
            "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain."
        );
        return Err(bad("invalid_request", 900_023, message));
    }
    if config
        .tenants
        .as_ref()
        .is_some_and(|known| !known.iter().any(|one| one.eq_ignore_ascii_case(tenant)))
    {
        let message = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        );
        return Err(bad("invalid_request", 90002, message));
    }
    let form: Vec<(String, String)> = if ask.form_type {
        url::form_urlencoded::parse(ask.body).into_owned().collect()
    } else {
        Vec::new()
    };
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    let needed = |name: &str| {
        let message =
            || format!("The request body must contain the following parameter: '{name}'.");
        field(name).ok_or_else(|| bad("invalid_request", 900_144, message()))
    };
    let grant = needed("grant_type")?;
    let renews = grant == "refresh_token";
    if grant != "client_credentials" && !renews {
        let message = format!("The app requested an unsupported grant type '{grant}'.");
        return Err(bad("unsupported_grant_type", 70003, message));
    }
    let client_id = needed("client_id")?;
    let Some(client) = config
        .clients
        .iter()
        .find(|client| client.id.eq_ignore_ascii_case(client_id))
    else {
        let message = format!(
            "Application with identifier '{client_id}' was not found in the directory '{tenant}'."
        );
        return Err(bad("unauthorized_client", 700_016, message));
    };
    let denied = |code, message: String| LoginRefusal {
        status: StatusCode::UNAUTHORIZED,
        error: "invalid_client",
        code,
        message,
    };
    if field("client_assertion").is_some() {
        return Err(denied(
            700_027,
            "Client assertion failed signature validation.".to_owned(),
        ));
    }
    let secret = field("client_secret");
    // A user's consent may be a public client's, which has no secret.
    let secret = if renews {
        secret.unwrap_or(&client.secret)
    } else if let Some(secret) = secret {
        secret
    } else {
        let message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return Err(denied(7_000_218, message.to_owned()));
    };
    if secret != client.secret {
        let message = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'."
        );
        return Err(denied(7_000_215, message));
    }
    let resource = needed("resource")?;
    let plain = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    if !config
        .resources
        .iter()
        .any(|known| plain(known) == plain(resource))
    {
        let message = format!(
            "The resource principal named {resource} was not found in the tenant named {tenant}."
        );
        return Err(bad("invalid_resource", 500_011, message));
    }
    let mut fresh = None;
    if renews {
        let used = state.refreshed.load(Ordering::Relaxed);
        if needed("refresh_token")? != refresh_token(config.seed, used) {
            let message = "The provided authorization code or refresh token has expired or was revoked, or was replaced by another.";
            return Err(bad("invalid_grant", 70000, message.to_owned()));
        }
        state.refreshed.store(used + 1, Ordering::Relaxed);
        fresh = Some(refresh_token(config.seed, used + 1));
    }
    Ok(Grant {
        client,
        resource: resource.to_owned(),
        refresh_token: fresh,
    })
}

/// A tenant id or a domain name.
fn is_tenant(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    let hexadecimal = text
        .bytes()
        .all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    let guid = hexadecimal && parts == [8, 4, 4, 4, 12];
    let domain = text.contains('.') && text.split('.').all(|label| !label.is_empty());
    guid || domain
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

/// The answer that carries a new token. `now` is in seconds.
fn token(state: &State, grant: &Grant<'_>, tenant: &str, now: i64) -> serde_json::Value {
    let config = &state.config;
    let (client, resource) = (grant.client, grant.resource.as_str());
    let exp = now.saturating_add_unsigned(config.token_lifetime_secs);
    let claims = Claims {
        aud: resource.to_owned(),
        iss: format!("https://sts.windows.net/{tenant}/"),
        iat: now,
        nbf: now,
        exp,
        appid: client.id.clone(),
        roles: client.roles.clone(),
        tid: tenant.to_owned(),
        ver: "1.0".to_owned(),
        generation: state.generation.load(Ordering::Relaxed),
    };
    let header = base64_url(br#"{"typ":"JWT","alg":"HS256"}"#);
    let claims = base64_url(
        serde_json::to_string(&claims)
            .unwrap_or_default()
            .as_bytes(),
    );
    let signed = format!("{header}.{claims}");
    let token = format!("{signed}.{}", signature(config.seed, &signed));

    let how = config.token_answer;
    let number = |value: i64| {
        if how.numbers_as_strings {
            value.to_string().into()
        } else {
            serde_json::Value::from(value)
        }
    };
    let mut answer = serde_json::Map::new();
    answer.insert("token_type".to_owned(), "Bearer".into());
    if how.expires_in {
        answer.insert("expires_in".to_owned(), number(exp - now));
        answer.insert("ext_expires_in".to_owned(), number(exp - now));
    }
    if how.expires_on {
        answer.insert("expires_on".to_owned(), number(exp));
        answer.insert("not_before".to_owned(), number(now));
    }
    answer.insert("resource".to_owned(), resource.into());
    answer.insert("access_token".to_owned(), token.into());
    if let Some(refresh_token) = &grant.refresh_token {
        answer.insert("refresh_token".to_owned(), refresh_token.as_str().into());
    }
    answer.into()
}

fn signature(seed: u64, signed: &str) -> String {
    let key = format!("watchbell simulator {seed}");
    Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(signed.as_bytes());
            base64_url(&mac.finalize().into_bytes())
        },
    )
}

/// What a token opens at `now` (in ticks).
pub(crate) fn verify(state: &State, token: &str, now: i64) -> Result<Claims, Denied> {
    let (signed, given) = token.rsplit_once('.').ok_or(Denied::Invalid)?;
    if signature(state.config.seed, signed) != given {
        return Err(Denied::Invalid);
    }
    let claims = signed
        .split_once('.')
        .and_then(|(_, claims)| from_base64_url(claims))
        .ok_or(Denied::Invalid)?;
    let claims: Claims = serde_json::from_slice(&claims).map_err(|_| Denied::Invalid)?;
    if now / SECOND >= claims.exp || claims.generation != state.generation.load(Ordering::Relaxed) {
        return Err(Denied::Expired(Box::new(claims)));
    }
    Ok(claims)
}
