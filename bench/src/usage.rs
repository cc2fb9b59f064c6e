//! How much memory and processor time a process has used, by the kernel's own count.

use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Where the kernel says what a process uses.
#[derive(Debug, Clone)]
pub struct Usage(PathBuf);

impl Usage {
    /// Of this process.
    #[must_use]
    pub fn own() -> Self {
        Self("/proc/self".into())
    }

    /// Of another process of the same user.
    #[must_use]
    pub fn of(process: u32) -> Self {
        Self(format!("/proc/{process}").into())
    }

    /// The processor time so far, in its own code and in the kernel's. The kernel counts
    /// in hundredths of a second.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn processor(&self) -> Result<Duration> {
        let stat = fs::read_to_string(self.0.join("stat"))?;
        // The name may hold anything, and ends with the last parenthesis.
        let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let mut hundredths = 0;
        for place in [11, 12] {
            let field = fields.get(place).context("too few fields in stat")?;
            hundredths += field.parse::<u64>()?;
        }
        Ok(Duration::from_millis(hundredths * 10))
    }

    /// The memory that is resident now, in KiB.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The most memory that was resident since it began, in KiB.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(self.0.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line
            .and_then(|line| line.trim().strip_suffix("kB"))
            .with_context(|| format!("no {name} in status"))?;
        Ok(kib.trim().parse()?)
    }
}
