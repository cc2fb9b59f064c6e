//! What must not be seen, and where it is kept.
//!
//! This crate stands below everything that uses a secret: it knows where one is and how to
//! get it, never what it is for. So it depends on neither HTTP nor WebAssembly, and whoever
//! audits the handling of secrets reads this crate and searches for [`Secret::expose`].
//!
//! - [`Secret`]: a value that prints as `***` and is zeroed on drop
//! - [`SecretLocation`]: in the configuration, in a file, or in a backend ([`SecretRef`])
//! - [`Secrets`]: the backends of a process ([`SecretSettings`]: environment, file, directory,
//!   program), asked whenever a secret is needed
//! - [`SealedFile`]: a secret that this program must keep itself, encrypted
//! - [`Redactor`]: takes secrets out of text that somebody else wrote
//! - [`files`]: reading files that may keep their reader waiting
//!
//! It does not defend against someone who can read this process's memory.

mod backend;
mod error;
mod location;
mod program;
mod read_zeroizing;
mod redact;
mod reference;
mod replace;
mod sealed;
mod secret;
mod stamp;
mod store;

pub mod files;

pub use backend::{DirectorySettings, EnvSettings, ExecSettings, FileSettings, SecretSettings};
pub use error::{
    BackendError, FileFault, ProgramFault, SealError, SealFault, SecretError, SecretFileError,
};
pub use location::SecretLocation;
pub use redact::Redactor;
pub use reference::{NotAReference, SecretRef, is_unresolved};
pub use sealed::SealedFile;
pub use secret::{MAX_SECRET_BYTES, Secret};
pub use stamp::Stamp;
pub use store::Secrets;
