//! Whoever can reach the metrics or the socket for orders takes nothing away from those
//! who are polled and delivered to.

use super::support::{Home, Ran, Service, ended, lines_of, run, start, to_file, wait_until};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;
use watchbell_simulator::{Config, Running};

/// Open files that the program may have, and connections that it is troubled with.
const FILES: usize = 96;
const CONNECTIONS: usize = 400;

/// A detection a second, from ten minutes ago on and without end.
fn endless() -> Config {
    Config {
        rate: 60.0,
        end: None,
        ..ended()
    }
}

/// The program, with few files to have.
fn with_few_files(home: &Home) -> Service {
    let program = home.watchbell(["run", "-c", "watchbell.toml"]);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("ulimit -n {FILES}; exec \"$@\""), "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(home.path(""))
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    Service::start(&mut command)
}

fn free() -> SocketAddr {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    port.local_addr().unwrap()
}

/// `GET PATH`, and the answer, which may take a moment among so many.
fn fetch(listen: SocketAddr, path: &str) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(listen) {
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let _ = write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let _ = stream.read_to_string(&mut text);
    }
    text
}

#[track_caller]
fn goes_on(running: &Running, home: &Home, what: &str) {
    let (polls, lines) = (
        running.stats().detection_requests,
        lines_of(&home.read("all.ndjson")),
    );
    wait_until(what, || {
        running.stats().detection_requests >= polls + 3
            && lines_of(&home.read("all.ndjson")) > lines
    });
}

/// Idle connections, and some with half a request, used to eat every file: nothing was
/// delivered any more, and the log grew by 50 MB a second.
#[test]
fn connections_that_say_nothing_stop_neither_deliveries_nor_metrics_and_fill_no_log() {
    let running = start(endless());
    let listen = free();
    let home = Home::with(&format!(
        "metrics.listen = \"{listen}\"\n{}",
        to_file(&running, "since = \"PT1H\"")
    ));
    let service = with_few_files(&home);
    goes_on(&running, &home, "polls before");
    let connections: Vec<TcpStream> = (0..CONNECTIONS)
        .filter_map(|number| {
            let mut stream = TcpStream::connect(listen).ok()?;
            if number % 2 == 0 {
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: ");
            }
            Some(stream)
        })
        .collect();
    assert!(connections.len() > FILES, "{}", connections.len());
    // Orders the same: each of these would be one.
    let orders: Vec<UnixStream> = (0..CONNECTIONS)
        .filter_map(|_| UnixStream::connect(home.path("data/control.sock")).ok())
        .collect();
    assert!(!orders.is_empty());
    goes_on(&running, &home, "polls meanwhile");
    wait_until("metrics meanwhile", || {
        fetch(listen, "/metrics").contains("watchbell_polls_total{")
    });
    assert!(fetch(listen, "/other").starts_with("HTTP/1.1 404"));
    drop(orders);
    wait_until("an order meanwhile", || {
        let order = [
            "state",
            "set-cursor",
            "-c",
            "watchbell.toml",
            "--source",
            "contoso",
        ];
        run(home.watchbell(order).args(["--to", "PT1M"])).code == Some(0)
    });
    drop(connections);
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    small(&ran);
}

/// A line a poll and some words: not a line a connection.
#[track_caller]
fn small(ran: &Ran) {
    let lines = ran.stderr.lines().count();
    let polled = ran.stderr.lines().filter(|line| line.contains("polled"));
    assert!(lines < polled.count() + 30, "{lines}: {}", ran.stderr);
}

#[test]
fn headers_without_end_are_refused() {
    let running = start(ended());
    let listen = free();
    let home = Home::with(&format!(
        "metrics.listen = \"{listen}\"\n{}",
        to_file(&running, "")
    ));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("metrics", || fetch(listen, "/metrics").contains("200 OK"));
    let mut stream = TcpStream::connect(listen).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
    let line = format!("x-more: {}\r\n", "a".repeat(1000));
    // It hangs up, or refuses, before it has read so much.
    let mut written = 0;
    while written < 16 << 20 && stream.write_all(line.as_bytes()).is_ok() {
        written += line.len();
    }
    assert!(written < 16 << 20);
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn an_address_that_others_can_reach_is_warned_of() {
    let running = start(ended());
    let port = free().port();
    for (address, is_warned) in [("0.0.0.0", true), ("127.0.0.1", false)] {
        let home = Home::with(&format!(
            "metrics.listen = \"{address}:{port}\"\n{}",
            to_file(&running, "")
        ));
        let said = home.run_once().stderr;
        let warned = said.contains("can be reached from other machines");
        assert_eq!(warned, is_warned, "{said}");
    }
}
