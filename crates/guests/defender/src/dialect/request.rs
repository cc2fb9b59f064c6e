//! One GET to the endpoint, whatever it speaks, and the refusal that may answer it.

use crate::bindings::exports::watchbell::detections::source::{Config, Error, Refusal, Stage};
use crate::checks::{check_common, invalid};
use crate::http::{self, Answer};
use crate::refusal::{self, Said};
use crate::url::Base;

/// One GET for detections: it can only be made by checking, and holds exactly what goes on
/// the wire.
#[derive(Debug)]
pub(crate) struct Request {
    base: Base,
    /// Path and query.
    target: String,
    /// The bearer token; none when the host adds it.
    token: Option<String>,
    /// Most bytes of body.
    max_bytes: u64,
}

impl Request {
    /// Checks what every dialect reads of the config, and asks for `target`, which is
    /// given the path of the endpoint.
    pub(crate) fn new(
        config: &Config,
        token: Option<String>,
        target: impl FnOnce(&str) -> Result<String, Error>,
    ) -> Result<Self, Error> {
        check_common(config)?;
        let base = Base::check("endpoint", &config.endpoint)?;
        if let Some(token) = &token {
            check_token(token)?;
        }
        Ok(Self {
            target: target(&base.path)?,
            base,
            token,
            max_bytes: config.limits.max_bytes,
        })
    }

    /// Sends it and waits for the head of a good answer.
    pub(crate) fn send(&self) -> Result<Answer, Error> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![("accept", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let answer = http::send(&http::Request {
            stage: Stage::Detections,
            body: None,
            base: &self.base,
            target: &self.target,
            headers: &headers,
        })?;
        if answer.status == 200 {
            Ok(answer)
        } else {
            Err(refused(&answer, self.secrets()))
        }
    }

    /// What the service's words must not repeat.
    pub(crate) fn secrets(&self) -> &[String] {
        self.token.as_slice()
    }

    /// Most bytes of body that the caller takes.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }
}

/// A bearer token goes into a header: RFC 6750's alphabet and no other byte.
fn check_token(token: &str) -> Result<(), Error> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.is_empty() || !token.bytes().all(allowed) {
        return Err(invalid(
            "credentials.access-token",
            "must be one token of letters, digits and -._~+/= (without \"Bearer\")",
        ));
    }
    Ok(())
}

/// Sorts a refusal of an API. Its bodies are not documented: the shapes that Microsoft's
/// APIs share are tried.
fn refused(answer: &Answer, secrets: &[String]) -> Error {
    let said = Said::read(answer);
    let refusal = Refusal {
        code: said.code,
        message: refusal::with_headers(
            said.message,
            refusal::challenge(answer),
            refusal::location(answer),
        ),
        request_id: said
            .request_id
            .or_else(|| answer.header("request-id"))
            .or_else(|| answer.header("x-ms-request-id")),
        ..refusal::bare(answer)
    };
    refusal::by_status(refusal::strike(refusal, secrets))
}
