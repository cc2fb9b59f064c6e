//! What a running service shares between its connections.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::Config;
use crate::fault::{Fault, Stage};
use crate::random::{Share, hash};

/// How many exchanges are remembered.
const REMEMBERED: usize = 4096;
const DRAW: u64 = 60;

pub(crate) struct State {
    pub(crate) config: Config,
    catalog: Catalog,
    clock: Mutex<Clock>,
    faults: Mutex<Vec<Armed>>,
    draws: AtomicU64,
    /// Counts up when all tokens are voided.
    /// Refresh tokens used so far; each replaces the last.
    pub(crate) refreshed: AtomicU64,
    pub(crate) generation: AtomicU64,
    pub(crate) counters: Counters,
    exchanges: Mutex<VecDeque<Exchange>>,
    served: Mutex<Vec<u64>>,
}

/// A fault and how often it has struck.
struct Armed {
    fault: Fault,
    passed: u64,
    struck: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) token_requests: AtomicU64,
    pub(crate) tokens_issued: AtomicU64,
    pub(crate) detection_requests: AtomicU64,
    pub(crate) detections: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) refusals: AtomicU64,
    pub(crate) faults: AtomicU64,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Requests for tokens.
    pub token_requests: u64,
    /// Those that were answered with 200.
    pub tokens_issued: u64,
    /// Requests for detections.
    pub detection_requests: u64,
    /// Detections put into answers, repeats included.
    pub detections: u64,
    /// Bytes of those answers.
    pub detection_bytes: u64,
    /// Answers of either kind with a status of 400 or more.
    pub refusals: u64,
    /// Faults that struck.
    pub faults: u64,
}

/// One request and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Exchange {
    /// Which endpoint.
    pub stage: Stage,
    /// The tenant of the path, or of the token.
    pub tenant: Option<String>,
    /// The query, as it was sent.
    pub query: String,
    /// The answer's status; 0 when there was none.
    pub status: u16,
    /// The fault that struck.
    pub fault: Option<String>,
}

impl State {
    pub(crate) fn new(config: Config, catalog: Catalog) -> Self {
        let state = Self {
            clock: Mutex::new(config.clock),
            catalog,
            faults: Mutex::default(),
            draws: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
            counters: Counters::default(),
            exchanges: Mutex::default(),
            served: Mutex::default(),
            config,
        };
        state.add_faults(state.config.faults.clone());
        state
    }

    pub(crate) fn now(&self) -> i64 {
        lock(&self.clock).ticks()
    }

    pub(crate) fn set_clock(&self, clock: Clock) {
        *lock(&self.clock) = clock;
    }

    /// The detections that a tenant sees.
    pub(crate) fn catalog(&self, tenant: &str) -> Catalog {
        if self.config.tenants_differ {
            self.catalog.for_tenant(tenant)
        } else {
            self.catalog.clone()
        }
    }

    pub(crate) fn add_faults(&self, faults: Vec<Fault>) {
        lock(&self.faults).extend(faults.into_iter().map(|fault| Armed {
            fault,
            passed: 0,
            struck: 0,
        }));
    }

    pub(crate) fn clear_faults(&self) {
        lock(&self.faults).clear();
    }

    /// The faults that are not used up, each with how often it has struck.
    pub(crate) fn faults(&self) -> Vec<(Fault, u64)> {
        lock(&self.faults)
            .iter()
            .map(|armed| (armed.fault.clone(), armed.struck))
            .collect()
    }

    /// The fault that strikes a request, if any: the first that `concerns` says
    /// yes to and that is due. One that is used up is forgotten.
    pub(crate) fn strike(&self, stage: Stage, concerns: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let position = faults.iter_mut().position(|armed| {
            if armed.fault.stage != stage || !concerns(&armed.fault) {
                return false;
            }
            armed.passed += 1;
            let draw = hash(
                self.config.seed,
                DRAW,
                self.draws.fetch_add(1, Ordering::Relaxed),
            );
            armed.passed > armed.fault.skip
                && Share::new(armed.fault.rate).takes(draw)
                && armed.fault.times != Some(0)
        })?;
        let armed = faults.get_mut(position)?;
        armed.struck += 1;
        let fault = armed.fault.clone();
        if armed.fault.times.is_some_and(|times| armed.struck >= times) {
            faults.remove(position);
        }
        self.counters.faults.fetch_add(1, Ordering::Relaxed);
        Some(fault)
    }

    pub(crate) fn stats(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let all = &self.counters;
        Stats {
            connections: get(&all.connections),
            token_requests: get(&all.token_requests),
            tokens_issued: get(&all.tokens_issued),
            detection_requests: get(&all.detection_requests),
            detections: get(&all.detections),
            detection_bytes: get(&all.bytes),
            refusals: get(&all.refusals),
            faults: get(&all.faults),
        }
    }

    pub(crate) fn remember(&self, exchange: Exchange) {
        let stage = match exchange.stage {
            Stage::Token => &self.counters.token_requests,
            Stage::Detections => &self.counters.detection_requests,
        };
        stage.fetch_add(1, Ordering::Relaxed);
        if exchange.stage == Stage::Token && exchange.status == 200 {
            self.counters.tokens_issued.fetch_add(1, Ordering::Relaxed);
        }
        if exchange.status >= 400 {
            self.counters.refusals.fetch_add(1, Ordering::Relaxed);
        }
        let mut exchanges = lock(&self.exchanges);
        if exchanges.len() == REMEMBERED {
            exchanges.pop_front();
        }
        exchanges.push_back(exchange);
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.exchanges).iter().cloned().collect()
    }

    pub(crate) fn count_detections(&self, count: u64, bytes: u64) {
        self.counters.detections.fetch_add(count, Ordering::Relaxed);
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes that a detection was put into an answer, when that is asked for.
    pub(crate) fn record_detection(&self, index: u64) {
        if !self.config.record {
            return;
        }
        let mut served = lock(&self.served);
        let word = usize::try_from(index / 64).unwrap_or(usize::MAX);
        if word >= served.len() {
            served.resize(word + 1, 0);
        }
        if let Some(word) = served.get_mut(word) {
            *word |= 1 << (index % 64);
        }
    }

    pub(crate) fn served(&self) -> Vec<u64> {
        let served = lock(&self.served);
        let words = (0_u64..).zip(served.iter());
        words
            .flat_map(|(place, word)| {
                (0..64)
                    .filter(move |bit| word >> bit & 1 == 1)
                    .map(move |bit| place * 64 + bit)
            })
            .collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
