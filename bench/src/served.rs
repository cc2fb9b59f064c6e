//! What the simulator serves: a fixed number of detections, one in each second of a
//! range that lies in the past, so that a window of time is a number of detections.

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::path::Path;
use watchbell_simulator::{Bursts, Config, Running, Simulator};

use crate::front::Front;

/// 2024-01-01T00:00:00Z.
const START: i64 = 1_704_067_200;

/// A part of time to ask for, both ends included, as the API takes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The earlier end.
    pub since: String,
    /// The later end.
    pub until: String,
}

impl Window {
    /// The window that holds exactly the first `detections` of what is served.
    ///
    /// # Errors
    /// When the calendar does not reach that far.
    pub fn of(detections: u32) -> Result<Self> {
        let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let last = start()? + TimeDelta::seconds(detections.into()) - TimeDelta::microseconds(1);
        Ok(Self {
            since: text(start()?),
            until: text(last),
        })
    }
}

fn start() -> Result<DateTime<Utc>> {
    DateTime::from_timestamp(START, 0).context("the calendar begins later")
}

/// Where the simulator is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Served {
    /// Endpoint and authority over HTTP.
    pub plain: String,
    /// The endpoint over TLS.
    pub tls_endpoint: String,
    /// The authority over TLS, on a port of its own as the real one is a host of its
    /// own: each side connects twice.
    pub tls_authority: String,
}

/// Serves `total` detections until the answer is dropped. The certificate authority
/// that vouches for the TLS side is written to `ca_file`.
///
/// # Errors
/// When a port or the file cannot be had.
pub async fn serve(total: u32, ca_file: &Path) -> Result<(Served, (Running, Front, Front))> {
    let config = Config {
        total: Some(total.into()),
        start: Some(start()?),
        end: Some(start()? + TimeDelta::seconds(total.into())),
        // A burst's detections lie before their own second.
        bursts: Bursts { every: 0, size: 0 },
        ..Config::default()
    };
    let running = Simulator::start(config).await?;
    let identity = Front::identity(ca_file)?;
    let endpoint = Front::start(&identity, running.addr()).await?;
    let authority = Front::start(&identity, running.addr()).await?;
    let served = Served {
        plain: running.endpoint(),
        tls_endpoint: endpoint.url(),
        tls_authority: authority.url(),
    };
    Ok((served, (running, endpoint, authority)))
}
