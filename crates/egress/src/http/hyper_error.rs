//! What hyper's errors mean.

use std::error::Error as StdError;
use std::io;

use super::bounds::MAX_HEADER_BYTES;
use crate::error::{Error, find, words};

impl Error {
    /// From hyper's client, before there is an answer. Our connector's own error is in
    /// there as a source and comes back as it was.
    pub(super) fn from_client(error: &(dyn StdError + 'static)) -> Self {
        if let Some(own) = find::<Self>(error) {
            return own.clone();
        }
        match Self::from_hyper(error) {
            Self::Incomplete { message } => Self::Closed { message },
            other => other,
        }
    }

    /// From hyper, in the middle of a body.
    pub(super) fn from_hyper(error: &(dyn StdError + 'static)) -> Self {
        let message = words(error);
        if let Some(hyper) = find::<hyper::Error>(error) {
            if hyper.is_user() {
                return Self::Request { message };
            }
            if hyper.is_parse_too_large() {
                return Self::HeadersTooLarge {
                    limit: MAX_HEADER_BYTES,
                };
            }
            if hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed() {
                return Self::Incomplete { message };
            }
        }
        match find::<io::Error>(error).map(io::Error::kind) {
            Some(
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::NotConnected,
            ) => Self::Incomplete { message },
            _ => Self::Protocol { message },
        }
    }
}
