//! Which records of a batch cannot be handled, found out by trying fewer of them.
//!
//! A plugin fails for a call, and one alert in it may be why: it is what a filter loops
//! for ever over, or what an attacker had the service say so that it does. Passing it on
//! unprocessed could leak what a filter was to redact, and waiting would stop all tenants
//! behind it. A sink's other side refuses a request, and one event in it may be why. So a
//! batch that fails is tried again in halves, down to what fails by itself. That is
//! quarantined; the rest goes on.
//!
//! Where nothing at all succeeds, the plugin or the sink may be what is broken. Unless it
//! has handled something before, nothing is quarantined, and the sink waits.

use super::error::RouteError;
use super::identity::Identity;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Failures of one batch after which nothing is split any more. A call costs well below a
/// millisecond, and what an encoder names as a bad record costs one.
const FAILURES: u32 = 1000;

/// How often the CPU time of a call may pass in failures of one batch: enough to find two
/// alerts among four thousand that each use up all of it.
const CPU_BUDGETS: u32 = 24;

/// The same for a plugin that never handled anything, which is tried again and again.
const CPU_BUDGETS_UNPROVEN: u32 = 4;

/// Something that a batch goes through. It succeeds with all that it is given, or not.
pub(super) trait Attempt: Send {
    /// What comes of it.
    type Made: Send;

    /// One try with these items of the batch.
    fn attempt(
        &mut self,
        range: Range<usize>,
    ) -> impl Future<Output = Result<Self::Made, Fault>> + Send;
}

/// Why a try failed.
pub(super) enum Fault {
    /// One of the items may be why.
    Bad(Failure),
    /// No item is why: nothing more is tried now.
    Stop(RouteError),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Bad(failure)
    }
}

/// Items that could not be handled together.
pub(super) struct Failure {
    pub(super) error: RouteError,
    /// The one that it is about, if that was said: its index among those of the try.
    pub(super) item: Option<usize>,
    /// Who could not handle them.
    pub(super) by: Arc<Identity>,
}

/// Items that are quarantined.
pub(super) struct Rejected {
    /// Their indexes in the batch.
    pub(super) range: Range<usize>,
    /// Why, fit for a log.
    pub(super) reason: String,
    /// Who could not handle them.
    pub(super) by: Arc<Identity>,
}

/// What came of a batch.
pub(super) struct Bisected<M> {
    /// What was made, in order.
    pub(super) made: Vec<M>,
    /// What cannot be handled, in order.
    pub(super) rejected: Vec<Rejected>,
}

/// A bisection in progress. It can be interrupted, and goes on where it stopped.
pub(super) struct Bisection<M> {
    /// First in, first out: whether anything succeeds shows before single items are tried.
    waiting: VecDeque<Range<usize>>,
    made: Vec<(usize, M)>,
    rejected: Vec<Rejected>,
    spent: Spent,
}

impl<M: Send> Bisection<M> {
    /// Of a batch, in parts that are tried one after the other.
    pub(super) fn new(parts: impl IntoIterator<Item = Range<usize>>) -> Self {
        Self {
            waiting: parts.into_iter().collect(),
            made: Vec::new(),
            rejected: Vec::new(),
            spent: Spent::default(),
        }
    }

    /// Whether anything of the batch was handled already.
    pub(super) fn has_begun(&self) -> bool {
        !self.made.is_empty()
    }

