//! SIGKILL while everything else in the process goes wrong: a plugin's file becomes a bomb,
//! or a component that used to abort the process; secrets are never answered; the metrics
//! listener has more connections than it takes. One source and its file are what counts.

use super::kills::kill_often_beside;
use super::{complete_and_once, configuration, kills, moody};
use crate::program::support::{Home, fifo, run, wait_until};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use watchbell_simulator::{Bounds, Running};
use watchbell_tests::{EXAMPLE_PROCESSOR, bombs};

/// Connections to the metrics listener at one time: many more than it takes.
const IDLE: usize = 400;

/// Connections that a round must have seen, on average, or the listener was not crowded. On
/// a busy machine there are few in a round.
const LISTENED: usize = 25;

#[test]
fn killed_anywhere_beside_all_that_goes_wrong() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let running = moody(Bounds::default());
    let metrics = free_address();
    let home = Home::with(&with_neighbours(&running, metrics));
    let bombs = [
        bombs::nested_instances(27, 2),
        bombs::empty_functions(400_000),
        bombs::parse("(component (core module (type (sub (func)))))"),
    ];
    let mut choice = random.fork();
    hung_tenants(&home);
    home.write("secret", "of a tenant that is not there\n");
    replace(&home, EXAMPLE_PROCESSOR);
    home.run("validate", &[]).ok();
    let crowd = Crowd::gather(metrics);
    let args = ["run", "-c", "watchbell.toml", "--watch-config"];
    let rounds = kills().div_ceil(4);
    let met = kill_often_beside(&home, &args, rounds, &mut random, |service| {
        match service {
            None => {
                fs::remove_file(home.path("secret")).unwrap();
                fifo(&home.path("secret"));
            }
            Some(service) => {
                // At a start there is no old component that could go on.
                let orders = home.path("data/control.sock");
                wait_until("a start", || UnixStream::connect(&orders).is_ok());
                replace(&home, &bombs[choice.usize(..bombs.len())]);
                return service.reload();
            }
        }
        replace(&home, EXAMPLE_PROCESSOR);
    });
    let crowded = crowd.leave();
    assert!(crowded > rounds * LISTENED, "{crowded} idle connections");
    // What is checked is read to its end alone. A service that still cuts answers short would
    // end that with 69.
    running.clear_faults();
    home.write("watchbell.toml", &configuration(&running));
    let alone = [
        "run",
        "-c",
        "watchbell.toml",
        "--once",
        "--forget-sink",
        "through",
    ];
    let ran = run(&mut home.watchbell(alone));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    complete_and_once(&home, &running, seed, &met);
}

/// The configuration of the other crash tests, and a second source whose plugin is
/// replaced, tenants whose secrets are never answered, and metrics.
fn with_neighbours(running: &Running, metrics: SocketAddr) -> String {
    let to_be_checked = configuration(running);
    let (before, source) = to_be_checked.split_once("[sources.contoso]").unwrap();
    let (source, sink) = source.split_once("[sinks.all]").unwrap();
    let without_tenant: String = source
        .lines()
        .filter(|line| !line.starts_with("tenant_id") && !line.starts_with("client_secret"))
        .map(|line| format!("{line}\n"))
        .collect();
    format!(
        "{before}metrics.listen = \"{metrics}\"\n\
         [secret.hung]\ntype = \"exec\"\ncommand = [\"/bin/sleep\", \"600\"]\n\
         [sources.contoso]{source}\
         [sources.plugged]{source}\
         [sources.hung]{without_tenant}tenants = {{ path = \"hung.toml\", may_override = [\"secrets.hung\"] }}\n\
         [transforms.plugin]\ninputs = [\"plugged\"]\ncomponent = \"plugin.wasm\"\n\
         options.at_least = \"informational\"\n\
         [sinks.through]\ntype = \"file\"\ninputs = [\"plugin\", \"hung\"]\npath = \"through.ndjson\"\n\
         [sinks.all]{sink}"
    )
}

/// Tenants whose secrets are in a file that becomes a named pipe, which nobody writes to,
/// and with a program that does not end.
fn hung_tenants(home: &Home) {
    let tenant = |name: &str, number: u32, secret: &str| {
        format!("[{name}]\ntenant_id = \"00000000-0000-4000-8000-{number:012}\"\n{secret}\n")
    };
    let entries = [
        tenant("one", 1, "client_secret_file = \"secret\""),
        tenant("two", 2, "client_secret_file = \"secret\""),
        tenant("three", 3, "client_secret = \"SECRET[hung.three]\""),
    ];
    home.write("hung.toml", &entries.concat());
}

/// As tools write files: beside it and renamed, so that there is always a whole one.
fn replace(home: &Home, bytes: &[u8]) {
    fs::write(home.path("new.wasm"), bytes).unwrap();
    fs::rename(home.path("new.wasm"), home.path("plugin.wasm")).unwrap();
}

/// An address on loopback that nobody listens on just now.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Idle connections to a listener, as many as it takes and always more, half of them with
/// the beginning of a request.
struct Crowd {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Crowd {
    fn gather(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut connections, mut opened) = (Vec::new(), 0);
            while !stopped.load(Ordering::Relaxed) {
                match TcpStream::connect(address) {
                    Ok(mut connection) => {
                        opened += 1;
                        if opened % 2 == 0 {
                            let _ = connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: ");
                        }
                        connections.push(connection);
                    }
                    // It was killed, and with it all that is held here.
                    Err(_) => connections.clear(),
                }
                if connections.len() >= IDLE {
                    connections.clear();
                }
                thread::sleep(Duration::from_millis(1));
            }
            opened
        });
        Self { stop, thread }
    }

    /// How many there were.
    fn leave(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
