//! `watchbell token`: whether the login service gives a token, and what it is good for.

use super::print::print;
use super::settings::SourceArgs;
use crate::exit::{Exit, Failure};
use crate::sources::defender::{Credential, CredentialError};
use crate::sources::{Access, DefenderClient, Runtime};
use crate::telemetry::printable;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::Value;
use std::io::{self, Read};
use std::sync::Arc;
use watchbell_secrets::{MAX_SECRET_BYTES, Secret};
use zeroize::Zeroizing;

/// Get a token and show what it is good for.
///
/// Prints the tenant, the application, its roles and when the token ends; the token
/// itself only with --show. What is printed of it is read from the token and not
/// verified: that is the API's to do.
#[derive(Debug, Args)]
pub(super) struct TokenVerb {
    #[command(flatten)]
    source: SourceArgs,
    /// Print the token itself, and nothing else. It is a secret while it lives.
    #[arg(long)]
    show: bool,
    /// Read a refresh token from stdin and seal it into `refresh_token_file`. Nobody is
    /// asked.
    #[arg(long, conflicts_with = "show")]
    seal_refresh_token: bool,
}

impl TokenVerb {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let chosen = self.source.choose(None)?;
        let runtime = chosen.runtime()?;
        if self.seal_refresh_token {
            return seal(&runtime, chosen.source.settings.credential()).await;
        }
        let client = DefenderClient::new(&runtime, Arc::clone(&chosen.source))
            .map_err(|error| chosen.setup_failure(error))?;
        let access = client
            .token()
            .await
            .map_err(|error| chosen.poll_failure(error))?;
        let text = if self.show {
            format!("{}\n", access.value.expose())
        } else {
            describe(&access)
        };
        print(text.as_bytes())
    }
}

/// Takes a refresh token over from stdin.
async fn seal(runtime: &Runtime, credential: &Credential) -> Result<(), Failure> {
    let Some(sealed_file) = credential.sealed_file() else {
        let words = "refresh_token_file and refresh_token_key are missing in the source; add them";
        return Err(Failure::new(Exit::Config, words));
    };
    let wrong = |words: &str| Failure::new(Exit::Usage, format!("stdin: {words}"));
    let mut text = Zeroizing::new(String::with_capacity(MAX_SECRET_BYTES));
    let limit = u64::try_from(MAX_SECRET_BYTES).unwrap_or(u64::MAX);
    io::stdin()
        .take(limit)
        .read_to_string(&mut text)
        .map_err(|error| wrong(&error.to_string()))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_control) {
        return Err(wrong("holds no refresh token; write it there on one line"));
    }
    let token = Secret::new(token.to_owned());
    let sealed = runtime.secrets.seal(sealed_file, &token).await;
    sealed.map_err(|error| Failure::new(Exit::Config, CredentialError::from(error)))?;
    tracing::info!(file = %sealed_file.path.display(), "sealed");
    Ok(())
}

fn describe(access: &Access) -> String {
    let claims = claims(access.value.expose());
    let text = |name: &str| {
        let claim = claims
            .as_ref()
            .and_then(|claims| claims.get(name)?.as_str());
        claim.map_or_else(|| "not in the token".to_owned(), printable)
    };
    let roles: Vec<String> = claims
        .as_ref()
        .and_then(|claims| claims.get("roles")?.as_array())
        .map(|roles| {
            roles
                .iter()
                .filter_map(Value::as_str)
                .map(printable)
                .collect()
        })
        .unwrap_or_default();
    let roles = if roles.is_empty() {
        "none: the API will refuse it; grant the application its permission".to_owned()
    } else {
        roles.join(", ")
    };
    let expires = access.lifetime.map_or_else(
        || "not said".to_owned(),
        |life| format!("in {} s", life.as_secs()),
    );
    format!(
        "expires      {expires}\ntenant       {}\napplication  {}\naudience     {}\nroles        {roles}\n",
        text("tid"),
        text("appid"),
        text("aud"),
    )
}

/// The payload of a JWT; none for a token of another kind.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}
