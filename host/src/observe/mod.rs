//! What the program says about itself: on stderr, since stdout is data, and as metrics.

mod log;
pub mod metrics;
mod text;
mod trouble;

pub use log::{Format, start};
pub use text::printable;
pub use trouble::{Say, Trouble};
