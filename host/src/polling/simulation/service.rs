//! A service that does what a day says.

use super::day::{DAY, Day, Poison, Row};
use super::world::{SimulatedClock, World};
use crate::polling::clock::Clock;
use crate::sources::{PollError, PollOutcome, ServiceDate, Source, SourceClient, Window};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use fastrand::Rng;
use futures_util::future::BoxFuture;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use watchbell_sandbox::contract::{ByteRange, Error, Failure, Malformed, Refusal, Stage, TooLarge};
use watchbell_sandbox::{Alert, Severity};

/// A client of the service, for one life of a process.
pub(super) struct SimulatedClient {
    world: Arc<World>,
    day: Arc<Day>,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    token: Option<ServiceDate>,
    is_refused: bool,
}

impl SimulatedClient {
    pub(super) fn new(world: &Arc<World>, day: &Arc<Day>, rng: Rng) -> Self {
        Self {
            world: Arc::clone(world),
            day: Arc::clone(day),
            state: Mutex::new(State {
                rng,
                token: None,
                is_refused: false,
            }),
        }
    }

    fn random<T>(&self, choose: impl FnOnce(&mut Rng) -> T) -> T {
        choose(&mut self.state.lock().unwrap().rng)
    }

    fn clock(&self) -> SimulatedClock {
        SimulatedClock(Arc::clone(&self.world))
    }

    async fn wait(&self, time: Duration) {
        self.world.step().await;
        self.clock().sleep(time).await;
    }

    fn date(&self, sent_at: Instant) -> ServiceDate {
        let second = TimeDelta::seconds(1);
        // Now and then a machine of the service answers whose clock is wrong. Where the
        // program's own is wrong too, nobody can tell.
        let is_told = self.world.is_clock_right();
        let wrong = self.random(|rng| match rng.u8(..40) {
            0 if is_told => rng.i64(-20_000..20_000),
            _ => 0,
        });
        let now = self.world.service_time() + TimeDelta::seconds(wrong);
        let cut = now.duration_trunc(second).unwrap();
        let waited = self.clock().elapsed(sent_at);
        ServiceDate {
            at: sent_at,
            time: cut - TimeDelta::from_std(waited).unwrap(),
        }
    }

    /// What goes wrong with a request now.
    fn fault(&self, stage: Stage) -> Option<PollError> {
        let now = self.world.now();
        if now >= DAY {
            return None;
        }
        let outage = self
            .day
            .outages
            .iter()
            .find(|(from, to, _)| (*from..*to).contains(&now));
        let kind = match outage {
            Some((.., kind)) => *kind,
            None if self.random(|rng| rng.u32(..100)) < self.day.failing => {
                self.random(|rng| rng.u8(..7))
            }
            None => return None,
        };
        let retry_after = self.random(|rng| rng.bool().then(|| rng.u32(1..200)));
        let refusal = |status| Refusal {
            stage,
            status,
            code: None,
            message: None,
            request_id: None,
            retry_after,
        };
        let failure = || Failure {
            stage,
            message: "simulated".to_owned(),
        };
        Some(told(match kind {
            0 => Error::Throttled(refusal(429)),
            1 => Error::Unavailable(refusal(503)),
            2 => Error::TimedOut(failure()),
            3 => Error::Unauthorized(refusal(401)),
            4 => Error::Unreachable(failure()),
            5 => Error::Malformed(malformed(stage, Vec::new(), Vec::new())),
            _ => Error::Forbidden(refusal(403)),
        }))
    }

    /// What the service has for a window, in some order.
    fn rows(&self, window: &Window, limit: Option<NonZeroU32>) -> Vec<&Row> {
        let Window::Between(Some(from), Some(to)) = window else {
            unreachable!("a reader asks for both bounds")
        };
        let (day, now) = (&self.day, self.world.now());
        let is_in = |row: &&Row| {
            let at = match day.cuts_to_millis {
                true => row.at.duration_trunc(TimeDelta::milliseconds(1)).unwrap(),
                false => row.at,
            };
            row.visible <= now
                && (day.ignores_from || at > *from || (day.includes_from && at == *from))
                && (day.ignores_to || at < *to || (day.includes_to && at == *to))
        };
        let mut rows: Vec<&Row> = day.rows.iter().filter(is_in).collect();
        self.random(|rng| rng.shuffle(&mut rows));
        if let Some(limit) = limit {
            rows.sort_by_key(|row| std::cmp::Reverse(row.at));
            rows.truncate(limit.get() as usize);
        }
        // Some services tell the same twice.
        if let Some(row) = rows.first().copied()
            && self.random(|rng| rng.u8(..10) == 0)
        {
            rows.push(row);
        }
        rows
    }

