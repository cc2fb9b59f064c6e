//! A source that shows whatever it can see.
//!
//! `authenticate` hands out a token of its own making, or with the option `tell` says all
//! that it was told. `poll` sends one request and
//! returns one alert whose JSON tells all that crossed into its instance: the config,
//! the answer's headers and body, and whether it could set Authorization itself. A refused
//! token is an error of the contract that tells the same.

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

use bindings::exports::watchbell::detections::source::{
    Config, Error, Failure, Guest, Refusal, Stage, Token,
};
use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingRequest, Scheme};
use bindings::watchbell::detections::types::{Alert, Severity};
use serde_json::json;

/// What `authenticate` hands out.
const TOKEN: &str = "MARKED.mirror.token";

struct Mirror;

impl Guest for Mirror {
    fn authenticate(config: Config) -> Result<Token, Error> {
        let tell = config.options.iter().find(|(name, _)| name == "tell");
        let told = || format!("{:?}", config.credentials);
        match tell.map(|(_, how)| how.as_str()) {
            Some("other") => return Err(Error::Other(told())),
            Some("refusal") => return Err(Error::Unauthorized(refusal(Stage::Token, told()))),
            Some(_) => {
                return Err(Error::Denied(Failure {
                    stage: Stage::Token,
                    message: told(),
                }));
            }
            None => {}
        }
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
        let (status, answer, body) = ask(&config, headers).map_err(Error::Other)?;
        let seen = json!({
            "config": format!("{config:?}"),
            "forged": format!("{forged:?}"),
            "status": status,
            "headers": answer,
            "body": body,
        });
        if status == 401 {
            return Err(Error::Unauthorized(refusal(
                Stage::Detections,
                seen.to_string(),
            )));
        }
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

fn refusal(stage: Stage, message: String) -> Refusal {
    Refusal {
        stage,
        status: 401,
        code: None,
        message: Some(message),
        request_id: None,
        retry_after: None,
    }
}

type Answer = (u16, Vec<(String, String)>, String);

/// GETs the detections; every header and as much of the body as there is.
fn ask(config: &Config, headers: Fields) -> Result<Answer, String> {
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
    let answer_status = answer.status();
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
    let body = String::from_utf8_lossy(&read).into_owned();
    Ok((answer_status, headers, body))
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, clippy::all)]
mod export {
    super::bindings::export!(Mirror with_types_in super::bindings);
    use super::Mirror;
}
