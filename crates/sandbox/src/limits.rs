//! What one call may use, and the counting of it.
//!
//! wasmtime's own `StoreLimits` bounds each memory alone, so a component with many
//! memories could take many times its bound: [`Meter`] counts the sum. It also
//! remembers which bound was met, because the trap that follows does not say.

use std::fmt;
use std::time::Duration;
use wasmtime::ResourceLimiter;

const MIB: usize = 1024 * 1024;

/// Bounds of one call. Each is a hard stop: the instance is dropped, the next call is
/// fresh.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of all linear memories together.
    pub memory_bytes: usize,
    /// Elements of each table.
    pub table_elements: usize,
    /// Core instances; a wrapped component has up to three (itself and two shims).
    pub instances: usize,
    /// Handles alive at one time: requests, bodies, streams.
    pub handles: usize,
    /// Time that the guest's own code may run.
    pub cpu: Duration,
    /// Time that the whole call may take, waiting included.
    pub wall: Duration,
    /// Bytes that may be copied from guest to host in one host call or result.
    pub transfer_bytes: usize,
    /// Bytes of an HTTP message's headers, as kept in memory.
    pub header_bytes: usize,
}

impl Limits {
    /// For a source whose answers may hold `response_bytes`, with `wall` for the call.
    ///
    /// A result holds the body once and an envelope for each alert; 100,000 detections
    /// of 188 MB took 1.3 times their size. Twice leaves room for smaller detections.
    /// The parser runs at hundreds of MB/s; 10 MB/s leaves room for a busy machine.
    #[must_use]
    pub fn for_source(response_bytes: u64, wall: Duration) -> Self {
        let body = usize::try_from(response_bytes).unwrap_or(usize::MAX);
        Self {
            memory_bytes: body.saturating_mul(2).saturating_add(32 * MIB),
            cpu: Duration::from_secs(5).saturating_add(Duration::from_micros(response_bytes / 10)),
            wall,
            transfer_bytes: body.saturating_mul(3).saturating_add(16 * MIB),
            ..Self::for_plugin()
        }
    }

    /// For one call of a processor or encoder with a batch of alerts.
    ///
    /// A batch of the host's holds at most 4 MiB of JSON; a jq filter holds it as a
    /// tree of some ten times the size, in and out.
    #[must_use]
    pub fn for_plugin() -> Self {
        Self {
            memory_bytes: 256 * MIB,
            table_elements: 20_000,
            instances: 8,
            handles: 1_000,
            cpu: Duration::from_secs(5),
            wall: Duration::from_secs(30),
            transfer_bytes: 128 * MIB,
            header_bytes: 128 * 1024,
        }
    }
}

/// Which bound a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::memory_bytes`].
    Memory,
    /// [`Limits::table_elements`].
    Table,
    /// [`Limits::cpu`].
    Cpu,
    /// [`Limits::wall`].
    Wall,
    /// [`Limits::transfer_bytes`].
    Transfer,
    /// The guest's own call depth (1 MiB of stack).
    Stack,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Table => "table elements",
            Self::Cpu => "CPU time",
            Self::Wall => "wall time",
            Self::Transfer => "bytes handed to the host",
            Self::Stack => "stack",
        })
    }
}

/// Counts what one store uses of its [`Limits`].
pub(crate) struct Meter {
    limits: Limits,
    memory_used: usize,
    /// The bound that was met, if any.
    pub(crate) met: Option<Limit>,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            memory_used: 0,
            met: None,
        }
    }

    /// The value of a bound, for an error.
    pub(crate) fn value(&self, limit: Limit) -> String {
        match limit {
            Limit::Memory => format!("{} bytes", self.limits.memory_bytes),
            Limit::Table => format!("{}", self.limits.table_elements),
            Limit::Cpu => format!("{:?}", self.limits.cpu),
            Limit::Wall => format!("{:?}", self.limits.wall),
            Limit::Transfer => format!("{} bytes", self.limits.transfer_bytes),
            Limit::Stack => "1 MiB".to_owned(),
        }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self
            .memory_used
            .saturating_add(desired.saturating_sub(current));
        if used > self.limits.memory_bytes {
            self.met = Some(Limit::Memory);
            return Ok(false);
        }
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limits.table_elements;
        if !allowed {
            self.met = Some(Limit::Table);
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }
}
