//! Every case of the contract's error, from a real server on loopback through the real
//! component.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

use std::time::Duration;
use tokio::io::AsyncWriteExt;
use watchbell_egress::{Bounds, Egress, HostPattern, Policy, Tls};
use watchbell_sandbox::contract::{Config, Credentials, Error, Malformed, Stage, TooLarge};
use watchbell_sandbox::{CallError, Limit, Limits, Source};
use watchbell_tests::server::{Server, Step};
use watchbell_tests::{
    ENGINE, SOURCE, authenticate, client, config, host, limits, poll, poll_in, session,
};

const NOWHERE: &str = "http://127.0.0.1:1";

fn at(url: &str) -> Config {
    Config {
        credentials: Credentials::Host,
        ..config(url, NOWHERE)
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

async fn poll_answer(status: &str, headers: &str, body: &str) -> Error {
    let server = Server::answering(status, headers, body).await;
    poll(&at(&server.url())).await.expect_err(status)
}

async fn token_answer(status: &str, headers: &str, body: &str) -> Error {
    let server = Server::answering(status, headers, body).await;
    authenticate(&config(NOWHERE, &server.url()))
        .await
        .expect_err(status)
}

#[tokio::test]
async fn a_refused_connection_is_unreachable() {
    let error = poll(&at(NOWHERE)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable(f) if f.stage == Stage::Detections && f.message.contains("refused")),
        "{error:?}"
    );
    let error = authenticate(&config(NOWHERE, NOWHERE)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable(f) if f.stage == Stage::Token),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_unreachable() {
    let config = at("https://no-such-host.invalid");
    let session = session(&["no-such-host.invalid"], &Tls::default());
    let error = poll_in(&config, session).await.unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable(f) if f.message.contains("resolve")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_unreachable() {
    let server = Server::start_with(Vec::new(), |mut stream| async move {
        let plain = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        stream.write_all(plain).await.ok().map(|()| stream)
    })
    .await;
    let config = at(&server.url().replace("http:", "https:"));
    let error = poll(&config).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable(f) if f.message.contains("TLS")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_unreachable_and_one_from_the_ca_file_is_not() {
    let identity = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(
        identity.signing_key.serialize_der(),
    )
    .unwrap();
    let tls = tokio_rustls::rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));
    let steps = vec![Step::Say(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]".to_vec(),
    )];
    let server = Server::start_with(steps, move |stream| {
        let acceptor = acceptor.clone();
        async move { acceptor.accept(stream).await.ok() }
    })
    .await;
    let config = at(&format!("https://localhost:{}", server.port()));
    let error = poll(&config).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable(f) if f.message.contains("certificate")),
        "{error:?}"
    );

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), identity.cert.pem()).unwrap();
    let tls = Tls {
        ca_file: Some(file.path().to_owned()),
        ..Tls::default()
    };
    let alerts = poll_in(&config, session(&[host(&config.endpoint)], &tls))
        .await
        .unwrap()
        .unwrap();
    assert!(alerts.is_empty());
}

