//! Which alerts a plugin cannot handle, found out by trying fewer of them.
//!
//! A plugin fails for a call, and one alert in it may be why: it is what a filter loops
//! for ever over, or what an attacker had the service say so that it does. Passing it on
//! unprocessed could leak what a filter was to redact, and waiting would stop all tenants
//! behind it. So a batch that fails is tried again in halves, down to the alerts that
//! fail by themselves. Those are quarantined; the rest goes on.
//!
//! Where nothing at all succeeds, the plugin may be what is broken. Unless it has handled
//! an alert before, nothing is quarantined, and its sink waits.

use super::calls;
use super::error::RouteError;
use super::process::{Failure, Identity};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watchbell_sandbox::Alert;

/// Failures of one batch after which nothing is split any more. A call costs well below a
/// millisecond, and what an encoder names as a bad record costs one.
const FAILURES: u32 = 1000;

/// How often the CPU time of a call may pass in failures of one batch: enough to find two
/// alerts among four thousand that each use up all of it.
const CPU_BUDGETS: u32 = 24;

/// The same for a plugin that never handled anything, which is tried again and again.
const CPU_BUDGETS_UNPROVEN: u32 = 4;

/// Something that alerts go through. It succeeds with all that it is given, or not.
pub(super) trait Attempt: Sync {
    /// What comes of it.
    type Made: Send;

    /// One try.
    fn attempt(&self, alerts: &[Alert])
    -> impl Future<Output = Result<Self::Made, Failure>> + Send;
}

/// What came of a batch.
pub(super) struct Bisected<M> {
    /// What was made, in order.
    pub(super) made: Vec<M>,
    /// What cannot be handled.
    pub(super) rejected: Vec<Rejected>,
}

/// Alerts that are quarantined.
pub(super) struct Rejected {
    /// Their places in the batch.
    pub(super) range: Range<usize>,
    /// Why, fit for a log.
    pub(super) reason: String,
    /// Who could not handle them.
    pub(super) plugin: Arc<Identity>,
}

/// Has a batch worked on, around the alerts that cannot be.
///
/// # Errors
/// [`RouteError::Unproven`], when nothing of it can be and the plugin never did anything
/// else.
pub(super) async fn bisect<A: Attempt>(
    work: &A,
    alerts: &[Alert],
) -> Result<Bisected<A::Made>, RouteError> {
    // First in, first out: whether anything succeeds shows before single alerts are tried.
    let mut waiting: VecDeque<Range<usize>> = VecDeque::new();
    for part in calls(alerts) {
        let start = waiting.back().map_or(0, |range| range.end);
        waiting.push_back(start..start + part.len());
    }
    let mut made = Vec::new();
    let mut rejected: Vec<Rejected> = Vec::new();
    let mut spent = Spent::default();
    while let Some(range) = waiting.pop_front() {
        let began = Instant::now();
        let part = alerts.get(range.clone()).unwrap_or_default();
        let failure = match work.attempt(part).await {
            Ok(one) => {
                made.push((range.start, one));
                continue;
            }
            Err(failure) => failure,
        };
        spent.add(began.elapsed());
        let named = failure.alert.filter(|at| *at < range.len());
        let cut = |range: Range<usize>| (!range.is_empty()).then_some(range);
        if range.len() == 1 || spent.is_enough(&failure.plugin) {
            rejected.push(Rejected::of(range, &failure));
        } else if let Some(at) = named.map(|at| range.start + at) {
            rejected.push(Rejected::of(at..at + 1, &failure));
            waiting.extend(
                [range.start..at, at + 1..range.end]
                    .into_iter()
                    .filter_map(cut),
            );
        } else {
            let middle = range.start + range.len() / 2;
            waiting.extend([range.start..middle, middle..range.end]);
        }
    }
    match rejected.pop() {
        Some(one) if made.is_empty() && !one.plugin.has_worked() => Err(RouteError::Unproven {
            plugin: one.plugin.name.clone(),
            reason: one.reason,
        }),
        last => {
            rejected.extend(last);
            rejected.sort_by_key(|one| one.range.start);
            made.sort_by_key(|(start, _)| *start);
            let made = made.into_iter().map(|(_, one)| one).collect();
            Ok(Bisected { made, rejected })
        }
    }
}

