//! What the source sends, what it refuses to send, and what it never says.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;
use watchbell_egress::Tls;
use watchbell_sandbox::contract::{
    Api, AuthorizationCode, ClientAssertion, Config, Credentials, Error, RefreshToken,
};
use watchbell_tests::server::{Server, Step};
use watchbell_tests::{
    SECRET, SOURCE, TOKEN, authenticate, config, host, limits, poll, poll_in, session,
};

fn at(url: &str) -> Config {
    config(url, url)
}

async fn sent(change: impl FnOnce(&mut Config)) -> String {
    let server = Server::answering("200 OK", "", "[]").await;
    let mut config = at(&server.url());
    change(&mut config);
    poll(&config).await.unwrap();
    server.requests().remove(0)
}

fn first_line(request: &str) -> &str {
    request.lines().next().unwrap()
}

#[tokio::test]
async fn every_parameter_is_sent_percent_encoded_and_groups_are_repeated() {
    let request = sent(|config| {
        let query = &mut config.query;
        query.since = Some("2026-01-31T12:00:00.123456789+02:00".to_owned());
        query.until = Some("2026-01-31 13:00:00".to_owned());
        query.limit = Some(7);
        query.machine_groups = vec!["UK Machines".to_owned(), "a&b=c+d".to_owned()];
        query.device_created_machine_tags = Some("tag#1".to_owned());
        query.cloud_created_machine_tags = Some("ümlaut;two".to_owned());
    })
    .await;
    let want = "GET /api/alerts?sinceTimeUtc=2026-01-31T10%3A00%3A00.1234567Z\
        &untilTimeUtc=2026-01-31T13%3A00%3A00.0000000Z&limit=7\
        &machinegroups=UK%20Machines&machinegroups=a%26b%3Dc%2Bd\
        &DeviceCreatedMachineTags=tag%231&CloudCreatedMachineTags=%C3%BCmlaut%3Btwo HTTP/1.1";
    assert_eq!(first_line(&request), want);
    let request = sent(|config| config.query.ago = Some("PT10M".to_owned())).await;
    assert_eq!(first_line(&request), "GET /api/alerts?ago=PT10M HTTP/1.1");
    let request = sent(|_| {}).await;
    assert_eq!(first_line(&request), "GET /api/alerts HTTP/1.1");
}

#[tokio::test]
async fn the_host_adds_the_token_to_the_poll_and_to_nothing_else() {
    let request = sent(|_| {}).await;
    assert!(
        request
            .to_lowercase()
            .contains(&format!("authorization: bearer {}", TOKEN.to_lowercase())),
        "{request}"
    );

    let server = Server::answering("200 OK", "", "[]").await;
    let mut elsewhere = at(&server.url());
    elsewhere.credentials = Credentials::Host;
    let session = session(&[host(&elsewhere.endpoint)], &Tls::default());
    let other = format!("{}/other", server.url()).parse().unwrap();
    let authorization = watchbell_sandbox::Authorization::bearer(other, TOKEN);
    SOURCE
        .poll(&elsewhere, session, Some(authorization), &limits())
        .await
        .unwrap()
        .unwrap();
    assert!(
        !server.requests()[0]
            .to_lowercase()
            .contains("authorization")
    );
}

#[tokio::test]
async fn a_guest_that_sets_authorization_itself_is_refused() {
    let server = Server::answering("200 OK", "", "[]").await;
    let mut config = at(&server.url());
    config.credentials = Credentials::AccessToken(TOKEN.to_owned());
    let error = poll_in(&config, session(&[host(&config.endpoint)], &Tls::default()))
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, Error::Other(message) if message.contains("authorization")),
        "{error:?}"
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_token_request_is_the_documented_form_with_a_content_length() {
    let server = Server::answering(
        "200 OK",
        "",
        r#"{"access_token":"t","expires_in":"3599","expires_on":"1488720683"}"#,
    )
    .await;
    let token = authenticate(&at(&server.url())).await.unwrap();
    assert_eq!(
        (token.value.as_str(), token.expires_in, token.expires_on),
        ("t", Some(3599), Some(1_488_720_683_000_000_000))
    );
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(
        head.starts_with(&format!(
            "post /{}/oauth2/token http/1.1",
            watchbell_simulator::TENANT_ID
        )),
        "{head}"
    );
    assert!(
        head.contains(&format!("\r\ncontent-length: {}", body.len())),
        "{head}"
    );
    assert!(
        head.contains("content-type: application/x-www-form-urlencoded"),
        "{head}"
    );
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert_eq!(
        body,
        "grant_type=client_credentials&client_id=00000000-0000-0000-0000-0000000000aa\
         &client_secret=MARKED%2Bsecret%2Fwith%3Dodd%26characters%2541~&resource=https%3A%2F%2Fgraph.windows.net"
    );
}

