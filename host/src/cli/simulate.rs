//! `watchbell simulate`: a Defender on loopback to run against.

use super::print::print;
use super::signals::Ends;
use crate::exit::{Exit, Failure};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;
use watchbell_simulator::{
    Bounds, Bursts, CLIENT_ID, CLIENT_SECRET, Clock, Config, Fault, Late, Running, Simulator,
    TENANT_ID,
};

/// Run a simulated Defender on loopback, to try Watchbell and to test against.
///
/// Serves the login service's v1 token endpoint and the SIEM API's detections, computed
/// from a seed. Prints its URL and the credentials that it accepts on stdout, as JSON on
/// one line, and on stderr the `watchbell poll` command that fits it. Serves until SIGTERM
/// or Ctrl-C.
#[derive(Debug, Args)]
#[command(
    after_help = "A fault is STAGE:EFFECT[:KEY=VALUE…], with STAGE token or detections. Examples:
  detections:429:retry-after=5:times=3    the next three answers are 429
  detections:truncate:rate=0.1            one answer in ten is cut short
  detections:403:tenant=ID                one tenant is refused
  token:503                               the login service is down
Effects: a status from 400 to 599, delay, stall, truncate, cut-short, garbage, bad-element,
sign-in-page, redirect, endless, expire-tokens, drop.

While it runs, a control API adds and removes faults and shows what was served:
  curl -d '[\"token:503\"]' ENDPOINT/_control/faults
  curl -X DELETE ENDPOINT/_control/faults
  curl ENDPOINT/_control/stats

docs/guides/simulator.md describes every fault with its keys, and every request of the control API."
)]
pub(super) struct Simulate {
    /// Where to listen; port 0 takes a free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What the detections are computed from: the same seed, start and rate give the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Detections a minute.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Exactly this many detections, spread evenly from --start to now, and no more come.
    #[arg(long)]
    total: Option<u64>,
    /// Where history begins: an instant. Default: a day ago.
    #[arg(long, value_name = "INSTANT")]
    start: Option<DateTime<Utc>>,
    /// Give each tenant detections of its own. Default: all tenants see the same.
    #[arg(long)]
    tenants_differ: bool,
    /// How long a token is valid, in seconds.
    #[arg(long, default_value_t = 3599)]
    token_lifetime_secs: u64,
    /// How far the service's clock is ahead of this machine's, in seconds; negative: behind.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    clock_offset_secs: i64,
    /// A burst of detections with one timestamp begins at every Nth; 0: none.
    #[arg(long, value_name = "N", default_value_t = Bursts::default().every)]
    burst_every: u64,
    /// How many detections a burst has.
    #[arg(long, value_name = "N", default_value_t = Bursts::default().size)]
    burst_size: u64,
    /// The fraction of detections, 0 to 1, that become visible late.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.02)]
    late_rate: f64,
    /// The longest delay of a late detection, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    late_by_secs: u64,
    /// Leave out detections that lie exactly at a bound of the query.
    #[arg(long)]
    exclusive_bounds: bool,
    /// Truncate the query's bounds to the millisecond.
    #[arg(long)]
    millisecond_bounds: bool,
    /// Ignore sinceTimeUtc.
    #[arg(long)]
    ignore_since: bool,
    /// Ignore untilTimeUtc.
    #[arg(long)]
    ignore_until: bool,
    /// A fault from the start; may be repeated.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
}

impl Simulate {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut ends = Ends::listen()?;
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
        print(format!("{about}\n").as_bytes())?;
        // Whoever closed stderr can do without the words.
        let _ = writeln!(io::stderr(), "{}", self.words(&running));
        ends.asked(1).await;
        running.stop().await;
        Ok(())
    }

    /// What a person should know: the command that shows detections of this simulator.
    fn words(&self, running: &Running) -> String {
        let endpoint = running.endpoint();
        let ip = running.addr().ip();
        if !(ip.is_loopback() || ip.is_unspecified()) {
            return format!(
                "watchbell: the simulator serves at {endpoint} until SIGTERM or Ctrl-C. Watchbell \
                 sends no secret over plain HTTP to an address that is not loopback; use --listen \
                 127.0.0.1:0 for it"
            );
        }
        let range = if ip.is_ipv4() {
            "127.0.0.0/8"
        } else {
            "::1/128"
        };
        let program = std::env::args_os().next();
        let program = program.map_or_else(
            || "watchbell".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        format!(
            "watchbell: the simulator serves at {endpoint} until SIGTERM or Ctrl-C; \
             to see detections, copy this command into another terminal:\n\n\
             WATCHBELL_CLIENT_SECRET={} {} poll --endpoint {endpoint} --authority {} \
             --allow-address {range} --tenant-id {TENANT_ID} --client-id {CLIENT_ID} {}\n",
            quote(CLIENT_SECRET),
            quote(&program),
            running.authority(),
            self.some_detections(running.now()),
        )
    }

    /// Flags of a query that finds detections and not too many of them.
    fn some_detections(&self, now: DateTime<Utc>) -> String {
        if self.total.is_none() && (1.0..=1000.0).contains(&self.rate) {
            return "--ago PT10M".to_owned();
        }
        let start = self.start.unwrap_or(now - TimeDelta::days(1));
        // Time goes on until the command is run: an hour more.
        let hours = now.signed_duration_since(start).num_hours().max(0) + 2;
        format!("--ago PT{hours}H --limit 100")
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
            tenants_differ: self.tenants_differ,
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

/// A text as one word of a shell.
fn quote(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quoted_text_is_one_word_of_a_shell() {
        for text in [
            "",
            "a b",
            "it's",
            "$HOME `x` \"y\"",
            "~/bin",
            "plain",
            "é;|&",
            "a\nb",
        ] {
            let script = format!("printf %s {}", quote(text));
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
        assert_eq!(
            quote("target/release/watchbell"),
            "target/release/watchbell"
        );
    }
}
