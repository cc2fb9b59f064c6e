//! One host: a well-behaved tenant on it, and room for attackers.
//!
//! Two worker threads, as a small machine has, and twice as many attackers at once, so
//! that no thread is left over for the tenant. The pool has room for twice as many calls
//! again: who may take how many places is for the host's scheduler, which gives slow ones
//! half. What is attacked and what is polled runs elsewhere, on a thread of its own.

use crate::figures::{Figures, Row};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{Barrier, Mutex, MutexGuard};
use tokio::task::JoinSet;
use tokio::time::Instant;
use watchbell::cli::threads;
use watchbell::config::Document;
use watchbell::names::TenantKey;
use watchbell::sources::{DefenderClient, Runtime, Window};
use watchbell_sandbox::Pool;
use watchbell_settings::Format;
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, Config, Running, Simulator, TENANT_ID};
use watchbell_tests::HOSTILE_SOURCE;

const THREADS: usize = 2;

/// From one poll of the well-behaved tenant to the next. No multiple of an epoch tick, so
/// that polls begin anywhere in one.
const EVERY: Duration = Duration::from_millis(13);

/// Polls in a row without an attack, then with: what else the machine does shall hit both.
const SLICE: usize = 125;

/// A host that answers nobody is given up, so that its test ends.
const MOST: Duration = Duration::from_secs(30);

/// One attack at a time: they would disturb each other's figures.
static ALONE: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

/// The rest of the world.
static ELSEWHERE: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
});

pub(crate) struct Field {
    pub(crate) runtime: Runtime,
    folder: TempDir,
    service: Running,
    good: DefenderClient,
    /// For how many milliseconds.
    attacked: AtomicU64,
    _alone: MutexGuard<'static, ()>,
}

/// Runs a test on the program's own kind of threads, as few as a small machine has.
pub(crate) fn on_host(test: impl Future<Output = ()>) {
    let threads = threads().worker_threads(THREADS).build().unwrap();
    threads.block_on(test);
}

/// Runs a service where it takes no time from the host.
pub(crate) async fn elsewhere<T: Send + 'static>(
    service: impl Future<Output = T> + Send + 'static,
) -> T {
    ELSEWHERE.spawn(service).await.unwrap()
}

impl Field {
    pub(crate) async fn new() -> Self {
        let alone = ALONE.lock().await;
        let service = elsewhere(Simulator::start(Config::default()));
        let service = service.await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hostile.wasm"), HOSTILE_SOURCE).unwrap();
        // Compiled code is kept beside the suites' own files: one compilation in all.
        let program = std::env::current_exe().unwrap();
        let compiled = program.with_file_name("watchbell-hostile");
        let runtime = Runtime::start(Pool::Service(2 * attackers()), Some(&compiled))
            .unwrap()
            .with_tenant_key(TenantKey::default());
        let settings = format!("tenant_id = \"{TENANT_ID}\"\n");
        let good = puller(&runtime, &service.authority(), &settings);
        let field = Self {
            runtime,
            folder,
            service,
            good,
            attacked: AtomicU64::default(),
            _alone: alone,
        };
        field.poll(10, &mut Figures::default()).await;
        field
    }

    /// A tenant whose source is the hostile component, with these settings beside.
    pub(crate) fn attacker(&self, attack: &str, url: &str, settings: &str) -> DefenderClient {
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

    /// How long the last attack went on.
    pub(crate) fn attacked(&self) -> Duration {
        Duration::from_millis(self.attacked.load(Ordering::Relaxed))
    }

    /// Has some at once do `attack` again and again while the well-behaved tenant polls,
    /// which must miss nothing; what came of the last attack.
    pub(crate) async fn withstand<T, F>(
        &self,
        name: &str,
        attack: impl Fn() -> F + Send + Sync + 'static,
    ) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let attack = Arc::new(attack);
        let (mut without, mut with) = (Figures::default(), Figures::default());
        let (mut attacks, mut attacked) = (0, 0);
        let mut left = polls();
        loop {
            let slice = left.min(SLICE);
            self.poll(slice, &mut without).await;
            let attackers = Attackers::start(&attack).await;
            self.poll(slice, &mut with).await;
            let (last, count, lasted) = attackers.stop().await;
            attacks += count;
            attacked += lasted;
            left -= slice;
            if left == 0 {
                self.attacked.store(attacked, Ordering::Relaxed);
                Row {
                    name,
                    attacks,
                    without,
                    with,
                }
                .judge();
                return last;
            }
        }
    }

    /// Polls on a schedule, as the host does: from here a task for each poll, one after
    /// the other; what is due while the one before is under way is left out. None may
    /// fail.
    async fn poll(&self, count: usize, figures: &mut Figures) {
        let mut due = Instant::now();
        for _ in 0..count {
            tokio::time::sleep_until(due).await;
            let begun = Instant::now();
            let good = self.good.clone();
            let poll = async move { good.poll(&Window::Ago("PT1M".to_owned())).await };
            tokio::spawn(poll).await.unwrap().unwrap();
            figures.add(begun - due, begun.elapsed());
            while due <= Instant::now() {
                due += EVERY;
            }
        }
    }
}

/// Those that attack.
struct Attackers<T> {
    tasks: JoinSet<(T, u32)>,
    enough: Arc<AtomicBool>,
    begun: Instant,
}

impl<T: Send + 'static> Attackers<T> {
    /// Each has attacked once when this returns, so that all of them are at it.
    async fn start<F>(attack: &Arc<impl Fn() -> F + Send + Sync + 'static>) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (enough, begun) = (Arc::<AtomicBool>::default(), Instant::now());
        let all = Arc::new(Barrier::new(attackers() as usize + 1));
        let mut tasks = JoinSet::new();
        for _ in 0..attackers() {
            let (attack, enough) = (Arc::clone(attack), Arc::clone(&enough));
            let all = Arc::clone(&all);
            tasks.spawn(async move {
                attack().await;
                all.wait().await;
                let mut count = 1;
                loop {
                    // A task for each, as the host has it, on the tenant's threads.
                    let outcome = tokio::spawn(attack()).await.unwrap();
                    count += 1;
                    if enough.load(Ordering::Relaxed) || begun.elapsed() > MOST {
                        return (outcome, count);
                    }
                }
            });
        }
        all.wait().await;
        Self {
            tasks,
            enough,
            begun,
        }
    }

    /// What came of the last attack, how many there were, and milliseconds.
    async fn stop(mut self) -> (T, u32, u64) {
        self.enough.store(true, Ordering::Relaxed);
        let (mut last, mut attacks) = (None, 0);
        while let Some(ended) = self.tasks.join_next().await {
            let (outcome, count) = ended.unwrap();
            last = Some(outcome);
            attacks += count;
        }
        let lasted = u64::try_from(self.begun.elapsed().as_millis()).unwrap();
        (last.unwrap(), attacks, lasted)
    }
}

/// Of each kind.
fn polls() -> usize {
    number("HOSTILE_POLLS").map_or(40, |polls| polls.max(1) as usize)
}

/// How many attack at one time: twice as many as there are threads.
fn attackers() -> u32 {
    number("HOSTILE_ATTACKERS").map_or(4, |attackers| attackers.max(1))
}

fn number(name: &str) -> Option<u32> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

fn puller(runtime: &Runtime, url: &str, settings: &str) -> DefenderClient {
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
    DefenderClient::new(runtime, Arc::new(source)).unwrap()
}