#[tokio::test]
async fn token_answers_with_integers_with_one_time_and_with_none_are_read() {
    for (answer, want) in [
        (
            r#"{"access_token":"t","expires_in":3599}"#,
            (Some(3599), None),
        ),
        (
            r#"{"access_token":"t","expires_on":"10"}"#,
            (None, Some(10_000_000_000)),
        ),
        (r#"{"access_token":"t"}"#, (None, None)),
        (
            r#"{"access_token":"t","expires_in":"soon","expires_on":null}"#,
            (None, None),
        ),
    ] {
        let server = Server::answering("200 OK", "", answer).await;
        let token = authenticate(&at(&server.url())).await.unwrap();
        assert_eq!((token.expires_in, token.expires_on), want, "{answer}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_its_field_before_anything_is_sent() {
    type Change = fn(&mut Config);
    let server = Server::answering("200 OK", "", "[]").await;
    let cases: [(&str, Change); 25] = [
        ("endpoint", |c| c.endpoint = "http://example.com".to_owned()),
        ("endpoint", |c| {
            c.endpoint = "https://user:pw@example.com".to_owned();
        }),
        ("endpoint", |c| {
            c.endpoint = "https://example.com?x=1".to_owned();
        }),
        ("endpoint", |c| {
            c.endpoint = "https://example.com#x".to_owned();
        }),
        ("endpoint", |c| {
            c.endpoint = "https://example.com:0".to_owned();
        }),
        ("endpoint", |c| c.endpoint = "example.com".to_owned()),
        ("endpoint", |c| c.endpoint = "ftp://example.com".to_owned()),
        ("endpoint", |c| c.endpoint = String::new()),
        ("endpoint", |c| c.endpoint = "https://a b".to_owned()),
        ("api", |c| c.api = Api::Graph),
        ("query.since", |c| {
            c.query.since = Some("yesterday".to_owned());
        }),
        ("query.since", |c| {
            c.query.since = Some("2026-02-30T00:00:00Z".to_owned());
        }),
        ("query.until", |c| {
            c.query.until = Some("2026-13-01T00:00:00Z".to_owned());
        }),
        ("query.until", |c| {
            c.query.since = Some("2026-01-02T00:00:00Z".to_owned());
            c.query.until = Some("2026-01-01T00:00:00Z".to_owned());
        }),
        ("query.ago", |c| c.query.ago = Some("10 minutes".to_owned())),
        ("query.ago", |c| c.query.ago = Some("-PT10M".to_owned())),
        ("query.ago", |c| {
            c.query.ago = Some("PT10M&limit=1".to_owned());
        }),
        ("query.ago", |c| {
            c.query.ago = Some("PT10M".to_owned());
            c.query.since = Some("2026-01-02T00:00:00Z".to_owned());
        }),
        ("query.limit", |c| c.query.limit = Some(0)),
        ("query.machine-groups", |c| {
            c.query.machine_groups = vec![String::new()];
        }),
        ("query.device-created-machine-tags", |c| {
            c.query.device_created_machine_tags = Some("a\r\nb".to_owned());
        }),
        ("query.cloud-created-machine-tags", |c| {
            c.query.cloud_created_machine_tags = Some(String::new());
        }),
        ("limits.max-bytes", |c| c.limits.max_bytes = 0),
        ("limits.max-pages", |c| c.limits.max_pages = 0),
        ("credentials.access-token", |c| {
            c.credentials = Credentials::AccessToken("a\r\nX-Evil: 1".to_owned());
        }),
    ];
    for (field, change) in cases {
        let mut config = at(&server.url());
        config.credentials = Credentials::Host;
        change(&mut config);
        let session = session(&[host(&server.url())], &Tls::default());
        let error = SOURCE
            .poll(&config, session, None, &limits())
            .await
            .unwrap()
            .unwrap_err();
        assert!(
            matches!(&error, Error::InvalidConfig(fault) if fault.field == field),
            "{field}: {error:?}"
        );
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn credentials_are_checked_before_anything_is_sent() {
    type Change = fn(&mut Config);
    let server = Server::answering("200 OK", "", "{}").await;
    let with = |config: &mut Config, change: fn(&mut watchbell_sandbox::contract::ClientSecret)| {
        if let Credentials::ClientSecret(known) = &mut config.credentials {
            change(known);
        }
    };
    let text = || "x".to_owned();
    let later: [Credentials; 2] = [
        Credentials::ClientAssertion(ClientAssertion {
            tenant_id: text(),
            client_id: text(),
            assertion: text(),
        }),
        Credentials::AuthorizationCode(AuthorizationCode {
            tenant_id: text(),
            client_id: text(),
            secret: None,
            code: text(),
            redirect_uri: text(),
            code_verifier: None,
        }),
    ];
    let nothing_to_ask = [Credentials::Host, Credentials::AccessToken(text())];
    for credentials in later.into_iter().chain(nothing_to_ask) {
        let config = Config {
            credentials,
            ..at(&server.url())
        };
        let error = authenticate(&config).await.unwrap_err();
        assert!(
            matches!(&error, Error::InvalidConfig(fault) if fault.field == "credentials"),
            "{error:?}"
        );
    }
    let cases: [(&str, Change); 2] = [
        ("authority", |c| {
            c.authority = "http://login.example.com".to_owned();
        }),
        ("api", |c| c.api = Api::Graph),
    ];
    for (field, change) in cases {
        let mut config = at(&server.url());
        change(&mut config);
        let session = session(&[host(&server.url())], &Tls::default());
        let error = SOURCE
            .authenticate(&config, session, &limits())
            .await
            .unwrap()
            .unwrap_err();
        assert!(
            matches!(&error, Error::InvalidConfig(fault) if fault.field == field),
            "{error:?}"
        );
    }
    for (field, change) in [
        (
            "credentials.tenant-id",
            (|k| k.tenant_id = "../x".to_owned())
                as fn(&mut watchbell_sandbox::contract::ClientSecret),
        ),
        ("credentials.tenant-id", |k| k.tenant_id = String::new()),
        ("credentials.client-id", |k| k.client_id = String::new()),
        ("credentials.secret", |k| k.secret = "a\nb".to_owned()),
    ] {
        let mut config = at(&server.url());
        with(&mut config, change);
        let error = authenticate(&config).await.unwrap_err();
        assert!(
            matches!(&error, Error::InvalidConfig(fault) if fault.field == field),
            "{error:?}"
        );
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn neither_secret_nor_token_comes_back_in_any_error() {
    let encoded = "MARKED%2Bsecret%2Fwith%3Dodd%26characters%2541~";
    let words = format!("{SECRET} {encoded} {TOKEN}");
    let bodies = [
        format!(
            r#"{{"error":"{SECRET}","error_description":"{words}","trace_id":"{words}","error_codes":[1]}}"#
        ),
        format!(
            r#"{{"error":{{"code":"{words}","message":"{words}","innerError":{{"request-id":"{words}"}}}}}}"#
        ),
        format!("{words} is not JSON"),
        format!(r#"{{"access_token":"","{words}":1}}"#),
        format!(r#"{{"access_token":{{"{words}":1}}}}"#),
    ];
    for body in &bodies {
        for status in [
            "200 OK",
            "400 Bad Request",
            "401 Unauthorized",
            "403 Forbidden",
            "429 Slow Down",
            "500 Oops",
            "302 Found",
        ] {
            let server = Server::answering(status, "", body).await;
            let config = at(&server.url());
            let mut said = String::new();
            if let Err(error) = authenticate(&config).await {
                said.push_str(&format!("{error:?}"));
            }
            assert!(
                !said.contains("MARKED+secret") && !said.contains(encoded),
                "{status} {body}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn a_slow_login_service_is_timed_out_at_the_token_stage() {
    let server = Server::start(vec![Step::Wait(Duration::from_secs(60))]).await;
    let error = authenticate(&at(&server.url())).await.unwrap_err();
    assert!(
        matches!(&error, Error::TimedOut(f) if f.stage == watchbell_sandbox::contract::Stage::Token),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refresh_token_is_renewed_with_and_without_a_secret_and_the_new_one_comes_back() {
    let body = r#"{"access_token":"a","expires_in":"3599","refresh_token":"MARKED second"}"#;
    let server = Server::answering("200 OK", "", body).await;
    for secret in [None, Some("s&cret".to_owned())] {
        let config = Config {
            credentials: Credentials::RefreshToken(RefreshToken {
                tenant_id: "contoso.com".to_owned(),
                client_id: "app".to_owned(),
                secret: secret.clone(),
                refresh_token: "MARKED first+/=".to_owned(),
            }),
            ..at(&server.url())
        };
        let token = authenticate(&config).await.unwrap();
        assert_eq!(token.refresh_token.as_deref(), Some("MARKED second"));
        let sent = server.requests().pop().unwrap();
        assert!(sent.contains("grant_type=refresh_token&"), "{sent}");
        assert!(
            sent.contains("&refresh_token=MARKED%20first%2B%2F%3D"),
            "{sent}"
        );
        assert_eq!(
            sent.contains("&client_secret=s%26cret"),
            secret.is_some(),
            "{sent}"
        );
    }
}

#[tokio::test]
async fn a_refresh_token_that_the_service_repeats_is_struck_out() {
    let body = r#"{"error":"invalid_grant","error_description":"AADSTS70000: MARKED+first and MARKED%2Bfirst","error_codes":[70000]}"#;
    let server = Server::answering("400 Bad Request", "", body).await;
    let config = Config {
        credentials: Credentials::RefreshToken(RefreshToken {
            tenant_id: "contoso.com".to_owned(),
            client_id: "app".to_owned(),
            secret: None,
            refresh_token: "MARKED+first".to_owned(),
        }),
        ..at(&server.url())
    };
    let error = authenticate(&config).await.unwrap_err();
    let text = format!("{error:?}");
    assert!(matches!(error, Error::Unauthorized(_)), "{text}");
    assert!(
        text.contains("*** and ***") && !text.contains("MARKED"),
        "{text}"
    );
}
