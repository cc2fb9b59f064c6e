//! What a service says when it says no, sorted by what a caller can do about it.
//!
//! The words are the service's and may be anyone's: they are cut, and a secret or
//! token that they echo is struck out before they leave.

use crate::bindings::exports::watchbell::detections::source::{Error, Refusal};
use crate::http::Answer;
use serde_json::Value;
use std::time::SystemTime;

/// Most bytes read of a refusal's body: documented ones are under 2 KiB.
const MAX_BODY: usize = 64 * 1024;

/// Most characters of the service's message that are passed on.
const MAX_MESSAGE: usize = 512;

/// Codes of the login service that pass by themselves (login service, error codes).
const TRANSIENT: [u64; 5] = [90006, 90012, 90024, 90033, 90090];

/// The login service's own code for "asked too often".
const THROTTLED: u64 = 90055;

/// Sorts a refusal of the login service. Acts on `error` and `error_codes`, never on
/// the description's text.
pub(crate) fn of_token(answer: &Answer, secrets: &[String]) -> Error {
    let body: Value = serde_json::from_slice(&answer.read_some(MAX_BODY)).unwrap_or_default();
    let name = text(&body, "/error");
    let numbers: Vec<u64> = body
        .pointer("/error_codes")
        .and_then(Value::as_array)
        .map(|codes| codes.iter().filter_map(Value::as_u64).collect())
        .unwrap_or_default();
    let code = numbers
        .first()
        .map(|number| format!("AADSTS{number}"))
        .or_else(|| name.clone());
    let refusal = Refusal {
        code,
        message: text(&body, "/error_description"),
        request_id: text(&body, "/trace_id"),
        ..bare(answer)
    };
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let refusal = strike(refusal, &secrets);
    let transient = name.as_deref() == Some("temporarily_unavailable")
        || numbers.iter().any(|number| TRANSIENT.contains(number));
    match answer.status {
        _ if numbers.contains(&THROTTLED) => Error::Throttled(refusal),
        _ if transient => Error::Unavailable(refusal),
        400 if name.is_some() => Error::Unauthorized(refusal),
        _ => by_status(refusal),
    }
}

/// Sorts a refusal of the API. Its bodies are not documented: the shapes that
/// Microsoft's APIs share are tried.
pub(crate) fn of_detections(answer: &Answer, token: Option<&str>) -> Error {
    let body: Value = serde_json::from_slice(&answer.read_some(MAX_BODY)).unwrap_or_default();
    let refusal = Refusal {
        code: text(&body, "/error/code").or_else(|| text(&body, "/error")),
        message: text(&body, "/error/message")
            .or_else(|| text(&body, "/error_description"))
            .or_else(|| text(&body, "/message")),
        request_id: text(&body, "/error/innerError/request-id")
            .or_else(|| answer.header("request-id"))
            .or_else(|| answer.header("x-ms-request-id")),
        ..bare(answer)
    };
    by_status(strike(refusal, token.as_slice()))
}

fn by_status(refusal: Refusal) -> Error {
    match refusal.status {
        401 => Error::Unauthorized(refusal),
        403 => Error::Forbidden(refusal),
        429 => Error::Throttled(refusal),
        408 | 500..=599 => Error::Unavailable(refusal),
        _ => Error::UnexpectedStatus(refusal),
    }
}

fn bare(answer: &Answer) -> Refusal {
    Refusal {
        stage: answer.stage,
        status: answer.status,
        code: None,
        message: None,
        request_id: None,
        retry_after: retry_after(answer),
    }
}

/// Retry-After in seconds. A date counts from the answer's own Date, which no clock's
/// error can spoil; without that it says nothing.
fn retry_after(answer: &Answer) -> Option<u32> {
    let value = answer.header("retry-after")?;
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(u32::try_from(seconds).unwrap_or(u32::MAX));
    }
    let date = |text: &str| httpdate::parse_http_date(text.trim()).ok();
    let (then, now): (SystemTime, SystemTime) = (date(&value)?, date(&answer.header("date")?)?);
    let seconds = then.duration_since(now).map_or(0, |wait| wait.as_secs());
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}

fn text(body: &Value, pointer: &str) -> Option<String> {
    let text = body.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Strikes secrets out of the service's words, as it is and percent-encoded, then
/// cuts them: the other way round half a secret could stay.
fn strike(refusal: Refusal, secrets: &[&str]) -> Refusal {
    let clean = |words: Option<String>| {
        words.map(|mut words| {
            for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
                let encoded = crate::question::encode(secret);
                words = words.replace(secret, "***").replace(&encoded, "***");
            }
            words.chars().take(MAX_MESSAGE).collect()
        })
    };
    Refusal {
        code: clean(refusal.code),
        message: clean(refusal.message),
        request_id: clean(refusal.request_id),
        ..refusal
    }
}
