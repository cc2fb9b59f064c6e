//! How fast a large answer is split and checked: `throughput [COPIES]`, of a sample of
//! about 2 KB each (100,000). The fastest of five rounds, in MB (10^6 bytes) a second.

use std::time::Instant;
use watchbell_detection::{Splitter, check_object, split};

const SAMPLE: &str = include_str!("../tests/data/siem-2020.json");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let copies = std::env::args().nth(1).map_or(Ok(100_000), |n| n.parse())?;
    let sample = split(SAMPLE.as_bytes())?.swap_remove(0);
    let respelt = sample
        .json
        .replace("Test Alert", "検出されたアラート。")
        .replace("\"\"", "\"値はありません\"");
    let spaced = SAMPLE.trim().trim_start_matches('[').trim_end_matches(']');
    for (kind, one) in [
        ("compact", sample.json.as_str()),
        ("not ASCII", &respelt),
        ("indented", spaced),
    ] {
        let body = format!("[{}]", vec![one; copies].join(","));
        measure(kind, "split, whole", body.len(), || {
            split(body.as_bytes()).is_ok()
        });
        measure(kind, "split, 64 KiB chunks", body.len(), || {
            let mut splitter = Splitter::new();
            body.as_bytes()
                .chunks(65_536)
                .for_each(|chunk| splitter.push(chunk));
            splitter.finish().is_ok()
        });
        let alerts = split(body.as_bytes())?;
        let bytes = alerts.iter().map(|alert| alert.json.len()).sum();
        measure(kind, "check_object", bytes, || {
            alerts.iter().all(|alert| check_object(&alert.json).is_ok())
        });
    }
    Ok(())
}

#[allow(clippy::print_stdout)]
fn measure(kind: &str, what: &str, bytes: usize, mut work: impl FnMut() -> bool) {
    let best = (0..5)
        .filter_map(|_| {
            let start = Instant::now();
            work().then(|| start.elapsed().as_secs_f64())
        })
        .fold(f64::INFINITY, f64::min);
    #[allow(clippy::cast_precision_loss)]
    let rate = bytes as f64 / best / 1e6;
    println!("{kind:9} {what:20} {rate:6.0} MB/s");
}
