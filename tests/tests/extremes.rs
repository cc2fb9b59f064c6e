//! Numbers and dates that somebody else wrote, at and beyond the ends of every type, through
//! the real component: each comes to an answer or to an error of the contract. A component
//! that was stopped (`CallError`, which a panic inside it becomes) fails the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

use proptest::prelude::*;
use std::sync::LazyLock;
use tokio::runtime::Runtime;
use watchbell_sandbox::contract::Error;
use watchbell_tests::server::{Server, Step};
use watchbell_tests::{authenticate, config, poll};

const NOWHERE: &str = "http://127.0.0.1:1";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A number as text: near the ends of the integers that a reader might choose, or with far
/// more digits, a sign, a fraction, an exponent; or no number at all.
fn number() -> impl Strategy<Value = String> {
    let ends = [0, 1, 15, 16, 31, 32, 53, 62, 63, 64, 96, 127];
    let near = (prop::sample::select(ends.to_vec()), -2_i128..=2)
        .prop_map(|(power, off)| ((1_i128 << power.min(126)) + off).to_string());
    let odd = [
        "", "-", "-0", "-1", "1e400", "1e-400", "-1e400", "1.5", "0x10", "NaN", "1_0", " 7 ", "٣",
        "null",
    ];
    prop_oneof![
        near,
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "[0-9]{1,60}",
        prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
    ]
}

/// A date of HTTP, of any year that it can name, or nearly one.
fn date() -> impl Strategy<Value = String> {
    let date =
        (0_u32..10_000, 0_u32..40, 0_u32..30, 0_u32..70).prop_map(|(year, day, hour, second)| {
            format!("Fri, {day:02} Jan {year:04} {hour:02}:00:{second:02} GMT")
        });
    let odd = [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Friday, 31-Dec-99 23:59:59 GMT",
        "Fri, 29 Feb 2027 00:00:00 GMT",
        "yesterday",
    ];
    prop_oneof![
        date,
        prop::sample::select(odd.to_vec()).prop_map(str::to_owned)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_token_answers_numbers_are_read_or_left_out(
        expires_in in number(),
        expires_on in number(),
        is_text in any::<bool>(),
    ) {
        let written = |text: &str| if is_text || serde_json::from_str::<serde_json::Value>(text).is_err() {
            serde_json::to_string(text).unwrap()
        } else {
            text.to_owned()
        };
        let body = format!(
            r#"{{"access_token":"t","expires_in":{},"expires_on":{}}}"#,
            written(&expires_in), written(&expires_on),
        );
        let token = RUNTIME.block_on(async {
            let server = Server::answering("200 OK", "", &body).await;
            authenticate(&config(NOWHERE, &server.url())).await
        });
        // What fits is kept as it was.
        if let Ok(seconds) = expires_in.parse::<u64>() {
            prop_assert_eq!(token.unwrap().expires_in, Some(seconds), "{}", body);
        } else {
            // JSON's own reader refuses what no double holds.
            let is_known = matches!(token, Ok(_) | Err(Error::Malformed(_)));
            prop_assert!(is_known, "{body}: {token:?}");
        }
    }

    #[test]
    fn a_refusals_retry_after_is_read_or_left_out(
        retry_after in prop_oneof![number(), date()],
        date in prop_oneof![number(), date()],
    ) {
        let headers = format!("Retry-After: {retry_after}\r\nDate: {date}\r\n");
        // An HTTP header is no place for these.
        prop_assume!(headers.is_ascii());
        let error = RUNTIME.block_on(async {
            let server = Server::answering("429 Too Many Requests", &headers, "").await;
            poll(&config(&server.url(), NOWHERE)).await.unwrap_err()
        });
        let Error::Throttled(refusal) = error else {
            return Err(TestCaseError::fail(format!("{headers}: {error:?}")));
        };
        let digits = retry_after.trim();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds = digits.parse().unwrap_or(u32::MAX);
            prop_assert_eq!(refusal.retry_after, Some(seconds));
        }
    }

    #[test]
    fn an_answers_length_is_kept_to_or_told(length in number()) {
        let body = "[]";
        prop_assume!(length.is_ascii());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let answer = RUNTIME.block_on(async {
            let server = Server::start(vec![Step::Say(head.into_bytes())]).await;
            poll(&config(&server.url(), NOWHERE)).await
        });
        let is_right = length.trim().parse::<usize>() == Ok(body.len());
        match answer {
            Ok(alerts) => prop_assert!(alerts.is_empty() && is_right, "{length}"),
            Err(error) => {
                prop_assert!(!is_right, "{error:?}");
                let is_known = match &error {
                    Error::Malformed(_) | Error::TooLarge(_) | Error::Unreachable(_) | Error::TimedOut(_) => true,
                    Error::Other(words) => words.contains("is not HTTP"),
                    _ => false,
                };
                prop_assert!(is_known, "{length}: {error:?}");
            }
        }
    }
}
