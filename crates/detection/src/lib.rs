//! The detection as data: what the service sends, read without being respelt.
//!
//! No I/O, no clock, no threads: guests and the host use it alike.
//!
//! - [`split`] and [`Splitter`] cut an answer's body into [`Alert`]s: an envelope of the
//!   few members that routing and deduplication need, around the object's own text.
//! - [`check_object`] says whether a text is one JSON object on one line, which is what
//!   the host asks of every guest.
//! - [`Detection`] has the 50 documented members typed, for encoders and mappings.
//! - [`SAMPLES`] are answers that the service published.
//! - [`text_of`] and [`without_halves`] read text that holds half a surrogate pair.
//! - [`Timestamp`] orders the service's instants as time.

mod alert;
mod canonical;
mod detection;
mod members;
mod samples;
mod scan;
mod split;
mod text;
mod timestamp;
mod token;

pub use alert::{Alert, Fault, Severity, check_object};
pub use detection::Value;
pub use members::Detection;
pub use samples::SAMPLES;
pub use scan::MAX_DEPTH;
pub use split::{Malformed, Splitter, split};
pub use text::{text_of, without_halves};
pub use timestamp::{NotATimestamp, Timestamp};
