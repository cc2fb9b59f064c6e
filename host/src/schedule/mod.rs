//! When a source is asked, for what, and with which token.
//!
//! [`Puller`] asks once: a token when one is needed, then one poll, each in an instance
//! of its own. [`Feed`] reads a source in time, window by window, and writes down what it
//! found before it goes on. [`Service`] puts feeds on a clock beside the sinks.

mod answer;
mod backfill;
mod clock;
mod error;
mod feed;
mod gate;
mod preview;
mod puller;
mod retry;
mod runtime;
mod service;
mod strikes;
mod token;
mod walk;

pub use backfill::{Backfill, BackfillError, Progress};
pub use clock::{Clock, Disbelieved, Sighting};
pub use error::{PullError, words};
pub(crate) use feed::blocking;
pub use feed::{Epoch, Feed, Handle, Shared, Step};
pub use gate::{Bound, Closed, Gate};
pub use preview::{Preview, PreviewError, preview};
pub use puller::{Asked, Pulled, Puller, Window};
pub use runtime::{Runtime, SetupError};
pub use service::{Ended, Service};
pub use token::{Access, Tokens};
pub use walk::Span;
