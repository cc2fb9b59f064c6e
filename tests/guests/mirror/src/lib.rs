//! A source that shows whatever it can see.
//!
//! `authenticate` hands out a token of its own making. `poll` sends one request and
//! returns one alert whose JSON tells all that crossed into its instance: the config,
//! the answer's headers and body, and whether it could set Authorization itself.

#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::pedantic
)]
#[allow(clippy::restriction)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "defender-source",
        generate_all,
        pub_export_macro: false,
    });
}

use bindings::exports::watchbell::detections::source::{Config, Error, Guest, Token};
use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingRequest, Scheme};
use bindings::watchbell::detections::types::{Alert, Severity};
use serde_json::json;

/// What `authenticate` hands out.
const TOKEN: &str = "MARKED.mirror.token";

struct Mirror;

impl Guest for Mirror {
    fn authenticate(_: Config) -> Result<Token, Error> {
        Ok(Token {
            value: TOKEN.to_owned(),
            expires_in: Some(3600),
            expires_on: None,
            refresh_token: None,
        })
    }

    fn poll(config: Config) -> Result<Vec<Alert>, Error> {
        let headers = Fields::new();
        let forged = headers
            .append("Authorization", b"Bearer forged")
            .map_err(|error| format!("{error:?}"));
        let (answer, body) = ask(&config, headers).map_err(Error::Other)?;
        let seen = json!({
            "config": format!("{config:?}"),
            "forged": format!("{forged:?}"),
            "headers": answer,
            "body": body,
        });
        Ok(vec![Alert {
            id: "mirror".to_owned(),
            alert_id: None,
            alert_time: None,
            last_processed_time: None,
            severity: Severity::Unspecified,
            category: None,
            json: seen.to_string(),
        }])
    }
}

/// GETs the detections; every header and the whole body of the answer.
fn ask(config: &Config, headers: Fields) -> Result<(Vec<(String, String)>, String), String> {
    let words = |error: &dyn std::fmt::Debug| format!("{error:?}");
    let authority = config.endpoint.trim_start_matches("http://");
    let request = OutgoingRequest::new(headers);
    request
        .set_scheme(Some(&Scheme::Http))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some("/api/alerts?x=1")))
        .map_err(|()| "the URL")?;
    let body = request.body().map_err(|()| "the body")?;
    let future = outgoing_handler::handle(request, None).map_err(|e| words(&e))?;
    OutgoingBody::finish(body, None).map_err(|e| words(&e))?;
    future.subscribe().block();
    let answer = future
        .get()
        .and_then(Result::ok)
        .ok_or("no answer")?
        .map_err(|e| words(&e))?;
    let headers = answer
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let stream = answer
        .consume()
        .and_then(|body| Ok((body.stream()?, body)))
        .map_err(|()| "the answer's body")?;
    let mut read = Vec::new();
    while let Ok(chunk) = stream.0.blocking_read(1 << 16) {
        read.extend(chunk);
    }
    Ok((headers, String::from_utf8_lossy(&read).into_owned()))
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, clippy::all)]
mod export {
    super::bindings::export!(Mirror with_types_in super::bindings);
    use super::Mirror;
}
