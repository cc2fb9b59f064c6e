//! What could not be read: put into quarantine, tried again.

use super::super::reader::{Diagnosis, Keep, Rows, Unanswered, instant, nanos};
use super::super::retry::RetryClass;
use super::super::window_plan::{TimeRange, WindowPlan};
use super::report::PollSummary;
use super::stop::StopReason;
use super::{Feed, MAX_POLL};
use crate::sources::PollError;
use chrono::TimeDelta;
use std::collections::{BTreeMap, HashMap, HashSet};
use watchbell_ledger::{
    self as ledger, Covered, FeedId, Ledger, NewQuarantine, QuarantineId, Quarantined, Time, Unread,
};

/// From one try of something in quarantine to the next.
const QUARANTINE_RETRY: TimeDelta = TimeDelta::hours(1);

/// A window of which something is in quarantine, and which is too large for one answer.
struct Parts {
    whole: TimeRange,
    halves: [TimeRange; 2],
    ids: Vec<QuarantineId>,
    /// Bytes that are reserved for an answer.
    max_bytes: u64,
}

impl Feed {
    /// What to do about a window that gave no rows: halve it, give it up, or wait.
    pub(super) async fn handle_failure(
        &mut self,
        plan: &mut WindowPlan,
        window: TimeRange,
        failed: Unanswered,
        summary: &mut PollSummary,
    ) -> Result<(), StopReason> {
        let largest = self.shared.memory.largest();
        let diagnosis = self.reader.diagnose(window, failed, largest).await;
        self.observe_answers();
        let failed = match diagnosis {
            Diagnosis::Unbounded => return Err(StopReason::Unbounded),
            Diagnosis::Retry(failed) => return Err(StopReason::Poll(failed.error, failed.class)),
            Diagnosis::Halve(failed) => {
                let (error, length) = (failed.error, window.length().num_milliseconds());
                tracing::info!(%error, from = %window.from, length_ms = length, "asking for less at a time");
                plan.halve(window);
                // Each narrower window is a new attempt and not one more of the same.
                self.backoff.reset();
                return Ok(());
            }
            Diagnosis::GiveUp(failed) => failed,
        };
        let error = failed.error.to_string();
        let mut commit = self.new_commit();
        commit.generation = self.generation;
        commit.quarantine = vec![failed.into_gap(window)];
        commit.keys_from = Some(nanos(window.from));
        let now = self.service_time(self.clock().monotonic()).earliest;
        self.advance(&mut commit, window, now);
        let done = self.shared.commit(commit).await?;
        if done.quarantined > 0 {
            tracing::error!(error, from = %window.from, to = %window.to,
                "cannot be read; the millisecond is in quarantine and the source goes on (watchbell state quarantine list)");
        }
        summary.quarantined += done.quarantined;
        plan.skip(window);
        self.end_incident();
        Ok(())
    }

    /// Tries what is in quarantine and due, each window once for all that is held of it, as
    /// far as the turn goes; the rest is still due at the next one.
    pub(super) async fn retry_quarantined(
        &mut self,
        summary: &mut PollSummary,
    ) -> Result<(), StopReason> {
        let (now, began) = (self.clock().wall(), self.clock().monotonic());
        let mut due: BTreeMap<(Time, Time), Vec<QuarantineId>> = BTreeMap::new();
        for held in self.shared.ledger.list_quarantined(Some(self.id)).await? {
            // That was read, and waits for somebody to order it to its sink.
            if held.kind == Unread::Rejected {
                continue;
            }
            let tried = instant(held.tried_at.unwrap_or(held.found_at));
            // A clock that was set back holds nothing up.
            if (now - tried).abs() >= QUARANTINE_RETRY {
                due.entry((held.from, held.to)).or_default().push(held.id);
            }
        }
        for ((from, to), ids) in due {
            if self.stop.is_cancelled() {
                return Err(StopReason::Stopped);
            }
            let window = TimeRange {
                from: instant(from),
                to: instant(to),
            };
            let goes_on = self.retry_window(window, ids, summary).await?;
            if !goes_on || self.clock().elapsed(began) >= MAX_POLL {
                break;
            }
        }
        Ok(())
    }

