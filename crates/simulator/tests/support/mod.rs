//! A client that shows everything: status, headers, bytes, and whether the
//! connection kept its word.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, of which each file uses its own part"
)]

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watchbell_simulator::{
    CLIENT_ID, CLIENT_SECRET, Clock, Config, Detection, Late, Running, Simulator, TENANT_ID,
};

/// What came back on one connection, which is then closed.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// The connection ended where HTTP says that the body ends.
    pub whole: bool,
    pub first_byte_after: Duration,
    pub took: Duration,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The FullIds of an answer, in order.
    pub fn ids(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text());
        let all = self.json();
        all.as_array()
            .unwrap()
            .iter()
            .map(|one| one["FullId"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Sends bytes and reads until the connection ends; `None` when no answer came.
pub async fn send(running: &Running, request: &str) -> Option<Reply> {
    let begun = std::time::Instant::now();
    let mut stream = TcpStream::connect(running.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let mut first_byte_after = None;
    loop {
        let mut part = vec![0; 1 << 16];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                first_byte_after.get_or_insert_with(|| begun.elapsed());
                all.extend_from_slice(&part[..length]);
            }
        }
    }
    let end = all.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let rest = &all[end + 4..];
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut reply = Reply {
        status,
        head,
        body: Vec::new(),
        whole: false,
        first_byte_after: first_byte_after?,
        took: begun.elapsed(),
    };
    if reply.header("transfer-encoding") == Some("chunked") {
        (reply.body, reply.whole) = unchunk(rest);
    } else {
        let length: usize = reply
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        (reply.body, reply.whole) = (rest.to_vec(), rest.len() == length);
    }
    Some(reply)
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if length == 0 {
            return (body, true);
        }
        let have = length.min(rest.len());
        body.extend_from_slice(&rest[..have]);
        rest = rest.get(length + 2..).unwrap_or(&[]);
    }
    (body, false)
}

pub async fn get(running: &Running, token: &str, path: &str) -> Option<Reply> {
    send(running, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n")).await
}

/// Detections for a query.
pub async fn alerts(running: &Running, query: &str) -> Reply {
    let token = token(running).await;
    get(running, &token, &format!("/api/alerts?{query}"))
        .await
        .unwrap()
}

pub async fn post(running: &Running, path: &str, content_type: &str, body: &str) -> Option<Reply> {
    let length = body.len();
    send(running, &format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}")).await
}

/// Asks for a token with these fields on top of the right ones; an empty value
/// takes a field away.
pub async fn ask_token(running: &Running, tenant: &str, fields: &[(&str, &str)]) -> Option<Reply> {
    let mut all = vec![
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("resource", "https://graph.windows.net"),
    ];
    all.retain(|(name, _)| fields.iter().all(|(other, _)| other != name));
    all.extend(fields.iter().filter(|(_, value)| !value.is_empty()));
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(all)
        .finish();
    post(
        running,
        &format!("/{tenant}/oauth2/token"),
        "application/x-www-form-urlencoded",
        &body,
    )
    .await
}

pub async fn token(running: &Running) -> String {
    token_of(running, TENANT_ID).await
}

pub async fn token_of(running: &Running, tenant: &str) -> String {
    let reply = ask_token(running, tenant, &[]).await.unwrap();
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

/// A service whose clock stands at noon of 2026-05-01, with a day of history,
/// ten detections a minute and nothing late.
pub fn at_noon() -> Config {
    Config {
        clock: Clock::Frozen(NOON.parse().unwrap()),
        start: Some("2026-04-30T12:00:00Z".parse().unwrap()),
        late: Late {
            rate: 0.0,
            ..Late::default()
        },
        ..Config::default()
    }
}

pub const NOON: &str = "2026-05-01T12:00:00Z";

pub async fn start(config: Config) -> Running {
    Simulator::start(config).await.unwrap()
}

/// What the catalog says must be there.
pub fn expected(running: &Running, since: &str, until: &str) -> Vec<Detection> {
    let catalog = running.catalog(TENANT_ID);
    let range = catalog.range(since.parse().unwrap(), until.parse().unwrap());
    catalog
        .detections(range)
        .filter(|one| one.visible_at <= running.now())
        .collect()
}

pub fn ids(detections: &[Detection]) -> Vec<String> {
    detections.iter().map(|one| one.full_id.clone()).collect()
}
