//! Each fault does what it says, once asked, and nothing when not.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::time::Duration;

use support::{alerts, ask_token, at_noon, get, post, send, start, token};
use watchbell_simulator::{Config, Running, TENANT_ID};

async fn with(fault: &str) -> Running {
    start(Config {
        faults: vec![fault.parse().unwrap()],
        ..at_noon()
    })
    .await
}

#[tokio::test]
async fn every_status_comes_with_a_body_and_then_is_over() {
    for status in [400, 401, 403, 404, 408, 429, 500, 502, 503, 504] {
        let running = with(&format!("detections:{status}:times=1")).await;
        let got = alerts(&running, "").await;
        assert_eq!(got.status, status);
        assert!(!got.body.is_empty() && got.whole);
        assert_eq!(got.header("retry-after"), None);
        assert_eq!(alerts(&running, "").await.status, 200);
        let running = with(&format!("token:{status}:times=1")).await;
        assert_eq!(
            ask_token(&running, TENANT_ID, &[]).await.unwrap().status,
            status
        );
        assert_eq!(
            ask_token(&running, TENANT_ID, &[]).await.unwrap().status,
            200
        );
    }
}

#[tokio::test]
async fn retry_after_comes_as_seconds_or_as_a_date() {
    let got = alerts(&with("detections:429:retry-after=5").await, "").await;
    assert_eq!((got.status, got.header("retry-after")), (429, Some("5")));
    let got = alerts(&with("detections:503:retry-after-date=90").await, "").await;
    assert_eq!(
        got.header("retry-after"),
        Some("Fri, 01 May 2026 12:01:30 GMT")
    );
}

#[tokio::test]
async fn delays_come_before_the_headers_and_stalls_inside_the_body() {
    let got = alerts(&with("detections:delay:ms=300").await, "limit=3").await;
    assert!(got.first_byte_after >= Duration::from_millis(300));
    assert_eq!(got.ids().len(), 3);
    let got = alerts(&with("detections:stall:ms=300:at=100").await, "limit=3").await;
    assert!(got.took - got.first_byte_after >= Duration::from_millis(250));
    assert_eq!(got.ids().len(), 3);
}

#[tokio::test]
async fn truncation_breaks_http_and_cutting_short_only_json() {
    for query in ["limit=3", ""] {
        let whole = alerts(&start(at_noon()).await, query).await;
        for (fault, breaks) in [
            ("detections:truncate", true),
            ("detections:truncate:framing=length", true),
            ("detections:truncate:at=100000000", true),
            ("detections:cut-short", false),
            ("detections:cut-short:at=100", false),
        ] {
            let got = alerts(&with(fault).await, query).await;
            assert_eq!(got.status, 200);
            assert_eq!(got.whole, !breaks, "{fault} {query}");
            assert!(
                whole.body.starts_with(&got.body) && got.body.len() < whole.body.len(),
                "{fault} {query}"
            );
            assert_eq!(
                got.header("content-length").is_some(),
                fault.ends_with("length"),
                "{fault} {query}"
            );
        }
        let got = alerts(&with("detections:cut-short:at=100").await, query).await;
        assert_eq!(got.body.len(), 100);
    }
    let got = ask_token(&with("token:cut-short").await, TENANT_ID, &[])
        .await
        .unwrap();
    assert!(got.whole && serde_json::from_slice::<serde_json::Value>(&got.body).is_err());
}

#[tokio::test]
async fn what_is_not_json_is_served_as_asked() {
    let got = alerts(&with("detections:garbage").await, "").await;
    assert_eq!(got.status, 200);
    assert!(
        got.header("content-type")
            .unwrap()
            .starts_with("application/json")
    );
    assert!(serde_json::from_slice::<serde_json::Value>(&got.body).is_err());
    let got = alerts(&with("detections:sign-in-page").await, "").await;
    assert!(got.status == 200 && got.header("content-type").unwrap().starts_with("text/html"));
    assert!(got.text().starts_with("<!DOCTYPE html>"));
    let got = alerts(
        &with("detections:redirect:to=http://127.0.0.1:1/x").await,
        "",
    )
    .await;
    assert_eq!(
        (got.status, got.header("location")),
        (302, Some("http://127.0.0.1:1/x"))
    );
}

#[tokio::test]
async fn one_bad_element_spoils_only_itself_and_stays_the_same_one() {
    let plain = start(at_noon()).await;
    let whole = alerts(&plain, "limit=5").await.text();
    let fifth = plain
        .catalog(TENANT_ID)
        .range("2026-04-01T00:00:00Z".parse().unwrap(), plain.now())
        .end
        - 1;
    for (fault, place, after) in [
        ("detections:bad-element".to_owned(), 0, 2),
        (format!("detections:bad-element:index={fifth}"), 4, 2),
        ("detections:bad-element:end=lost".to_owned(), 0, 0),
    ] {
        let running = with(&fault).await;
        let got = alerts(&running, "limit=5").await.text();
        assert_eq!(got, alerts(&running, "limit=5").await.text());
        let differs: Vec<usize> = (0..got.len())
            .filter(|at| got.as_bytes()[*at] != whole.as_bytes()[*at])
            .collect();
        assert_eq!(differs.len(), 1);
        let objects: Vec<usize> = whole
            .match_indices("{\"AlertTime\"")
            .map(|(at, _)| at)
            .collect();
        assert_eq!(differs[0], objects[place] + "{\"AlertTime\"".len() + after);
    }
}