impl Rejected {
    fn of(range: Range<usize>, failure: &Failure) -> Self {
        Self {
            range,
            reason: failure.error.to_string(),
            plugin: Arc::clone(&failure.plugin),
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

    fn is_enough(&self, plugin: &Identity) -> bool {
        let budgets = if plugin.has_worked() {
            CPU_BUDGETS
        } else {
            CPU_BUDGETS_UNPROVEN
        };
        self.failures >= FAILURES || self.time >= plugin.limits.cpu.saturating_mul(budgets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::process::Failure;
    use std::sync::atomic::{AtomicU32, Ordering};
    use watchbell_sandbox::{CallError, Limits, Severity};

    /// Fails for every alert whose id is in `bad`, naming it or not.
    struct Picky {
        bad: Vec<usize>,
        names_it: bool,
        calls: AtomicU32,
        plugin: Arc<Identity>,
    }

    impl Attempt for Picky {
        type Made = Vec<String>;

        async fn attempt(&self, alerts: &[Alert]) -> Result<Vec<String>, Failure> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let is_bad = |alert: &Alert| self.bad.contains(&alert.id.parse().unwrap());
            if let Some(at) = alerts.iter().position(is_bad) {
                let failure = self.plugin.stopped(CallError::Trap("as meant".to_owned()));
                let alert = self.names_it.then_some(at);
                return Err(Failure { alert, ..failure });
            }
            self.plugin.handled(alerts);
            Ok(alerts.iter().map(|alert| alert.id.clone()).collect())
        }
    }

    fn picky(bad: Vec<usize>, names_it: bool) -> Picky {
        Picky {
            bad,
            names_it,
            calls: AtomicU32::new(0),
            plugin: Identity::new("picky".to_owned(), Limits::for_plugin()),
        }
    }

    fn alerts(count: usize) -> Vec<Alert> {
        let one = |id: usize| Alert {
            id: id.to_string(),
            alert_id: None,
            alert_time: None,
            last_processed_time: None,
            severity: Severity::Low,
            category: None,
            json: "{}".to_owned(),
        };
        (0..count).map(one).collect()
    }

    #[tokio::test]
    async fn what_fails_is_held_back_and_everything_else_goes_on_in_order() {
        for names_it in [true, false] {
            let work = picky(vec![0, 7, 8, 99], names_it);
            let done = bisect(&work, &alerts(100)).await.unwrap();
            let rejected: Vec<usize> = done
                .rejected
                .iter()
                .flat_map(|one| one.range.clone())
                .collect();
            assert_eq!(rejected, work.bad);
            let want: Vec<String> = (0..100)
                .filter(|id| !work.bad.contains(id))
                .map(|id| id.to_string())
                .collect();
            assert_eq!(done.made.concat(), want);
        }
    }

    #[tokio::test]
    async fn one_of_thousands_is_found_in_a_few_calls() {
        let work = picky(vec![3000], false);
        let done = bisect(&work, &alerts(4096)).await.unwrap();
        assert_eq!(done.rejected.len(), 1);
        let calls = work.calls.load(Ordering::Relaxed);
        assert!(calls <= 25, "{calls} calls");
    }

    #[tokio::test]
    async fn thousands_of_bad_alerts_cost_a_bounded_number_of_calls() {
        let work = picky((0..20_000).step_by(2).collect(), true);
        let done = bisect(&work, &alerts(20_000)).await.unwrap();
        let rejected: usize = done.rejected.iter().map(|one| one.range.len()).sum();
        assert_eq!(
            rejected + done.made.concat().len(),
            20_000,
            "each is somewhere"
        );
        let calls = work.calls.load(Ordering::Relaxed);
        assert!(calls <= 2 * FAILURES + 2, "{calls} calls");
    }

    #[tokio::test]
    async fn a_plugin_that_fails_for_everything_holds_nothing_back_until_it_handled_something() {
        let work = picky((0..10).collect(), false);
        let failed = bisect(&work, &alerts(10)).await;
        assert!(matches!(failed, Err(RouteError::Unproven { .. })));
        work.plugin.handled(&alerts(1));
        let done = bisect(&work, &alerts(10)).await.unwrap();
        assert_eq!(done.rejected.len(), 10);
    }
}
