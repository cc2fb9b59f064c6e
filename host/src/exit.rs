//! Exit codes: sysexits, so that a supervisor can tell "mend the configuration" from
//! "try again later" without reading words.

use std::fmt;

/// Why the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All done.
    Ok = 0,
    /// The command line is wrong (EX_USAGE).
    Usage = 64,
    /// The service answered something unexpected, malformed or too large
    /// (EX_UNAVAILABLE).
    Service = 69,
    /// A defect of ours or of a plugin (EX_SOFTWARE).
    Internal = 70,
    /// A file or a pipe failed (EX_IOERR).
    Io = 74,
    /// Throttled, unavailable, unreachable, timed out: later may work (EX_TEMPFAIL).
    Later = 75,
    /// Unauthorized, forbidden, or denied by policy (EX_NOPERM).
    Denied = 77,
    /// The configuration is wrong (EX_CONFIG).
    Config = 78,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// An error that ends the program: words for stderr, and the exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    message: String,
}

impl Failure {
    /// An end with `exit` whose words were said.
    #[must_use]
    pub fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// An end with `exit` and these words.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
