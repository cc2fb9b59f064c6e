//! The detections endpoint: each parameter, as documented.

mod support;

use support::{NOON, alerts, at_noon, expected, get, ids, send, start, token, token_of};
use watchbell_simulator::{Bounds, Bursts, Client, Clock, Config, Filter, Late, TENANT_ID};

const SINCE: &str = "2026-05-01T10:00:00Z";

#[tokio::test]
async fn without_parameters_it_answers_the_last_two_hours_in_order() {
    let running = start(at_noon()).await;
    let got = alerts(&running, "").await;
    let want = expected(&running, SINCE, NOON);
    assert!(want.len() > 1000);
    let text = format!(
        "[{}]",
        want.iter()
            .map(|one| one.json.as_str())
            .collect::<Vec<_>>()
            .join(",")
    );
    assert_eq!(got.text(), text);
    assert!(got.whole);
    assert!(want.is_sorted_by_key(|one| one.last_processed));
}

#[tokio::test]
async fn bounds_are_inclusive_unless_told_otherwise() {
    for (bounds, missing) in [
        (Bounds::default(), 0),
        (
            Bounds {
                exclusive: true,
                ..Bounds::default()
            },
            2,
        ),
    ] {
        let running = start(Config {
            bounds,
            bursts: Bursts { every: 0, size: 0 },
            ..at_noon()
        })
        .await;
        let all = expected(&running, SINCE, NOON);
        let text = |n: usize| {
            serde_json::from_str::<serde_json::Value>(&all[n].json).unwrap()["LastProcessedTimeUtc"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let got = alerts(
            &running,
            &format!("sinceTimeUtc={}&untilTimeUtc={}", text(10), text(20)),
        )
        .await;
        assert_eq!(got.ids().len(), 11 - missing);
    }
}

#[tokio::test]
async fn an_ignored_upper_bound_and_bounds_cut_to_milliseconds_give_more() {
    let query = "sinceTimeUtc=2026-05-01T11:00:00.0009Z&untilTimeUtc=2026-05-01T11:30:00Z";
    let plain = alerts(&start(at_noon()).await, query).await.ids();
    let running = start(Config {
        bounds: Bounds {
            ignore_until: true,
            ..Bounds::default()
        },
        ..at_noon()
    })
    .await;
    assert_eq!(
        alerts(&running, query).await.ids(),
        ids(&expected(&running, "2026-05-01T11:00:00.0009Z", NOON))
    );
    assert!(plain.len() < alerts(&running, query).await.ids().len());
    // At 100,000 a minute there are some in the fraction of a millisecond that is cut.
    let dense = Config {
        rate: 100_000.0,
        start: Some(SINCE.parse().unwrap()),
        ..at_noon()
    };
    let query = "sinceTimeUtc=2026-05-01T11:00:00.0009999Z&untilTimeUtc=2026-05-01T11:00:00.1Z";
    let exact = alerts(&start(dense.clone()).await, query).await.ids();
    let running = start(Config {
        bounds: Bounds {
            cut_to_millis: true,
            ..Bounds::default()
        },
        ..dense
    })
    .await;
    let cut = alerts(&running, query).await.ids();
    assert!(cut.ends_with(&exact) && cut.len() > exact.len());
}

#[tokio::test]
async fn ago_counts_back_from_the_services_now() {
    let running = start(at_noon()).await;
    assert_eq!(
        alerts(&running, "ago=PT10M").await.ids(),
        ids(&expected(&running, "2026-05-01T11:50:00Z", NOON))
    );
    running.set_clock(Clock::Frozen("2026-05-01T06:00:00Z".parse().unwrap()));
    let want = expected(&running, "2026-05-01T05:50:00Z", "2026-05-01T06:00:00Z");
    assert_eq!(alerts(&running, "ago=PT10M").await.ids(), ids(&want));
}

#[tokio::test]
async fn limit_is_the_most_recent_that_many_still_in_order() {
    let running = start(Config {
        late: Late {
            rate: 0.3,
            ..Late::default()
        },
        ..at_noon()
    })
    .await;
    let all = ids(&expected(&running, SINCE, NOON));
    for limit in [1, 7, all.len(), all.len() + 5] {
        let want = &all[all.len().saturating_sub(limit)..];
        assert_eq!(
            alerts(&running, &format!("limit={limit}")).await.ids(),
            want
        );
    }
}

#[tokio::test]
async fn machine_groups_and_tags_narrow_it() {
    let running = start(at_noon()).await;
    let all = expected(&running, SINCE, NOON);
    let member = |json: &str, name: &str| {
        serde_json::from_str::<serde_json::Value>(json).unwrap()[name]
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    for (query, filter) in [
        (
            "machinegroups=UKMachines",
            Filter {
                machine_groups: vec!["UKMachines".into()],
                ..Filter::default()
            },
        ),
        (
            "machinegroups=FranceMachines&machinegroups=%C3%9Cberwachung%20%E6%9D%B1%E4%BA%AC",
            Filter {
                machine_groups: vec!["FranceMachines".into(), "Überwachung 東京".into()],
                ..Filter::default()
            },
        ),
        (
            "DeviceCreatedMachineTags=Kiosk",
            Filter {
                device_tag: Some("Kiosk".into()),
                ..Filter::default()
            },
        ),
        (
            "CloudCreatedMachineTags=VIP&limit=5",
            Filter {
                cloud_tag: Some("VIP".into()),
                ..Filter::default()
            },
        ),
        (
            "machinegroups=Nobody",
            Filter {
                machine_groups: vec!["Nobody".into()],
                ..Filter::default()
            },
        ),
    ] {
        let catalog = running.catalog(TENANT_ID);
        let mut want: Vec<_> = all
            .iter()
            .filter(|one| catalog.admits(&filter, one.index))
            .cloned()
            .collect();
        for one in want
            .iter()
            .filter(|one| one.json.contains("CloudCreatedMachineTags"))
        {
            assert!(
                filter.machine_groups.is_empty()
                    || filter
                        .machine_groups
                        .contains(&member(&one.json, "MachineGroup"))
            );
            let tags = member(&one.json, "CloudCreatedMachineTags");
            assert!(
                filter.cloud_tag.is_none() || tags.split(';').any(|tag| tag == "VIP"),
                "{tags}"
            );
        }
        if query.contains("limit") {
            want = want.split_off(want.len() - 5);
        }
        assert_eq!(want.is_empty(), query.contains("Nobody"));
        assert_eq!(alerts(&running, query).await.ids(), ids(&want), "{query}");
    }
}

#[tokio::test]
async fn late_arrivals_show_up_later_than_their_time_says() {
    let running = start(Config {
        late: Late {
            rate: 0.5,
            ..Late::default()
        },
        ..at_noon()
    })
    .await;
    let window = "sinceTimeUtc=2026-05-01T11:50:00&untilTimeUtc=2026-05-01T12:00:00";
    let early = alerts(&running, window).await.ids();
    running.set_clock(Clock::Frozen("2026-05-01T12:05:00Z".parse().unwrap()));
    let later = alerts(&running, window).await.ids();
    assert!(early.len() < later.len());
    assert!(early.iter().all(|id| later.contains(id)));
    assert_eq!(
        later,
        ids(&expected(&running, "2026-05-01T11:50:00Z", NOON))
    );
}

#[tokio::test]
async fn malformed_parameters_are_refused_with_a_body() {
    let running = start(at_noon()).await;
    for query in [
        "sinceTimeUtc=yesterday",
        "untilTimeUtc=",
        "ago=10M",
        "limit=many",
        "limit=0",
        "ago=PT1M&sinceTimeUtc=2026-05-01T00:00:00Z",
    ] {
        let got = alerts(&running, query).await;
        assert_eq!(got.status, 400, "{query}");
        assert_eq!(got.json()["error"]["code"], "BadRequest");
        assert_eq!(
            got.json()["error"]["target"].as_str(),
            got.header("x-ms-request-id")
        );
    }
}

#[tokio::test]
async fn the_path_is_read_without_case_and_other_methods_are_refused() {
    let running = start(at_noon()).await;
    let token = token(&running).await;
    for path in ["/api/alerts", "/api/Alerts/", "/API/ALERTS?limit=1"] {
        assert_eq!(get(&running, &token, path).await.unwrap().status, 200);
    }
    let got = support::post(&running, "/api/alerts", "text/plain", "")
        .await
        .unwrap();
    assert_eq!((got.status, got.header("allow")), (405, Some("GET")));
    assert_eq!(
        get(&running, &token, "/api/machines").await.unwrap().status,
        404
    );
}

#[tokio::test]
async fn no_token_a_foreign_token_and_no_role_are_refused() {
    let none = Client {
        id: "quiet".into(),
        secret: "s".into(),
        roles: vec![],
    };
    let running = start(Config {
        clients: vec![Client::default(), none],
        ..at_noon()
    })
    .await;
    let without = send(
        &running,
        "GET /api/alerts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await
    .unwrap();
    let token = token(&running).await;
    let forged = get(&running, &format!("{token}x"), "/api/alerts")
        .await
        .unwrap();
    for got in [without, forged] {
        assert_eq!(got.status, 401);
        assert!(
            got.header("www-authenticate")
                .unwrap()
                .starts_with("Bearer authorization_uri=")
        );
        assert_eq!(got.json()["error"]["code"], "Unauthorized");
    }
    let got = support::ask_token(
        &running,
        TENANT_ID,
        &[("client_id", "quiet"), ("client_secret", "s")],
    )
    .await
    .unwrap();
    let token = got.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        get(&running, &token, "/api/alerts").await.unwrap().status,
        403
    );
}

#[tokio::test]
async fn tenants_see_their_own_when_told_to_differ() {
    let other = "contoso.example";
    for differ in [false, true] {
        let running = start(Config {
            tenants_differ: differ,
            ..at_noon()
        })
        .await;
        let (a, b) = (
            token_of(&running, TENANT_ID).await,
            token_of(&running, other).await,
        );
        let a = get(&running, &a, "/api/alerts").await.unwrap().ids();
        let b = get(&running, &b, "/api/alerts").await.unwrap().ids();
        assert_eq!(a.iter().any(|id| b.contains(id)), !differ);
        let catalog = running.catalog(other);
        assert_eq!(
            b[0],
            catalog
                .detection(
                    catalog
                        .range(SINCE.parse().unwrap(), NOON.parse().unwrap())
                        .start
                )
                .full_id
        );
    }
}

#[tokio::test]
async fn what_was_served_is_recorded_when_asked() {
    let running = start(Config {
        record: true,
        ..at_noon()
    })
    .await;
    alerts(&running, "ago=PT10M&limit=9").await;
    alerts(&running, "ago=PT1M").await;
    let want: Vec<u64> = expected(&running, "2026-05-01T11:59:00Z", NOON)
        .iter()
        .map(|one| one.index)
        .collect();
    let served = running.served();
    assert!(want.iter().all(|index| served.contains(index)));
    assert_eq!(served.len(), want.len().max(9));
    assert_eq!(running.stats().detections, want.len() as u64 + 9);
    assert_eq!(running.exchanges().last().unwrap().query, "ago=PT1M");
}
