//! What the program says about itself, on stderr: stdout is data.

mod log;
mod text;

pub use log::{Format, start};
pub use text::printable;
