//! A million detections in flat memory. In a file of its own, so that nothing
//! else grows this process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

mod support;

use support::{at_noon, start, token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchbell_simulator::Config;

/// A debug build serves fewer, so that the test takes seconds there too.
const COUNT: u64 = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};
/// Far below the 190 MB that even the fewer would take.
const GROWTH_KIB: u64 = 32 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_detections_stream_in_flat_memory() {
    let running = start(Config {
        total: Some(COUNT),
        ..at_noon()
    })
    .await;
    let token = token(&running).await;
    let before = peak_kib();
    let mut stream = tokio::net::TcpStream::connect(running.addr())
        .await
        .unwrap();
    let request = format!(
        "GET /api/alerts?ago=P1D HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut part, mut bytes) = (vec![0; 1 << 18], 0_u64);
    loop {
        let length = stream.read(&mut part).await.unwrap();
        if length == 0 {
            break;
        }
        bytes += length as u64;
    }
    let grown = peak_kib() - before;
    assert_eq!(running.stats().detections, COUNT);
    assert!(bytes > COUNT * 1700, "{bytes} bytes");
    assert!(grown < GROWTH_KIB, "grew by {grown} KiB");
}

/// The most memory that this process has held.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
