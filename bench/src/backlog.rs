//! A backlog, read by both sides in windows of an hour until it is on disk.

use crate::served::{Served, Window};
use crate::side::{ServiceArgs, Side};
use crate::usage::Usage;
use crate::{Native, Spread};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, TENANT_ID};

/// Detections in a window: one a second, for an hour, as the program's own windows.
const WINDOW: u32 = 3600;

/// What both sides buffer before they write.
const BUFFER: usize = 256 * 1024;

/// The bars: memory in MiB, and how often the native side's time.
const MOST_MEMORY: u64 = 300;
const MOST_RATIO: f64 = 2.0;

/// The native side: the same windows one after the other, and one fdatasync.
///
/// # Errors
/// When the service refuses or the file cannot be written.
pub async fn pull_backlog(service: &ServiceArgs, total: u32, file: &Path) -> Result<()> {
    let native = Native::start(service).await?;
    let mut out = BufWriter::with_capacity(BUFFER, File::create(file)?);
    let mut pulled = 0;
    for from in (0..total).step_by(WINDOW.try_into()?) {
        let window = Window::between(from, total.min(from + WINDOW))?;
        pulled += native.pull(&window, &mut out).await?;
    }
    ensure!(u32::try_from(pulled)? == total, "{pulled} of {total} came");
    out.flush()?;
    Ok(out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .sync_data()?)
}

/// What reading a backlog took.
#[derive(Debug)]
pub struct Backlog {
    total: u32,
    ours: Vec<f64>,
    native: Vec<f64>,
    memory: u64,
}

/// Reads the backlog by both sides, in turn.
///
/// # Errors
/// When a side fails, or leaves other files than the other.
pub fn backlog(
    here: &Path,
    watchbell: &Path,
    served: &Served,
    folder: &Path,
    (total, pairs): (u32, u32),
) -> Result<Backlog> {
    let mut measured = Backlog {
        total,
        ours: Vec::new(),
        native: Vec::new(),
        memory: 0,
    };
    let (their_file, our_file) = (folder.join("native.ndjson"), folder.join("ours.ndjson"));
    for pair in 0..pairs {
        let _ = writeln!(std::io::stderr(), "pair {} of {pairs}", pair + 1);
        let _ = fs::remove_file(&their_file);
        let mut native = Command::new(here.join("native"));
        native
            .args([
                "backlog",
                "--endpoint",
                &served.plain,
                "--authority",
                &served.plain,
            ])
            .args(["--total", &total.to_string(), "--file"])
            .arg(&their_file);
        measured.native.push(timed(&mut native)?.0);
        let _ = fs::remove_file(&our_file);
        let data_dir = folder.join(format!("data{pair}"));
        let config = folder.join("watchbell.toml");
        fs::write(&config, configuration(served, total, &data_dir, &our_file)?)?;
        let mut ours = Command::new(watchbell);
        ours.args(["run", "--once", "-c"])
            .arg(&config)
            .env("WATCHBELL_LOG", "warn");
        let (took, memory) = timed(&mut ours)?;
        measured.ours.push(took);
        measured.memory = measured.memory.max(memory);
        fs::remove_dir_all(&data_dir)?;
        let theirs = lines(&their_file)?;
        ensure!(theirs.len() == usize::try_from(total)?, "some did not come");
        ensure!(lines(&our_file)? == theirs, "the files differ");
    }
    Ok(measured)
}

/// What a file has: a hash of each line's members, in an order that is the same for the
/// same lines.
fn lines(path: &Path) -> Result<Vec<u64>> {
    let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
    let (mut line, mut hashes) = (Vec::new(), Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        ensure!(
            line.ends_with(b"\n"),
            "{} ends in the middle",
            path.display()
        );
        let mut members: BTreeMap<String, Value> = serde_json::from_slice(&line)?;
        // Native leaves out what is null, and does not say whose it is.
        members.retain(|name, value| !value.is_null() && name != "tenant");
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(&members)?.hash(&mut hasher);
        hashes.push(hasher.finish());
        line.clear();
    }
    hashes.sort_unstable();
    Ok(hashes)
}

/// Seconds that a process took, and the most memory that it held in KiB.
fn timed(command: &mut Command) -> Result<(f64, u64)> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let usage = Usage::of(child.id());
    let mut memory = 0;
    loop {
        if let Some(end) = child.try_wait()? {
            ensure!(end.success(), "{command:?}: {end}");
            return Ok((start.elapsed().as_secs_f64(), memory));
        }
        memory = memory.max(usage.peak().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn configuration(served: &Served, total: u32, data_dir: &Path, file: &Path) -> Result<String> {
    let mut text = String::new();
    let window = Window::between(0, total)?;
    writeln!(
        text,
        "data_dir = {data_dir:?}\n[sources.backlog]\ntype = \"defender\""
    )?;
    writeln!(
        text,
        "endpoint = {:?}\nauthority = {:?}",
        served.plain, served.plain
    )?;
    writeln!(
        text,
        "tenant_id = {TENANT_ID:?}\nclient_id = {CLIENT_ID:?}\nclient_secret = {CLIENT_SECRET:?}"
    )?;
    writeln!(
        text,
        "since = {:?}\nuntil = {:?}",
        window.since, window.until
    )?;
    writeln!(
        text,
        "egress.allow_addresses = [\"127.0.0.0/8\"]\n[sinks.out]\ntype = \"file\""
    )?;
    writeln!(text, "inputs = [\"backlog\"]\npath = {file:?}")?;
    Ok(text)
}

impl std::fmt::Display for Backlog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let spread = |all: &[f64]| Spread::of(all.iter().copied());
        let ratios = self
            .ours
            .iter()
            .zip(&self.native)
            .map(|(ours, native)| ours / native);
        writeln!(
            f,
            "A backlog of {} detections, on disk ({} pairs)",
            self.total,
            self.ours.len()
        )?;
        writeln!(f, "  watchbell, s        {:.2}", spread(&self.ours))?;
        writeln!(f, "  native, s           {:.2}", spread(&self.native))?;
        let ratio = Spread::of(ratios);
        writeln!(
            f,
            "  ratio               {ratio:.2}   bar: at most {MOST_RATIO}, {}",
            met(ratio.median <= MOST_RATIO)
        )?;
        let memory = self.memory.div_ceil(1024);
        writeln!(
            f,
            "  peak memory, MiB    {memory:>9}   bar: at most {MOST_MEMORY}, {}",
            met(memory <= MOST_MEMORY)
        )
    }
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "NOT met" }
}

impl Window {
    /// The window of the detections from number `from` to before number `to`.
    ///
    /// # Errors
    /// When the calendar does not reach that far.
    pub fn between(from: u32, to: u32) -> Result<Self> {
        Ok(Self {
            since: Self::of(from).context("from")?.until,
            until: Self::of(to)?.until,
        })
    }
}
