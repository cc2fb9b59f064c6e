//! The figures as a table: what was measured, what it may be, and how far the machine
//! itself wandered (least .. greatest).

use crate::compare::{Large, Small};
use crate::first_byte::FirstByte;
use crate::side::Created;
use crate::spread::{Spread, percentile};
use std::io::{self, Write};

const MIB: f64 = 1024.0;

/// All that one run measured.
#[derive(Debug)]
pub struct Report {
    /// Everything at once.
    pub large: Large,
    /// A small poll.
    pub small: Small,
    /// Creations of instances, each list in ascending order.
    pub created: Created,
    /// From start to first byte.
    pub first_byte: FirstByte,
}

impl Report {
    /// Writes the table.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self {
            large,
            small,
            created,
            first_byte,
        } = self;
        let megabytes = large.bytes / 1_000_000;
        writeln!(out, "median   (least .. greatest)\n")?;

        writeln!(
            out,
            "{} detections at once, {megabytes} MB, to a file",
            large.detections
        )?;
        line(out, "ours", "ms", large.ours, 0)?;
        line(out, "native", "ms", large.native, 0)?;
        line(out, "simulator alone", "ms", large.simulator, 0)?;
        barred(out, "ours / native", large.ratio, "at most 1.20")?;
        barred(out, "simulator / native", large.share, "below 0.50")?;
        if large.share.median >= 0.5 {
            writeln!(
                out,
                "  The simulator is too much of native's time: the ratio above says nothing."
            )?;
        }
        memory(out, "peak memory, one pull", large.memory_once)?;
        memory(out, "peak memory, all pulls", large.memory)?;

        writeln!(
            out,
            "\na poll of {} detections on a warm host, {} polls a sample",
            small.detections, small.polls
        )?;
        line(out, "ours", "us", small.ours, 0)?;
        line(out, "native, keep-alive", "us", small.native, 0)?;
        barred(out, "ours / native", small.ratio, "at most 2.00")?;
        line(out, "ours, processor", "us", small.our_processor, 0)?;
        line(out, "native, processor", "us", small.native_processor, 0)?;
        writeln!(out, "  {:<24}{:.2}", "ours / native", small.processor_ratio)?;

        writeln!(
            out,
            "\ncreation of a source instance beside an empty one's, {} times",
            created.source.len()
        )?;
        for percent in [50, 99] {
            let micros = |each: &[u64]| nanos_as_micros(percentile(each, percent));
            let (source, empty) = (micros(&created.source), micros(&created.empty));
            writeln!(
                out,
                "  {:<24}{source:>9.1} us, empty {empty:.1} us, ratio {:.2}",
                format!("p{percent}"),
                source / empty
            )?;
        }

        writeln!(
            out,
            "\nfrom start to the first byte, with TLS, roots, token, warm code cache"
        )?;
        line(out, "watchbell poll", "ms", first_byte.ours, 1)?;
        line(out, "native", "ms", first_byte.native, 1)?;
        writeln!(
            out,
            "  {:<24}{:.1}   bar: at most 10.0",
            "ours - native, ms", first_byte.difference
        )
    }
}

fn line(
    out: &mut impl Write,
    name: &str,
    unit: &str,
    figures: Spread,
    digits: usize,
) -> io::Result<()> {
    writeln!(out, "  {:<24}{figures:.digits$}", format!("{name}, {unit}"))
}

fn barred(out: &mut impl Write, name: &str, figures: Spread, bar: &str) -> io::Result<()> {
    writeln!(out, "  {name:<24}{figures:.2}   bar: {bar}")
}

fn memory(out: &mut impl Write, name: &str, (ours, native): (u64, u64)) -> io::Result<()> {
    let mib = |kib: u64| Spread::of(u32::try_from(kib).map(f64::from)).median / MIB;
    writeln!(
        out,
        "  {name:<24}{:>9.0} MiB ours, {:.0} MiB native",
        mib(ours),
        mib(native)
    )
}

fn nanos_as_micros(nanos: u64) -> f64 {
    u32::try_from(nanos).map_or(f64::INFINITY, f64::from) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(share: f64) -> String {
        let one = |figure| Spread::of([figure]);
        let large = Large {
            detections: 100_000,
            bytes: 188_000_000,
            ours: one(440.0),
            native: one(400.0),
            simulator: one(share * 400.0),
            ratio: one(1.1),
            share: one(share),
            memory_once: (300 * 1024, 500 * 1024),
            memory: (320 * 1024, 520 * 1024),
        };
        let small = Small {
            detections: 20,
            polls: 200,
            ours: one(300.0),
            native: one(200.0),
            ratio: one(1.5),
            our_processor: one(310.0),
            native_processor: one(210.0),
            processor_ratio: one(1.48),
        };
        let first_byte = FirstByte {
            ours: one(30.0),
            native: one(25.0),
            difference: one(5.0),
        };
        let mut out = Vec::new();
        Report {
            large,
            small,
            created: Created {
                source: vec![7_400, 15_000],
                empty: vec![3_700, 10_000],
            },
            first_byte,
        }
        .write(&mut out)
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_simulator_that_takes_half_of_natives_time_makes_the_ratio_void_in_words() {
        assert!(report(0.51).contains("says nothing"));
        assert!(!report(0.49).contains("says nothing"));
    }

    #[test]
    fn every_figure_stands_with_its_bar() {
        let text = report(0.4);
        for line in [
            "1.10   (1.10 .. 1.10)   bar: at most 1.20",
            "1.50   (1.50 .. 1.50)   bar: at most 2.00",
            "5.0   (5.0 .. 5.0)   bar: at most 10.0",
            "300 MiB ours, 500 MiB native",
            "p99                          15.0 us, empty 10.0 us, ratio 1.50",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
