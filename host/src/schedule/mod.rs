//! When a source is asked, for what, and with which token.
//!
//! [`Puller`] asks once: a token when one is needed, then one poll, each in an
//! instance of its own. [`Cursor`] remembers what was read. [`run()`] puts both on a
//! clock and hands what is new to the pipeline; the cursor moves only when every sink
//! has said that it has it.

mod cursor;
mod error;
mod puller;
mod run;
mod runtime;
mod token;

pub use cursor::Cursor;
pub use error::{PullError, words};
pub use puller::{Pulled, Puller, Window};
pub use run::{Feed, run};
pub use runtime::{Runtime, SetupError};
pub use token::{Access, Tokens};
