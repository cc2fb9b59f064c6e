//! A folder of the user's own, the program, and a Defender for it to ask.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use watchbell_simulator::{
    CLIENT_ID, CLIENT_SECRET, Clock, Config, Detection, Late, Running, Simulator, TENANT_ID,
};

/// What the simulators run on.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The service's time with [`at_noon`].
pub(crate) const NOON: &str = "2026-05-01T12:00:00Z";

/// A range with 60 detections of [`at_noon`].
pub(crate) const SINCE: &str = "2026-05-01T11:54:00Z";

/// A service whose clock stands at noon, with two hours of history at ten detections a
/// minute, none of them late.
pub(crate) fn at_noon() -> Config {
    Config {
        clock: Clock::Frozen(NOON.parse().unwrap()),
        start: Some("2026-05-01T10:00:00Z".parse().unwrap()),
        late: Late {
            rate: 0.0,
            ..Late::default()
        },
        ..Config::default()
    }
}

pub(crate) fn start(config: Config) -> Running {
    RUNTIME.block_on(Simulator::start(config)).unwrap()
}

/// Ends a service: its port is closed, and its connections are where they stand.
pub(crate) fn stop(running: Running) {
    RUNTIME.block_on(running.stop());
}

/// What the service has from `since` until [`NOON`].
pub(crate) fn expected(running: &Running, since: &str) -> Vec<Detection> {
    let catalog = running.catalog(TENANT_ID);
    let range = catalog.range(since.parse().unwrap(), NOON.parse().unwrap());
    catalog.detections(range).collect()
}

pub(crate) fn lines(detections: &[Detection]) -> String {
    detections
        .iter()
        .map(|one| format!("{}\n", one.json))
        .collect()
}

/// `[sources.contoso]` for a simulator, with room for more keys after it.
pub(crate) fn source(running: &Running) -> String {
    format!(
        "[sources.contoso]\n\
         type = \"defender\"\n\
         endpoint = \"{}\"\n\
         authority = \"{}\"\n\
         tenant_id = \"{TENANT_ID}\"\n\
         client_id = \"{CLIENT_ID}\"\n\
         client_secret = \"{CLIENT_SECRET}\"\n\
         egress.allow_addresses = [\"127.0.0.0/8\"]\n",
        running.endpoint(),
        running.authority(),
    )
}

/// Ten minutes of history that ended a minute ago, one detection a second, none late.
pub(crate) fn ended() -> Config {
    let now = Utc::now();
    Config {
        rate: 60.0,
        start: Some(now - TimeDelta::minutes(11)),
        end: Some(now - TimeDelta::minutes(1)),
        late: Late {
            rate: 0.0,
            ..Late::default()
        },
        record: true,
        ..Config::default()
    }
}

/// A configuration of one source with `settings` and a file sink `all` at `all.ndjson`.
pub(crate) fn to_file(running: &Running, settings: &str) -> String {
    format!(
        "data_dir = \"data\"\nmin_free = 1\n{}scrape_interval_secs = 1\n{settings}\n\
         [sinks.all]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"all.ndjson\"\n",
        source(running)
    )
}

/// Each line's FullId, in order.
pub(crate) fn ids(ndjson: &str) -> Vec<String> {
    let id = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap();
        object["FullId"].as_str().unwrap().to_owned()
    };
    ndjson.lines().map(id).collect()
}

/// How many lines are whole; the last may be being written.
pub(crate) fn lines_of(text: &str) -> usize {
    text.matches('\n').count()
}

/// The detections that the service has, visible now.
pub(crate) fn visible(running: &Running) -> BTreeSet<String> {
    let catalog = running.catalog(TENANT_ID);
    let now = running.now();
    catalog
        .range(DateTime::UNIX_EPOCH, now)
        .filter(|index| catalog.visible_at(*index) <= now)
        .map(|index| catalog.detection(index).full_id)
        .collect()
}

