//! The secrets of a process, fetched when they are needed.

use super::backend::{self, Found, SecretSettings};
use super::{Consent, Credential, SealError, Secret, SecretFileError, SecretRef, sealed};
use crate::stamp::Stamp;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Keys that a program is asked for at one time.
const AT_ONCE: usize = 1000;

/// Why there is no secret. Never says what one is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// `client_secret_file`.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A backend has none, or does not answer.
    #[error("{reference}: {reason}")]
    Backend {
        /// What was asked for.
        reference: SecretRef,
        /// Why there is none.
        reason: String,
    },
    /// The sealed file of a refresh token.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The backend is not configured.
    #[error("{reference}: there is no backend {}; add [secret.{}] with its type (env, file, directory or exec)", reference.backend, reference.backend)]
    NoBackend {
        /// What was asked for.
        reference: SecretRef,
    },
    /// What was found is itself something to be replaced, and was not.
    #[error("the secret holds ${{…}} or SECRET[…], which nothing replaced; it is not sent")]
    Unresolved,
}

/// The backends of a process. Clones share what they fetched.
#[derive(Clone, Default)]
pub struct Secrets {
    backends: Arc<HashMap<String, Backend>>,
}

struct Backend {
    settings: SecretSettings,
    /// Keys that the configuration names: a program is asked for all of them at once.
    named: BTreeSet<String>,
    held: Mutex<Held>,
}

/// What was fetched: of a file until it changes, of a program until it is asked again.
#[derive(Default)]
struct Held {
    stamp: Option<Stamp>,
    values: HashMap<String, Found>,
}

impl Secrets {
    /// With these backends, of which the configuration names these secrets.
    pub fn new<'c>(
        backends: impl IntoIterator<Item = (String, SecretSettings)>,
        named: impl IntoIterator<Item = &'c Credential>,
    ) -> Self {
        let mut backends: HashMap<String, Backend> = backends
            .into_iter()
            .map(|(name, settings)| {
                let backend = Backend {
                    settings,
                    named: BTreeSet::new(),
                    held: Mutex::default(),
                };
                (name, backend)
            })
            .collect();
        for credential in named.into_iter().flat_map(Credential::parts) {
            if let Credential::ClientSecretIn(reference) = credential
                && let Some(backend) = backends.get_mut(&reference.backend)
            {
                backend.named.insert(reference.key.clone());
            }
        }
        Self {
            backends: Arc::new(backends),
        }
    }

    /// The secret that a credential means. `anew`: the one that was fetched before was
    /// refused, so a program is asked again.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn of(&self, credential: &Credential, anew: bool) -> Result<Secret, SecretError> {
        match credential {
            Credential::RefreshToken(consent) => {
                let key = self.read(&consent.key, anew).await?;
                Ok(sealed::open(&consent.file, &key, &consent.owner)?)
            }
            one => self.read(one, anew).await,
        }
    }

    /// Keeps a refresh token in place of the one that was used.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn keep(&self, consent: &Consent, token: &Secret) -> Result<(), SecretError> {
        let key = self.read(&consent.key, false).await?;
        Ok(sealed::seal(&consent.file, &key, &consent.owner, token)?)
    }

    async fn read(&self, credential: &Credential, anew: bool) -> Result<Secret, SecretError> {
        let secret = match credential {
            Credential::ClientSecret(secret) => secret.clone(),
            Credential::ClientSecretFile(path) => Secret::read(path)?,
            Credential::ClientSecretIn(reference) => self.fetch(reference, anew).await?,
            // A consent is not read from another.
            Credential::RefreshToken(_) => return Err(SecretError::Unresolved),
        };
        if is_unresolved(secret.expose()) {
            return Err(SecretError::Unresolved);
        }
        Ok(secret)
    }

    async fn fetch(&self, reference: &SecretRef, anew: bool) -> Result<Secret, SecretError> {
        let backend = self.backend(reference)?;
        backend
            .get(&reference.key, anew)
            .await
            .map_err(|reason| SecretError::Backend {
                reference: reference.clone(),
                reason,
            })
    }

    /// Whether others come from the same places.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let settings = |all: &Self| -> HashMap<String, SecretSettings> {
            let all = all.backends.iter();
            all.map(|(name, backend)| (name.clone(), backend.settings.clone()))
                .collect()
        };
        Arc::ptr_eq(&self.backends, &other.backends) || settings(self) == settings(other)
    }

    /// Whether every backend that a credential names is there.
    ///
    /// # Errors
    /// [`SecretError::NoBackend`].
    pub fn check(&self, credential: &Credential) -> Result<(), SecretError> {
        for part in credential.parts() {
            if let Credential::ClientSecretIn(reference) = part {
                self.backend(reference)?;
            }
        }
        Ok(())
    }

    fn backend(&self, reference: &SecretRef) -> Result<&Backend, SecretError> {
        self.backends
            .get(&reference.backend)
            .ok_or_else(|| SecretError::NoBackend {
                reference: reference.clone(),
            })
    }
}

