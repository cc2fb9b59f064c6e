//! What the program says about itself, on stderr: stdout is data.

mod log;
mod text;
mod trouble;

pub use log::{Format, start};
pub use text::printable;
pub use trouble::{Say, Trouble};