    /// Has the rest worked on, around what cannot be.
    ///
    /// # Errors
    /// What stopped it.
    pub(super) async fn run<A>(&mut self, work: &mut A) -> Result<(), RouteError>
    where
        A: Attempt<Made = M>,
    {
        while let Some(range) = self.waiting.pop_front() {
            let began = Instant::now();
            match work.attempt(range.clone()).await {
                Ok(one) => self.made.push((range.start, one)),
                Err(Fault::Bad(failure)) => {
                    self.spent.add(began.elapsed());
                    self.split(range, &failure);
                }
                Err(Fault::Stop(error)) => {
                    self.waiting.push_front(range);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn split(&mut self, range: Range<usize>, failure: &Failure) {
        let named = failure.item.filter(|at| *at < range.len());
        let cut = |range: Range<usize>| (!range.is_empty()).then_some(range);
        if range.len() == 1 || self.spent.is_enough(&failure.by) {
            self.rejected.push(Rejected::of(range, failure));
        } else if let Some(at) = named.map(|at| range.start + at) {
            self.rejected.push(Rejected::of(at..at + 1, failure));
            let beside = [range.start..at, at + 1..range.end];
            self.waiting.extend(beside.into_iter().filter_map(cut));
        } else {
            let middle = range.start + range.len() / 2;
            self.waiting
                .extend([range.start..middle, middle..range.end]);
        }
    }

    /// What cannot be handled.
    ///
    /// # Errors
    /// [`RouteError::Unproven`], when nothing could be handled by somebody who never
    /// handled anything else.
    pub(super) fn rejected(&self) -> Result<&[Rejected], RouteError> {
        match self.rejected.last() {
            Some(last) if self.made.is_empty() && !last.by.has_worked() => {
                Err(RouteError::Unproven {
                    name: last.by.name.clone(),
                    reason: last.reason.clone(),
                })
            }
            _ => Ok(&self.rejected),
        }
    }

    /// What came of it.
    ///
    /// # Errors
    /// As [`Bisection::rejected`].
    pub(super) fn finish(mut self) -> Result<Bisected<M>, RouteError> {
        self.rejected()?;
        self.rejected.sort_by_key(|one| one.range.start);
        self.made.sort_by_key(|(start, _)| *start);
        Ok(Bisected {
            made: self.made.into_iter().map(|(_, one)| one).collect(),
            rejected: self.rejected,
        })
    }
}

/// Has a batch worked on, around what cannot be.
///
/// # Errors
/// As [`Bisection::run`] and [`Bisection::finish`].
pub(super) async fn bisect<A: Attempt>(
    work: &mut A,
    parts: impl IntoIterator<Item = Range<usize>>,
) -> Result<Bisected<A::Made>, RouteError> {
    let mut bisection = Bisection::new(parts);
    bisection.run(work).await?;
    bisection.finish()
}

impl Rejected {
    fn of(range: Range<usize>, failure: &Failure) -> Self {
        Self {
            range,
            reason: failure.error.to_string(),
            by: Arc::clone(&failure.by),
        }
    }
}

/// What failures of a batch cost.
#[derive(Default)]
struct Spent {
    failures: u32,
    time: Duration,
}

impl Spent {
    fn add(&mut self, time: Duration) {
        self.failures += 1;
        self.time += time;
    }

    fn is_enough(&self, by: &Identity) -> bool {
        let budgets = if by.has_worked() {
            CPU_BUDGETS
        } else {
            CPU_BUDGETS_UNPROVEN
        };
        let most = by.cpu.map(|cpu| cpu.saturating_mul(budgets));
        self.failures >= FAILURES || most.is_some_and(|most| self.time >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchbell_sandbox::{CallError, Limits};

    /// Fails for every item that is in `bad`, naming it or not.
    struct Picky {
        bad: Vec<usize>,
        names_it: bool,
        calls: u32,
        plugin: Arc<Identity>,
    }

    impl Attempt for Picky {
        type Made = Vec<usize>;

        async fn attempt(&mut self, range: Range<usize>) -> Result<Vec<usize>, Fault> {
            self.calls += 1;
            if let Some(at) = range.clone().position(|item| self.bad.contains(&item)) {
                let failure = self.plugin.stopped(CallError::Trap("as meant".to_owned()));
                let item = self.names_it.then_some(at);
                return Err(Failure { item, ..failure }.into());
            }
            self.plugin.handled(range.len());
            Ok(range.collect())
        }
    }

    fn picky(bad: Vec<usize>, names_it: bool) -> Picky {
        Picky {
            bad,
            names_it,
            calls: 0,
            plugin: Identity::plugin("picky".to_owned(), &Limits::for_plugin()),
        }
    }

    #[tokio::test]
    async fn what_fails_is_held_back_and_everything_else_goes_on_in_order() {
        for names_it in [true, false] {
            let mut work = picky(vec![0, 7, 8, 99], names_it);
            let done = bisect(&mut work, std::iter::once(0..100)).await.unwrap();
            let rejected: Vec<usize> = done
                .rejected
                .iter()
                .flat_map(|one| one.range.clone())
                .collect();
            assert_eq!(rejected, work.bad);
            let want: Vec<usize> = (0..100).filter(|item| !work.bad.contains(item)).collect();
            assert_eq!(done.made.concat(), want);
        }
    }

    #[tokio::test]
    async fn one_of_thousands_is_found_in_a_few_calls() {
        let mut work = picky(vec![3000], false);
        let done = bisect(&mut work, std::iter::once(0..4096)).await.unwrap();
        assert_eq!(done.rejected.len(), 1);
        assert!(work.calls <= 25, "{} calls", work.calls);
    }

    #[tokio::test]
    async fn thousands_of_bad_alerts_cost_a_bounded_number_of_calls() {
        let mut work = picky((0..20_000).step_by(2).collect(), true);
        let done = bisect(&mut work, std::iter::once(0..20_000)).await.unwrap();
        let rejected: usize = done.rejected.iter().map(|one| one.range.len()).sum();
        assert_eq!(
            rejected + done.made.concat().len(),
            20_000,
            "each is somewhere"
        );
        assert!(work.calls <= 2 * FAILURES + 2, "{} calls", work.calls);
    }

    #[tokio::test]
    async fn a_plugin_that_fails_for_everything_holds_nothing_back_until_it_handled_something() {
        let mut work = picky((0..10).collect(), false);
        let failed = bisect(&mut work, std::iter::once(0..10)).await;
        assert!(matches!(failed, Err(RouteError::Unproven { .. })));
        work.plugin.handled(1);
        let done = bisect(&mut work, std::iter::once(0..10)).await.unwrap();
        assert_eq!(done.rejected.len(), 10);
    }

    /// Is out of reach after so many tries, for one of them.
    struct Flaky(Picky, u32);

    impl Attempt for Flaky {
        type Made = Vec<usize>;

        async fn attempt(&mut self, range: Range<usize>) -> Result<Vec<usize>, Fault> {
            if self.0.calls == self.1 {
                self.0.calls += 1;
                return Err(Fault::Stop(RouteError::Defect("as meant".to_owned())));
            }
            self.0.attempt(range).await
        }
    }

    #[tokio::test]
    async fn what_was_stopped_anywhere_goes_on_and_repeats_nothing() {
        for stopped_after in 0..20 {
            let mut work = Flaky(picky(vec![3, 77], false), stopped_after);
            let mut bisection = Bisection::new([0..50, 50..100]);
            if bisection.run(&mut work).await.is_err() {
                assert_eq!(bisection.has_begun(), !bisection.made.is_empty());
                bisection.run(&mut work).await.unwrap();
            }
            let done = bisection.finish().unwrap();
            let made: Vec<usize> = done.made.concat();
            let want: Vec<usize> = (0..100).filter(|item| ![3, 77].contains(item)).collect();
            assert_eq!(made, want, "{stopped_after}");
        }
    }
}