impl Backend {
    async fn get(&self, key: &str, anew: bool) -> Found {
        match &self.settings {
            SecretSettings::Env => backend::in_env(key),
            SecretSettings::Directory { path } => backend::in_folder(path, key),
            SecretSettings::File { path } => self.in_file(path.clone(), key).await,
            SecretSettings::Exec { command, timeout } => {
                self.ask_program(command, *timeout, key, anew).await
            }
        }
    }

    async fn in_file(&self, path: PathBuf, key: &str) -> Found {
        let mut held = self.held.lock().await;
        let stamp = Stamp::of(&path);
        if stamp.is_none() || held.stamp != stamp {
            let read = tokio::task::spawn_blocking(move || backend::in_file(&path)).await;
            let values = read.map_err(|error| error.to_string())??;
            held.values = values
                .into_iter()
                .map(|(key, value)| (key, Ok(value)))
                .collect();
            held.stamp = stamp;
        }
        let found = held.values.get(key).cloned();
        found.unwrap_or_else(|| Err("the file has no such member".to_owned()))
    }

    async fn ask_program(
        &self,
        command: &[String],
        timeout: Duration,
        key: &str,
        anew: bool,
    ) -> Found {
        let mut held = self.held.lock().await;
        if let Some(Ok(secret)) = held.values.get(key)
            && !anew
        {
            return Ok(secret.clone());
        }
        // What others will need comes with it: ten thousand tenants are not ten thousand
        // programs.
        let unknown = |other: &&String| *other != key && !held.values.contains_key(*other);
        let mut keys = vec![key];
        if !anew {
            let more = self.named.iter().filter(unknown).take(AT_ONCE - 1);
            keys.extend(more.map(String::as_str));
        }
        let found = backend::from_program(command, timeout, &keys).await?;
        let asked = found
            .into_iter()
            .filter(|(name, _)| keys.contains(&name.as_str()));
        let asked: Vec<_> = asked.collect();
        held.values.extend(asked);
        let found = held.values.get(key).cloned();
        found.unwrap_or_else(|| Err("the program did not name it".to_owned()))
    }
}

