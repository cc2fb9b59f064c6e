//! Whose turn it is at a sink that takes each tenant by itself.
//!
//! Everybody who waited at one look is served before anybody is looked for again, so one
//! of whom much waits has a turn as often as one of whom little does.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

/// Tenants of one sink that are written to at one time.
const LANES: usize = 8;

/// Looking costs more the more waits. It may take one part of so many of the time.
const LOOKING: u32 = 10;

/// Who is being served, and who is next. A turn gives back its `T`.
pub(super) struct Lanes<T> {
    /// Who waited at the last look and was not served since.
    queue: VecDeque<String>,
    working: JoinSet<T>,
    /// Whose turns those are.
    busy: HashMap<Id, String>,
    look_at: Instant,
}

impl<T: Send + 'static> Lanes<T> {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            working: JoinSet::new(),
            busy: HashMap::new(),
            look_at: Instant::now(),
        }
    }

    /// Whether nobody is being served.
    pub(super) fn are_idle(&self) -> bool {
        self.working.is_empty()
    }

    /// Whether another can be served beside those who are.
    pub(super) fn have_room(&self) -> bool {
        self.working.len() < LANES
    }

    /// When to look for who waits; none: others are before them.
    pub(super) fn look_at(&self) -> Option<Instant> {
        (self.have_room() && self.queue.is_empty()).then_some(self.look_at)
    }

    /// Who waits, and how long it took to find out. Those who are being served are not
    /// served twice at a time.
    pub(super) fn line_up(&mut self, waiting: Vec<String>, took: Duration) {
        self.look_at = Instant::now() + took * (LOOKING - 1);
        let is_busy = |tenant: &String| self.busy.values().any(|busy| busy == tenant);
        let free = waiting.into_iter().filter(|tenant| !is_busy(tenant));
        self.queue = free.collect();
    }

    /// Who is next, when there is room.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.have_room() {
            self.queue.pop_front()
        } else {
            None
        }
    }

    pub(super) fn serve(&mut self, tenant: String, turn: impl Future<Output = T> + Send + 'static) {
        let id = self.working.spawn(turn).id();
        self.busy.insert(id, tenant);
    }

    /// The next turn that ends, and what came of it; none when nobody is being served. One
    /// that panics ends itself alone: the others may be writing.
    pub(super) async fn ended(&mut self) -> Option<(String, Result<T, JoinError>)> {
        let (id, done) = match self.working.join_next_with_id().await? {
            Ok((id, done)) => (id, Ok(done)),
            Err(error) => (error.id(), Err(error)),
        };
        Some((self.busy.remove(&id).unwrap_or_default(), done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn named(letter: char, count: usize) -> Vec<String> {
        (0..count).map(|n| format!("{letter}{n}")).collect()
    }

    #[tokio::test]
    async fn who_waited_longest_for_a_turn_is_served_before_those_of_whom_more_waits() {
        // As the ledger says: the oldest entries are those of whom much waits.
        let waiting = [named('m', LANES), named('l', 4)].concat();
        let mut lanes = Lanes::new();
        let mut served = Vec::new();
        for _ in 0..2 * waiting.len() {
            if lanes.look_at().is_some() {
                lanes.line_up(waiting.clone(), Duration::ZERO);
            }
            while let Some(tenant) = lanes.next() {
                served.push(tenant.clone());
                lanes.serve(tenant, async {});
            }
            lanes.ended().await;
        }
        let turns = |tenant: &String| served.iter().filter(|one| *one == tenant).count();
        let all: Vec<usize> = waiting.iter().map(turns).collect();
        assert!(all.iter().all(|turns| (2..=4).contains(turns)), "{all:?}");
    }

    #[tokio::test]
    async fn a_turn_that_panics_frees_no_other_whose_write_goes_on() {
        let mut lanes = Lanes::new();
        let (write_on, until) = mpsc::channel::<()>();
        let write = tokio::task::spawn_blocking(move || until.recv());
        lanes.serve("writes".to_owned(), async move {
            write.await.unwrap().unwrap();
        });
        lanes.serve("panics".to_owned(), async { panic!("a defect") });
        let (tenant, done) = lanes.ended().await.unwrap();
        assert!(tenant == "panics" && done.is_err());
        lanes.line_up(
            vec!["writes".to_owned(), "panics".to_owned()],
            Duration::ZERO,
        );
        assert_eq!(lanes.next().as_deref(), Some("panics"));
        assert_eq!(lanes.next(), None, "two would write into one file");
        write_on.send(()).unwrap();
        let (tenant, done) = lanes.ended().await.unwrap();
        assert!(tenant == "writes" && done.is_ok());
    }

    #[tokio::test]
    async fn looking_takes_no_more_than_its_part_of_the_time() {
        let mut lanes = Lanes::<()>::new();
        let began = Instant::now();
        lanes.line_up(Vec::new(), Duration::from_secs(1));
        assert!(lanes.look_at().unwrap() >= began + Duration::from_secs(9));
    }
}
