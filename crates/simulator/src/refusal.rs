//! Refusals as the two services write them.

use chrono::DateTime;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::body::{Answer, Source, answer};
use crate::fault::{RetryAfter, Stage};
use crate::random::hash;
use crate::text;

/// The type of everything that is not HTML.
pub(crate) const JSON: &str = "application/json; charset=utf-8";

/// A number for each answer, as both services give one.
pub(crate) fn request_id(seed: u64, number: u64) -> String {
    let (a, b) = (hash(seed, 40, number), hash(seed, 41, number));
    let (low, high) = (a & 0xFFFF, b & 0xFFFF_FFFF_FFFF);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{high:012x}",
        a >> 32,
        low,
        b >> 52,
        (a >> 16) & 0xFFF
    )
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    answer(status, JSON, Source::whole(value.to_string()))
}

/// The login service's refusal: `error`, and the description behind its code.
pub(crate) struct LoginRefusal {
    pub(crate) status: StatusCode,
    pub(crate) error: &'static str,
    pub(crate) code: u32,
    pub(crate) message: String,
}

impl LoginRefusal {
    pub(crate) fn answer(&self, id: &str, now: i64) -> Answer {
        let at = text::instant(now).format("%Y-%m-%d %H:%M:%SZ").to_string();
        let Self {
            error,
            code,
            message,
            ..
        } = self;
        let description = format!(
            "AADSTS{code}: {message}\r\nTrace ID: {id}\r\nCorrelation ID: {id}\r\nTimestamp: {at}"
        );
        let body = serde_json::json!({
            "error": error, "error_description": description, "error_codes": [code],
            "timestamp": at, "trace_id": id, "correlation_id": id,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        json(self.status, &body)
    }
}

/// The detections endpoint's refusal.
pub(crate) fn api(status: StatusCode, code: &str, message: &str, id: &str) -> Answer {
    json(
        status,
        &serde_json::json!({ "error": { "code": code, "message": message, "target": id } }),
    )
}

/// The refusal that a fault asks for.
pub(crate) fn fault(stage: Stage, status: u16, id: &str, now: i64) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = status.canonical_reason().unwrap_or("Error");
    if matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
    ) {
        let page = format!(
            "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n<hr><center>Microsoft-Azure-Application-Gateway/v2</center>\r\n</body>\r\n</html>\r\n"
        );
        return answer(status, "text/html", Source::whole(page));
    }
    if stage == Stage::Detections {
        let code: String = reason.split(' ').collect();
        return api(status, &code, &format!("{reason} (on request)."), id);
    }
    let (error, code, message) = match status.as_u16() {
        401 => (
            "invalid_client",
            7_000_215,
            "Invalid client secret provided.",
        ),
        403 => (
            "access_denied",
            53003,
            "Access has been blocked by Conditional Access policies.",
        ),
        429 => (
            "temporarily_unavailable",
            90055,
            "The server terminated an operation because it encountered a client request rate that is too high.",
        ),
        500.. => (
            "temporarily_unavailable",
            90033,
            "A transient error has occurred. Please try again.",
        ),
        _ => ("invalid_request", 900_144, "The request is malformed."),
    };
    LoginRefusal {
        status,
        error,
        code,
        message: message.to_owned(),
    }
    .answer(id, now)
}

/// The Retry-After header in the form asked for.
pub(crate) fn retry_after(headers: &mut HeaderMap, after: RetryAfter, now: i64) {
    let value = match after {
        RetryAfter::Seconds(seconds) => HeaderValue::from(seconds),
        RetryAfter::Date(seconds) => http_date(
            now.saturating_add(
                i64::try_from(seconds)
                    .unwrap_or(0)
                    .saturating_mul(text::SECOND),
            ),
        ),
    };
    headers.insert(header::RETRY_AFTER, value);
}

/// An instant as HTTP writes it.
pub(crate) fn http_date(ticks: i64) -> HeaderValue {
    let at: DateTime<chrono::Utc> = text::instant(ticks);
    let text = at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
