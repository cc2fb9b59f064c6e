//! What a user may set.
//!
//! | option | | meaning |
//! |---|---|---|
//! | `filter` | required | a jq filter, at most [`MAX_FILTER_BYTES`] long |
//!
//! An option of another name is refused by that name, and so is a repeated one: which of
//! the two was meant cannot be known.

use crate::PluginError;

/// The longest filter in bytes. Real ones are hundreds of bytes; the bound keeps the
/// time to compile one, and the stack that takes, within what a host grants a call.
pub const MAX_FILTER_BYTES: usize = 16 * 1024;

/// The filter's text out of a processor's options.
pub(crate) fn filter(options: &[(String, String)]) -> Result<&str, PluginError> {
    let mut filter = None;
    for (name, value) in options {
        if name != "filter" {
            return Err(invalid(
                name,
                "there is no such option; there is `filter`".to_owned(),
            ));
        }
        if filter.replace(value.as_str()).is_some() {
            return Err(invalid(name, "it is given twice".to_owned()));
        }
    }
    let filter = filter.ok_or_else(|| {
        let example = "it is missing; an example is `select(.Severity == \"High\")`";
        invalid("filter", example.to_owned())
    })?;
    if filter.len() > MAX_FILTER_BYTES {
        let length = filter.len();
        let message = format!("it has {length} bytes; the longest may have {MAX_FILTER_BYTES}");
        return Err(invalid("filter", message));
    }
    Ok(filter)
}

fn invalid(name: &str, message: String) -> PluginError {
    PluginError::InvalidOption {
        name: name.to_owned(),
        offset: None,
        message,
    }
}
