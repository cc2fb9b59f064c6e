//! Why there is no secret. No error says what one is.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use watchbell_settings::printable;

use crate::reference::SecretRef;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file of a [`SecretLocation::File`](crate::SecretLocation::File).
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A backend has none, or does not answer.
    #[error("{reference}: {error}")]
    Backend {
        /// What was asked for.
        reference: SecretRef,
        /// Why there is none.
        error: BackendError,
    },
    /// A [`SealedFile`](crate::SealedFile).
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The backend is not configured.
    #[error("{reference}: there is no backend {}; add [secret.{}] with its type (env, file, directory or exec)", reference.backend, reference.backend)]
    NoBackend {
        /// What was asked for.
        reference: SecretRef,
    },
    /// What was found is itself something to be replaced, and was not.
    #[error("the secret holds ${{ or SECRET[, which nothing replaced; it is not sent")]
    Unresolved,
    /// Sealing did not come to its end.
    #[error("the secret could not be sealed")]
    Interrupted,
}

/// A file that should hold a secret and does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret file {}: {fault}", printable(&path.to_string_lossy()))]
#[non_exhaustive]
pub struct SecretFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// What is wrong with a file of one or more secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// It is no regular file, cannot be read, or does not answer in time.
    #[error("{message}")]
    Io {
        /// The kind of error.
        kind: io::ErrorKind,
        /// The system's words.
        message: String,
    },
    /// It is longer than that many bytes.
    #[error("is longer than {0} bytes")]
    TooLong(u64),
    /// It is not UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// A secret is one line.
    #[error("holds more than one line or a control character")]
    NotOneLine,
    /// It is no JSON object of secrets, from that line on. What stands there is not repeated.
    #[error("is not a JSON object of usable strings, at line {0}")]
    NotAnObject(usize),
}

impl From<io::Error> for FileFault {
    fn from(error: io::Error) -> Self {
        Self::Io {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

/// Why a backend has no secret for a key. Those who wait for one answer share it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The environment has no such variable.
    #[error("the variable {0} is not set")]
    NoVariable(String),
    /// The file in the backend's folder.
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
    /// The backend's JSON file.
    #[error("{}: {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// The backend's JSON file has no such member.
    #[error("the file has no such member")]
    NoMember,
    /// The backend's program.
    #[error("{program}: {fault}")]
    Program {
        /// The program.
        program: String,
        /// What is wrong with it.
        fault: ProgramFault,
    },
    /// The backend's command is empty.
    #[error("no program is named")]
    NoProgram,
    /// The program says why it has none: its words, escaped.
    #[error("{0}")]
    Refused(String),
    /// The program says nothing of the key.
    #[error("the program did not name it")]
    NotAnswered,
    /// The program names the key and no more.
    #[error("the program gave neither a value nor an error")]
    NoValue,
    /// The secret is empty.
    #[error("is empty")]
    Empty,
    /// No header or form may hold it.
    #[error("holds a line end or a control character")]
    ControlCharacter,
}

/// What is wrong with a program that has secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramFault {
    /// It is in no folder of `PATH`, or may not be run.
    #[error("there is no such program")]
    NotFound,
    /// It cannot be started, spoken to or waited for.
    #[error("{message}")]
    Io {
        /// The kind of error.
        kind: io::ErrorKind,
        /// The system's words.
        message: String,
    },
    /// It took longer than it may.
    #[error("took longer than {} s, so it was ended with all that it started", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It answered more than that many bytes.
    #[error("answered more than {0} bytes")]
    TooLong(u64),
    /// It ended with a failure.
    #[error("ended with {0}")]
    Failed(ExitStatus),
    /// Its answer is not of the protocol, from that line on. What stands there is not repeated.
    #[error("did not answer as Vector's exec protocol has it, at line {0}")]
    Protocol(usize),
}

impl From<io::Error> for ProgramFault {
    fn from(error: io::Error) -> Self {
        Self::Io {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

/// A sealed file that cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("sealed file {}: {fault}", path.display())]
#[non_exhaustive]
pub struct SealError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: SealFault,
}

/// What is wrong with a sealed file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealFault {
    /// It is not there.
    #[error("is not there")]
    NotThere,
    /// Its mode lets others use it.
    #[error("others may use it; chmod 600 it")]
    OthersMayUse,
    /// It is larger than any that is written.
    #[error("is too large to be a sealed secret")]
    TooLarge,
    /// It does not begin as one does.
    #[error("is not a file that watchbell sealed")]
    NotSealed,
    /// The key or the owner is another, or it was changed.
    #[error("does not open: it was sealed with another key or for another tenant, or was changed")]
    DoesNotOpen,
    /// What is sealed in it is not UTF-8.
    #[error("holds no text")]
    NotText,
    /// The key could be guessed.
    #[error("the key is shorter than {0} characters; make one with openssl rand -hex 32")]
    ShortKey(usize),
    /// The cipher takes no more than it does.
    #[error("cannot be sealed")]
    CannotSeal,
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}
