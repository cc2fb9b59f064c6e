//! Many tenants behind one source of the program as users run it: how late their polls
//! begin, what the process holds, and what a poll costs from the question to the file.
//!
//! The simulator is in this process, so that what the program uses is its own alone.

use crate::served::Window;
use crate::spread::Spread;
use crate::usage::Usage;
use crate::worker::Worker;
use anyhow::{Context, Result, bail, ensure};
use chrono::{SecondsFormat, SubsecRound, TimeDelta, Utc};
use serde::Deserialize;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use watchbell_simulator::{
    CLIENT_ID, CLIENT_SECRET, Config, Fault, Late, Running, Simulator, TENANT_ID,
};

/// From one poll of a tenant to its next.
const PERIOD: Duration = Duration::from_secs(60);

/// With the default overlap of ten minutes an answer has some 20 detections, 2 of them new.
const DETECTIONS_A_MINUTE: f64 = 2.0;

/// What goes wrong for those tenants that fail, in turn, beside a wrong secret: refusals,
/// answers that cannot be read, and services that never answer or stop in the middle.
const WRONGS: [&str; 12] = [
    "detections:403",
    "detections:429:retry-after=30",
    "detections:500",
    "detections:delay:ms=20000",
    "detections:delay:ms=600000",
    "detections:stall:ms=600000",
    "detections:drop",
    "detections:truncate",
    "detections:garbage",
    "detections:sign-in-page",
    "token:503",
    "token:delay:ms=600000",
];

/// Tenants whose memory is measured: more say the same and take as long as they are many,
/// since their first polls are spread.
const MEASURED: u32 = 2000;

/// How it went with many tenants.
#[derive(Debug)]
pub struct Fleet {
    tenants: u32,
    failing: u32,
    minutes: u32,
    ended: Ended,
    /// Of the healthy tenants.
    healthy: Healthy,
    /// MiB, looked at every second.
    resident: Vec<f64>,
    /// Milliseconds of processor time, of one poll.
    processor: f64,
    native_processor: f64,
}

/// What the program says at its end.
#[derive(Debug, Deserialize)]
struct Ended {
    polls: u64,
    missed_ticks: u64,
    start_lag_p99_ms: u64,
    delivered: u64,
}

/// What the metrics say of the tenants that do not fail.
#[derive(Debug)]
struct Healthy {
    /// Polls that were left out.
    missed: u64,
    /// Of the one that has the fewest.
    fewest_polls: u64,
}

/// What the process holds for a tenant, in KiB.
#[derive(Debug)]
pub struct Held {
    idle: f64,
    polling: f64,
}

/// Runs `tenants` for so many minutes, of which `failing` fail in various ways.
///
/// # Errors
/// When a process fails.
pub fn fleet(
    here: &Path,
    watchbell: &Path,
    (tenants, failing, minutes): (u32, u32, u32),
) -> Result<Fleet> {
    let field = Field::start(here, tenants, failing)?;
    let program = field.run(watchbell, PERIOD, ("", ""))?;
    // The start reads a history that no later poll has.
    let warm = program.watch(PERIOD)?;
    let (before, asked) = (program.usage.processor()?, field.polls());
    let resident = program.watch(PERIOD * minutes.saturating_sub(1))?;
    let processor = program.usage.processor()?.saturating_sub(before);
    let polls = field.polls() - asked;
    let healthy = field.healthy(&program)?;
    let ended = program.end()?;
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "a count of polls")]
    let processor = millis(processor) / polls.max(1) as f64;
    Ok(Fleet {
        tenants,
        failing,
        minutes,
        ended,
        healthy,
        resident: warm.into_iter().chain(resident).collect(),
        processor,
        native_processor: millis(field.native(here)?),
    })
}

/// What an idle tenant and one in the middle of a poll hold, each as the difference
/// between many of them and few.
///
/// # Errors
/// When a process fails.
pub fn held(here: &Path, watchbell: &Path, many: u32) -> Result<Held> {
    let many = many.min(MEASURED);
    let resident = |tenants: u32, is_stalled: bool| -> Result<f64> {
        let field = Field::start(here, tenants, 0)?;
        if is_stalled {
            // In the middle of the body.
            field.add("detections:stall:ms=600000:at=20000")?;
        }
        // Once only: what is measured is at rest, or waits.
        let global = "max_concurrency = 1000\nmax_in_flight = \"4 GiB\"\n";
        let own = "timeouts.between_bytes_secs = 3600\ntimeouts.total_secs = 3600\n";
        let program = field.run(watchbell, PERIOD * 60 * 24, (global, own))?;
        let begun = Instant::now();
        while field.polls() < tenants.into() {
            ensure!(begun.elapsed() < Duration::from_secs(600), "not all polled");
            program.watch(Duration::from_secs(1))?;
        }
        let all = program.watch(Duration::from_secs(10))?;
        program.kill();
        all.last().copied().context("nothing was measured")
    };
    let kib = |more: f64, less: f64, tenants: u32| (more - less) * 1024.0 / f64::from(tenants);
    // A quarter of the turns may be slow ones.
    let polling = many.min(240);
    let few = resident(polling, false)?;
    Ok(Held {
        idle: kib(resident(many + polling, false)?, few, many),
        polling: kib(resident(polling, true)?, few, polling),
    })
}

