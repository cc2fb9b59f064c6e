//! What a simulated service is asked to be.
//!
//! Everything has a default, so that a test names only what it is about:
//! `Config { rate: 600.0, ..Config::default() }`. Values are checked once, by
//! [`Simulator::start`](crate::Simulator::start) and [`Catalog::new`](crate::Catalog::new).

use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::fault::Fault;

/// The client id that is accepted by default.
pub const CLIENT_ID: &str = "00000000-0000-0000-0000-0000000000aa";
/// The secret that is accepted by default. It opens nothing but the simulator.
/// Its `+`, `/`, `=`, `&` and `%` are there to catch clients that do not
/// percent-encode it.
pub const CLIENT_SECRET: &str = "demo+secret/with=odd&characters%41~";
/// A tenant id to use where any will do (all are accepted by default).
pub const TENANT_ID: &str = "11111111-2222-3333-4444-555555555555";

/// What a simulated service is asked to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Default: a free port on 127.0.0.1.
    pub listen: SocketAddr,
    /// What everything generated depends on. One seed (with the same
    /// [`start`](Self::start) and rate) always gives the same detections.
    pub seed: u64,
    /// Detections for each minute of `LastProcessedTimeUtc`. Default 10. Not
    /// used when [`total`](Self::total) is given.
    pub rate: f64,
    /// Exactly this many detections, laid evenly from `start` to `end`.
    pub total: Option<u64>,
    /// Where history begins: nothing is older. Default: a day before the start.
    pub start: Option<DateTime<Utc>>,
    /// Where history ends, without this instant. Default: never, or with
    /// [`total`](Self::total) the service's time at the start.
    pub end: Option<DateTime<Utc>>,
    /// Runs of detections with one identical timestamp.
    pub bursts: Bursts,
    /// Detections that become visible later than their timestamp says.
    pub late: Late,
    /// How often the older shapes are served.
    pub shapes: Shapes,
    /// How many machines there are. Default 400.
    pub machines: u32,
    /// The device groups that the machines are in, in turn; one machine in
    /// sixteen is in none.
    pub machine_groups: Vec<String>,
    /// Whether each tenant has detections of its own. Default: all see the same.
    pub tenants_differ: bool,
    /// Tenants that exist. Default: every well-formed tenant id or domain.
    pub tenants: Option<Vec<String>>,
    /// Applications that may ask for tokens.
    pub clients: Vec<Client>,
    /// The values of `resource` that exist, compared without a final slash.
    pub resources: Vec<String>,
    /// How long a token is good for, in seconds. Default 3599, as the real one.
    pub token_lifetime_secs: u64,
    /// How the token answer is written.
    pub token_answer: TokenAnswer,
    /// How the bounds of a query are understood.
    pub bounds: Bounds,
    /// The service's clock.
    pub clock: Clock,
    /// Faults from the start; more can be added while it runs.
    pub faults: Vec<Fault>,
    /// Whether to remember which detections were put into an answer (one bit
    /// for each; see [`Running::served`](crate::Running::served)). Default no.
    pub record: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            rate: 10.0,
            total: None,
            start: None,
            end: None,
            bursts: Bursts::default(),
            late: Late::default(),
            shapes: Shapes::default(),
            machines: 400,
            machine_groups: [
                "UKMachines",
                "FranceMachines",
                "Servers",
                "Überwachung 東京",
            ]
            .map(String::from)
            .to_vec(),
            tenants_differ: false,
            tenants: None,
            clients: vec![Client::default()],
            resources: vec!["https://graph.windows.net".to_owned()],
            token_lifetime_secs: 3599,
            token_answer: TokenAnswer::default(),
            bounds: Bounds::default(),
            clock: Clock::default(),
            faults: Vec::new(),
            record: false,
        }
    }
}

/// Runs of detections with one identical `LastProcessedTimeUtc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bursts {
    /// A burst begins at every index that this divides. 0: no bursts.
    pub every: u64,
    /// How many detections share the timestamp; at most `every`.
    pub size: u64,
}

impl Default for Bursts {
    fn default() -> Self {
        Self {
            every: 100,
            size: 5,
        }
    }
}

/// Detections that become visible later than their `LastProcessedTimeUtc`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Late {
    /// The fraction of detections that are late, 0 to 1. Default 0.02.
    pub rate: f64,
    /// How late they are at most. Default 5 minutes; each is late by a
    /// different part of it.
    pub by_up_to: Duration,
}

impl Default for Late {
    fn default() -> Self {
        Self {
            rate: 0.02,
            by_up_to: Duration::from_secs(300),
        }
    }
}

/// How often the older shapes of a detection are served, each 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shapes {
    /// The 33 members of 2017. Default 0.01.
    pub of_2017: f64,
    /// The 46 members of 2018, with the names of tags as they were. Default 0.01.
    pub of_2018: f64,
    /// Null where others have an empty string. Default 0.1.
    pub nulls: f64,
}

impl Default for Shapes {
    fn default() -> Self {
        Self {
            of_2017: 0.01,
            of_2018: 0.01,
            nulls: 0.1,
        }
    }
}

/// An application that may ask for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its client id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The `roles` claim of its tokens. Empty: the claim is left out and the
    /// detections endpoint answers 403, as for an application without consent.
    pub roles: Vec<String>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            id: CLIENT_ID.to_owned(),
            secret: CLIENT_SECRET.to_owned(),
            roles: vec!["Alert.Read.All".to_owned()],
        }
    }
}

/// How the token answer is written; the service has been seen to do all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenAnswer {
    /// Numbers as JSON strings. Default yes, as v1 does.
    pub numbers_as_strings: bool,
    /// Whether `expires_in` (and `ext_expires_in`) is there. Default yes.
    pub expires_in: bool,
    /// Whether `expires_on` (and `not_before`) is there. Default yes.
    pub expires_on: bool,
}

impl Default for TokenAnswer {
    fn default() -> Self {
        Self {
            numbers_as_strings: true,
            expires_in: true,
            expires_on: true,
        }
    }
}

/// How the bounds of a query are understood. The service does not document it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Both bounds are outside the range. Default: inside.
    pub exclusive: bool,
    /// Digits below the millisecond are cut from the bounds before use.
    pub cut_to_millis: bool,
    /// `sinceTimeUtc` is checked but not used: the range begins as if none was given.
    pub ignore_since: bool,
    /// `untilTimeUtc` is checked but not used.
    pub ignore_until: bool,
}
