//! `watchbell simulate`: a Defender on loopback to run against.

use crate::exit::{Exit, Failure};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;
use watchbell_simulator::{
    Bounds, Bursts, CLIENT_ID, CLIENT_SECRET, Clock, Config, Fault, Late, Simulator, TENANT_ID,
};

/// Run a simulated Defender on loopback.
///
/// Serves the login service's v1 token endpoint and the SIEM API's detections, made
/// from a seed. Prints its URL and the credentials that it accepts on stdout, as JSON
/// on one line, then serves until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(
    after_help = "A fault is STAGE:EFFECT[:SETTING=VALUE…]: STAGE is token or detections.
  detections:429:retry-after=5:times=3    the next three answers are 429
  detections:truncate:rate=0.1            one answer in ten is cut short
  token:503                               the login service is down
More can be added while it runs: POST /_control/faults; what it served: GET /_control/stats."
)]
pub(super) struct Simulate {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What the detections are made from: one seed, start and rate always give the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Detections a minute.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Exactly that many detections, laid evenly from --start to now, and no more come.
    #[arg(long)]
    total: Option<u64>,
    /// Where history begins: an instant. Default: a day ago.
    #[arg(long, value_name = "INSTANT")]
    start: Option<DateTime<Utc>>,
    /// Seconds that a token lives.
    #[arg(long, default_value_t = 3599)]
    token_lifetime_secs: u64,
    /// The service's clock, in seconds ahead of (or behind) this machine's.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    clock_offset_secs: i64,
    /// A burst of detections with one timestamp begins at every Nth; 0: none.
    #[arg(long, value_name = "N", default_value_t = Bursts::default().every)]
    burst_every: u64,
    /// How many detections a burst has.
    #[arg(long, value_name = "N", default_value_t = Bursts::default().size)]
    burst_size: u64,
    /// Which part of the detections, 0 to 1, becomes visible late.
    #[arg(long, value_name = "PART", default_value_t = 0.02)]
    late_rate: f64,
    /// How late they are at most.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    late_by_secs: u64,
    /// Leave detections out that are exactly at a bound.
    #[arg(long)]
    exclusive_bounds: bool,
    /// Cut bounds to the millisecond.
    #[arg(long)]
    millisecond_bounds: bool,
    /// Pay no heed to sinceTimeUtc.
    #[arg(long)]
    ignore_since: bool,
    /// Pay no heed to untilTimeUtc.
    #[arg(long)]
    ignore_until: bool,
    /// A fault; may be repeated.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
}

impl Simulate {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let running = Simulator::start(self.config())
            .await
            .map_err(|e| Failure::new(Exit::Usage, e))?;
        let about = serde_json::json!({
            "endpoint": running.endpoint(),
            "authority": running.authority(),
            "tenant_id": TENANT_ID,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        });
        writeln!(io::stdout(), "{about}")
            .map_err(|e| Failure::new(Exit::Io, format!("stdout: {e}")))?;
        super::asked_to_end()
            .await
            .map_err(|e| Failure::new(Exit::Internal, e))?;
        running.stop().await;
        Ok(())
    }

    fn config(&self) -> Config {
        let usual = Config::default();
        Config {
            listen: self.listen,
            seed: self.seed,
            rate: self.rate,
            total: self.total,
            start: self.start,
            bursts: Bursts {
                every: self.burst_every,
                size: self.burst_size,
            },
            late: Late {
                rate: self.late_rate,
                by_up_to: Duration::from_secs(self.late_by_secs),
            },
            token_lifetime_secs: self.token_lifetime_secs,
            bounds: Bounds {
                exclusive: self.exclusive_bounds,
                cut_to_millis: self.millisecond_bounds,
                ignore_since: self.ignore_since,
                ignore_until: self.ignore_until,
            },
            clock: Clock::Offset(TimeDelta::seconds(self.clock_offset_secs)),
            faults: self.fault.clone(),
            ..usual
        }
    }
}