/// A service, and a folder for the program.
struct Field {
    /// What the service runs on.
    runtime: tokio::runtime::Runtime,
    service: Running,
    folder: tempfile::TempDir,
    /// The tenants that do not fail.
    healthy: Vec<String>,
}

impl Field {
    fn start(here: &Path, tenants: u32, failing: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let config = Config {
            rate: DETECTIONS_A_MINUTE,
            start: Some(Utc::now() - TimeDelta::hours(1)),
            late: Late {
                rate: 0.0,
                ..Late::default()
            },
            ..Config::default()
        };
        let service = runtime.block_on(Simulator::start(config))?;
        // On the disk, not in memory, as a ledger is.
        let folder = tempfile::tempdir_in(here)?;
        let mut table = "tenant,tenant_id,client_secret\n".to_owned();
        let mut field = Self {
            runtime,
            service,
            folder,
            healthy: Vec::new(),
        };
        // Those that fail lie among the others.
        let apart = tenants.checked_div(failing).unwrap_or(u32::MAX);
        let mut wrongs = WRONGS.iter().map(Some).chain([None]).cycle();
        for tenant in 0..tenants {
            let id = format!("00000000-0000-4000-8000-{tenant:012}");
            let is_failing = tenant % apart == apart - 1 && tenant / apart < failing;
            let secret = match is_failing.then(|| wrongs.next().flatten()) {
                Some(None) => "wrong",
                Some(Some(wrong)) => {
                    field.add(&with_tenant(wrong, &id))?;
                    CLIENT_SECRET
                }
                None => {
                    field.healthy.push(format!("t{tenant}"));
                    CLIENT_SECRET
                }
            };
            writeln!(table, "t{tenant},{id},{secret}")?;
        }
        fs::write(field.folder.path().join("tenants.csv"), table)?;
        Ok(field)
    }

    fn add(&self, fault: &str) -> Result<()> {
        let fault: Fault = fault.parse().with_context(|| fault.to_owned())?;
        self.service.add_fault(fault);
        Ok(())
    }

    /// Requests for detections so far.
    fn polls(&self) -> u64 {
        self.service.stats().detection_requests
    }

    /// With settings of the process and of the source.
    fn run(
        &self,
        watchbell: &Path,
        every: Duration,
        (global, own): (&str, &str),
    ) -> Result<Program> {
        let url = self.service.endpoint();
        // Free until just now.
        let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let text = format!(
            "data_dir = \"data\"\nmetrics.listen = \"{metrics}\"\n{global}\
             [sources.fleet]\ntype = \"defender\"\nendpoint = \"{url}\"\nauthority = \"{url}\"\n\
             client_id = \"{CLIENT_ID}\"\nsince = \"PT10M\"\ntenants = \"tenants.csv\"\n\
             egress.allow_addresses = [\"127.0.0.0/8\"]\nscrape_interval_secs = {}\n{own}\
             [sinks.out]\ntype = \"file\"\ninputs = [\"fleet\"]\npath = \"out.ndjson\"\n",
            every.as_secs()
        );
        fs::write(self.folder.path().join("watchbell.toml"), text)?;
        let said = self.folder.path().join("stderr");
        let child = Command::new(watchbell)
            .args(["run", "-c", "watchbell.toml"])
            .current_dir(self.folder.path())
            .env("WATCHBELL_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stderr(File::create(&said)?)
            .spawn()
            .with_context(|| watchbell.display().to_string())?;
        Ok(Program {
            usage: Usage::of(child.id()),
            child,
            said,
            metrics,
        })
    }

    /// What the program's metrics say.
    fn healthy(&self, program: &Program) -> Result<Healthy> {
        // The client wants one though it speaks plain HTTP.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let url = format!("http://{}/metrics", program.metrics);
        let text = self.runtime.block_on(async {
            let answer = reqwest::get(url).await?;
            answer.text().await
        })?;
        let of_each = |metric: &str| -> HashMap<&str, u64> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(metric));
            let tenants = lines.filter_map(|line| {
                let (labels, value) = line.rsplit_once(' ')?;
                let tenant = labels.split_once("tenant=\"")?.1.split('"').next()?;
                Some((tenant, value.parse().ok()?))
            });
            tenants.collect()
        };
        let (polls, missed) = (
            of_each("watchbell_polls_total{"),
            of_each("watchbell_missed_polls_total{"),
        );
        let of = |all: &HashMap<&str, u64>, tenant: &String| {
            let count = all.get(tenant.as_str()).copied();
            count.with_context(|| format!("the metrics do not name {tenant}"))
        };
        let mut healthy = Healthy {
            missed: 0,
            fewest_polls: u64::MAX,
        };
        for tenant in &self.healthy {
            healthy.missed += of(&missed, tenant)?;
            healthy.fewest_polls = healthy.fewest_polls.min(of(&polls, tenant)?);
        }
        Ok(healthy)
    }

    /// Processor time of the native puller for an answer like one of a tenant's.
    fn native(&self, here: &Path) -> Result<Duration> {
        const POLLS: u32 = 2000;
        let until = self.service.now().trunc_subsecs(6);
        let since = until - TimeDelta::minutes(10);
        let range = self.service.catalog(TENANT_ID).range(since, until);
        let expected = u32::try_from(range.end - range.start)?;
        let text = |time: chrono::DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let window = Window {
            since: text(since),
            until: text(until),
        };
        let url = self.service.endpoint();
        let arguments = ["serve", "--endpoint", &url, "--authority", &url].map(OsStr::new);
        let file = self.folder.path().join("native.ndjson");
        let mut native = Worker::start(&here.join("native"), &arguments, file)?;
        native.pull(&window, POLLS / 10, expected)?;
        Ok(native.pull(&window, POLLS, expected)?.processor)
    }
}

