//! Which tenants of a partitioned sink are delivered to, and who is next.
//!
//! All who waited at one look are served before the next look, so one
//! of whom much waits is served as often as one of whom little does.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

/// Tenants of one sink that are written to at one time.
const MAX_PARTITIONS: usize = 8;

/// Looking costs more the more waits. It may take one part of so many of the time.
const LOOKING: u32 = 10;

/// Who is being served, and who is next. Serving a tenant comes to a `T`.
pub(super) struct TenantQueue<T> {
    /// Who waited at the last look and was not served since.
    queue: VecDeque<String>,
    working: JoinSet<T>,
    /// Whose tasks those are.
    busy: HashMap<Id, String>,
    look_at: Instant,
}

impl<T: Send + 'static> TenantQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            working: JoinSet::new(),
            busy: HashMap::new(),
            look_at: Instant::now(),
        }
    }

    /// Whether nobody is being served.
    pub(super) fn is_idle(&self) -> bool {
        self.working.is_empty()
    }

    /// Whether another can be served beside those who are.
    pub(super) fn has_room(&self) -> bool {
        self.working.len() < MAX_PARTITIONS
    }

    /// When to look for who waits; none: others are before them.
    pub(super) fn look_at(&self) -> Option<Instant> {
        (self.has_room() && self.queue.is_empty()).then_some(self.look_at)
    }

    /// Who waits, and how long it took to find out. Those who are being served are not
    /// served twice at a time.
    pub(super) fn enqueue(&mut self, waiting: Vec<String>, took: Duration) {
        self.look_at = Instant::now() + took * (LOOKING - 1);
        let is_busy = |tenant: &String| self.busy.values().any(|busy| busy == tenant);
        let free = waiting.into_iter().filter(|tenant| !is_busy(tenant));
        self.queue = free.collect();
    }

    /// Who is next, when there is room.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.has_room() {
            self.queue.pop_front()
        } else {
            None
        }
    }

    pub(super) fn start(&mut self, tenant: String, work: impl Future<Output = T> + Send + 'static) {
        let id = self.working.spawn(work).id();
        self.busy.insert(id, tenant);
    }

    /// The next task that ends, and what came of it; none when nobody is being served. One
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
        let waiting = [named('m', MAX_PARTITIONS), named('l', 4)].concat();
        let mut queue = TenantQueue::new();
        let mut served = Vec::new();
        for _ in 0..2 * waiting.len() {
            if queue.look_at().is_some() {
                queue.enqueue(waiting.clone(), Duration::ZERO);
            }
            while let Some(tenant) = queue.next() {
                served.push(tenant.clone());
                queue.start(tenant, async {});
            }
            queue.ended().await;
        }
        let turns = |tenant: &String| served.iter().filter(|one| *one == tenant).count();
        let all: Vec<usize> = waiting.iter().map(turns).collect();
        assert!(all.iter().all(|turns| (2..=4).contains(turns)), "{all:?}");
    }

    #[tokio::test]
    async fn a_turn_that_panics_frees_no_other_whose_write_goes_on() {
        let mut queue = TenantQueue::new();
        let (write_on, until) = mpsc::channel::<()>();
        let write = tokio::task::spawn_blocking(move || until.recv());
        queue.start("writes".to_owned(), async move {
            write.await.unwrap().unwrap();
        });
        queue.start("panics".to_owned(), async { panic!("a defect") });
        let (tenant, done) = queue.ended().await.unwrap();
        assert!(tenant == "panics" && done.is_err());
        queue.enqueue(
            vec!["writes".to_owned(), "panics".to_owned()],
            Duration::ZERO,
        );
        assert_eq!(queue.next().as_deref(), Some("panics"));
        assert_eq!(queue.next(), None, "two would write into one file");
        write_on.send(()).unwrap();
        let (tenant, done) = queue.ended().await.unwrap();
        assert!(tenant == "writes" && done.is_ok());
    }

    #[tokio::test]
    async fn looking_takes_no_more_than_its_part_of_the_time() {
        let mut queue = TenantQueue::<()>::new();
        let began = Instant::now();
        queue.enqueue(Vec::new(), Duration::from_secs(1));
        assert!(queue.look_at().unwrap() >= began + Duration::from_secs(9));
    }
}