    /// Asks for a window of which something is in quarantine. False when others need not be
    /// tried now: there is no room, or the service refuses.
    async fn retry_window(
        &mut self,
        window: TimeRange,
        ids: Vec<QuarantineId>,
        summary: &mut PollSummary,
    ) -> Result<bool, StopReason> {
        // Waiting with a reservation in hand could be for ever.
        let memory = &self.shared.memory;
        let max_bytes = self
            .client
            .settings()
            .polling
            .max_response_bytes()
            .min(memory.largest() / 2);
        let Some(_reserved) = memory.try_reserve_slow(max_bytes) else {
            return Ok(false);
        };
        let Some(answer) = self.reader.probe(window, None, max_bytes).await else {
            return Ok(false);
        };
        self.observe_answers();
        let rows = match answer.outcome {
            Ok(rows) => rows,
            Err(failed) if failed.is_too_large() => {
                let largest = self.shared.memory.largest();
                return match (
                    self.reader.diagnose(window, failed, largest).await,
                    window.halves(),
                ) {
                    (Diagnosis::Halve(_), Some(halves)) => {
                        let parts = Parts {
                            whole: window,
                            halves,
                            ids,
                            max_bytes,
                        };
                        self.retry_parts(parts, summary).await
                    }
                    (
                        Diagnosis::Halve(failed)
                        | Diagnosis::Retry(failed)
                        | Diagnosis::GiveUp(failed),
                        _,
                    ) => {
                        self.stays(window, ids, &failed.error).await?;
                        Ok(true)
                    }
                    (Diagnosis::Unbounded, _) => {
                        self.mark_tried(ids).await?;
                        Ok(false)
                    }
                };
            }
            Err(failed) => {
                let is_its_own = matches!(failed.class, RetryClass::Garbled);
                self.stays(window, ids, &failed.error).await?;
                return Ok(is_its_own);
            }
        };
        let (gone, still) = self.sort_quarantined(&rows, ids).await?;
        if !still.is_empty() {
            self.mark_tried(still).await?;
        }
        // Of several that an entry stands for, some may be readable before others.
        if gone.is_empty() && rows.alerts.is_empty() {
            return Ok(true);
        }
        let mut commit = self.new_commit();
        commit.covered = Some(covered(window));
        // With the bounds that it is held with, so that it is not held twice.
        commit.quarantine = rows.unreadable_in(window);
        commit.lift.clone_from(&gone);
        commit.records = rows.into_records(window, Keep::Within).records;
        let done = self.shared.commit(commit).await?;
        summary.fresh += done.fresh;
        summary.quarantined += done.quarantined;
        if !gone.is_empty() || done.fresh > 0 {
            tracing::info!(entries = gone.len(), new = done.fresh, "out of quarantine");
        }
        Ok(true)
    }

    /// Asks for a window in parts, each of which is made durable before the next, and narrows
    /// what is in quarantine of it to the parts that were not read. What is left is due
    /// again like anything else in quarantine.
    async fn retry_parts(
        &mut self,
        parts: Parts,
        summary: &mut PollSummary,
    ) -> Result<bool, StopReason> {
        let Parts {
            whole,
            halves: [first, second],
            ids,
            max_bytes,
        } = parts;
        let began = self.clock().monotonic();
        tracing::info!(entries = ids.len(), from = %whole.from, "too large for one answer; asking for it by halves");
        let (mut queue, mut goes_on) = (vec![second, first], true);
        // Kept where it is until its window is narrowed, and then in the same step: what is
        // put there again before that is the same entry, and would go with it.
        let mut unread = Vec::new();
        while let Some(part) = queue.pop() {
            let is_over = self.stop.is_cancelled() || self.clock().elapsed(began) >= MAX_POLL;
            let answer = match is_over {
                true => None,
                false => self.reader.probe(part, None, max_bytes).await,
            };
            self.observe_answers();
            let mut commit = self.new_commit();
            let outcome = answer.map(|answer| answer.outcome.map_err(Box::new));
            match (outcome, part.halves()) {
                (Some(Err(failed)), Some([first, second])) if failed.is_too_large() => {
                    queue.extend([second, first]);
                    continue;
                }
                (Some(Ok(rows)), Some([first, second])) if rows.beyond > 0 => {
                    queue.extend([second, first]);
                    continue;
                }
                (Some(Err(failed)), None) if failed.is_too_large() => {
                    unread.push((*failed).into_gap(part));
                }
                (Some(Ok(rows)), _) => {
                    commit.covered = Some(covered(part));
                    // Within what was held: only there are the keys of what was read kept.
                    let (from, to) = (nanos(whole.from), nanos(whole.to));
                    let found = rows.quarantine(part).into_iter();
                    unread.extend(found.map(|one| NewQuarantine {
                        from: one.from.max(from),
                        to: one.to.min(to),
                        ..one
                    }));
                    commit.records = rows.into_records(part, Keep::Within).records;
                }
                (failed, _) => {
                    if let Some(Err(failed)) = failed {
                        tracing::warn!(from = %part.from, error = %failed.error, "still in quarantine");
                    }
                    queue.push(part);
                    goes_on = false;
                    break;
                }
            }
            let done = self.shared.commit(commit).await?;
            summary.fresh += done.fresh;
        }
        // The parts are in order, so what was not read is all behind the next of them.
        let rest = queue.last().map(|next| TimeRange {
            from: next.from,
            ..whole
        });
        if rest == Some(whole) {
            self.mark_tried(ids).await?;
            return Ok(goes_on);
        }
        let mut commit = self.new_commit();
        if let Some(rest) = rest {
            commit.quarantine = self.narrowed(&ids, rest).await?;
        }
        commit.quarantine.append(&mut unread);
        commit.lift = ids;
        summary.quarantined += self.shared.commit(commit).await?.quarantined;
        Ok(goes_on)
    }

