//! Why a call gives no result.
//!
//! The same cases as `plugin-error` of the contract, as a Rust type of its own so that
//! everything but the component layer can be built and tested on any machine.

/// Why a call of this processor gives no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// An option is unknown, missing, repeated or not usable.
    #[error("option `{name}`: {message}")]
    InvalidOption {
        /// The option's name as it was given.
        name: String,
        /// Where in its value the fault lies, in bytes from its start.
        offset: Option<u32>,
        /// What is wrong and what would be right.
        message: String,
    },
    /// One alert made the filter fail, or the filter made something of it that is no
    /// alert. No alert of the call was handled.
    #[error("alert {index}: {message}")]
    BadRecord {
        /// The alert's place in the list that was passed, from 0.
        index: u32,
        /// What is wrong with it, at most [`crate::MAX_MESSAGE_BYTES`] long.
        message: String,
    },
    /// The alerts would pass the bound that [`crate::GROWTH_BYTES`] sets for this call.
    #[error("the filter's alerts take more than {0} bytes")]
    TooLarge(u64),
}
