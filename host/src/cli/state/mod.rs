//! `watchbell state`: what was read, what waits, what could not be read.

mod show;
mod text;

use super::order;
use super::run::{data_dir, load, not_opened};
use crate::config::{Config, TimeBound};
use crate::control::Order;
use crate::exit::{Exit, Failure};
use chrono::{TimeDelta, Utc};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use watchbell_ledger::{Ledger, QuarantineId, Sqlite, Time};

/// Show how far each source was read and what waits for each sink.
///
/// Reads beside a running `watchbell run` and changes nothing; what changes something
/// goes to the process that runs.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct State {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    look: Look,
}

#[derive(Debug, Args)]
struct Look {
    /// Configuration file (TOML, YAML or JSON): it names data_dir.
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: Option<PathBuf>,
    /// As JSON, for machines.
    #[arg(long)]
    json: bool,
    /// Only this tenant, by its name or its id, with all there is to know.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    SetCursor(SetCursor),
    Forget(Forget),
    /// What could not be read, and what to do about it.
    #[command(subcommand)]
    Quarantine(Quarantine),
}

/// How far ahead of the local clock a cursor may be set.
const AHEAD: TimeDelta = TimeDelta::hours(1);

/// Move a source's cursor: the next poll reads from there.
///
/// Moving it back does not deliver twice, since what was delivered is known; how far back
/// that reaches is said.
#[derive(Debug, Args)]
struct SetCursor {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Which source of the file.
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Which of its tenants, when it has several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// To when: an instant, or an ISO 8601 duration back from now such as PT2H.
    #[arg(long, value_name = "TIME")]
    to: TimeBound,
    /// Forget what was read from there on, so that it is delivered again.
    #[arg(long)]
    replay: bool,
}

/// Give up what is kept of a tenant that is not in the configuration any more.
///
/// Its cursor, what is known to be delivered, its quarantine and what still waits for
/// sinks are kept until then, so that it goes on where it was when it comes back.
#[derive(Debug, Args)]
struct Forget {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Of which source.
    #[arg(long, value_name = "NAME")]
    source: String,
    /// The tenant, by its name or its id.
    #[arg(long, value_name = "NAME")]
    tenant: String,
}

#[derive(Debug, Subcommand)]
enum Quarantine {
    /// List what is in quarantine.
    List(Look),
    /// Print what is kept of an entry, byte for byte.
    Show(Entry),
    /// Try an entry, or all, again: at the next poll, or at its sink.
    Retry(Retry),
    /// Give an entry up.
    Drop(Entry),
}

#[derive(Debug, Args)]
struct Entry {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Its number, as `list` says.
    id: i64,
}

#[derive(Debug, Args)]
struct Retry {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Its number, as `list` says. Default: all.
    id: Option<i64>,
}

impl State {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.verb {
            None => show::show(&self.look),
            Some(Verb::SetCursor(verb)) => verb.run().await,
            Some(Verb::Forget(Forget {
                config,
                source,
                tenant,
            })) => give(&config, Order::Forget { source, tenant }).await,
            Some(Verb::Quarantine(Quarantine::List(look))) => show::list(&look),
            Some(Verb::Quarantine(Quarantine::Show(entry))) => {
                let ledger = look_at(&entry.config)?.1;
                let body = ledger.quarantined_body(QuarantineId(entry.id));
                print(&body.map_err(|e| Failure::new(Exit::Usage, e))?)
            }
            Some(Verb::Quarantine(Quarantine::Retry(retry))) => {
                give(&retry.config, Order::Retry { id: retry.id }).await
            }
            Some(Verb::Quarantine(Quarantine::Drop(entry))) => {
                give(&entry.config, Order::Drop { id: entry.id }).await
            }
        }
    }
}

impl SetCursor {
    async fn run(self) -> Result<(), Failure> {
        let now = Utc::now();
        let to = self.to.resolve(now);
        // The service's clock may be ahead of this one, but not by that much.
        if to > now + AHEAD {
            let words =
                format!("--to: {to} is in the future; what comes before it would not be read");
            return Err(Failure::new(Exit::Usage, words));
        }
        let to = to.timestamp_nanos_opt();
        let order = Order::SetCursor {
            source: self.source,
            tenant: self.tenant,
            to: to.unwrap_or(Time::MAX),
            replay: self.replay,
        };
        give(&self.config, order).await
    }
}

async fn give(config: &Path, order: Order) -> Result<(), Failure> {
    let words = order::give(config, order, |_| {}).await?;
    let _ = writeln!(io::stderr(), "{words}");
    Ok(())
}

fn look_at(config_file: &Path) -> Result<(Config, Sqlite), Failure> {
    let config = load(config_file)?;
    let folder = data_dir(&config, config_file)?;
    let ledger = Sqlite::look(&folder).map_err(not_opened)?;
    Ok((config, ledger))
}

impl Look {
    fn open(&self) -> Result<(Config, Sqlite), Failure> {
        let config = self.config.as_ref().ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "--config: is missing; name the configuration file, which names data_dir",
            )
        });
        look_at(config?)
    }
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Io, format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}
