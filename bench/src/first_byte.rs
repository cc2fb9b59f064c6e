//! From the start of a process to the first byte on its stdout.

use crate::compare::millis;
use crate::spread::Spread;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What both sides took, in milliseconds.
#[derive(Debug)]
pub struct FirstByte {
    /// `watchbell poll`.
    pub ours: Spread,
    /// The native puller.
    pub native: Spread,
    /// Ours less native, of each pair.
    pub difference: Spread,
}

/// Starts both in turn. What comes before the pairs fills the caches: of compiled
/// code, and of the files that both read.
///
/// # Errors
/// When one fails or prints nothing.
pub fn first_byte(ours: &mut Command, native: &mut Command, pairs: u32) -> Result<FirstByte> {
    for _ in 0..2 {
        measure(ours)?;
        measure(native)?;
    }
    let (mut our_times, mut native_times) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        our_times.push(millis(measure(ours)?));
        native_times.push(millis(measure(native)?));
    }
    let difference = Spread::of(
        our_times
            .iter()
            .zip(&native_times)
            .map(|(ours, native)| ours - native),
    );
    Ok(FirstByte {
        ours: Spread::of(our_times),
        native: Spread::of(native_times),
        difference,
    })
}

fn measure(command: &mut Command) -> Result<Duration> {
    let program = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| program.clone())?;
    let mut stdout = child.stdout.take().context("no stdout")?;
    let mut first = [0; 1];
    let read = stdout.read(&mut first)?;
    let took = start.elapsed();
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest)?;
    let status = child.wait()?;
    if read == 0 || !status.success() {
        bail!("{program} printed nothing or failed: {status}");
    }
    Ok(took)
}
