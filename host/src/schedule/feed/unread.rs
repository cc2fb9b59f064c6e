//! What could not be read: narrowed until it is small, put into quarantine, tried again.

use super::super::answer::{self, Answer, Failed, Keep, ask, instant, nanos};
use super::super::retry::Verdict;
use super::super::walk::{Span, Walk};
use super::halt::Halt;
use super::tell::Tally;
use super::{Feed, blocking, local_now};
use chrono::{TimeDelta, Utc};
use std::sync::Arc;
use watchbell_ledger::{self as ledger, NewQuarantine, QuarantineId, Quarantined, Unread};

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
        let is_enough = match verdict {
            Verdict::TooLarge => !window.is_least() || self.strikes.garbled(window),
            Verdict::Garbled => self.strikes.garbled(window),
            // Whether it is this window or the service shows when another is asked for.
            Verdict::TooSlow | Verdict::Later(_) => {
                self.strikes.failed(window) && self.others_succeed(window).await
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

    /// Whether a window of a millisecond beside this one is answered.
    async fn others_succeed(&mut self, window: Span) -> bool {
        let milli = TimeDelta::milliseconds(1);
        let other = if window.is_least() {
            Span {
                from: window.to,
                to: window.to + milli,
            }
        } else {
            Span {
                from: window.from,
                to: window.from + milli,
            }
        };
        let Answer {
            outcome, sighting, ..
        } = ask(&self.puller, other, None, self.room()).await;
        self.see(sighting);
        match outcome {
            Ok(_) => true,
            Err(failed) => matches!(failed.verdict, Verdict::Garbled | Verdict::TooLarge),
        }
    }

    /// Tries what is in quarantine and due.
    pub(super) async fn retry_quarantined(&mut self, tally: &mut Tally) -> Result<(), Halt> {
        let now = Utc::now();
        for held in self.quarantined().await? {
            // That was read, and waits for somebody to order it to its sink.
            if held.kind == Unread::Held {
                continue;
            }
            let tried = instant(held.tried_at.unwrap_or(held.found_at));
            if now - tried < QUARANTINE_RETRY {
                continue;
            }
            if *self.stop.borrow() {
                return Err(Halt::Stopped);
            }
            self.retry_one(&held, tally).await?;
        }
        Ok(())
    }

    async fn retry_one(&mut self, held: &Quarantined, tally: &mut Tally) -> Result<(), Halt> {
        let window = Span {
            from: instant(held.from),
            to: instant(held.to),
        };
        let room = self.puller.settings().max_response_bytes;
        // Waiting with a reservation in hand could be for ever.
        let Some(_reserved) = self.shared.flight.try_reserve(room) else {
            return Ok(());
        };
        let answer = ask(&self.puller, window, None, room).await;
        self.see(answer.sighting);
        let ledger = Arc::clone(&self.shared.ledger);
        let id = held.id;
        let rows = match answer.outcome {
            Ok(rows) => rows,
            Err(failed) => {
                tracing::warn!(id = id.0, error = %failed.error, "still in quarantine");
                blocking(move || ledger.tried(id, local_now())).await?;
                return Ok(());
            }
        };
        let body = blocking({
            let ledger = Arc::clone(&ledger);
            move || ledger.quarantined_body(id)
        });
        let is_still_there = match body.await {
            Ok(body) => rows.beyond > 0 || rows.unreadable.contains(&body),
            // Somebody dropped it meanwhile.
            Err(ledger::Error::NoQuarantine(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if is_still_there {
            blocking(move || ledger.tried(id, local_now())).await?;
            return Ok(());
        }
        let mut commit = self.step();
        commit.quarantine = rows
            .unreadable
            .iter()
            .map(|body| NewQuarantine {
                kind: Unread::Element,
                from: held.from,
                to: held.to,
                reason: rows.reason.clone(),
                body: body.clone(),
            })
            .collect();
        commit.lift = vec![QuarantineId(id.0)];
        commit.records = answer::sort(rows.alerts, window, Keep::Within).records;
        let done = self.commit(commit).await?;
        tally.fresh += done.fresh;
        tally.quarantined += done.quarantined;
        tracing::info!(id = id.0, new = done.fresh, "out of quarantine");
        Ok(())
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