#[tokio::test]
async fn slow_headers_and_a_slow_body_are_timed_out() {
    let stall = Step::Wait(Duration::from_secs(60));
    let head = Step::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{}".to_vec());
    for steps in [vec![stall.clone()], vec![head, stall]] {
        let server = Server::start(steps).await;
        let error = poll(&at(&server.url())).await.unwrap_err();
        assert!(
            matches!(&error, Error::TimedOut(f) if f.stage == Stage::Detections),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_body_cut_short_by_the_connection_is_unreachable_and_by_the_service_malformed() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{\"FullId\":\"a\"}".to_vec();
    let server = Server::start(vec![Step::Say(cut)]).await;
    let error = poll(&at(&server.url())).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");

    let error = poll_answer("200 OK", "", "[{\"FullId\":\"a\"},{\"Full").await;
    let Error::Malformed(fault) = error else {
        panic!("{error:?}")
    };
    assert_eq!(fault.stage, Stage::Detections);
    assert!(
        fault.alerts.is_empty() && fault.unreadable.is_empty(),
        "{fault:?}"
    );
}

#[tokio::test]
async fn each_status_has_its_case() {
    type Is = fn(&Error) -> bool;
    let cases: [(&str, Is); 10] = [
        (
            "400 Bad Request",
            |e| matches!(e, Error::UnexpectedStatus(r) if r.status == 400),
        ),
        (
            "401 Unauthorized",
            |e| matches!(e, Error::Unauthorized(r) if r.status == 401),
        ),
        (
            "403 Forbidden",
            |e| matches!(e, Error::Forbidden(r) if r.status == 403),
        ),
        (
            "404 Not Found",
            |e| matches!(e, Error::UnexpectedStatus(r) if r.status == 404),
        ),
        (
            "408 Request Timeout",
            |e| matches!(e, Error::Unavailable(r) if r.status == 408),
        ),
        (
            "429 Too Many Requests",
            |e| matches!(e, Error::Throttled(r) if r.status == 429 && r.retry_after.is_none()),
        ),
        (
            "500 Internal Server Error",
            |e| matches!(e, Error::Unavailable(r) if r.status == 500),
        ),
        (
            "502 Bad Gateway",
            |e| matches!(e, Error::Unavailable(r) if r.status == 502),
        ),
        (
            "503 Service Unavailable",
            |e| matches!(e, Error::Unavailable(r) if r.status == 503),
        ),
        (
            "204 No Content",
            |e| matches!(e, Error::UnexpectedStatus(r) if r.status == 204),
        ),
    ];
    for (status, is) in cases {
        let error = poll_answer(status, "", "").await;
        assert!(is(&error), "{status}: {error:?}");
    }
}

#[tokio::test]
async fn retry_after_is_read_as_seconds_and_as_a_date_counted_from_the_answers_own() {
    let date = "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    for (headers, want) in [
        ("Retry-After: 17\r\n".to_owned(), Some(17)),
        (
            format!("{date}Retry-After: Wed, 21 Oct 2015 07:30:30 GMT\r\n"),
            Some(150),
        ),
        (
            format!("{date}Retry-After: Wed, 21 Oct 2015 07:00:00 GMT\r\n"),
            Some(0),
        ),
        (
            "Retry-After: Wed, 21 Oct 2015 07:30:30 GMT\r\n".to_owned(),
            None,
        ),
        ("Retry-After: soon\r\n".to_owned(), None),
        ("Retry-After: 99999999999999\r\n".to_owned(), Some(u32::MAX)),
    ] {
        for status in ["429 Too Many Requests", "503 Service Unavailable"] {
            let error = poll_answer(status, &headers, "").await;
            let (Error::Throttled(refusal) | Error::Unavailable(refusal)) = &error else {
                panic!("{error:?}")
            };
            assert_eq!(refusal.retry_after, want, "{headers}");
        }
    }
}

#[tokio::test]
async fn a_refusal_carries_the_services_own_code_message_and_request_id() {
    let body = r#"{"error":{"code":"Forbidden","message":"no consent","innerError":{"request-id":"r-1"}}}"#;
    let Error::Forbidden(refusal) = poll_answer("403 Forbidden", "", body).await else {
        panic!()
    };
    assert_eq!(refusal.code.as_deref(), Some("Forbidden"));
    assert_eq!(refusal.message.as_deref(), Some("no consent"));
    assert_eq!(refusal.request_id.as_deref(), Some("r-1"));

    let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: wrong","error_codes":[7000215],"trace_id":"t-1"}"#;
    let Error::Unauthorized(refusal) = token_answer("401 Unauthorized", "", body).await else {
        panic!()
    };
    assert_eq!(refusal.stage, Stage::Token);
    assert_eq!(refusal.code.as_deref(), Some("AADSTS7000215"));
    assert_eq!(refusal.request_id.as_deref(), Some("t-1"));
}

#[tokio::test]
async fn the_login_services_codes_are_sorted_by_what_can_be_done() {
    type Is = fn(&Error) -> bool;
    let unauthorized: Is = |e| matches!(e, Error::Unauthorized(_));
    let unavailable: Is = |e| matches!(e, Error::Unavailable(_));
    let throttled: Is = |e| matches!(e, Error::Throttled(_));
    for (error, code, is) in [
        ("invalid_client", 7000222, unauthorized),
        ("unauthorized_client", 700016, unauthorized),
        ("invalid_request", 90002, unauthorized),
        ("invalid_resource", 500011, unauthorized),
        ("temporarily_unavailable", 1, unavailable),
        ("server_error", 90033, unavailable),
        ("invalid_request", 90055, throttled),
    ] {
        let body =
            format!(r#"{{"error":"{error}","error_description":"x","error_codes":[{code}]}}"#);
        let got = token_answer("400 Bad Request", "", &body).await;
        assert!(is(&got), "{error} {code}: {got:?}");
    }
    let got = token_answer("429 Too Many Requests", "Retry-After: 3\r\n", "").await;
    assert!(
        matches!(&got, Error::Throttled(r) if r.retry_after == Some(3)),
        "{got:?}"
    );
    let got = token_answer("404 Not Found", "", "<html>").await;
    assert!(matches!(got, Error::UnexpectedStatus(_)), "{got:?}");
}

#[tokio::test]
async fn html_instead_of_json_is_malformed_at_its_first_byte() {
    for error in [
        poll_answer("200 OK", "", "<html>sign in</html>").await,
        token_answer("200 OK", "", "<html>").await,
    ] {
        assert!(
            matches!(&error, Error::Malformed(Malformed { offset: 0, alerts, unreadable, .. }) if alerts.is_empty() && unreadable.is_empty()),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_200_that_is_no_detection_is_malformed_with_its_words_and_yields_nothing() {
    for (body, words) in [
        ("{}", "{}"),
        (
            r#"{"error":{"code":"InternalServerError"}}"#,
            "InternalServerError",
        ),
        (
            r#"[{"Message":"An error has occurred."}]"#,
            "An error has occurred.",
        ),
        ("<html><title>Sign in</title>", "Sign in"),
    ] {
        let error = poll_answer("200 OK", "", body).await;
        assert!(
            matches!(&error, Error::Malformed(fault) if fault.alerts.is_empty()
                && fault.unreadable.is_empty() && fault.message.contains(words)),
            "{body}: {error:?}"
        );
    }
    let server = Server::answering("200 OK", "", r#"{"value":[{"FullId":"a"}]}"#).await;
    assert_eq!(poll(&at(&server.url())).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_byte_order_mark_is_no_fault_of_a_token_or_a_refusal() {
    let body = "\u{feff}{\"access_token\":\"t\",\"expires_in\":3599.9}";
    let server = Server::answering("200 OK", "", body).await;
    let token = authenticate(&config(NOWHERE, &server.url())).await.unwrap();
    assert_eq!((token.value.as_str(), token.expires_in), ("t", Some(3599)));
    let body = "\u{feff}{\"Message\":\"denied\"}";
    let error = poll_answer("403 Forbidden", "", body).await;
    assert!(
        matches!(&error, Error::Forbidden(refusal) if refusal.message.as_deref() == Some("denied")),
        "{error:?}"
    );
}

#[tokio::test]
async fn one_unreadable_element_costs_no_other() {
    let body = r#"[{"FullId":"a"},{"FullId":"b","x":"\q"},{"FullId":"c"}]"#;
    let Error::Malformed(fault) = poll_answer("200 OK", "", body).await else {
        panic!()
    };
    let ids: Vec<&str> = fault.alerts.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
    let [range] = fault.unreadable.as_slice() else {
        panic!("{fault:?}")
    };
    assert_eq!(
        &body[place(range.start)..place(range.end)],
        r#"{"FullId":"b","x":"\q"}"#
    );
    assert_eq!(&body[place(fault.offset)..][..2], "\\q");
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = Server::answering("200 OK", "", "[]").await;
    for status in [
        "301 Moved",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let error = poll_answer(status, &format!("Location: {}/\r\n", elsewhere.url()), "").await;
        assert!(
            matches!(&error, Error::UnexpectedStatus(r) if (301..=308).contains(&r.status)),
            "{error:?}"
        );
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_body_over_the_cap_is_too_large_and_reading_stops_there() {
    let cap = 1 << 20;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000)).into_bytes();
    let steps = vec![
        Step::Say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        Step::SayForEver(chunk),
    ];
    let server = Server::start(steps).await;
    let error = poll(&at(&server.url())).await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge(TooLarge { stage: Stage::Detections, limit }) if limit == cap),
        "{error:?}"
    );
    // What the sockets of both sides hold is sent too, but no more: the server is told
    // to stop. Buffers on loopback reach a few MiB.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let sent = server.sent();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.sent(), sent, "still sending");
    assert!(sent < cap + (16 << 20), "{sent}");

    let error = poll_answer("200 OK", "", &" ".repeat(place(cap) + 1)).await;
    assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
}

#[tokio::test]
async fn the_hosts_own_cap_holds_whatever_the_config_says() {
    let server = Server::answering("200 OK", "", &" ".repeat(100_000)).await;
    let mut config = at(&server.url());
    config.limits.max_bytes = u64::MAX;
    let host: HostPattern = host(&config.endpoint).parse().unwrap();
    let policy = Policy::new([host], ["127.0.0.0/8".parse().unwrap()]);
    let bounds = Bounds {
        response_bytes: 50_000,
        ..Bounds::default()
    };
    let session = Egress::new()
        .client(policy, &Tls::default())
        .unwrap()
        .session(bounds);
    let error = poll_in(&config, session).await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::TooLarge(TooLarge { limit: 50_000, .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_denied_and_not_sent() {
    let server = Server::answering("200 OK", "", "[]").await;
    let config = at(&server.url());
    let here: HostPattern = host(&config.endpoint).parse().unwrap();
    let elsewhere: HostPattern = "127.0.0.1:2".parse().unwrap();
    let loopback = "127.0.0.0/8".parse().unwrap();
    for policy in [
        Policy::new([], [loopback]),
        Policy::new([elsewhere], [loopback]),
        Policy::new([here], []),
    ] {
        let error = poll_in(&config, client(policy, &Tls::default()))
            .await
            .unwrap()
            .unwrap_err();
        assert!(
            matches!(&error, Error::Denied(f) if f.stage == Stage::Detections),
            "{error:?}"
        );
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_not_http_and_a_token_answer_without_token_are_other() {
    let server = Server::start(vec![Step::Say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec())]).await;
    let error = poll(&at(&server.url())).await.unwrap_err();
    assert!(
        matches!(&error, Error::Other(message) if message.contains("not HTTP")),
        "{error:?}"
    );
    let error = token_answer("200 OK", "", r#"{"token_type":"Bearer"}"#).await;
    assert!(
        matches!(&error, Error::Other(message) if message.contains("access_token")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_call_that_waits_too_long_meets_its_wall_limit() {
    let server = Server::start(vec![Step::Wait(Duration::from_secs(60))]).await;
    let config = at(&server.url());
    let limits = Limits {
        wall: Duration::from_millis(200),
        ..limits()
    };
    let session = session(&[host(&config.endpoint)], &Tls::default());
    let error = SOURCE.authenticate(&config, session.clone(), &limits).await;
    // authenticate goes to the authority, which is not allowed: that is the contract's.
    assert!(matches!(error, Ok(Err(_))), "{error:?}");
    let config = Config {
        credentials: watchbell_sandbox::contract::Credentials::Host,
        ..config
    };
    let error = SOURCE
        .poll(&config, session, None, &limits)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Limit {
                limit: Limit::Wall,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_answer_too_large_for_the_guests_memory_meets_the_memory_limit() {
    let body = format!(
        "[{}{{\"FullId\":\"c\"}}]",
        r#"{"FullId":"b"},"#.repeat(60_000)
    );
    let server = Server::answering("200 OK", "", &body).await;
    let config = Config {
        credentials: watchbell_sandbox::contract::Credentials::Host,
        ..at(&server.url())
    };
    let limits = Limits {
        memory_bytes: 4 << 20,
        ..limits()
    };
    let session = session(&[host(&config.endpoint)], &Tls::default());
    let error = SOURCE
        .poll(&config, session, None, &limits)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Limit {
                limit: Limit::Memory,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_component_that_imports_more_than_its_world_is_refused_by_name() {
    let wat = r#"(component (import "wasi:filesystem/preopens@0.2.0" (instance)))"#;
    let error = Source::load(&ENGINE, &wat::parse_str(wat).unwrap())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("wasi:filesystem/preopens@0.2.0"), "{error}");
}
