//! What every question to a service has to pass before anything is sent. Each refusal
//! names the field by its path in the contract.

use crate::bindings::exports::watchbell::detections::source::{
    Config, Error, InvalidConfig, Limits,
};

/// Checks the members that requests of all kinds read.
pub(crate) fn check_common(config: &Config) -> Result<(), Error> {
    let Limits {
        max_bytes,
        max_pages,
    } = config.limits;
    if max_bytes == 0 {
        return Err(invalid("limits.max-bytes", "must be 1 or more"));
    }
    if max_pages == 0 {
        return Err(invalid("limits.max-pages", "must be 1 or more"));
    }
    match config.options.first() {
        Some((name, _)) => Err(invalid(&format!("options.{name}"), "is not an option")),
        None => Ok(()),
    }
}

/// The refusal of an API that this version does not speak.
pub(crate) fn graph_is_not_supported() -> Error {
    invalid("api", "graph is not supported by this version; use siem")
}

/// Checks a value that goes into a query, a form or a header.
pub(crate) fn check_text(field: &str, text: &str) -> Result<(), Error> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(invalid(
            field,
            "must not be empty or hold control characters",
        ));
    }
    Ok(())
}

/// The refusal of a field.
pub(crate) fn invalid(field: &str, message: &str) -> Error {
    Error::InvalidConfig(InvalidConfig {
        field: field.to_owned(),
        message: message.to_owned(),
    })
}
