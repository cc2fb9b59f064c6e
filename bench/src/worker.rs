//! The other processes, from the bench's side: started, told what to do, ended.

use crate::served::{Served, Window};
use crate::side::{Answer, Command, Created};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

/// A process whose stdin and stdout are ours. It ends when its stdin does.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(program: &Path, arguments: &[&OsStr]) -> Result<Self> {
        let mut child = std::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self {
            child,
            stdin,
            stdout,
        })
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            bail!("the process ended: {}", self.child.wait()?);
        }
        Ok(line)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        let _status = self.child.wait();
    }
}

/// The simulator as a process.
pub struct SimulatorProcess {
    _process: Process,
    /// Where it is reached.
    pub served: Served,
}

impl SimulatorProcess {
    /// Starts `program` and waits until it serves `total` detections.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path, total: u32, ca_file: &Path) -> Result<Self> {
        let total = total.to_string();
        let mut process = Process::start(
            program,
            &[
                "--total".as_ref(),
                total.as_ref(),
                "--ca-file".as_ref(),
                ca_file.as_ref(),
            ],
        )?;
        let served = serde_json::from_str(&process.read_line()?)?;
        Ok(Self {
            _process: process,
            served,
        })
    }
}

/// How long something took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// By the clock.
    pub wall: Duration,
    /// On the processor.
    pub processor: Duration,
}

/// One side as a process, warm between commands.
pub struct Worker {
    process: Process,
    file: PathBuf,
}

impl Worker {
    /// Starts `program`, which writes what it pulls to `file`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path, arguments: &[&OsStr], file: PathBuf) -> Result<Self> {
        Ok(Self {
            process: Process::start(program, arguments)?,
            file,
        })
    }

    /// Pulls a window `times` times; the time and the processor time for one.
    ///
    /// # Errors
    /// When it fails, or brought other than `expected` detections each time.
    pub fn pull(&mut self, window: &Window, times: u32, expected: u32) -> Result<Took> {
        let (once, repeats) = (usize::try_from(expected)?, usize::try_from(times)?);
        let command = Command::Pull {
            window: window.clone(),
            times: repeats,
            file: self.file.clone(),
        };
        let (took, amount) = self.timed(&command)?;
        if amount != once * repeats {
            bail!(
                "{amount} detections arrived, {} were served",
                once * repeats
            );
        }
        Ok(Took {
            wall: took.wall / times,
            processor: took.processor / times,
        })
    }

    /// Asks for a window and throws the answer away: the time, and the bytes.
    ///
    /// # Errors
    /// When it fails.
    pub fn discard(&mut self, window: &Window) -> Result<(Duration, usize)> {
        let (took, bytes) = self.timed(&Command::Discard(window.clone()))?;
        Ok((took.wall, bytes))
    }

    /// Creates instances; nanoseconds of each, in ascending order.
    ///
    /// # Errors
    /// When it fails.
    pub fn create(&mut self, times: usize) -> Result<Created> {
        match self.tell(&Command::Create(times))? {
            Answer::Created(each) => Ok(each),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    /// The most memory that it has held, in KiB.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn memory(&mut self) -> Result<u64> {
        match self.tell(&Command::Memory)? {
            Answer::Memory(kib) => Ok(kib),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    fn timed(&mut self, command: &Command) -> Result<(Took, usize)> {
        match self.tell(command)? {
            Answer::Took {
                nanoseconds,
                processor,
                amount,
            } => {
                let took = Took {
                    wall: Duration::from_nanos(nanoseconds),
                    processor: Duration::from_nanos(processor),
                };
                Ok((took, amount))
            }
            other => bail!("unexpected answer {other:?}"),
        }
    }

    fn tell(&mut self, command: &Command) -> Result<Answer> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        let stdin = self.process.stdin.as_mut().context("no stdin")?;
        stdin.write_all(&line)?;
        match serde_json::from_str(&self.process.read_line()?)? {
            Answer::Failed(message) => bail!(message),
            answer => Ok(answer),
        }
    }
}
