//! A service that repeats the token it was sent: it is in nothing that the host keeps or
//! says.

use super::support::{Home, Service, ended, run, source, start, wait_until};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Bytes of a token in a row that are too many.
const RUN: usize = 16;

/// An answer to a request whose Authorization header is this.
type Answer = fn(&str) -> (&'static str, String);

/// A service on loopback that answers every request so; returns its URL, and where the
/// headers that it was sent are.
fn service(answer: Answer) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(header) = authorization(&stream) {
                let (status, body) = answer(&header);
                seen.lock().unwrap().push(header);
                let _ = write!(
                    &stream,
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        }
    });
    (url, sent)
}

fn authorization(mut stream: &TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let line = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("authorization:"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn refusal(message: &str) -> (&'static str, String) {
    let body = format!("{{\"error\":{{\"code\":\"Forbidden\",\"message\":\"{message}\"}}}}");
    ("403 Forbidden", body)
}

/// Ways to repeat it.
const ANSWERS: [(&str, Answer); 7] = [
    ("as it is", |header| {
        refusal(&format!("Authorization: {header}"))
    }),
    ("in base64", |header| {
        refusal(&BASE64_STANDARD.encode(header))
    }),
    ("percent-encoded", |header| {
        let all = header.bytes().map(|byte| format!("%{byte:02X}"));
        refusal(&all.collect::<String>())
    }),
    ("in JSON's escapes", |header| {
        let all = header
            .bytes()
            .map(|byte| format!("\\u{:04x}", u32::from(byte)));
        refusal(&all.collect::<String>())
    }),
    ("in a form within HTML", |header| {
        let form: String = header
            .chars()
            .map(|c| match c {
                '.' => "&#46;".to_owned(),
                ' ' => "+".to_owned(),
                'e' => "&#x65;".to_owned(),
                other => other.to_string(),
            })
            .collect();
        refusal(&form)
    }),
    ("over several lines", |header| {
        let pieces: Vec<&[u8]> = header.as_bytes().chunks(13).collect();
        let lines: Vec<_> = pieces
            .iter()
            .map(|piece| String::from_utf8_lossy(piece))
            .collect();
        refusal(&lines.join("\\r\\n "))
    }),
    ("in an element that nobody can read", |header| {
        (
            "200 OK",
            format!("[{{\"FullId\": \"a\", \"sent\": \"\u{1}{header}\"}}]"),
        )
    }),
];

#[track_caller]
fn clean(what: &str, text: &[u8], token: &str) {
    let coded: Vec<String> = (0..3)
        .map(|before| {
            let coded = BASE64_STANDARD.encode([&b"   "[..before], token.as_bytes()].concat());
            coded.trim_end_matches('=')[before * 8 / 6 + 1..].to_owned()
        })
        .collect();
    let lower: Vec<Vec<u8>> = std::iter::once(token)
        .chain(coded.iter().map(String::as_str))
        .map(|secret| secret.to_ascii_lowercase().into_bytes())
        .collect();
    let parts: HashSet<&[u8]> = lower
        .iter()
        .flat_map(|secret| secret.windows(RUN))
        .collect();
    let text = text.to_ascii_lowercase();
    let shown = text.windows(RUN).any(|window| parts.contains(window));
    assert!(!shown, "{what}: {}", String::from_utf8_lossy(&text));
}

fn clean_folder(what: &str, folder: &Path, token: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Compiled code was there before any token.
        if path.is_file() {
            clean(what, &std::fs::read(&path).unwrap(), token);
        }
    }
}

/// The bearer token, echoed by a 403, used to stand in the log, in `state --json` and in
/// the ledger.
#[test]
fn a_token_that_the_service_repeats_is_in_no_log_no_state_and_no_ledger() {
    let running = start(ended());
    for (how, answer) in ANSWERS {
        let (url, sent) = service(answer);
        let text = source(&running).replace(
            &format!("endpoint = \"{}\"", running.endpoint()),
            &format!("endpoint = \"{url}\""),
        );
        let home = Home::with(&format!(
            "data_dir = \"data\"\nmin_free = 1\n{text}scrape_interval_secs = 1\n\
             [sinks.out]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"out.ndjson\"\n"
        ));
        let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
        let service = Service::start(command.env("WATCHBELL_LOG", "debug"));
        wait_until(how, || {
            // A line for what it answered, and that is kept.
            let said = service.stderr();
            said.contains("ERROR") && {
                let state = home.run("state", &["--json"]);
                state.code == Some(0)
                    && (state.stdout.contains("403")
                        || !state.stdout.contains("\"quarantined\": 0"))
            }
        });
        let state = home.run("state", &["--json"]).ok();
        let words = home.run("state", &[]).ok();
        let polled = home.run("poll", &["--since", "PT1H"]);
        let args = ["state", "quarantine", "show", "-c", "watchbell.toml", "1"];
        let shown = run(&mut home.watchbell(args));
        let ran = service.terminate();
        let token = sent.lock().unwrap()[0].clone();
        let token = token.strip_prefix("Bearer ").unwrap();
        assert!(token.len() > 100, "{token}");
        for (what, text) in [
            ("the log", &ran.stderr),
            ("state --json", &state),
            ("state", &words),
            ("poll", &polled.stderr),
            ("quarantine show", &shown.stdout),
        ] {
            clean(&format!("{how}, {what}"), text.as_bytes(), token);
        }
        clean_folder(&format!("{how}, on disk"), &home.path("data"), token);
        let told = [&ran.stderr, &state, &shown.stdout];
        assert!(
            told.iter().any(|text| text.contains("***")),
            "{how}: it was not repeated: {told:?}"
        );
    }
}
