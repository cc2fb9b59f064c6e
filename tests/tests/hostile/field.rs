//! One host: a well-behaved tenant on it, and room for an attacker.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use watchbell::config::{Document, Format, TenantKey};
use watchbell::schedule::{Puller, Runtime, Window};
use watchbell_sandbox::Pool;
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, Config, Running, Simulator, TENANT_ID};
use watchbell_tests::HOSTILE_SOURCE;

/// How long a guest may run before others get their turn: the sandbox's.
const TICK: Duration = Duration::from_millis(10);

/// From one poll of the well-behaved tenant to the next.
const EVERY: Duration = Duration::from_millis(5);

/// One attack at a time: they would disturb each other's figures.
static ALONE: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

pub(crate) struct Field {
    pub(crate) runtime: Runtime,
    folder: TempDir,
    service: Running,
    good: Puller,
    usual: Times,
    _alone: MutexGuard<'static, ()>,
}

/// How long the polls of the well-behaved tenant took.
#[derive(Debug, Clone, Copy)]
struct Times {
    polls: usize,
    p50: Duration,
    p99: Duration,
}

impl Field {
    pub(crate) async fn new() -> Self {
        let alone = ALONE.lock().await;
        let service = Simulator::start(Config::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hostile.wasm"), HOSTILE_SOURCE).unwrap();
        // Compiled code is kept beside the suites' own files: one compilation in all.
        let program = std::env::current_exe().unwrap();
        let compiled = program.with_file_name("watchbell-hostile");
        let runtime = Runtime::start(Pool::Service(8), Some(&compiled))
            .unwrap()
            .with_tenant_key(TenantKey::default());
        let settings = format!("tenant_id = \"{TENANT_ID}\"\n");
        let good = puller(&runtime, &service.authority(), &settings);
        let mut field = Self {
            runtime,
            folder,
            service,
            good,
            usual: Times {
                polls: 0,
                p50: Duration::ZERO,
                p99: Duration::ZERO,
            },
            _alone: alone,
        };
        let _warm = field.polls(Arc::default(), EVERY * 10).await;
        field.usual = field.polls(Arc::default(), lasting()).await;
        field
    }

    /// A tenant whose source is the hostile component, with these settings beside.
    pub(crate) fn attacker(&self, attack: &str, url: &str, settings: &str) -> Puller {
        let component = self.folder.path().join("hostile.wasm");
        let settings = format!(
            "tenant_id = \"attacker.example\"\ncomponent = {component:?}\n{settings}\n\
             options.attack = \"{attack}\"\n"
        );
        puller(&self.runtime, url, &settings)
    }

    /// The base URL of the service that the well-behaved tenant asks.
    pub(crate) fn url(&self) -> String {
        self.service.authority()
    }

    /// Does `attack` again and again while the well-behaved tenant polls; what came of
    /// the last one.
    pub(crate) async fn withstand<T, F>(
        &self,
        name: &str,
        attack: impl Fn() -> F + Send + 'static,
    ) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let done = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&done);
        // A task like any other, as in the service: both share the runtime's threads.
        let attacks = tokio::spawn(async move {
            let begun = Instant::now();
            let mut count = 0_u32;
            loop {
                let outcome = attack().await;
                count += 1;
                if begun.elapsed() >= lasting() {
                    tell.store(true, Ordering::Relaxed);
                    return (outcome, count);
                }
            }
        });
        let times = self.polls(done, Duration::MAX).await;
        let (outcome, count) = attacks.await.unwrap();
        eprintln!(
            "{name}: {count} attacks; {} polls, p50 {:?} ({:?} without), p99 {:?} ({:?} without)",
            times.polls, times.p50, self.usual.p50, times.p99, self.usual.p99
        );
        if std::env::var_os("HOSTILE_BARS").is_some() {
            assert!(times.p50 <= self.usual.p50 * 2, "{name}: p50 {times:?}");
            assert!(
                times.p99 <= self.usual.p99 + TICK * 2,
                "{name}: p99 {times:?}"
            );
        }
        outcome
    }

    /// Polls until it is done or so long has passed. None may fail.
    async fn polls(&self, done: Arc<AtomicBool>, most: Duration) -> Times {
        let good = self.good.clone();
        let polls = async move {
            let begun = Instant::now();
            let mut taken = Vec::new();
            while !done.load(Ordering::Relaxed) && begun.elapsed() < most {
                let begun = Instant::now();
                let window = Window::Ago("PT1M".to_owned());
                good.poll(&window).await.unwrap();
                taken.push(begun.elapsed());
                tokio::time::sleep(EVERY).await;
            }
            taken
        };
        let mut taken = tokio::spawn(polls).await.unwrap();
        taken.sort_unstable();
        let at = |part: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a place in a short list"
            )]
            let place = (taken.len() as f64 * part) as usize;
            taken.get(place).copied().unwrap_or_default()
        };
        Times {
            polls: taken.len(),
            p50: at(0.5),
            p99: at(0.99),
        }
    }
}

fn lasting() -> Duration {
    let seconds = std::env::var("HOSTILE_SECS").ok();
    Duration::from_secs(seconds.map_or(1, |text| text.parse().unwrap()))
}

fn puller(runtime: &Runtime, url: &str, settings: &str) -> Puller {
    let file = format!(
        "[sources.one]\ntype = \"defender\"\nendpoint = \"{url}\"\nauthority = \"{url}\"\n\
         client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\n{settings}"
    );
    // Where a test is about addresses, it says so itself.
    let file = if file.contains("egress.allow_addresses") {
        file
    } else {
        format!("{file}egress.allow_addresses = [\"127.0.0.0/8\"]\n")
    };
    let document = Document::parse(&file, Format::Toml, Path::new("w.toml")).unwrap();
    let source = document.source("one", &|_| None).unwrap();
    Puller::new(runtime, Arc::new(source)).unwrap()
}
