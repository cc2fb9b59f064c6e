//! What a service says when it says no: how each of them says it is with `oauth` and
//! `dialect`, what they share is here.
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

/// What a body says that is no answer: its code and message, the title of a web page, or
/// else how it begins. None when it is empty. Secrets are struck out, and it is cut.
pub(crate) fn words(body: &[u8], secrets: &[String]) -> Option<String> {
    let said = Said::of(body);
    let words = match (said.code, said.message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(words), None) | (None, Some(words)) => words,
        (None, None) => prose(body)?,
    };
    Some(struck(words, secrets))
}

/// What a body says of why it is a refusal, in any of the shapes that Microsoft's
/// services use.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) request_id: Option<String>,
    /// The login service's own numbers.
    pub(crate) numbers: Vec<u64>,
}

impl Said {
    /// Reads the start of an answer's body.
    pub(crate) fn read(answer: &Answer) -> Self {
        Self::of(&answer.read_some(MAX_BODY))
    }

    fn of(body: &[u8]) -> Self {
        let body = body.strip_prefix(MARK).unwrap_or(body);
        let Ok(json) = serde_json::from_slice::<Value>(body) else {
            return Self {
                message: prose(body),
                ..Self::default()
            };
        };
        let first = |pointers: &[&str]| pointers.iter().find_map(|pointer| text(&json, pointer));
        let numbers = json.pointer("/error_codes").and_then(Value::as_array);
        Self {
            // OAuth and OData; OData of old; ASP.NET.
            code: first(&[
                "/error/code",
                "/error",
                "/odata.error/code",
                "/code",
                "/ErrorCode",
            ]),
            message: first(&[
                "/error/message",
                "/error/message/value",
                "/error_description",
                "/odata.error/message/value",
                "/message",
                "/Message",
                "/ExceptionMessage",
                "/detail",
                "/title",
            ]),
            request_id: first(&["/error/innerError/request-id", "/trace_id"]),
            numbers: numbers
                .map(|codes| codes.iter().filter_map(Value::as_u64).collect())
                .unwrap_or_default(),
        }
    }
}

/// A byte order mark, which some gateways put before JSON.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Most characters of a body that is no JSON.
const MAX_PROSE: usize = 120;

/// The words of a body for people: a web page's title, else how it begins, on one line.
fn prose(body: &[u8]) -> Option<String> {
    let body = body.strip_prefix(MARK).unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let text = title(&text).unwrap_or(&text);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start: String = line.chars().take(MAX_PROSE).collect();
    let dots = if start.len() < line.len() { "…" } else { "" };
    (!start.is_empty()).then(|| start + dots)
}

/// A web page's title.
fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let tag = lower.find("<title")?;
    let from = tag + lower.get(tag..)?.find('>')? + 1;
    let to = from + lower.get(from..)?.find('<')?;
    page.get(from..to).filter(|title| !title.trim().is_empty())
}

/// Puts what headers tell behind the message's first line.
pub(crate) fn with_headers(
    message: Option<String>,
    challenge: Option<String>,
    location: Option<String>,
) -> Option<String> {
    let message = message.unwrap_or_default();
    let (first, rest) = message.split_once('\n').unwrap_or((&message, ""));
    let first = first.trim_end();
    let challenge = challenge.map(|value| format!("WWW-Authenticate: {value}"));
    let location = location.map(|value| format!("Location: {value}"));
    let mut parts = vec![];
    if !first.is_empty() {
        parts.push(first.to_owned());
    }
    parts.extend(challenge.into_iter().chain(location));
    let mut all = parts.join("; ");
    if !rest.is_empty() {
        all.push('\n');
        all.push_str(rest);
    }
    (!all.is_empty()).then_some(all)
}

/// What a 401 asks for.
pub(crate) fn challenge(answer: &Answer) -> Option<String> {
    answer.header("www-authenticate")
}

/// Where a redirect leads, without its query, which may hold a secret.
pub(crate) fn location(answer: &Answer) -> Option<String> {
    let target = answer.header("location")?;
    let plain = target.split(['?', '#']).next().unwrap_or_default();
    let is_cut = plain.len() < target.len();
    Some(format!("{plain}{}", if is_cut { "?…" } else { "" }))
}

/// Sorts a refusal by its status alone.
pub(crate) fn by_status(refusal: Refusal) -> Error {
    match refusal.status {
        401 => Error::Unauthorized(refusal),
        403 => Error::Forbidden(refusal),
        429 => Error::Throttled(refusal),
        408 | 500..=599 => Error::Unavailable(refusal),
        _ => Error::UnexpectedStatus(refusal),
    }
}

/// A refusal of which only the head is known.
pub(crate) fn bare(answer: &Answer) -> Refusal {
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
    let digits = value.trim();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is as long as can be.
        return Some(digits.parse().unwrap_or(u32::MAX));
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

/// Strikes secrets out of the service's words, then cuts them: the other way round half
/// a secret could stay.
pub(crate) fn strike(refusal: Refusal, secrets: &[String]) -> Refusal {
    let clean = |words: Option<String>| words.map(|words| struck(words, secrets));
    Refusal {
        code: clean(refusal.code),
        message: clean(refusal.message),
        request_id: clean(refusal.request_id),
        ..refusal
    }
}

/// Bytes of a secret that is looked for: a shorter one stands in many words by chance.
const LEAST_SECRET: usize = 4;

/// Words without these secrets, as they are and percent-encoded, and not too many.
fn struck(mut words: String, secrets: &[String]) -> String {
    for secret in secrets.iter().filter(|secret| secret.len() >= LEAST_SECRET) {
        let encoded = crate::url::encode(secret);
        words = words.replace(secret, "***").replace(&encoded, "***");
    }
    words.chars().take(MAX_MESSAGE).collect()
}
