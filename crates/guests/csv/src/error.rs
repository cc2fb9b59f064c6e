//! Why a call gives no result.
//!
//! The same cases as `plugin-error` of the contract, as a Rust type of its own so that
//! everything but the component layer can be built and tested on any machine. There is
//! no case for a result that is too large: what is written for an alert is no more than
//! a small multiple of what was read.

/// Why a call of this encoder gives no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// An option is unknown, repeated or not usable.
    #[error("option `{name}`: {message}")]
    InvalidOption {
        /// The option's name as it was given.
        name: String,
        /// Where in its value the fault lies, in bytes from its start.
        offset: Option<u32>,
        /// What is wrong and what would be right.
        message: String,
    },
    /// One alert is no detection. No alert of the call was encoded.
    #[error("alert {index}: {message}")]
    BadRecord {
        /// The alert's place in the list that was passed, from 0.
        index: u32,
        /// What is wrong with it.
        message: String,
    },
    /// The CSV writer failed, which it has no cause to when it writes to memory.
    #[error("{0}")]
    Other(String),
}
