//! The program, from one death to the next.

use super::day::{AFTER, DAY, Day};
use super::service::SimulatedClient;
use super::world::{SimulatedClock, World, midnight};
use crate::polling::clock::Clock;
use crate::polling::reader::nanos;
use crate::polling::{Backpressure, Feed, Handle, MemoryBudget, Scheduler, Shared};
use crate::record;
use chrono::TimeDelta;
use fastrand::Rng;
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use watchbell_ledger::{
    Cursors, EntryId, FeedId, Ledger, Outbox, Pause, Quarantine, Reader, Sqlite,
};

/// What keeps a ledger's files: memory where there is such a folder, since nothing here is
/// about power cuts.
const MEMORY: &str = "/dev/shm";

/// Steps of a day that never ends.
const TOO_MANY: u64 = 3_000_000;

/// A call between two lives: nobody takes a turn meanwhile.
fn done<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().unwrap()
}

/// A program that runs for a day.
pub(super) struct Program {
    rng: Rng,
    /// Of somebody who moves the cursor by hand, and whether there is one.
    operator: Rng,
    has_operator: bool,
    day: Arc<Day>,
    deaths: u64,
    world: Arc<World>,
    folder: TempDir,
    ledger: Option<Arc<Sqlite>>,
    /// How often each row went to the file.
    file: BTreeMap<usize, usize>,
    read_to: EntryId,
}

