//! One side of the comparison, as a process that does what it is told.
//!
//! Commands and answers are lines of JSON over stdin and stdout. The side takes the
//! time itself, so that neither the pipe nor the other process is in it.

use crate::served::Window;
use crate::usage::Usage;
use anyhow::{Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::future::Future;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, TENANT_ID};

/// What both sides buffer before they write.
const BUFFER: usize = 256 * 1024;

/// Where the service is, and as whom to ask.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// Base URL of the API.
    #[arg(long)]
    pub endpoint: String,
    /// Base URL of the login service.
    #[arg(long)]
    pub authority: String,
    /// Certificates to trust beside the platform's (PEM).
    #[arg(long)]
    pub ca_file: Option<PathBuf>,
    /// The directory.
    #[arg(long, default_value = TENANT_ID)]
    pub tenant_id: String,
    /// The application.
    #[arg(long, default_value = CLIENT_ID)]
    pub client_id: String,
    /// Its secret: the simulator's, which opens nothing else.
    #[arg(long, default_value = CLIENT_SECRET)]
    pub client_secret: String,
}

/// One side: pulls detections, and what else can be asked of it.
pub trait Side {
    /// Asks for a window, writes NDJSON, and says how many detections it was.
    fn pull(&self, window: &Window, out: &mut impl Write) -> impl Future<Output = Result<usize>>;

    /// Asks for a window and throws the answer away; says how many bytes it was.
    fn discard(&self, _: &Window) -> impl Future<Output = Result<usize>> {
        async { bail!("this side throws nothing away") }
    }

    /// Creates that many instances of the source and of an empty component, in turn.
    fn create(&self, _: usize) -> impl Future<Output = Result<Created>> {
        async { bail!("this side has no instances") }
    }
}

/// Nanoseconds that each creation took.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Created {
    /// Of the bundled source.
    pub source: Vec<u64>,
    /// Of a component of the same world with nothing in it.
    pub empty: Vec<u64>,
}

/// What a side is told to do.
#[derive(Debug, Serialize, Deserialize)]
pub enum Command {
    /// Pull a window into a new file, over and over.
    Pull {
        /// What to ask for.
        window: Window,
        /// How often.
        times: usize,
        /// Where to write.
        file: PathBuf,
    },
    /// Ask for a window and throw the answer away.
    Discard(Window),
    /// Create that many instances.
    Create(usize),
    /// Say how much memory was held at most.
    Memory,
}

/// What a side answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The time it took, and how much it was: detections, or bytes thrown away.
    Took {
        /// For all of it together.
        nanoseconds: u64,
        /// Nanoseconds of processor time in the same.
        processor: u64,
        /// Detections, or bytes.
        amount: usize,
    },
    /// Each list in ascending order.
    Created(Created),
    /// KiB.
    Memory(u64),
    /// Why it could not.
    Failed(String),
}

/// Does what stdin says until it ends.
///
/// # Errors
/// When stdin or stdout breaks or holds something other than commands.
pub async fn attend(side: impl Side) -> Result<()> {
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        let answer = match execute(&side, serde_json::from_str(&line?)?).await {
            Ok(answer) => answer,
            Err(error) => Answer::Failed(format!("{error:#}")),
        };
        serde_json::to_writer(&mut out, &answer)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

async fn execute(side: &impl Side, command: Command) -> Result<Answer> {
    Ok(match command {
        Command::Pull {
            window,
            times,
            file,
        } => pull(side, &window, times, &file).await?,
        Command::Discard(window) => {
            let start = Start::now()?;
            let amount = side.discard(&window).await?;
            start.took(amount)?
        }
        Command::Create(times) => {
            let mut created = side.create(times).await?;
            created.source.sort_unstable();
            created.empty.sort_unstable();
            Answer::Created(created)
        }
        Command::Memory => Answer::Memory(Usage::own().peak()?),
    })
}

async fn pull(side: &impl Side, window: &Window, times: usize, file: &Path) -> Result<Answer> {
    // Giving back the last file's pages is no part of a pull.
    if file.exists() {
        fs::remove_file(file)?;
    }
    let start = Start::now()?;
    let mut out = BufWriter::with_capacity(BUFFER, File::create(file)?);
    let mut amount = 0;
    for _ in 0..times {
        amount += side.pull(window, &mut out).await?;
        out.flush()?;
    }
    drop(out);
    start.took(amount)
}

/// When something began, and the processor time until then.
struct Start {
    at: Instant,
    processor: Duration,
}

impl Start {
    fn now() -> Result<Self> {
        Ok(Self {
            processor: Usage::own().processor()?,
            at: Instant::now(),
        })
    }

    fn took(self, amount: usize) -> Result<Answer> {
        Ok(Answer::Took {
            nanoseconds: nanos(self.at.elapsed()),
            processor: nanos(Usage::own().processor()?.saturating_sub(self.processor)),
            amount,
        })
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
