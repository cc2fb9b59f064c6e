//! How fast detections are written, and how fast they are served over loopback
//! to a client that throws them away.
//!
//! `cargo run --release -p watchbell-simulator --example simulator_throughput [COUNT]`

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, Catalog, Config, Late, Simulator, TENANT_ID};

type Failure = Box<dyn std::error::Error>;

#[allow(clippy::print_stdout, reason = "its figures are its output")]
fn main() -> Result<(), Failure> {
    let count: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(100_000), |count| count.parse())?;
    let config = Config {
        total: Some(count),
        start: "2026-05-01T00:00:00Z".parse().ok(),
        end: "2026-05-02T00:00:00Z".parse().ok(),
        late: Late {
            rate: 0.0,
            ..Late::default()
        },
        ..Config::default()
    };
    let catalog = Catalog::new(&config, chrono::DateTime::UNIX_EPOCH)?;
    let mut out = Vec::with_capacity(1 << 20);
    for _ in 0..3 {
        let (begun, mut bytes) = (Instant::now(), 0);
        for index in 0..count {
            catalog.write(index, &mut out);
            if out.len() > 1 << 18 {
                bytes += out.len();
                out.clear();
            }
        }
        bytes += out.len();
        out.clear();
        report("written", bytes, begun, count);
    }

    let runtime = tokio::runtime::Runtime::new()?;
    let running = runtime.block_on(Simulator::start(config))?;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("client_secret", CLIENT_SECRET)
        .append_pair("resource", "https://graph.windows.net")
        .finish();
    let head = format!(
        "POST /{TENANT_ID}/oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let mut answer = String::new();
    let mut stream = TcpStream::connect(running.addr())?;
    stream.write_all(head.as_bytes())?;
    stream.read_to_string(&mut answer)?;
    let token = answer
        .split_once("\"access_token\":\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(token, _)| token);
    let token = token.ok_or("no token")?;
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..5 {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(running.addr())?;
        write!(
            stream,
            "GET /api/alerts?sinceTimeUtc=2026-05-01T00:00:00Z HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        )?;
        let mut bytes = 0;
        while let length @ 1.. = stream.read(&mut buffer)? {
            bytes += length;
        }
        report("served", bytes, begun, count);
    }
    Ok(())
}

#[allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "its figures are its output"
)]
fn report(what: &str, bytes: usize, begun: Instant, count: u64) {
    let secs = begun.elapsed().as_secs_f64();
    let (mib, each) = (bytes as f64 / 1e6, bytes as f64 / count as f64);
    println!(
        "{what}: {count} detections, {mib:.1} MB ({each:.0} bytes each) in {:.1} ms, {:.2} GB/s",
        secs * 1e3,
        mib / secs / 1e3
    );
}