impl Program {
    /// With a day that is made of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let day = Day::new(&mut rng);
        let deaths = rng.u64(..30);
        let mut program = Self::of(seed, day, deaths);
        program.has_operator = true;
        program
    }

    /// With a day that is given, and at most so many deaths.
    pub(super) fn of(seed: u64, day: Day, deaths: u64) -> Self {
        // What the product itself draws: how long it waits.
        fastrand::seed(seed);
        let mut rng = Rng::with_seed(seed);
        let folder = match Path::new(MEMORY).is_dir() {
            true => tempfile::tempdir_in(MEMORY),
            false => tempfile::tempdir(),
        };
        let wall = (0..rng.usize(..5)).map(|_| {
            let at = Duration::from_secs(rng.u64(..86_400));
            (at, TimeDelta::seconds(rng.i64(-18_000..18_000)))
        });
        let mut wall: Vec<_> = wall.collect();
        wall.sort_unstable_by_key(|(at, _)| *at);
        Self {
            day: Arc::new(day),
            deaths,
            rng,
            operator: Rng::with_seed(!seed),
            has_operator: false,
            world: World::new(wall),
            folder: folder.unwrap(),
            ledger: None,
            file: BTreeMap::new(),
            read_to: EntryId::default(),
        }
    }

    /// Runs for a day, and says how many processes that took, or what is wrong.
    pub(super) fn run_day(mut self) -> Result<u64, String> {
        let mut lives = 0;
        loop {
            lives += 1;
            let steps = (lives <= self.deaths && self.world.now() < DAY).then(|| {
                let most = *self.rng.choice([30, 300, 3000].iter()).unwrap();
                self.rng.u64(1..most)
            });
            let feed = self.live(steps);
            self.deliver();
            if self.world.is_stuck() || self.world.steps() > TOO_MANY {
                return Err(format!("stuck at {:?}", self.world.now()));
            }
            if self.world.now() >= DAY + AFTER {
                return self.judge(feed).map(|()| lives);
            }
            if self.rng.bool() {
                self.ledger = None;
            }
            self.world.pass(Duration::from_secs(self.rng.u64(..900)));
        }
    }

    /// A process: until it dies, or the day is over.
    fn live(&mut self, steps: Option<u64>) -> FeedId {
        let ledger = self.open();
        let name = "s".parse().unwrap();
        let feed_name = Handle::feed_name(&name, &self.day.settings);
        let registered = done(ledger.register_feeds(&[(feed_name, "t".to_owned())]));
        let id = registered.unwrap()[0];
        let world = Arc::clone(&self.world);
        world.begin_life(steps);
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock(Arc::clone(&world)));
        let pausing = Arc::clone(&world);
        let pause: Pause = Arc::new(move || {
            let world = Arc::clone(&pausing);
            Box::pin(async move { world.step().await })
        });
        let ledger: Arc<dyn Ledger> = Arc::new(ledger.simulated(pause));
        let memory = MemoryBudget::new(*self.rng.choice([16 << 20, 256 << 20].iter()).unwrap());
        let folder = self.folder.path().to_owned();
        let client = SimulatedClient::new(&world, &self.day, self.rng.fork());
        let handle = Handle {
            name,
            id,
            client: Arc::new(client),
            shared: Shared {
                backpressure: Backpressure::new(
                    ledger.clone(),
                    Arc::clone(&clock),
                    Vec::new(),
                    folder,
                    0,
                ),
                ledger,
                news: watch::Sender::new(0),
                memory: memory.clone(),
                clock: Arc::clone(&clock),
            },
        };
        let stop = CancellationToken::new();
        let moves = self.move_cursor_now_and_then(id, &handle.shared.ledger);
        let feed = Feed::new(&handle, stop.clone());
        let scheduler = Scheduler::new(2, memory, Arc::clone(&clock), stop.clone(), None);
        let (_changes, changed) = mpsc::channel(1);
        let ends = DAY + AFTER;
        // Some are asked to stop, and others die.
        let stops = match steps {
            Some(_) if self.rng.u8(..5) == 0 => {
                world.now() + Duration::from_secs(self.rng.u64(..7200))
            }
            _ => ends,
        };
        let parked = Arc::clone(&world);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || parked.advance())
            .build()
            .unwrap();
        runtime.block_on(async {
            let stopping = async {
                clock.sleep(stops.saturating_sub(world.now())).await;
                stop.cancel();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                () = world.over.notified() => {}
                () = stopping => {}
                () = moves => {}
                _ = scheduler.run(vec![feed], changed) => {}
            }
        });
        drop(runtime);
        id
    }

    /// Somebody who moves the cursor back by hand, every few hours.
    fn move_cursor_now_and_then(
        &mut self,
        feed: FeedId,
        ledger: &Arc<dyn Ledger>,
    ) -> impl Future<Output = ()> + use<> {
        let (mut rng, moves_it) = (self.operator.fork(), self.has_operator);
        let (world, ledger) = (Arc::clone(&self.world), Arc::clone(ledger));
        async move {
            let clock = SimulatedClock(Arc::clone(&world));
            if !moves_it {
                std::future::pending::<()>().await;
            }
            loop {
                clock
                    .sleep(Duration::from_secs(rng.u64(3600..20_000)))
                    .await;
                // Later there would not be time to read all of it again.
                if world.now() > DAY {
                    break;
                }
                let back = rng.i64(0..30_000) * 1_000_000_000;
                let stands = ledger.feed_progress(feed).await.unwrap();
                if let Some(cursor) = stands.cursor {
                    let moved = ledger.set_cursor(feed, cursor - back, false).await;
                    moved.unwrap();
                }
            }
            std::future::pending::<()>().await;
        }
    }

    fn open(&mut self) -> Arc<Sqlite> {
        let folder = self.folder.path().join("data");
        let open = || {
            let ledger = Sqlite::open(&folder).unwrap();
            let ledger = ledger.simulated(Arc::new(|| Box::pin(ready(()))));
            let reader = Reader {
                name: "file".to_owned(),
                sources: vec!["s".to_owned()],
            };
            done(ledger.register_readers(&[reader], &[])).unwrap();
            Arc::new(ledger)
        };
        Arc::clone(self.ledger.get_or_insert_with(open))
    }

    /// What waits goes to the file.
    fn deliver(&mut self) {
        let ledger = self.open();
        while let Some(entry) = done(ledger.next_entry("file", None, self.read_to)).unwrap() {
            for bytes in entry.records() {
                let json = std::str::from_utf8(record::json(bytes).unwrap()).unwrap();
                *self.file.entry(json.parse().unwrap()).or_default() += 1;
            }
            self.read_to = entry.id;
            done(ledger.acknowledge("file", None, entry.id, None)).unwrap();
        }
    }

    fn judge(&mut self, feed: FeedId) -> Result<(), String> {
        let ledger = self.open();
        let mut wrong = Vec::new();
        for row in &self.day.rows {
            let count = self.file.get(&row.number).copied().unwrap_or(0);
            // Once the keys of records without a date are forgotten, a cursor that is moved
            // back finds them again.
            if count > 1 && self.has_operator && !row.is_dated {
                continue;
            }
            if count > 1 || (count == 0 && self.day.must_arrive(row)) {
                wrong.push(format!("arrived {count} times: {row:?}"));
            }
        }
        if let Some((number, _)) = self.file.last_key_value()
            && *number >= self.day.rows.len()
        {
            wrong.push(format!("{number} was never there"));
        }
        for held in done(ledger.list_quarantined(Some(feed))).unwrap() {
            wrong.push(format!("in quarantine: {held:?}"));
        }
        let cursor = done(ledger.feed_progress(feed)).unwrap().cursor;
        let day = nanos(midnight() + TimeDelta::from_std(DAY).unwrap());
        if cursor.is_none_or(|cursor| cursor < day) {
            wrong.push(format!("read only up to {cursor:?}"));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        wrong.truncate(6);
        let day = Day {
            rows: Vec::new(),
            ..Day::clone(&self.day)
        };
        wrong.push(format!("{day:?}"));
        Err(wrong.join("\n"))
    }
}
