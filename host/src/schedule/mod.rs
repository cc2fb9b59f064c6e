//! When a source is asked, for what, and with which token.
//!
//! [`Puller`] asks once: a token when one is needed, then one poll, each in an instance
//! of its own. [`Feed`] reads a source in time, window by window, and writes down what it
//! found before it goes on. [`Turns`] says whose turn it is, and [`Service`] puts them
//! beside the sinks.

mod answer;
mod backfill;
mod clock;
mod error;
mod feed;
mod flight;
mod gate;
mod hidden;
mod preview;
mod puller;
mod retry;
mod roster;
mod runtime;
mod service;
mod strikes;
mod token;
mod turns;
mod walk;

pub use backfill::{Backfill, BackfillError, Progress};
pub use clock::{Clock, Disbelieved, Sighting};
pub use error::{PullError, words};
pub use feed::{Epoch, Feed, Handle, Shared, Step};
pub(crate) use feed::{blocking, local_now};
pub use flight::{Flight, Reserved};
pub use gate::{Bound, Closed, Gate};
pub use preview::{Preview, PreviewError, preview};
pub use puller::{Asked, Pulled, Puller, Window};
pub use roster::{NoSuchFeed, Roster};
pub use runtime::{Runtime, SetupError};
pub use service::{Changed, Ended, Plan, Replan, Service};
pub use token::{Access, Tokens};
pub use turns::{Change, Polled, Turns};
pub use walk::Span;