    fn answer(
        &self,
        rows: &[&Row],
        max_bytes: u64,
    ) -> (Result<Vec<Alert>, PollError>, u64, Vec<u8>) {
        let now = self.world.now();
        let is = |row: &Row, poison: Poison| {
            row.poison
                .is_some_and(|(one, until)| one == poison && now < until)
        };
        let has = |poison: Poison| rows.iter().any(|row| is(row, poison));
        let bytes = rows.len() as u64 * self.day.row_bytes;
        let stage = Stage::Detections;
        if has(Poison::Slow) {
            let message = "simulated".to_owned();
            return (
                Err(told(Error::TimedOut(Failure { stage, message }))),
                0,
                Vec::new(),
            );
        }
        if bytes > max_bytes || has(Poison::Large) {
            let limit = max_bytes;
            return (
                Err(told(Error::TooLarge(TooLarge { stage, limit }))),
                bytes,
                b"[".to_vec(),
            );
        }
        if has(Poison::Garbled) {
            let fault = malformed(stage, Vec::new(), Vec::new());
            return (Err(told(Error::Malformed(fault))), bytes, b"[{".to_vec());
        }
        let (mut alerts, mut unreadable, mut head) = (Vec::new(), Vec::new(), Vec::new());
        for (place, row) in (0..).zip(rows) {
            if !is(row, Poison::Element) {
                alerts.push(alert(row));
            } else if place * self.day.row_bytes > self.day.head_bytes {
                let start = (1 << 40) + 2 * place;
                unreadable.push(ByteRange {
                    start,
                    end: start + 1,
                });
            } else {
                let start = head.len() as u64;
                head.extend_from_slice(format!("{{bad {}}}", row.number).as_bytes());
                unreadable.push(ByteRange {
                    start,
                    end: head.len() as u64,
                });
            }
        }
        if unreadable.is_empty() {
            return (Ok(alerts), bytes, Vec::new());
        }
        let fault = malformed(stage, alerts, unreadable);
        (Err(told(Error::Malformed(fault))), bytes, head)
    }
}

fn told(error: Error) -> PollError {
    PollError::Service {
        error: Box::new(error),
        cause: None,
    }
}

fn malformed(stage: Stage, alerts: Vec<Alert>, unreadable: Vec<ByteRange>) -> Malformed {
    Malformed {
        stage,
        offset: 0,
        message: "simulated".to_owned(),
        alerts,
        unreadable,
    }
}

fn alert(row: &Row) -> Alert {
    Alert {
        id: format!("row {}", row.identity),
        alert_id: None,
        alert_time: None,
        last_processed_time: row.is_dated.then(|| time(row.at)),
        severity: Severity::Low,
        category: None,
        json: row.number.to_string(),
    }
}

fn time(at: DateTime<Utc>) -> i64 {
    at.timestamp_nanos_opt().unwrap()
}

impl SourceClient for SimulatedClient {
    fn settings(&self) -> &Source {
        &self.day.settings
    }

    fn authenticate(&self) -> BoxFuture<'_, Result<Option<ServiceDate>, PollError>> {
        Box::pin(async move {
            let now = self.clock().monotonic();
            let token = self.state.lock().unwrap().token;
            if let Some(token) = token
                && now.saturating_duration_since(token.at) < Duration::from_secs(3600)
            {
                return Ok(Some(token));
            }
            self.wait(self.random(|rng| Duration::from_millis(rng.u64(1..900))))
                .await;
            let (fault, date) = (self.fault(Stage::Token), self.date(now));
            let mut state = self.state.lock().unwrap();
            state.is_refused = fault
                .as_ref()
                .is_some_and(|fault| fault.kind() == "token_unauthorized");
            if let Some(fault) = fault {
                return Err(fault);
            }
            state.token = Some(date);
            Ok(state.token)
        })
    }

    fn poll_window<'c>(
        &'c self,
        window: &'c Window,
        limit: Option<NonZeroU32>,
        max_bytes: u64,
    ) -> BoxFuture<'c, PollOutcome> {
        Box::pin(async move {
            let sent_at = self.clock().monotonic();
            let longest = self.random(|rng| if rng.u8(..20) == 0 { 9000 } else { 300 });
            let [there, back] = self.random(|rng| [rng.u64(1..longest), rng.u64(1..longest)]);
            self.wait(Duration::from_millis(there)).await;
            let (result, bytes, body_head) = match self.fault(Stage::Detections) {
                Some(fault) => (Err(fault), 0, b"<html>".to_vec()),
                None => self.answer(&self.rows(window, limit), max_bytes),
            };
            let is_dated = self.random(|rng| rng.u8(..10) != 0);
            let date = is_dated.then(|| self.date(sent_at));
            self.wait(Duration::from_millis(back)).await;
            PollOutcome {
                result,
                bytes,
                body_head,
                sent_at: Some(sent_at),
                date,
            }
        })
    }

    fn try_acquire_request(&self) -> Result<(), Duration> {
        match self.random(|rng| rng.u8(..60)) {
            0 => Err(self.random(|rng| Duration::from_millis(rng.u64(1..9000)))),
            _ => Ok(()),
        }
    }

    fn is_secret_refused(&self) -> bool {
        self.state.lock().unwrap().is_refused
    }

    fn has_new_secret(&self, _: bool) -> BoxFuture<'_, bool> {
        Box::pin(async move { self.random(fastrand::Rng::bool) })
    }

    fn redact_body(&self, body: &[u8]) -> Vec<u8> {
        body.to_vec()
    }

    fn is_same_config(&self, _: &dyn SourceClient) -> bool {
        true
    }
}
