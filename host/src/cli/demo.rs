//! `watchbell demo`: polls and delivery without an account, from a simulated Defender
//! through the bundled components to stdout.

use super::data_dir::not_opened;
use super::run::prepare_config;
use super::settings::config_failure;
use super::signals::Ends;
use crate::config::Document;
use crate::exit::{Exit, Failure};
use crate::topology::Service;
use chrono::{TimeDelta, Utc};
use clap::Args;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use watchbell_ledger::Sqlite;
use watchbell_settings::Format;
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, Config, Late, Running, Simulator, TENANT_ID};

/// How many polls a demo makes that ends by itself.
const POLLS: usize = 3;

/// How long delivery may go on after the last poll.
const DRAIN: Duration = Duration::from_secs(30);

/// Poll a simulated Defender and print its detections, without an account or a configuration.
///
/// Runs a simulator on loopback, polls it through the WebAssembly component, sends the
/// detections through a jq transform and prints them on stdout. Ends after three polls and
/// says on stderr how many detections were served and how many arrived.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Continue until SIGTERM or Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Detections a minute.
    #[arg(long, default_value_t = 30.0)]
    rate: f64,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut ends = Ends::listen()?;
        let running = Simulator::start(Config {
            seed: 7,
            rate: self.rate,
            start: Some(Utc::now() - TimeDelta::minutes(1)),
            late: Late {
                rate: 0.1,
                by_up_to: Duration::from_secs(2),
            },
            record: true,
            ..Config::default()
        })
        .await
        .map_err(|e| Failure::new(Exit::Usage, e))?;
        let origin = Path::new("demo.toml");
        let config = Document::parse(&configuration(&running), Format::Toml, origin)
            .and_then(|document| document.decode(&|_| None))
            .map_err(config_failure)?
            .config;
        let folder = tempfile::tempdir().map_err(|e| Failure::new(Exit::Io, e))?;
        let data_dir = folder.path().join("data");
        let ledger = Sqlite::open(&data_dir).map_err(not_opened)?;
        let mut prepared = prepare_config(&config).await?;
        prepared.plan.min_free = 0;
        let opened = Service::open(Arc::new(ledger), &data_dir, prepared.plan, Vec::new());
        let (service, _) = opened.await.map_err(|e| Failure::new(Exit::Internal, e))?;
        let stop = service.stop();
        let stopping = async {
            ends.asked(1).await;
            stop.cancel();
            // A second one does not wait.
            ends.asked(2).await;
        };
        let working = async {
            if self.follow {
                service.run(DRAIN).await
            } else {
                service.run_polls(POLLS, DRAIN).await
            }
        };
        let ended = tokio::select! {
            ended = working => ended,
            () = stopping => return Err(Failure::new(Exit::Later, "ended at once")),
        };
        let arrived = usize::try_from(ended.delivered).unwrap_or(usize::MAX);
        let served = running.served().len();
        running.stop().await;
        let _ = writeln!(
            io::stderr(),
            "watchbell demo: {served} detections were served, {arrived} arrived"
        );
        // Whoever read it has seen enough.
        if served == arrived || !ended.lost.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Internal,
            "not all that was served arrived",
        ))
    }
}

/// The configuration that a user would write, with the simulator's addresses.
fn configuration(running: &Running) -> String {
    format!(
        r#"
[sources.simulator]
type = "defender"
endpoint = "{}"
authority = "{}"
tenant_id = "{TENANT_ID}"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
scrape_interval_secs = 1
egress.allow_addresses = ["127.0.0.0/8"]

[transforms.every]
type = "jq"
inputs = ["simulator"]
filter = 'select(.AlertTitle != null)'

[sinks.out]
type = "console"
inputs = ["every"]
"#,
        running.endpoint(),
        running.authority(),
    )
}
