//! What an answer means for the batch that was sent.

use crate::sinks::{Acknowledged, DeliveryError};
use crate::telemetry::printable;
use http::header::{DATE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Collected};
use std::time::{Duration, SystemTime};
use watchbell_egress::Body;
use watchbell_secrets::Redactor;

/// Characters of an answer that are shown.
const SHOWN: usize = 300;

/// The other side refused a request, or could not take it now.
#[derive(Debug, thiserror::Error)]
#[error("answered {status}{words}")]
pub(super) struct AnswerError {
    status: StatusCode,
    words: String,
}

/// An answer.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// The beginning of its body, fit for a log.
    text: String,
}

impl Answer {
    /// Reads the body, as far as it is worth it: a connection whose answer was read whole is
    /// used again.
    pub(super) async fn read(answer: Response<Body>, redactor: &Redactor) -> Self {
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.map(Collected::to_bytes);
        let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        let text: String = redactor.text(&text).chars().take(SHOWN).collect();
        Self {
            status: head.status,
            headers: head.headers,
            text: printable(text.trim()),
        }
    }

    /// Whether the secret may be why.
    pub(super) fn refuses_secret(&self) -> bool {
        matches!(
            self.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        )
    }

    /// What it means for what was sent.
    pub(super) fn outcome(self) -> Result<Acknowledged, DeliveryError> {
        match self.status {
            status if status.is_success() => Ok(Acknowledged::default()),
            // Of these and no others it is said that the same request will never be taken.
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(DeliveryError::Refused(self.error().to_string()))
            }
            _ => Err(self.retry()),
        }
    }

    /// What it means for the sink's health: whoever answers a method that it does not take is
    /// there, unless this is the address that was named for it.
    pub(super) fn check_health(self, must_succeed: bool) -> Result<(), DeliveryError> {
        let is_wrong = self.refuses_secret()
            || self.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            || self.status.is_server_error()
            || self.status.is_redirection();
        if self.status.is_success() || !(must_succeed || is_wrong) {
            return Ok(());
        }
        // Many who take a POST know no HEAD.
        if self.status == StatusCode::NOT_IMPLEMENTED && !must_succeed {
            return Ok(());
        }
        Err(self.retry())
    }

    fn retry(self) -> DeliveryError {
        DeliveryError::Retry {
            after: retry_after(&self.headers),
            source: Box::new(self.error()),
        }
    }

    fn error(&self) -> AnswerError {
        let location = self
            .headers
            .get(LOCATION)
            .filter(|_| self.status.is_redirection());
        let words = match location {
            Some(location) => {
                let location = printable(&String::from_utf8_lossy(location.as_bytes()));
                format!(": it leads to {location}, which is not followed; write that as uri")
            }
            None if self.text.is_empty() => String::new(),
            None => format!(": {}", self.text),
        };
        AnswerError {
            status: self.status,
            words,
        }
    }
}

/// Seconds, or a date, which counts from the answer's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let after = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(after).ok()?;
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    then.duration_since(now.unwrap_or_else(SystemTime::now))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(http::HeaderName, &str)]) -> Answer {
        let headers = headers.iter();
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .map(|(name, value)| (name.clone(), value.parse().unwrap()))
                .collect(),
            text: "why".to_owned(),
        }
    }

    #[test]
    fn only_what_is_said_to_be_for_good_is_refused() {
        for status in [200, 201, 202, 204] {
            assert!(answer(status, &[]).outcome().is_ok(), "{status}");
        }
        for status in [400, 413, 422] {
            let outcome = answer(status, &[]).outcome();
            assert!(
                matches!(outcome, Err(DeliveryError::Refused(_))),
                "{status}"
            );
        }
        for status in [301, 401, 403, 404, 405, 408, 409, 415, 429, 500, 503] {
            let outcome = answer(status, &[]).outcome();
            assert!(
                matches!(outcome, Err(DeliveryError::Retry { .. })),
                "{status}"
            );
        }
    }

    #[test]
    fn how_long_to_wait_is_seconds_or_a_date_after_the_answers_own() {
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        let later = (RETRY_AFTER, "Sun, 06 Nov 1994 08:50:37 GMT");
        for (headers, want) in [
            (vec![(RETRY_AFTER, "7")], Some(7)),
            (vec![date.clone(), later.clone()], Some(60)),
            (vec![(RETRY_AFTER, "-1")], None),
            (vec![(RETRY_AFTER, "soon")], None),
            (vec![], None),
        ] {
            let Err(DeliveryError::Retry { after, .. }) = answer(503, &headers).outcome() else {
                panic!("503 is not final");
            };
            assert_eq!(after, want.map(Duration::from_secs));
        }
    }

    #[test]
    fn a_redirect_names_where_it_leads() {
        let error = answer(308, &[(LOCATION, "https://a.example/")]).outcome();
        let words = error.unwrap_err().to_string();
        assert!(words.contains("https://a.example/"), "{words}");
    }
}
