//! Takes secrets out of what a component says that was told them.
//!
//! Its errors go to the log, the ledger and whoever asks how things stand. A login service
//! may repeat what it was sent, and a hostile component says what it likes; what it encodes
//! by a way of its own cannot be known here.

use crate::secret::Secret;
use watchbell_sandbox::CallError;
use watchbell_sandbox::contract::Error;

/// What stands in the place of a secret.
const STARS: &str = "***";

/// The same error without `secrets`.
pub(super) fn error(mut error: Error, secrets: &[&Secret]) -> Error {
    let hide = |words: &mut String| *words = text(words, secrets);
    match &mut error {
        Error::InvalidConfig(fault) => {
            hide(&mut fault.field);
            hide(&mut fault.message);
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
            texts.into_iter().flatten().for_each(hide);
        }
        Error::Unreachable(failure) | Error::TimedOut(failure) | Error::Denied(failure) => {
            hide(&mut failure.message);
        }
        Error::Malformed(fault) => {
            hide(&mut fault.message);
            // A token's answer holds none.
            fault.alerts.clear();
        }
        Error::TooLarge(_) => {}
        Error::Other(message) => hide(message),
    }
    error
}

/// The same for a call that did not come to its end.
pub(super) fn call(error: CallError, secrets: &[&Secret]) -> CallError {
    match error {
        CallError::Trap(words) => CallError::Trap(text(&words, secrets)),
        CallError::Contract(words) => CallError::Contract(text(&words, secrets)),
        other => other,
    }
}

/// Whether a text shows one of them.
pub(super) fn shows(words: &str, secrets: &[&Secret]) -> bool {
    text(words, secrets) != words
}

/// As it is, or as a form or URL has it, in capitals or not.
pub(super) fn text(words: &str, secrets: &[&Secret]) -> String {
    let mut text = words.to_owned();
    for secret in secrets {
        let secret = secret.expose();
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for spelt in [secret, &form] {
            text = without(&text, spelt);
        }
    }
    text
}

fn without(text: &str, secret: &str) -> String {
    // Lower case in ASCII keeps every byte where it is.
    let (lower, secret) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    if secret.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, found) in lower.match_indices(&secret) {
        out.push_str(text.get(done..at).unwrap_or_default());
        out.push_str(STARS);
        done = at + found.len();
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_in_each_spelling_and_the_rest_stays() {
        let secret = Secret::new("aB~9/+x".to_owned());
        let shown = [&secret];
        for (said, want) in [
            ("a aB~9/+x b", "a *** b"),
            ("grüße ab~9/+X, AB%7E9%2F%2Bx", "grüße ***, ***"),
            ("secret=aB%7e9%2f%2bx&", "secret=***&"),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(text(said, &shown), want);
        }
        assert!(shows("https://AB~9/+X.example", &shown) && !shows("aB~9", &shown));
    }
}
