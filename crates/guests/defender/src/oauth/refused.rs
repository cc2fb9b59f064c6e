//! What the login service says when it says no.

use crate::bindings::exports::watchbell::detections::source::{Error, Refusal};
use crate::http::Answer;
use crate::refusal::{self, Said};

/// Codes of the login service that pass by themselves (login service, error codes).
const TRANSIENT: [u64; 5] = [90006, 90012, 90024, 90033, 90090];

/// The login service's own code for "asked too often".
const THROTTLED: u64 = 90055;

/// Sorts a refusal of the login service. Acts on `error` and `error_codes`, never on
/// the description's text.
pub(super) fn refused(answer: &Answer, secrets: &[String]) -> Error {
    let said = Said::read(answer);
    let code = said
        .numbers
        .first()
        .map(|number| format!("AADSTS{number}"))
        .or_else(|| said.code.clone());
    // The login service repeats in that header what its body says.
    let challenge = refusal::challenge(answer).filter(|_| said.message.is_none());
    let refusal = Refusal {
        code,
        message: refusal::with_headers(said.message, challenge, refusal::location(answer)),
        request_id: said.request_id,
        ..refusal::bare(answer)
    };
    let refusal = refusal::strike(refusal, secrets);
    let (name, numbers) = (said.code, said.numbers);
    let transient = name.as_deref() == Some("temporarily_unavailable")
        || numbers.iter().any(|number| TRANSIENT.contains(number));
    match answer.status {
        _ if numbers.contains(&THROTTLED) => Error::Throttled(refusal),
        _ if transient => Error::Unavailable(refusal),
        400 if name.is_some() => Error::Unauthorized(refusal),
        _ => refusal::by_status(refusal),
    }
}