/// Each of `want` once, and nothing else.
#[track_caller]
pub(crate) fn once_each(ndjson: &str, want: &BTreeSet<String>) {
    let got = ids(ndjson);
    let set: BTreeSet<String> = got.iter().cloned().collect();
    assert_eq!(got.len(), set.len(), "a detection was delivered twice");
    let lost: Vec<_> = want.difference(&set).collect();
    let extra: Vec<_> = set.difference(want).collect();
    assert!(
        lost.is_empty() && extra.is_empty(),
        "lost {lost:?}, never served {extra:?}"
    );
}

/// A named pipe, which keeps whoever opens it waiting for its writer.
pub(crate) fn fifo(path: &Path) {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

/// A folder that is all a user has.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// With `watchbell.toml`.
    pub(crate) fn with(config: &str) -> Self {
        let home = Self::new();
        home.write("watchbell.toml", config);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// `watchbell ARGS` here, with nothing of this process's environment. Compiled
    /// components are shared by the tests.
    pub(crate) fn watchbell<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env(
                "XDG_CACHE_HOME",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
            )
            .stdin(Stdio::null());
        command
    }

    /// `watchbell run --once`, which reads and delivers everything.
    #[track_caller]
    pub(crate) fn run_once(&self) -> Ran {
        let ran = self.run("run", &["--once"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    }

    /// `watchbell state --json`.
    #[track_caller]
    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.run("state", &["--json"]).ok()).unwrap()
    }

    /// `watchbell VERB -c watchbell.toml ARGS`, to its end.
    pub(crate) fn run(&self, verb: &str, args: &[&str]) -> Ran {
        run(self.watchbell([verb, "-c", "watchbell.toml"]).args(args))
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// It went well: what it printed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// It ended with `code` and printed no data: its words.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "stdout is data");
        self.stderr
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) fn run(command: &mut Command) -> Ran {
    command.output().unwrap().into()
}

/// A program that is ended with its test. What it prints goes to files, since a full
/// pipe would stop it.
pub(crate) struct Service {
    child: Option<Child>,
    printed: TempDir,
}

impl Service {
    pub(crate) fn start(command: &mut Command) -> Self {
        let printed = tempfile::tempdir().unwrap();
        let file = |name| File::create(printed.path().join(name)).unwrap();
        command.stdout(file("stdout")).stderr(file("stderr"));
        Self {
            child: Some(command.spawn().unwrap()),
            printed,
        }
    }

    /// What it printed so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.printed.path().join("stdout")).unwrap()
    }

    /// What it said so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.printed.path().join("stderr")).unwrap()
    }

    /// To its end.
    pub(crate) fn wait(mut self) -> Ran {
        let mut child = self.child.take().unwrap();
        self.ran(&mut child)
    }

    fn ran(&self, child: &mut Child) -> Ran {
        let text = |name| fs::read_to_string(self.printed.path().join(name)).unwrap();
        Ran {
            code: child.wait().unwrap().code(),
            stdout: text("stdout"),
            stderr: text("stderr"),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Whether SIGTERM was sent and not handled yet.
    pub(crate) fn has_pending_signal(&self) -> bool {
        let pid = self.child.as_ref().unwrap().id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let set = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
        };
        (set("ShdPnd:") | set("SigPnd:")) & (1 << 14) != 0
    }

    /// SIGTERM.
    pub(crate) fn signal(&self) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// SIGHUP.
    pub(crate) fn reload(&self) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    /// SIGTERM, and what it did in all.
    pub(crate) fn terminate(self) -> Ran {
        self.signal();
        self.wait()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until `done`; long, since these machines are shared.
#[track_caller]
pub(crate) fn wait_until(what: &str, done: impl FnMut() -> bool) {
    wait(what, Duration::from_secs(120), done);
}

/// As [`wait_until`], for what takes long even on a quiet machine.
#[track_caller]
pub(crate) fn wait_long(what: &str, done: impl FnMut() -> bool) {
    wait(what, Duration::from_secs(300), done);
}

#[track_caller]
fn wait(what: &str, most: Duration, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(20);
    while !done() {
        assert!(begun.elapsed() < most, "never: {what}");
        std::thread::sleep(pause);
        // Looking often may start a process each time, and slow what is waited for.
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}
