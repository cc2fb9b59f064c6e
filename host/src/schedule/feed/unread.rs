//! What could not be read: narrowed until it is small, put into quarantine, tried again.

use super::super::answer::{self, Answer, Failed, Keep, Rows, ask, instant, nanos};
use super::super::retry::Verdict;
use super::super::walk::{Span, Walk};
use super::halt::Halt;
use super::tell::Tally;
use super::{Feed, TURN, blocking, local_now};
use chrono::{TimeDelta, Utc};
use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;
use watchbell_ledger::{self as ledger, NewQuarantine, QuarantineId, Quarantined, Time, Unread};

/// From one try of something in quarantine to the next.
const QUARANTINE_RETRY: TimeDelta = TimeDelta::hours(1);

impl Feed {
    /// What to do about a window that gave no rows: narrow it, give it up, or wait.
    pub(super) async fn judge(
        &mut self,
        walk: &mut Walk,
        window: Span,
        failed: Failed,
        tally: &mut Tally,
    ) -> Result<(), Halt> {
        let Failed {
            error,
            verdict,
            head,
        } = failed;
        if matches!(verdict, Verdict::TooLarge) && self.ignores_until(window).await {
            return Err(Halt::Unbounded);
        }
        let is_enough = match verdict {
            Verdict::TooLarge if !window.is_least() => true,
            // Whether it is this window or the service shows when another is asked for.
            Verdict::TooLarge | Verdict::Garbled => {
                self.strikes.garbled(window) && self.any(window.elsewhere(), Answer::is_read).await
            }
            Verdict::TooSlow | Verdict::Later(_) => {
                self.strikes.failed(window) && self.any(window.neighbours(), Answer::is_one).await
            }
            _ => false,
        };
        if !is_enough {
            return Err(Halt::Pull(error, verdict));
        }
        if walk.narrow(window) {
            let length = window.length().num_milliseconds();
            tracing::info!(%error, from = %window.from, length_ms = length, "asking for less at a time");
            // Each narrower window is a new attempt and not one more of the same.
            self.backoff.reset();
            return Ok(());
        }
        tracing::error!(%error, from = %window.from, to = %window.to,
            "cannot be read; the millisecond is in quarantine and the source goes on (watchbell state quarantine list)");
        let epoch = Arc::clone(&self.epoch);
        let held = epoch.lock().await;
        if *held != self.epoch_seen {
            self.epoch_seen = *held;
            return Err(Halt::Moved);
        }
        let mut commit = self.step();
        commit.quarantine = vec![NewQuarantine {
            kind: Unread::Gap,
            from: nanos(window.from),
            to: nanos(window.to),
            reason: error.to_string(),
            body: head,
        }];
        commit.keys_from = Some(nanos(window.from));
        self.advance(&mut commit, window, window.to);
        tally.quarantined += self.commit(commit).await?.quarantined;
        walk.skip(window);
        self.well();
        Ok(())
    }

    /// Whether any of these windows has such an answer.
    async fn any(
        &mut self,
        windows: impl IntoIterator<Item = Span>,
        is_such: fn(&Answer) -> bool,
    ) -> bool {
        for window in windows {
            let answer = self.try_to_ask(window, None, self.room()).await;
            if answer.as_ref().is_some_and(is_such) {
                return true;
            }
        }
        false
    }

    /// Whether the service's newest row for a window lies above it.
    async fn ignores_until(&mut self, window: Span) -> bool {
        let one = Some(NonZeroU32::MIN);
        let Some(answer) = self.try_to_ask(window, one, self.room()).await else {
            return false;
        };
        answer
            .outcome
            .is_ok_and(|rows| answer::is_beyond(&rows.alerts, window))
    }

    /// Asks, unless the rate limit is in the way.
    async fn try_to_ask(
        &mut self,
        window: Span,
        limit: Option<NonZeroU32>,
        room: u64,
    ) -> Option<Answer> {
        self.puller.take_turn().ok()?;
        let answer = ask(&self.puller, window, limit, room).await;
        self.see(answer.sighting);
        Some(answer)
    }

    /// Tries what is in quarantine and due, each window once for all that is held of it, as
    /// far as the turn goes; the rest is still due at the next one.
    pub(super) async fn retry_quarantined(&mut self, tally: &mut Tally) -> Result<(), Halt> {
        let (now, began) = (Utc::now(), Instant::now());
        let mut due: BTreeMap<(Time, Time), Vec<QuarantineId>> = BTreeMap::new();
        for held in self.quarantined().await? {
            // That was read, and waits for somebody to order it to its sink.
            if held.kind == Unread::Held {
                continue;
            }
            let tried = instant(held.tried_at.unwrap_or(held.found_at));
            // A clock that was set back holds nothing up.
            if (now - tried).abs() >= QUARANTINE_RETRY {
                due.entry((held.from, held.to)).or_default().push(held.id);
            }
        }
        for ((from, to), ids) in due {
            if *self.stop.borrow() {
                return Err(Halt::Stopped);
            }
            let window = Span {
                from: instant(from),
                to: instant(to),
            };
            let goes_on = self.retry_window(window, ids, tally).await?;
            if !goes_on || began.elapsed() >= TURN {
                break;
            }
        }
        Ok(())
    }