#[tokio::test]
async fn an_endless_body_goes_on_until_its_end_if_it_has_one() {
    let got = alerts(&with("detections:endless:bytes=1000000").await, "").await;
    assert_eq!(
        (got.body.len(), got.json()),
        (1_000_000, serde_json::json!([]))
    );
    let running = with("detections:endless").await;
    let token = token(&running).await;
    let reading = get(&running, &token, "/api/alerts");
    assert!(
        tokio::time::timeout(Duration::from_millis(300), reading)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn dropping_gives_no_answer_at_all() {
    let running = with("token:drop:times=1").await;
    assert!(ask_token(&running, TENANT_ID, &[]).await.is_none());
    assert_eq!(running.exchanges()[0].status, 0);
    assert_eq!(
        ask_token(&running, TENANT_ID, &[]).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn expiring_voids_the_tokens_so_far_and_no_later_one() {
    let running = start(at_noon()).await;
    let old = token(&running).await;
    running.add_fault("detections:expire-tokens:times=1".parse().unwrap());
    assert_eq!(
        get(&running, &old, "/api/alerts").await.unwrap().status,
        401
    );
    assert_eq!(
        get(&running, &old, "/api/alerts").await.unwrap().status,
        401
    );
    let new = token(&running).await;
    assert_eq!(
        get(&running, &new, "/api/alerts").await.unwrap().status,
        200
    );
    running.expire_tokens();
    assert_eq!(
        get(&running, &new, "/api/alerts").await.unwrap().status,
        401
    );
}

#[tokio::test]
async fn skip_times_tenant_over_and_touching_choose_the_requests() {
    let running = with("detections:500:skip=2:times=2").await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(alerts(&running, "limit=1").await.status);
    }
    assert_eq!(seen, [200, 200, 500, 500, 200, 200]);

    let running = with(&format!("detections:429:tenant={}", "contoso.example")).await;
    assert_eq!(alerts(&running, "").await.status, 200);
    let other = support::token_of(&running, "contoso.example").await;
    assert_eq!(
        get(&running, &other, "/api/alerts").await.unwrap().status,
        429
    );

    let running = with("detections:504:over=10").await;
    assert_eq!(alerts(&running, "limit=10").await.status, 200);
    assert_eq!(alerts(&running, "limit=11").await.status, 504);

    let plain = start(at_noon()).await;
    let poison = plain
        .catalog(TENANT_ID)
        .range("2026-05-01T11:00:00Z".parse().unwrap(), plain.now())
        .start;
    let running = with(&format!("detections:garbage:touching={poison}")).await;
    assert_eq!(
        alerts(&running, "ago=PT59M").await.ids().len(),
        alerts(&plain, "ago=PT59M").await.ids().len()
    );
    assert!(
        serde_json::from_slice::<serde_json::Value>(&alerts(&running, "ago=PT1H").await.body)
            .is_err()
    );
}

#[tokio::test]
async fn a_rate_strikes_about_that_share() {
    let running = with("detections:500:rate=0.3").await;
    let token = token(&running).await;
    let mut struck = 0;
    for _ in 0..200 {
        struck += u32::from(
            get(&running, &token, "/api/alerts?limit=1")
                .await
                .unwrap()
                .status
                == 500,
        );
    }
    assert!((30..90).contains(&struck), "{struck} of 200");
}

#[tokio::test]
async fn the_control_endpoint_adds_lists_and_removes_faults() {
    let running = start(at_noon()).await;
    let added = post(
        &running,
        "/_control/faults",
        "application/json",
        r#"["detections:429:times=3", "token:503"]"#,
    )
    .await
    .unwrap();
    assert_eq!(added.status, 200);
    assert_eq!(
        ask_token(&running, TENANT_ID, &[]).await.unwrap().status,
        503
    );
    let listed = send(
        &running,
        "GET /_control/faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await
    .unwrap()
    .json();
    assert_eq!(
        listed,
        serde_json::json!([{"fault": "detections:429:times=3", "struck": 0}, {"fault": "token:503", "struck": 1}])
    );
    send(
        &running,
        "DELETE /_control/faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await
    .unwrap();
    assert_eq!(
        ask_token(&running, TENANT_ID, &[]).await.unwrap().status,
        200
    );
    let stats = send(
        &running,
        "GET /_control/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await
    .unwrap()
    .json();
    assert_eq!(
        (
            &stats["token_requests"],
            &stats["tokens_issued"],
            &stats["faults"]
        ),
        (&2.into(), &1.into(), &1.into())
    );
    let bad = post(
        &running,
        "/_control/faults",
        "application/json",
        r#"["detections:429:often"]"#,
    )
    .await
    .unwrap();
    assert_eq!(bad.status, 400);
    assert!(bad.text().contains("often"));
    post(
        &running,
        "/_control/clock",
        "application/json",
        r#"{"frozen_at":"2026-05-01T06:00:00Z"}"#,
    )
    .await
    .unwrap();
    assert_eq!(running.now().to_rfc3339(), "2026-05-01T06:00:00+00:00");
}
