//! A program that has secrets: the backend `exec`.
//!
//! It is asked on its standard input and answers on its standard output, by the protocol of
//! Vector's `exec` backend: `{"version": "1.0", "secrets": ["a"]}` and `{"a": {"value": "…",
//! "error": null}}`. What it says on standard error is not passed on: it may say a secret.
//!
//! It has a clean environment: `PATH`, and what its setting lists. This process's own may hold
//! other tenants' secrets.
//!
//! It is the leader of a process group of its own, which is ended as a whole: at the timeout,
//! when nobody waits any more, and when the program itself has ended. A process that it left
//! behind would hold its standard output open, and whoever reads to the end would wait for it.

use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use watchbell_settings::printable;
use zeroize::Zeroizing;

use crate::backend::{Found, MAX_BYTES, usable};
use crate::error::{BackendError, ProgramFault};
use crate::files;
use crate::read_zeroizing::read_all_async;
use crate::secret::Secret;

#[derive(Serialize)]
struct Question<'k> {
    version: &'static str,
    secrets: &'k [&'k str],
}

#[derive(Deserialize)]
struct Answered {
    value: Option<Secret>,
    error: Option<String>,
}

/// Asks a program for some keys.
pub(crate) async fn ask(
    command: &[String],
    environment: &BTreeMap<String, Secret>,
    timeout: Duration,
    keys: &[&str],
) -> Result<HashMap<String, Found>, BackendError> {
    let program = command.first().ok_or(BackendError::NoProgram)?;
    let question = Question {
        version: "1.0",
        secrets: keys,
    };
    let answered = run(command, environment, timeout, &question).await;
    let answered = answered.map_err(|fault| BackendError::Program {
        program: program.clone(),
        fault,
    })?;
    Ok(answered
        .into_iter()
        .map(|(key, answered)| (key, answered.found()))
        .collect())
}

async fn run(
    command: &[String],
    environment: &BTreeMap<String, Secret>,
    timeout: Duration,
    question: &Question<'_>,
) -> Result<HashMap<String, Answered>, ProgramFault> {
    let question = serde_json::to_vec(question).map_err(io::Error::from)?;
    let mut group = Group::start(command, environment)?;
    let answer = tokio::time::timeout(timeout, group.talk(&question))
        .await
        .map_err(|_| ProgramFault::TimedOut(timeout))??;
    // The library's words may repeat what stands there.
    serde_json::from_slice(&answer).map_err(|error| ProgramFault::Protocol(error.line()))
}

/// Whether there is a program to be asked.
pub(crate) async fn find(command: &[String]) -> Result<(), BackendError> {
    let program = command.first().ok_or(BackendError::NoProgram)?;
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = if program.contains('/') {
        vec![PathBuf::from(program)]
    } else {
        std::env::split_paths(&folders)
            .map(|folder| folder.join(program))
            .collect()
    };
    for place in places {
        let looked = place.clone();
        let is_program = move || looked.is_file() && access(&looked, Access::EXEC_OK).is_ok();
        if files::wait_for(&place, is_program).await.is_ok_and(|is| is) {
            return Ok(());
        }
    }
    Err(BackendError::Program {
        program: program.clone(),
        fault: ProgramFault::NotFound,
    })
}

/// A program and all that it starts, which are ended when this is dropped.
struct Group {
    child: Child,
    /// Its group's number; none once it was ended.
    id: Option<Pid>,
}

