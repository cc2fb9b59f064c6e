//! When a source is asked, and for what.
//!
//! A `WindowReader` reads one window of time. [`Feed`] reads a source
//! up to now, window by window, and writes down what it found before it goes on;
//! [`Backfill`] reads a range of the past, and [`preview()`] only looks. [`Scheduler`] says
//! which feed is polled when.
//!
//! What they ask is a [`SourceClient`](crate::sources::SourceClient), and the time they go by
//! is a [`Clock`]: both are given to them.

mod backfill;
mod backpressure;
mod clock;
mod feed;
mod memory_budget;
mod preview;
mod reader;
mod registry;
mod retry;
mod scheduler;
mod service_clock;
#[cfg(test)]
mod simulation;
mod window_plan;

pub use backfill::{Backfill, BackfillError, Progress};
pub(crate) use backfill::{end_job, wait_for_delivery};
pub use backpressure::{Backpressure, BufferLimit, PauseReason};
pub use clock::{Clock, SystemClock};
pub use feed::{Feed, Handle, PollStatus, Shared};
pub use memory_budget::{MemoryBudget, Reservation};
pub use preview::{Preview, PreviewError, preview};
pub use registry::{FeedRegistry, UnknownFeed};
pub use scheduler::{FeedBehind, FeedChanges, PollingReport, Scheduler};
pub use service_clock::{ImplausibleDate, ServiceClock, ServiceTime};
pub use window_plan::TimeRange;

/// The local time as the ledger counts it, for people.
pub(crate) fn local_now() -> watchbell_ledger::Time {
    SystemClock.ledger_time()
}
