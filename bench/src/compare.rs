//! The two comparisons of warm processes: everything at once, and a small poll.

use crate::served::Window;
use crate::spread::Spread;
use crate::worker::Worker;
use anyhow::Result;
use std::time::Duration;

/// Everything at once.
#[derive(Debug)]
pub struct Large {
    /// How many detections.
    pub detections: u32,
    /// Their bytes as served.
    pub bytes: usize,
    /// Milliseconds.
    pub ours: Spread,
    /// Milliseconds.
    pub native: Spread,
    /// Milliseconds, with the answer thrown away.
    pub simulator: Spread,
    /// Ours by native, of each pair.
    pub ratio: Spread,
    /// The simulator alone by native, of each pair.
    pub share: Spread,
    /// Peak memory in KiB after one pull: ours, native.
    pub memory_once: (u64, u64),
    /// Peak memory in KiB after all pulls: ours, native.
    pub memory: (u64, u64),
}

/// A small poll on a warm host.
#[derive(Debug)]
pub struct Small {
    /// How many detections.
    pub detections: u32,
    /// Polls in one sample.
    pub polls: u32,
    /// Microseconds of one poll.
    pub ours: Spread,
    /// Microseconds of one poll.
    pub native: Spread,
    /// Ours by native, of each pair.
    pub ratio: Spread,
    /// Microseconds of processor time of one poll.
    pub our_processor: Spread,
    /// Microseconds of processor time of one poll.
    pub native_processor: Spread,
    /// Ours by native, of each pair.
    pub processor_ratio: Spread,
}

/// Pulls `detections` in turn: ours, native, nobody.
///
/// # Errors
/// When a pull fails or brings another number.
pub fn large(ours: &mut Worker, native: &mut Worker, detections: u32, pairs: u32) -> Result<Large> {
    let window = Window::of(detections)?;
    ours.pull(&window, 1, detections)?;
    native.pull(&window, 1, detections)?;
    let memory_once = (ours.memory()?, native.memory()?);
    let (mut our_times, mut native_times, mut simulator_times) =
        (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..pairs {
        our_times.push(millis(ours.pull(&window, 1, detections)?.wall));
        native_times.push(millis(native.pull(&window, 1, detections)?.wall));
        let (took, length) = native.discard(&window)?;
        simulator_times.push(millis(took));
        bytes = length;
    }
    Ok(Large {
        detections,
        bytes,
        ratio: ratios(&our_times, &native_times),
        share: ratios(&simulator_times, &native_times),
        ours: Spread::of(our_times),
        native: Spread::of(native_times),
        simulator: Spread::of(simulator_times),
        memory_once,
        memory: (ours.memory()?, native.memory()?),
    })
}

/// Polls `detections` many times in turn: ours, native.
///
/// # Errors
/// When a poll fails or brings another number.
pub fn small(
    ours: &mut Worker,
    native: &mut Worker,
    detections: u32,
    pairs: u32,
    polls: u32,
) -> Result<Small> {
    let window = Window::of(detections)?;
    ours.pull(&window, polls, detections)?;
    native.pull(&window, polls, detections)?;
    let micros = |time| millis(time) * 1000.0;
    let (mut our_times, mut native_times) = (Vec::new(), Vec::new());
    let (mut our_processor, mut native_processor) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let took = ours.pull(&window, polls, detections)?;
        our_times.push(micros(took.wall));
        our_processor.push(micros(took.processor));
        let took = native.pull(&window, polls, detections)?;
        native_times.push(micros(took.wall));
        native_processor.push(micros(took.processor));
    }
    Ok(Small {
        detections,
        polls,
        processor_ratio: ratios(&our_processor, &native_processor),
        our_processor: Spread::of(our_processor),
        native_processor: Spread::of(native_processor),
        ratio: ratios(&our_times, &native_times),
        ours: Spread::of(our_times),
        native: Spread::of(native_times),
    })
}

fn ratios(one: &[f64], other: &[f64]) -> Spread {
    Spread::of(one.iter().zip(other).map(|(one, other)| one / other))
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
