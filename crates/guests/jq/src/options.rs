//! What a user may set.

use watchbell_sdk::OptionsError;

/// The longest filter in bytes. Real ones are hundreds of bytes; the bound keeps the
/// time to compile one, and the stack that takes, within what a host grants a call.
pub const MAX_FILTER_BYTES: usize = 16 * 1024;

/// The options of a jq processor.
#[derive(Debug, serde::Deserialize)]
pub struct Options {
    /// A jq filter, at most [`MAX_FILTER_BYTES`] long. Required.
    filter: Option<String>,
}

impl Options {
    /// The filter's text.
    pub(crate) fn filter(self) -> Result<String, OptionsError> {
        let invalid = |message| Err(OptionsError::new("filter", message));
        match self.filter {
            None => {
                invalid("it is missing; an example is `select(.Severity == \"High\")`".to_owned())
            }
            Some(filter) if filter.trim().is_empty() => {
                let words = "it is empty; write a filter, or `.` for everything";
                Err(OptionsError::new("filter", words).at(0))
            }
            Some(filter) if filter.len() > MAX_FILTER_BYTES => {
                let length = filter.len();
                invalid(format!(
                    "it has {length} bytes; the longest may have {MAX_FILTER_BYTES}"
                ))
            }
            Some(filter) => Ok(filter),
        }
    }
}