fn with_tenant(fault: &str, id: &str) -> String {
    format!("{fault}:tenant={id}")
}

/// `watchbell run`.
struct Program {
    child: Child,
    usage: Usage,
    said: PathBuf,
    metrics: SocketAddr,
}

impl Program {
    /// Looks at its memory every second for so long: MiB.
    fn watch(&self, time: Duration) -> Result<Vec<f64>> {
        let begun = Instant::now();
        let mut all = Vec::new();
        while begun.elapsed() < time {
            std::thread::sleep(Duration::from_secs(1));
            let kib = self.usage.resident().with_context(|| self.words());
            all.push(u32::try_from(kib?).map_or(f64::INFINITY, f64::from) / 1024.0);
        }
        Ok(all)
    }

    /// What it said last.
    fn words(&self) -> String {
        let text = fs::read_to_string(&self.said).unwrap_or_default();
        text.lines().rev().take(5).collect::<Vec<_>>().join("\n")
    }

    /// SIGTERM, and its last words.
    fn end(mut self) -> Result<Ended> {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {}", self.words());
        let text = fs::read_to_string(&self.said)?;
        match text.lines().next_back().map(serde_json::from_str) {
            Some(Ok(ended)) => Ok(ended),
            _ => bail!("unexpected last words: {}", self.words()),
        }
    }

    fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Fleet {
    /// What failing tenants change: both figures beside those of a run without.
    #[must_use]
    pub fn beside(&self, without: &Self) -> String {
        let memory = |fleet: &Self| Spread::of(fleet.resident.iter().copied()).max;
        format!(
            "with {} failing, start lag p99 {} ms beside {} ms; most memory {:.2} times   bar: at most 1.25\n",
            self.failing,
            self.ended.start_lag_p99_ms,
            without.ended.start_lag_p99_ms,
            memory(self) / memory(without)
        )
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tenants,
            failing,
            minutes,
            ended,
            ..
        } = self;
        let memory = Spread::of(self.resident.iter().copied());
        writeln!(
            f,
            "{tenants} tenants polled every {} s for {minutes} minutes, {failing} of them failing",
            PERIOD.as_secs()
        )?;
        writeln!(
            f,
            "  polls                   {:>9}, {} detections delivered",
            ended.polls, ended.delivered
        )?;
        writeln!(
            f,
            "  missed by the healthy   {:>9}   bar: none; with those that hang {}",
            self.healthy.missed, ended.missed_ticks
        )?;
        writeln!(
            f,
            "  fewest polls of one     {:>9}   bar: at least {}",
            self.healthy.fewest_polls,
            minutes.saturating_sub(1)
        )?;
        writeln!(
            f,
            "  start lag p99           {:>9} ms   bar: at most 2000",
            ended.start_lag_p99_ms
        )?;
        writeln!(
            f,
            "  resident, MiB           {memory:.0}   bar: at most 400"
        )?;
        writeln!(
            f,
            "  processor time a poll   {:>9.2} ms, native {:.2} ms, ratio {:.2}",
            self.processor,
            self.native_processor,
            self.processor / self.native_processor
        )
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "memory of a tenant")?;
        writeln!(f, "  idle                    {:>9.1} KiB", self.idle)?;
        writeln!(
            f,
            "  in the middle of a poll {:>9.1} KiB more",
            self.polling
        )
    }
}
