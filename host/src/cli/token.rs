//! `watchbell token`: whether the login service gives a token, and what it is good for.

use super::settings::SourceArgs;
use crate::exit::{Exit, Failure};
use crate::observe::printable;
use crate::schedule::{Access, Puller};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::Value;
use std::io::{self, Write};

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
}

impl TokenVerb {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let chosen = self.source.choose(None)?;
        let runtime = chosen.runtime()?;
        let puller = Puller::new(&runtime, chosen.source)?;
        let access = puller
            .token()
            .await
            .map_err(|e| Failure::new(e.exit(), e))?;
        let text = if self.show {
            format!("{}\n", access.value.expose())
        } else {
            describe(&access)
        };
        io::stdout()
            .write_all(text.as_bytes())
            .map_err(|e| Failure::new(Exit::Io, format!("stdout: {e}")))
    }
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