    /// Asks for a window of which something is in quarantine. False when others need not be
    /// tried now: there is no room, or the service refuses.
    async fn retry_window(
        &mut self,
        window: Span,
        ids: Vec<QuarantineId>,
        tally: &mut Tally,
    ) -> Result<bool, Halt> {
        // Waiting with a reservation in hand could be for ever.
        let flight = &self.shared.flight;
        let room = self
            .puller
            .settings()
            .max_response_bytes
            .min(flight.largest() / 2);
        let Some(_reserved) = flight.try_slow(room) else {
            return Ok(false);
        };
        let Some(answer) = self.try_to_ask(window, None, room).await else {
            return Ok(false);
        };
        let rows = match answer.outcome {
            Ok(rows) => rows,
            Err(failed) => {
                tracing::warn!(entries = ids.len(), from = %window.from, error = %failed.error, "still in quarantine");
                self.tried(ids).await?;
                let is_its_own = matches!(failed.verdict, Verdict::Garbled | Verdict::TooLarge);
                return Ok(is_its_own);
            }
        };
        let (gone, still) = self.sort_out(&rows, ids).await?;
        if !still.is_empty() {
            self.tried(still).await?;
        }
        if gone.is_empty() {
            return Ok(true);
        }
        let mut commit = self.step();
        let (from, to) = (nanos(window.from), nanos(window.to));
        // What is held already is not held twice.
        let new = |body: &Vec<u8>| NewQuarantine {
            kind: Unread::Element,
            from,
            to,
            reason: rows.reason.clone(),
            body: body.clone(),
        };
        commit.quarantine = rows.unreadable.iter().map(new).collect();
        commit.lift.clone_from(&gone);
        commit.records = answer::sort(rows.alerts, window, Keep::Within).records;
        let done = self.commit(commit).await?;
        tally.fresh += done.fresh;
        tally.quarantined += done.quarantined;
        tracing::info!(entries = gone.len(), new = done.fresh, "out of quarantine");
        Ok(true)
    }

    /// Which of what is held of a window can be read now, and which cannot.
    async fn sort_out(
        &self,
        rows: &Rows,
        ids: Vec<QuarantineId>,
    ) -> Result<(Vec<QuarantineId>, Vec<QuarantineId>), Halt> {
        if rows.beyond > 0 {
            return Ok((Vec::new(), ids));
        }
        let ledger = Arc::clone(&self.shared.ledger);
        let bodies = blocking(move || {
            let body = |id: QuarantineId| match ledger.quarantined_body(id) {
                Ok(body) => Ok(Some((id, body))),
                // Somebody dropped it meanwhile.
                Err(ledger::Error::NoQuarantine(_)) => Ok(None),
                Err(error) => Err(error),
            };
            ids.into_iter()
                .filter_map(|id| body(id).transpose())
                .collect::<Result<Vec<_>, _>>()
        });
        let unreadable: HashSet<&Vec<u8>> = rows.unreadable.iter().collect();
        let (mut gone, mut still) = (Vec::new(), Vec::new());
        for (id, body) in bodies.await? {
            if unreadable.contains(&body) {
                still.push(id);
            } else {
                gone.push(id);
            }
        }
        Ok((gone, still))
    }

    async fn tried(&self, ids: Vec<QuarantineId>) -> Result<(), Halt> {
        let ledger = Arc::clone(&self.shared.ledger);
        Ok(blocking(move || ledger.tried(&ids, local_now())).await?)
    }

    async fn quarantined(&self) -> Result<Vec<Quarantined>, Halt> {
        let (ledger, id) = (Arc::clone(&self.shared.ledger), self.id);
        Ok(blocking(move || ledger.quarantined(Some(id))).await?)
    }

    pub(super) async fn gaps(&self) -> Result<Vec<Span>, Halt> {
        Ok(gaps_of(&self.quarantined().await?))
    }
}

/// The gaps among what is in quarantine.
pub(in super::super) fn gaps_of(held: &[Quarantined]) -> Vec<Span> {
    let gaps = held.iter().filter(|one| one.kind == Unread::Gap);
    gaps.map(|one| Span {
        from: instant(one.from),
        to: instant(one.to),
    })
    .collect()
}
