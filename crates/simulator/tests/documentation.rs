//! `docs/guides/simulator.md` tells the truth: its commands work, and it leaves nothing out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod support;

use std::collections::BTreeSet;

use support::{alerts, at_noon, post, send, start};
use watchbell_simulator::{Effect, Fault, Running};

const PAGE: &str = include_str!("../../../docs/guides/simulator.md");

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = PAGE.split(fence.as_str()).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// A `curl` command of the page: method, path and body.
#[derive(Debug)]
struct Curl {
    method: String,
    path: String,
    body: Option<String>,
}

fn curls() -> Vec<Curl> {
    let lines = blocks("sh").into_iter().flat_map(str::lines);
    lines
        .filter_map(|line| line.strip_prefix("curl "))
        .map(|rest| {
            let (mut rest, mut method, mut body) = (rest, "GET".to_owned(), None);
            if let Some(after) = rest.strip_prefix("-X ") {
                let (named, after) = after.split_once(' ').unwrap();
                (method, rest) = (named.to_owned(), after);
            }
            if let Some(after) = rest.strip_prefix("-d '") {
                let (data, after) = after.split_once("' ").unwrap();
                (method, body, rest) = ("POST".to_owned(), Some(data.to_owned()), after);
            }
            let path = rest.strip_prefix("http://127.0.0.1:8460").unwrap();
            Curl {
                method,
                path: path.to_owned(),
                body,
            }
        })
        .collect()
}

async fn ask(running: &Running, curl: &Curl) -> support::Reply {
    let Curl { method, path, body } = curl;
    let reply = match body {
        // What curl -d calls it.
        Some(body) => post(running, path, "application/x-www-form-urlencoded", body).await,
        None => {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            send(running, &head).await
        }
    };
    reply.unwrap()
}

/// The first cell of each row of the table whose heading begins with `heading`.
fn first_cells(heading: &str) -> Vec<&'static str> {
    let (_, after) = PAGE.split_once(&format!("| {heading} |")).unwrap();
    let rows = after.lines().skip(2).take_while(|row| row.starts_with('|'));
    rows.map(|row| row.split('|').nth(1).unwrap().trim())
        .collect()
}

#[tokio::test]
async fn every_request_of_the_page_works() {
    let running = start(at_noon()).await;
    let curls = curls();
    assert!(curls.len() >= 8, "{curls:?}");
    for curl in &curls {
        let reply = ask(&running, curl).await;
        assert_eq!(reply.status, 200, "{curl:?}: {}", reply.text());
        reply.json();
    }
    let shown: BTreeSet<String> = curls
        .iter()
        .map(|curl| format!("`{} {}`", curl.method, curl.path))
        .collect();
    let rows: BTreeSet<String> = first_cells("request")
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(shown, rows, "each row of the table has a command");
}

#[tokio::test]
async fn what_the_page_says_of_a_fault_and_of_its_removal_holds() {
    let running = start(at_noon()).await;
    let curls = curls();
    let curl = |method: &str| {
        let wanted = |one: &&Curl| one.method == method && one.path == "/_control/faults";
        curls.iter().find(wanted).unwrap()
    };
    ask(&running, curl("POST")).await;
    for _ in 0..3 {
        let reply = alerts(&running, "limit=1").await;
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (429, Some("5"))
        );
    }
    ask(&running, curl("DELETE")).await;
    assert_eq!(alerts(&running, "limit=1").await.status, 200);
    let wrong = Curl {
        method: "PUT".into(),
        path: "/_control/faults".into(),
        body: None,
    };
    let refused = ask(&running, &wrong).await;
    assert_eq!(refused.status, 405);
    assert!(
        refused.json()["error"]
            .as_str()
            .unwrap()
            .contains("GET, POST, DELETE")
    );
}

#[tokio::test]
async fn the_page_names_every_count_and_every_member_of_a_request() {
    let running = start(at_noon()).await;
    alerts(&running, "").await;
    let stats = serde_json::to_value(running.stats()).unwrap();
    let exchange = serde_json::to_value(&running.exchanges()[0]).unwrap();
    for name in [stats, exchange]
        .iter()
        .flat_map(|object| object.as_object().unwrap().keys())
    {
        assert!(PAGE.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_effect_has_a_row_and_every_example_is_a_fault() {
    let rows: Vec<String> = first_cells("`EFFECT`")
        .into_iter()
        .map(|cell| cell.replace('`', ""))
        .collect();
    assert_eq!(rows, Effect::NAMES);
    let examples: Vec<&str> = blocks("text").into_iter().flat_map(str::lines).collect();
    assert!(examples.len() > 5);
    for line in examples.iter().filter(|line| !line.starts_with("STAGE")) {
        line.parse::<Fault>()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn every_key_that_the_page_names_is_taken() {
    let sample = |key: &str| match key {
        "rate=FRACTION" => "rate=0.5".to_owned(),
        "tenant=ID" => "tenant=contoso.com".to_owned(),
        "to=URL" => "to=http://127.0.0.1/x".to_owned(),
        fixed if fixed.starts_with("framing=") || fixed == "end=lost" => fixed.to_owned(),
        number => format!("{}=1", number.split('=').next().unwrap()),
    };
    let keys = |cell: &'static str| {
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.filter(|text| text.contains('=')).collect::<Vec<_>>()
    };
    let (_, after) = PAGE.split_once("| `EFFECT` |").unwrap();
    let mut seen = 0;
    for row in after.lines().skip(2).take_while(|row| row.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').collect();
        let effect = cells[1].trim().split('`').nth(1).unwrap();
        let needed = match cells[3].contains("`ms=N`") {
            true => ":ms=1",
            false => "",
        };
        for key in keys(cells[3]).into_iter().filter(|key| *key != "ms=N") {
            let line = format!("detections:{effect}{needed}:{}", sample(key));
            assert!(line.parse::<Fault>().is_ok(), "{line}");
            seen += 1;
        }
    }
    for cell in first_cells("key") {
        for key in keys(cell) {
            let line = format!("detections:drop:{}", sample(key));
            assert!(line.parse::<Fault>().is_ok(), "{line}");
            seen += 1;
        }
    }
    assert!(seen >= 15, "{seen}");
}
