//! Why a call gives no result.
//!
//! The cases of the contract's `plugin-error`, with one word for people each.

use std::fmt::Display;

use crate::bindings::types;
use crate::{Alert, OptionsError};

/// Why a call of a plugin gives no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option is unknown, missing, repeated or not usable. [`OptionsError`] becomes it.
    #[error("option `{name}`: {message}")]
    InvalidOption {
        /// The option's name as it was given.
        name: String,
        /// Where in its value the fault lies, in bytes from its start.
        offset: Option<u32>,
        /// What is wrong and what would be right.
        message: String,
    },
    /// One alert cannot be handled. No alert of the call was: the host quarantines this
    /// one and calls again with the others.
    #[error("alert {index}: {message}")]
    BadRecord {
        /// The alert's place in the list that was passed, from 0.
        index: u32,
        /// What is wrong with it.
        message: String,
    },
    /// The result would pass a bound of the plugin's own, in bytes.
    #[error("the result takes more than {0} bytes")]
    TooLarge(u64),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// The alert at `index` of the list that was passed, from 0, cannot be handled.
    pub fn bad_record(index: usize, message: impl Display) -> Self {
        Self::BadRecord {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            message: message.to_string(),
        }
    }
}

/// Calls `convert` for each alert, in order. The first error becomes the
/// [`Error::BadRecord`] of that alert.
///
/// # Errors
/// When `convert` fails.
pub fn each<T, E: Display>(
    alerts: Vec<Alert>,
    mut convert: impl FnMut(Alert) -> Result<T, E>,
) -> Result<Vec<T>, Error> {
    let converted = alerts
        .into_iter()
        .enumerate()
        .map(|(index, alert)| convert(alert).map_err(|error| Error::bad_record(index, error)));
    converted.collect()
}

impl From<Error> for types::PluginError {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidOption {
                name,
                offset,
                message,
            } => Self::InvalidOption(types::InvalidOption {
                name,
                offset,
                message,
            }),
            Error::BadRecord { index, message } => {
                Self::BadRecord(types::BadRecord { index, message })
            }
            Error::TooLarge(bytes) => Self::TooLarge(bytes),
            Error::Other(message) => Self::Other(message),
        }
    }
}

impl From<OptionsError> for Error {
    fn from(error: OptionsError) -> Self {
        let OptionsError {
            name,
            offset,
            message,
        } = error;
        match name {
            Some(name) => Self::InvalidOption {
                name,
                offset,
                message,
            },
            None => Self::Other(message),
        }
    }
}
