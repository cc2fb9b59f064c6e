//! A good answer of the login service, of whichever endpoint.

use crate::bindings::exports::watchbell::detections::source::{Error, Malformed, Stage, Token};
use crate::http;
use serde::Deserialize;
use serde_json::{Number, Value};

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

/// Reads the body of a good answer, and at most `max_bytes` of it.
pub(super) fn read(answer: &http::Answer, max_bytes: u64) -> Result<Token, Error> {
    let mut body = Vec::new();
    answer.read(MAX_ANSWER.min(max_bytes), |chunk| {
        body.extend_from_slice(chunk);
    })?;
    // A byte order mark is no fault.
    let json = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
    let answer: Answer = serde_json::from_slice(json).map_err(|error| not_json(json, &error))?;
    match answer.access_token {
        Some(value) if !value.bytes().all(|byte| byte.is_ascii_graphic()) => Err(Error::Other(
            "the login service's access_token holds what no header may".to_owned(),
        )),
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

/// Whole seconds, from a number or its text; of a fraction the whole part. None for what
/// is negative or no number.
fn number(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => return whole(number),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    // JSON's own reading of numbers, which is there already: the standard library's brings
    // 17 KB with it.
    text.parse()
        .ok()
        .or_else(|| whole(&serde_json::from_str(text).ok()?))
}

fn whole(number: &Number) -> Option<u64> {
    let float = || number.as_f64().filter(|float| *float >= 0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is too large becomes the largest number"
    )]
    number.as_u64().or_else(|| Some(float()? as u64))
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
