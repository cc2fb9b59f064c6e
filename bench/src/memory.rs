//! How much memory a process has held at most, by the kernel's own count.

use anyhow::{Context, Result};
use std::fs;

/// The most memory that this process has had resident since it began (`VmHWM` of
/// `/proc/self/status`), in KiB.
///
/// # Errors
/// When the kernel does not say.
pub fn peak_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .context("no VmHWM in /proc/self/status")?;
    Ok(kib.trim().parse()?)
}
