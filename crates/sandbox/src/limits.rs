//! What one call may use, and the counting of it.
//!
//! wasmtime's own `StoreLimits` bounds each memory alone, so a component with many
//! memories could take many times its bound: [`Meter`] counts the sum. It also
//! remembers which bound was met, because the trap that follows does not say.
//!
//! What a guest hands over in a host call may stay in the host for as long as its handle
//! does (a request's method, path, headers), so such a call takes far less than a result:
//! handles times what one can hold is some 40 MiB.

use crate::error::CallError;
use std::fmt;
use std::time::Duration;
use wasmtime::ResourceLimiter;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The most that [`Limits::table_elements`] can be: what the instance pool reserves for
/// each table.
pub const MAX_TABLE_ELEMENTS: usize = 20_000;

/// The most that [`Limits::instances`] can be: what the instance pool has for one
/// component.
pub const MAX_INSTANCES: usize = 8;

/// Bounds of one call. Each is a hard stop: the instance is dropped, the next call is
/// fresh.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of all linear memories together.
    pub memory_bytes: usize,
    /// Elements of each table, up to [`MAX_TABLE_ELEMENTS`].
    pub table_elements: usize,
    /// Core instances, up to [`MAX_INSTANCES`]; a wrapped component has up to three
    /// (itself and two shims).
    pub instances: usize,
    /// Handles alive at one time: requests, bodies, streams.
    pub handles: usize,
    /// Time that the call may run, in the guest's code and in the host calls that it
    /// makes, waiting not included.
    pub cpu: Duration,
    /// Time that the whole call may take, waiting included.
    pub wall: Duration,
    /// Bytes that may be copied from guest to host in one result.
    pub transfer_bytes: usize,
    /// Bytes that may be copied from guest to host in one host call.
    pub host_call_bytes: usize,
    /// Alerts or events in one result.
    pub output_count: usize,
    /// Bytes of an HTTP message's headers, as kept in memory (32 a name and 40 a value on
    /// top of their text).
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
            // An alert has at least its braces and a comma.
            output_count: body / 3 + 1,
            ..Self::for_plugin()
        }
    }

    /// For one call of a processor or encoder with a batch of alerts.
    ///
    /// A batch of the host's holds at most 4 MiB of JSON; a jq filter holds it as a
    /// tree of some ten times the size, in and out. Tables hold functions: the bundled
    /// components have some hundreds. A batch has some thousands of alerts; a processor
    /// that makes many of one still has room.
    ///
    /// The bundled source has some ten handles at one time. The largest things that a
    /// source hands over are a header or a path, up to 64 KiB, and 16 KiB of a request's
    /// body.
    #[must_use]
    pub fn for_plugin() -> Self {
        Self {
            memory_bytes: 256 * MIB,
            table_elements: MAX_TABLE_ELEMENTS,
            instances: MAX_INSTANCES,
            handles: 128,
            cpu: Duration::from_secs(5),
            wall: Duration::from_secs(30),
            transfer_bytes: 128 * MIB,
            host_call_bytes: 64 * KIB,
            output_count: 1_000_000,
            header_bytes: 64 * KIB,
        }
    }

    /// Refuses a result of too many parts.
    pub(crate) fn count(&self, parts: usize) -> Result<(), CallError> {
        if parts > self.output_count {
            return Err(CallError::limit(Limit::Count, self));
        }
        Ok(())
    }

    /// The value of a bound, for an error.
    pub(crate) fn value(&self, limit: Limit) -> String {
        match limit {
            Limit::Memory => format!("{} bytes", self.memory_bytes),
            Limit::Table => format!("{}", self.table_elements),
            Limit::Cpu => format!("{:?}", self.cpu),
            Limit::Wall => format!("{:?}", self.wall),
            Limit::Transfer => format!("{} bytes", self.transfer_bytes),
            Limit::HostCall => format!("{} bytes", self.host_call_bytes),
            Limit::Headers => format!("{} bytes", self.header_bytes),
            Limit::Handles => format!("{}", self.handles),
            Limit::Count => format!("{}", self.output_count),
            Limit::Instances => format!("{}", self.instances),
            Limit::Stack => "1 MiB".to_owned(),
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
    /// [`Limits::host_call_bytes`].
    HostCall,
    /// [`Limits::header_bytes`], by headers that the guest made.
    Headers,
    /// [`Limits::handles`].
    Handles,
    /// [`Limits::output_count`].
    Count,
    /// [`Limits::instances`].
    Instances,
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
            Self::Transfer => "bytes handed to the host in one result",
            Self::HostCall => "bytes handed to the host in one host call",
            Self::Headers => "bytes of one message's headers",
            Self::Handles => "handles",
            Self::Count => "alerts or events in one result",
            Self::Instances => "core instances, memories or tables",
            Self::Stack => "stack",
        })
    }
}

impl Limit {
    /// The setting that moves it, as the configuration names it; the stack has none.
    #[must_use]
    pub fn setting(self) -> Option<&'static str> {
        Some(match self {
            Self::Memory => "limits.max_memory_bytes",
            Self::Table => "limits.max_table_elements",
            Self::Cpu => "limits.max_cpu_secs",
            Self::Wall => "limits.max_wall_secs",
            Self::Transfer => "limits.max_output_bytes",
            Self::HostCall => "limits.max_host_call_bytes",
            Self::Headers => "limits.max_header_bytes",
            Self::Handles => "limits.max_handles",
            Self::Count => "limits.max_output_count",
            Self::Instances => "limits.max_instances",
            Self::Stack => return None,
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

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
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
