//! How fast a large answer comes through, beside the bare socket.
//!
//! `cargo run --release -p watchbell-egress --example egress_throughput` downloads 188 MB (the
//! size of 100,000 detections) from a thread of its own over loopback, eleven times each
//! in turn, and prints the medians. The constants in `client.rs` were chosen with it.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use tokio::io::AsyncReadExt;
use watchbell_egress::{Asked, Bounds, Client, Egress, Policy, Tls};

const BYTES: usize = 188_000_000;
const ROUNDS: usize = 11;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let piece = vec![b'x'; 1 << 20];
        for stream in listener.incoming() {
            let _ = stream.and_then(|stream| serve(stream, &piece));
        }
    });
    let policy = Policy::new([address.to_string().parse()?], ["127.0.0.0/8".parse()?]);
    let client = Egress::new().client(policy, &Tls::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (mut bare_rates, mut our_rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare_rates.push(runtime.block_on(timed(bare(address)))?);
        our_rates.push(runtime.block_on(timed(ours(&client, address)))?);
    }
    println!("bare socket  {:>6} MB/s", median(bare_rates));
    println!("egress       {:>6} MB/s", median(our_rates));
    Ok(())
}

/// Whatever is asked, once, then closes.
fn serve(mut stream: std::net::TcpStream, piece: &[u8]) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {BYTES}\r\n\r\n"
    )?;
    let mut left = BYTES;
    while left > 0 {
        let part = piece.get(..left.min(piece.len())).unwrap_or(piece);
        stream.write_all(part)?;
        left -= part.len();
    }
    Ok(())
}

async fn bare(address: SocketAddr) -> Outcome<usize> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n").await?;
    let mut buffer = vec![0; 256 * 1024];
    let mut read = 0;
    while read < BYTES {
        read += stream.read(&mut buffer).await?;
    }
    Ok(read)
}

async fn ours(client: &Client, address: SocketAddr) -> Outcome<usize> {
    let session = client.session(Bounds {
        response_bytes: u64::MAX,
        ..Bounds::default()
    });
    let request = Request::get(format!("http://{address}/")).body(Empty::<Bytes>::new())?;
    let mut body = session.send(request, Asked::default()).await?.into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(read)
}

/// Megabytes a second.
async fn timed(download: impl Future<Output = Outcome<usize>>) -> Outcome<u128> {
    let start = Instant::now();
    let read = download.await?;
    Ok(read as u128 / start.elapsed().as_micros().max(1))
}

fn median(mut rates: Vec<u128>) -> u128 {
    rates.sort_unstable();
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
