//! Takes the secrets and tokens in use out of what a component says.
//!
//! Its errors go to the log, the ledger and whoever asks how things are, and a service may
//! repeat what it was sent.

use watchbell_sandbox::CallError;
use watchbell_sandbox::contract::Error;
use watchbell_secrets::Redactor;

/// The same error without what is secret.
pub(super) fn error(mut error: Error, redactor: &Redactor) -> Error {
    let redact = |words: &mut String| *words = redactor.text(words);
    match &mut error {
        Error::InvalidConfig(fault) => {
            redact(&mut fault.field);
            redact(&mut fault.message);
        }
        Error::Unauthorized(refusal)
        | Error::Forbidden(refusal)
        | Error::Throttled(refusal)
        | Error::Unavailable(refusal)
        | Error::UnexpectedStatus(refusal) => {
            let texts = [
                &mut refusal.code,
                &mut refusal.message,
                &mut refusal.request_id,
            ];
            texts.into_iter().flatten().for_each(redact);
        }
        Error::Unreachable(failure) | Error::TimedOut(failure) | Error::Denied(failure) => {
            redact(&mut failure.message);
        }
        // The detections that could be read beside what could not stay as they came.
        Error::Malformed(fault) => redact(&mut fault.message),
        Error::TooLarge(_) => {}
        Error::Other(message) => redact(message),
    }
    error
}

/// The same for a call that did not come to its end.
pub(super) fn call(error: CallError, redactor: &Redactor) -> CallError {
    match error {
        CallError::Trap(words) => CallError::Trap(redactor.text(&words)),
        CallError::Contract(words) => CallError::Contract(redactor.text(&words)),
        other => other,
    }
}
