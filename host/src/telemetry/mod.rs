//! What the program says about itself: on stderr, since stdout is data, and as metrics.

mod accept;
mod escape;
mod incident;
mod log;
pub mod metrics;
mod serve;

pub(crate) use accept::Accepting;
pub use escape::escaped_json;
pub use incident::{Incident, Say};
pub use log::{Format, NotAFilter, has_colors, last_words, start};
pub use watchbell_settings::{Printable, escaped, escaped_lines, printable};