/// Whether something that stands for something else was left in a secret.
fn is_unresolved(text: &str) -> bool {
    let variable = text.split("${").skip(1).any(|after| after.contains('}'));
    variable || SecretRef::stands_in(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn secrets(settings: SecretSettings, keys: &[&str]) -> (Secrets, Vec<Credential>) {
        let named: Vec<Credential> = keys
            .iter()
            .map(|key| {
                Credential::ClientSecretIn(SecretRef {
                    backend: "vault".to_owned(),
                    key: (*key).to_owned(),
                })
            })
            .collect();
        (
            Secrets::new([("vault".to_owned(), settings)], &named),
            named,
        )
    }

    async fn values(secrets: &Secrets, of: &[Credential]) -> Vec<Result<String, String>> {
        let mut values = Vec::new();
        for credential in of {
            let found = secrets.of(credential, false).await;
            values.push(
                found
                    .map(|s| s.expose().to_owned())
                    .map_err(|e| e.to_string()),
            );
        }
        values
    }

    fn exec(script: &str, timeout: Duration) -> SecretSettings {
        SecretSettings::Exec {
            command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
            timeout,
        }
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_it_changes() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{{\"a\": \"one\"}}").unwrap();
        let settings = SecretSettings::File {
            path: file.path().to_owned(),
        };
        let (secrets, named) = secrets(settings, &["a", "b"]);
        let found = values(&secrets, &named).await;
        assert_eq!(found[0], Ok("one".to_owned()));
        assert!(
            found[1]
                .as_ref()
                .unwrap_err()
                .contains("SECRET[vault.b]: the file has no")
        );
        std::fs::write(file.path(), "{\"a\": \"second\", \"b\": \"${X}\"}").unwrap();
        let found = values(&secrets, &named).await;
        assert_eq!(found[0], Ok("second".to_owned()));
        assert!(found[1].as_ref().unwrap_err().contains("it is not sent"));
    }

    #[tokio::test]
    async fn a_folder_has_a_file_for_each() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "one\n").unwrap();
        let settings = SecretSettings::Directory {
            path: folder.path().to_owned(),
        };
        let (secrets, named) = secrets(settings, &["a", "b"]);
        let found = values(&secrets, &named).await;
        assert_eq!(found[0], Ok("one".to_owned()));
        assert!(found[1].is_err());
    }

    #[tokio::test]
    async fn a_program_is_asked_once_for_all_and_again_for_the_one_that_was_refused() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = format!(
            "cat >> {0}; echo >> {0}; n=$(wc -l < {0}); echo '{{\"a\":{{\"value\":\"a'$n'\",\"error\":null}},\"b\":{{\"value\":null,\"error\":\"no\\u001b[31m\"}}}}'",
            log.display()
        );
        let (secrets, named) = secrets(exec(&script, Duration::from_secs(5)), &["a", "b"]);
        let found = values(&secrets, &named).await;
        assert_eq!(found[0], Ok("a1".to_owned()));
        let refused = found[1].as_ref().unwrap_err();
        assert!(
            refused.contains("SECRET[vault.b]: no") && !refused.contains('\u{1b}'),
            "{refused}"
        );
        assert_eq!(secrets.of(&named[0], false).await.unwrap().expose(), "a1");
        assert_eq!(secrets.of(&named[0], true).await.unwrap().expose(), "a3");
        let asked = std::fs::read_to_string(&log).unwrap();
        let lines: Vec<&str> = asked.lines().collect();
        assert_eq!(lines[0], r#"{"version":"1.0","secrets":["a","b"]}"#);
        assert_eq!(lines[2], r#"{"version":"1.0","secrets":["a"]}"#);
    }

    #[tokio::test]
    async fn a_program_that_hangs_fails_or_babbles_is_told_and_never_repeats_its_words() {
        for (script, words) in [
            ("sleep 60", "took longer than 0.2 s"),
            ("echo marked; exit 3", "ended with exit status: 3"),
            ("echo marked", "did not answer as"),
            ("echo '{}'", "did not name it"),
        ] {
            let (secrets, named) = secrets(exec(script, Duration::from_millis(200)), &["a"]);
            let found = values(&secrets, &named).await;
            let error = found[0].as_ref().unwrap_err();
            assert!(
                error.contains(words) && !error.contains("marked"),
                "{error}"
            );
        }
        let (secrets, _) = secrets(SecretSettings::Env, &[]);
        let stray = Credential::ClientSecretIn("SECRET[other.a]".parse().unwrap());
        let error = secrets.of(&stray, false).await.unwrap_err().to_string();
        assert!(error.contains("add [secret.other]"), "{error}");
    }
}