impl Group {
    fn start(command: &[String], environment: &BTreeMap<String, Secret>) -> io::Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program is named"))?;
        let path = std::env::var_os("PATH").map(|path| ("PATH", path));
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(path)
            .envs(
                environment
                    .iter()
                    .map(|(name, value)| (name, value.expose())),
            )
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self {
            child,
            id: id.and_then(Pid::from_raw),
        })
    }

    /// Asks, and waits for the answer and for the program's end.
    async fn talk(&mut self, question: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProgramFault> {
        let (input, output) = (self.child.stdin.take(), self.child.stdout.take());
        let asking = async {
            if let Some(mut input) = input {
                // A program that needs no question may have closed it.
                let _ = input.write_all(question).await;
                let _ = input.shutdown().await;
            }
            Ok(())
        };
        let reading = async {
            let Some(output) = output else {
                return Ok(Zeroizing::default());
            };
            let answer = read_all_async(output, MAX_BYTES + 1).await?;
            // It would wait for a reader.
            if answer.len() as u64 > MAX_BYTES {
                return Err(ProgramFault::TooLong(MAX_BYTES));
            }
            Ok(answer)
        };
        let ((), answer, status) = tokio::try_join!(asking, reading, self.ended())?;
        if !status.success() {
            return Err(ProgramFault::Failed(status));
        }
        Ok(answer)
    }

    /// Waits for the program, and ends what it left behind.
    async fn ended(&mut self) -> Result<ExitStatus, ProgramFault> {
        let status = self.child.wait().await?;
        self.kill();
        Ok(status)
    }

    /// Ends the group. Its number is not another's yet when its leader has just been waited
    /// for: the kernel hands numbers out in turn, and none that a group still has.
    fn kill(&mut self) {
        if let Some(id) = self.id.take() {
            // None of it may be left.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Answered {
    fn found(self) -> Found {
        match (self.value, self.error) {
            (_, Some(error)) => Err(BackendError::Refused(printable(&error))),
            (Some(value), None) => usable(value),
            (None, None) => Err(BackendError::NoValue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    async fn value(script: &str, environment: &BTreeMap<String, Secret>) -> Result<String, String> {
        let found = ask(&shell(script), environment, LONG, &["a"]).await;
        let found = found.and_then(|mut found| found.remove("a").unwrap());
        let found = found.map(|secret| secret.expose().to_owned());
        found.map_err(|error| error.to_string())
    }

    /// Whether a process whose number a file holds is there, and is no zombie.
    fn lives(file: &Path) -> bool {
        let id = std::fs::read_to_string(file).unwrap_or_default();
        let about = std::fs::read_to_string(format!("/proc/{}/stat", id.trim()));
        about.is_ok_and(|about| !id.trim().is_empty() && !about.contains(") Z "))
    }

    #[track_caller]
    fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < LONG, "never: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[tokio::test]
    async fn a_program_has_path_and_what_is_listed_and_nothing_else_of_this_process() {
        let script = "env | sed 's/=.*//' | grep -vx -e PWD -e _ -e SHLVL | sort | tr '\\n' ' ' > $FILE; echo '{\"a\":{\"value\":\"'$LISTED'\"}}'";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("names");
        let set = [("LISTED", "yes"), ("FILE", file.to_str().unwrap())];
        let set = set.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let found = value(script, &BTreeMap::from(set)).await;
        assert_eq!(found, Ok("yes".to_owned()));
        let names = std::fs::read_to_string(file).unwrap();
        assert_eq!(names.trim(), "FILE LISTED PATH");
    }

    /// A process left behind held the pipe, and whoever read to its end waited for it.
    #[tokio::test]
    async fn what_a_program_leaves_behind_holds_up_nobody_and_is_ended_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let id = folder.path().join("id");
        let script = format!(
            "sleep 600 & echo $! > {}; echo '{{\"a\":{{\"value\":\"one\"}}}}'",
            id.display()
        );
        let begun = Instant::now();
        assert_eq!(value(&script, &BTreeMap::new()).await, Ok("one".to_owned()));
        assert!(begun.elapsed() < LONG);
        wait_until("the end of what was left behind", || !lives(&id));
    }

    fn hanging(folder: &Path) -> (Vec<String>, PathBuf) {
        let id = folder.join("id");
        let script = format!("sleep 600 & echo $! > {}; sleep 600", id.display());
        (shell(&script), id)
    }

    #[tokio::test]
    async fn at_the_timeout_all_that_a_program_started_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (command, id) = hanging(folder.path());
        let short = Duration::from_secs(2);
        let error = ask(&command, &BTreeMap::new(), short, &["a"]).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("took longer than 2 s"), "{error}");
        assert!(id.exists());
        wait_until("the end of its child", || !lives(&id));
    }

    #[tokio::test]
    async fn so_it_is_when_nobody_waits_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (command, id) = hanging(folder.path());
        let environment = BTreeMap::new();
        let asking = ask(&command, &environment, LONG, &["a"]);
        let started = async {
            while !lives(&id) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = asking => panic!("it does not answer"),
            () = started => {}
        }
        wait_until("the end of its child", || !lives(&id));
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_or_nested_too_deep_is_refused() {
        let none = BTreeMap::new();
        let error = value("head -c 17000000 /dev/zero; sleep 600", &none).await;
        assert!(error.unwrap_err().contains("answered more than"));
        for nest in ["[", "{\\\"a\\\":"] {
            let script = format!("yes \"{nest}\" | head -n 1000000 | tr -d '\\n'");
            let error = value(&script, &none).await;
            assert!(error.unwrap_err().contains("did not answer as"));
        }
        let deep = "printf '{\"a\":{\"value\":\"one\",\"more\":'; yes '[' | head -n 1000000 | tr -d '\\n'; yes ']' | head -n 1000000 | tr -d '\\n'; echo '}}'";
        let answered = value(deep, &none).await;
        assert!(answered.is_ok() || answered.unwrap_err().contains("did not answer as"));
    }
}
