//! The token endpoint: what it gives and how it refuses.

mod support;

use std::time::Duration;

use support::{ask_token, at_noon, get, post, send, start, token};
use watchbell_simulator::{Clock, Config, TENANT_ID, TokenAnswer};

#[tokio::test]
async fn numbers_are_strings_and_the_token_tells_its_roles() {
    let running = start(at_noon()).await;
    let reply = ask_token(&running, TENANT_ID, &[]).await.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("date"), Some("Fri, 01 May 2026 12:00:00 GMT"));
    let answer = reply.json();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], "3599");
    let expires_on: i64 = answer["expires_on"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires_on, running.now().timestamp() + 3599);
    let parts: Vec<&str> = answer["access_token"]
        .as_str()
        .unwrap()
        .split('.')
        .collect();
    assert_eq!(parts.len(), 3);
    assert!(parts[0].starts_with("eyJ"));
}

#[tokio::test]
async fn the_other_ways_of_writing_the_answer_can_be_had() {
    let how = TokenAnswer {
        numbers_as_strings: false,
        expires_in: true,
        expires_on: false,
    };
    let running = start(Config {
        token_answer: how,
        token_lifetime_secs: 60,
        ..at_noon()
    })
    .await;
    let answer = ask_token(&running, TENANT_ID, &[]).await.unwrap().json();
    assert_eq!(answer["expires_in"], 60);
    assert!(answer.get("expires_on").is_none());
}

#[tokio::test]
async fn each_mistake_is_refused_with_the_documented_code() {
    let tenants = Some(vec![TENANT_ID.to_owned()]);
    let running = start(Config {
        tenants,
        ..at_noon()
    })
    .await;
    for (tenant, fields, status, error, code) in [
        (
            TENANT_ID,
            ("client_secret", "wrong"),
            401,
            "invalid_client",
            7_000_215,
        ),
        (
            TENANT_ID,
            ("client_secret", ""),
            401,
            "invalid_client",
            7_000_218,
        ),
        (
            TENANT_ID,
            ("client_assertion", "eyJ"),
            401,
            "invalid_client",
            700_027,
        ),
        (
            TENANT_ID,
            ("client_id", "nobody"),
            400,
            "unauthorized_client",
            700_016,
        ),
        (
            TENANT_ID,
            ("client_id", ""),
            400,
            "invalid_request",
            900_144,
        ),
        (
            TENANT_ID,
            ("grant_type", "password"),
            400,
            "unsupported_grant_type",
            70003,
        ),
        (
            TENANT_ID,
            ("grant_type", ""),
            400,
            "invalid_request",
            900_144,
        ),
        (TENANT_ID, ("resource", ""), 400, "invalid_request", 900_144),
        (
            TENANT_ID,
            ("resource", "https://example.com"),
            400,
            "invalid_resource",
            500_011,
        ),
        ("other.example", ("x", "y"), 400, "invalid_request", 90002),
        ("11111111-2222", ("x", "y"), 400, "invalid_request", 900_023),
    ] {
        let reply = ask_token(&running, tenant, &[fields]).await.unwrap();
        let body = reply.json();
        assert_eq!(
            (reply.status, &body["error"], &body["error_codes"][0]),
            (status, &error.into(), &code.into()),
            "{fields:?}"
        );
        let description = body["error_description"].as_str().unwrap();
        assert!(
            description.starts_with(&format!("AADSTS{code}: "))
                && description.contains("Trace ID: ")
        );
        assert_eq!(body["timestamp"], "2026-05-01 12:00:00Z");
    }
    assert_eq!(running.stats().tokens_issued, 0);
}

#[tokio::test]
async fn a_body_without_length_or_form_type_is_refused() {
    let running = start(at_noon()).await;
    let path = format!("/{TENANT_ID}/oauth2/token");
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    assert_eq!(send(&running, &chunked).await.unwrap().status, 411);
    let reply = post(
        &running,
        &path,
        "application/json",
        "grant_type=client_credentials",
    )
    .await
    .unwrap();
    assert_eq!(
        (reply.status, &reply.json()["error_codes"][0]),
        (400, &900_144.into())
    );
    let reply = send(
        &running,
        &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
    .await
    .unwrap();
    assert_eq!(
        (reply.status, &reply.json()["error_codes"][0]),
        (400, &900_561.into())
    );
}

#[tokio::test]
async fn a_token_ends_when_it_says_and_survives_a_restart() {
    let config = Config {
        token_lifetime_secs: 60,
        ..at_noon()
    };
    let running = start(config.clone()).await;
    let token = token(&running).await;
    assert_eq!(
        get(&running, &token, "/api/alerts?limit=1")
            .await
            .unwrap()
            .status,
        200
    );
    let addr = running.addr();
    running.stop().await;
    let running = start(Config {
        listen: addr,
        ..config
    })
    .await;
    assert_eq!(
        get(&running, &token, "/api/alerts?limit=1")
            .await
            .unwrap()
            .status,
        200
    );
    running.set_clock(Clock::Frozen("2026-05-01T12:01:00Z".parse().unwrap()));
    let reply = get(&running, &token, "/api/alerts?limit=1").await.unwrap();
    assert_eq!(reply.status, 401);
    assert!(
        reply
            .header("www-authenticate")
            .unwrap()
            .contains("error=\"invalid_token\"")
    );
}

#[tokio::test]
async fn a_running_clock_runs_and_can_be_off() {
    let clock = Clock::Offset(chrono::TimeDelta::hours(-5));
    let running = start(Config {
        clock,
        token_lifetime_secs: 1,
        ..Config::default()
    })
    .await;
    let behind = Clock::default().now() - running.now();
    assert!((behind - chrono::TimeDelta::hours(5)).num_seconds().abs() < 60);
    let token = token(&running).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(
        get(&running, &token, "/api/alerts?limit=1")
            .await
            .unwrap()
            .status,
        401
    );
}

#[tokio::test]
async fn stopping_closes_the_listener() {
    let running = start(at_noon()).await;
    let addr = running.addr();
    running.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}