    /// What is in quarantine under these numbers, with a narrower window.
    async fn narrowed(
        &self,
        ids: &[QuarantineId],
        window: TimeRange,
    ) -> Result<Vec<NewQuarantine>, StopReason> {
        let held = self.shared.ledger.list_quarantined(Some(self.id)).await?;
        let bodies = self.shared.ledger.read_quarantined(ids).await?;
        let bodies: HashMap<_, _> = bodies.into_iter().collect();
        let narrowed = held.into_iter().filter_map(|held| {
            Some(NewQuarantine {
                kind: held.kind,
                from: nanos(window.from),
                to: nanos(window.to),
                reason: held.reason,
                body: bodies.get(&held.id)?.clone(),
            })
        });
        Ok(narrowed.collect())
    }

    async fn stays(
        &self,
        window: TimeRange,
        ids: Vec<QuarantineId>,
        error: &PollError,
    ) -> Result<(), StopReason> {
        tracing::warn!(entries = ids.len(), from = %window.from, %error, "still in quarantine");
        self.mark_tried(ids).await
    }

    /// Which of what is held of a window can be read now, and which cannot.
    async fn sort_quarantined(
        &self,
        rows: &Rows,
        ids: Vec<QuarantineId>,
    ) -> Result<(Vec<QuarantineId>, Vec<QuarantineId>), StopReason> {
        if rows.beyond > 0 {
            return Ok((Vec::new(), ids));
        }
        let unreadable: HashSet<&Vec<u8>> = rows.unreadable.iter().collect();
        let (mut gone, mut still) = (Vec::new(), Vec::new());
        // Without what somebody dropped meanwhile.
        for (id, body) in self.shared.ledger.read_quarantined(&ids).await? {
            if unreadable.contains(&body) {
                still.push(id);
            } else {
                gone.push(id);
            }
        }
        Ok((gone, still))
    }

    async fn mark_tried(&self, ids: Vec<QuarantineId>) -> Result<(), StopReason> {
        let now = self.clock().ledger_time();
        Ok(self.shared.ledger.mark_tried(&ids, now).await?)
    }
}

/// What was read out of the quarantine: ordinary reading goes around a gap.
fn covered(window: TimeRange) -> Covered {
    Covered {
        job: String::new(),
        from: nanos(window.from),
        to: nanos(window.to),
    }
}

/// The gaps among what is in quarantine of a feed.
pub(in super::super) async fn gaps(
    ledger: &dyn Ledger,
    id: FeedId,
) -> Result<Vec<TimeRange>, ledger::Error> {
    let quarantined = ledger.list_quarantined(Some(id)).await?;
    let gaps = quarantined.iter().filter(|one| one.kind == Unread::Gap);
    let window = |one: &Quarantined| TimeRange {
        from: instant(one.from),
        to: instant(one.to),
    };
    Ok(gaps.map(window).collect())
}
