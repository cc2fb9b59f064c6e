//! A value that must not be seen.
//!
//! [`Secret`] exists so that a secret cannot reach a log, an error or a terminal by accident:
//! `Debug` and `Display` print `***`, there is no `Serialize`, and the bytes are
//! zeroed on drop. The one way to the value is [`Secret::expose`], so that a search
//! for that word lists every place that touches one.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use watchbell_settings::json_schemas;
use zeroize::Zeroizing;

use crate::error::{FileFault, SecretFileError};
use crate::files;

/// The longest secret that is read from a file, in bytes. The login service's
/// secrets have about 40, its tokens a few thousand.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;

/// One more, which tells that there are too many.
const READ_BYTES: u64 = MAX_SECRET_BYTES as u64 + 1;

/// A secret value: zeroed when its last clone is dropped, printed as `***`.
///
/// ```
/// let secret = watchbell_secrets::Secret::new("hunter2".to_owned());
/// assert_eq!(format!("{secret} {secret:?}"), "*** ***");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the value over; no copy of it stays behind.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Arc::new(Zeroizing::new(value)))
    }

    /// The value itself, for the request that needs it and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads a file that holds one secret. A byte order mark and one line end at its end are
    /// not part of it, since editors and `echo` add them.
    ///
    /// # Errors
    /// When the file is no regular file, cannot be read or does not answer in time, is
    /// empty, is longer than [`MAX_SECRET_BYTES`], or holds something other than text.
    pub fn read(path: &Path) -> Result<Self, SecretFileError> {
        Self::of_bytes(path, files::read(path, READ_BYTES))
    }

    /// As [`Secret::read`], without a thread that waits.
    ///
    /// # Errors
    /// As [`Secret::read`].
    pub async fn read_async(path: &Path) -> Result<Self, SecretFileError> {
        Self::of_bytes(path, files::read_async(path, READ_BYTES).await)
    }

    fn of_bytes(
        path: &Path,
        bytes: io::Result<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, SecretFileError> {
        let parsed = bytes
            .map_err(FileFault::from)
            .and_then(|bytes| Self::parse(&bytes));
        parsed.map_err(|fault| SecretFileError {
            path: path.to_owned(),
            fault,
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, FileFault> {
        if bytes.len() > MAX_SECRET_BYTES {
            return Err(FileFault::TooLong(READ_BYTES - 1));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| FileFault::NotText)?;
        // As Windows editors write in front of text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(FileFault::Empty);
        }
        if line.contains(char::is_control) {
            return Err(FileFault::NotOneLine);
        }
        Ok(Self::new(line.to_owned()))
    }
}

impl Secret {
    /// What tells it from another without being it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.expose()).into()
    }
}

json_schemas! {
    Secret: {
        "description": "A secret: ${VARIABLE}, or the secret itself.",
        "type": "string",
        "minLength": 1
    };
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = Self::new(String::deserialize(deserializer)?);
        if secret.expose().is_empty() {
            return Err(de::Error::custom("is empty; set it"));
        }
        if secret.expose().contains(char::is_control) {
            return Err(de::Error::custom(
                "holds a line end or a control character; remove it",
            ));
        }
        Ok(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Secret, SecretFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        Secret::read(file.path())
    }

    #[test]
    fn one_line_end_is_not_part_of_the_secret_and_spaces_are() {
        assert_eq!(read(b"s3cret\n").unwrap().expose(), "s3cret");
        assert_eq!(read(b"s3cret\r\n").unwrap().expose(), "s3cret");
        assert_eq!(read(b"\xef\xbb\xbfs3cret").unwrap().expose(), "s3cret");
        assert_eq!(read(b" s3cret ").unwrap().expose(), " s3cret ");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        let long = vec![b'x'; MAX_SECRET_BYTES + 1];
        for content in [&b""[..], b"\n", b"marked\nmarked", b"marked\xff", &long] {
            let message = read(content).unwrap_err().to_string();
            assert!(message.starts_with("secret file "), "{message}");
            assert!(!message.contains("marked"), "{message}");
        }
    }
}
