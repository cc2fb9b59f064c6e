//! The conversation with the login service: the v1 endpoint, for the SIEM API.

use crate::bindings::exports::watchbell::detections::source::{
    Config, Error, Malformed, Stage, Token,
};
use crate::http::{self, Request};
use crate::question::TokenRequest;
use crate::refusal;
use serde::Deserialize;
use serde_json::Value;

/// Most bytes of a token answer: a token is a few KiB.
const MAX_ANSWER: u64 = 1024 * 1024;

/// What the login service answers. Its numbers are strings in v1 answers and integers
/// in some; either may be missing (facts of the login service, v1).
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    expires_on: Value,
}

/// Asks for an access token.
pub(crate) fn authenticate(config: &Config) -> Result<Token, Error> {
    let question = TokenRequest::check(config)?;
    let answer = http::send(&Request {
        stage: Stage::Token,
        body: Some(&question.body),
        base: &question.base,
        target: &question.target,
        headers: &[
            ("accept", "application/json"),
            ("content-type", "application/x-www-form-urlencoded"),
        ],
    })?;
    if answer.status != 200 {
        return Err(refusal::of_token(&answer, &question.secrets));
    }
    let mut body = Vec::new();
    answer.read(MAX_ANSWER.min(config.limits.max_bytes), |chunk| {
        body.extend_from_slice(chunk);
    })?;
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| not_json(&body, &error))?;
    match answer.access_token {
        Some(value) if !value.is_empty() => Ok(Token {
            value,
            expires_in: number(&answer.expires_in),
            expires_on: number(&answer.expires_on)
                .and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1_000_000_000)),
            refresh_token: answer.refresh_token,
        }),
        _ => Err(Error::Other(
            "the login service's answer holds no access_token".to_owned(),
        )),
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Says where, never what: the body may hold a token.
fn not_json(body: &[u8], error: &serde_json::Error) -> Error {
    let line = error.line().saturating_sub(1);
    let before: usize = body
        .split_inclusive(|&b| b == b'\n')
        .take(line)
        .map(<[u8]>::len)
        .sum();
    Error::Malformed(Malformed {
        stage: Stage::Token,
        offset: (before + error.column().saturating_sub(1)) as u64,
        message: "the login service's answer is not the documented JSON".to_owned(),
        alerts: Vec::new(),
        unreadable: Vec::new(),
    })
}
