//! `watchbell state`: what was read, what waits, what could not be read.

mod show;
mod text;

use super::data_dir::{folder_of, not_opened};
use super::order;
use super::print;
use crate::control::Order;
use crate::exit::{Exit, Failure};
use crate::telemetry::escaped_lines;
use chrono::{TimeDelta, Utc};
use clap::{Args, Subcommand};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use watchbell_ledger::{self as ledger, Quarantine as _, QuarantineId, Sqlite};
use watchbell_settings::TimeBound;

/// Show how far each source was read and what waits for each sink.
///
/// Reads beside a running `watchbell run` and changes nothing; what changes something
/// goes to the process that runs.
///
/// Of the configuration file only data_dir is needed: neither secrets nor tenants.
#[derive(Debug, Args)]
pub(super) struct State {
    /// Configuration file (TOML, YAML or JSON): it names data_dir.
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "WATCHBELL_CONFIG",
        global = true
    )]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    look: Look,
}

#[derive(Debug, Args)]
struct Look {
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
/// Moved back, what was not read from there on is read and delivered, and what was delivered
/// does not come again. Moved forward, what lies between is not read; `watchbell backfill`
/// reads it later, without holding up what is new.
#[derive(Debug, Args)]
struct SetCursor {
    /// Which source of the file.
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Which of its tenants, when it has several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// To when: an instant, or an ISO 8601 duration back from now such as PT2H.
    #[arg(long, value_name = "TIME")]
    to: TimeBound,
    /// Forget what was read from there on, so that it is delivered once more.
    #[arg(long)]
    replay: bool,
}

/// Give up what is kept of a tenant that is not in the configuration any more.
///
/// Its cursor, what is known to be delivered, its quarantine and what still waits for
/// sinks are kept until then, so that it goes on where it was when it comes back.
#[derive(Debug, Args)]
struct Forget {
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
    /// Print what is kept of an entry, byte for byte; on a terminal with what it would obey
    /// escaped.
    Show(Entry),
    /// Try an entry, or all, again: at the next poll, or at its sink.
    Retry(Retry),
    /// Give an entry up.
    Drop(Entry),
}

#[derive(Debug, Args)]
struct Entry {
    /// Its number, as `list` says.
    id: i64,
}

#[derive(Debug, Args)]
struct Retry {
    /// Its number, as `list` says. Default: all.
    id: Option<i64>,
}

impl State {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = self.config.ok_or_else(|| {
            let words = "--config: is missing; name the configuration file, which names data_dir";
            Failure::new(Exit::Usage, words)
        })?;
        let mut look = self.look;
        let is_list = matches!(self.verb, Some(Verb::Quarantine(Quarantine::List(_))));
        if self.verb.is_some() && !is_list && (look.json || look.tenant.is_some()) {
            let words = "--json and --tenant before a verb are for `state` and `state quarantine list`; write them behind the verb";
            return Err(Failure::new(Exit::Usage, words));
        }
        match self.verb {
            None => show::show(&config, &look).await,
            Some(Verb::SetCursor(verb)) => verb.run(&config).await,
            Some(Verb::Forget(Forget { source, tenant })) => {
                give(&config, Order::Forget { source, tenant }).await
            }
            Some(Verb::Quarantine(Quarantine::List(own))) => {
                look.json |= own.json;
                look.tenant = own.tenant.or(look.tenant);
                show::list(&config, &look).await
            }
            Some(Verb::Quarantine(Quarantine::Show(entry))) => {
                let ledger = look_at(&config)?;
                let id = QuarantineId(entry.id);
                let bodies = ledger.read_quarantined(&[id]).await;
                let bodies = bodies.map_err(|e| Failure::new(Exit::Io, e))?;
                match bodies.first() {
                    Some((_, body)) => show_body(body),
                    None => Err(Failure::new(
                        Exit::Usage,
                        ledger::Error::NoQuarantine(entry.id),
                    )),
                }
            }
            Some(Verb::Quarantine(Quarantine::Retry(retry))) => {
                give(&config, Order::Retry { id: retry.id }).await
            }
            Some(Verb::Quarantine(Quarantine::Drop(entry))) => {
                give(&config, Order::Drop { id: entry.id }).await
            }
        }
    }
}

/// What is kept, byte for byte; on a terminal, which would obey some of them, escaped.
fn show_body(body: &[u8]) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        return print(body);
    }
    print(format!("{}\n", escaped_lines(&String::from_utf8_lossy(body))).as_bytes())
}

impl SetCursor {
    async fn run(self, config: &Path) -> Result<(), Failure> {
        let now = Utc::now();
        let to = self.to.resolve(now);
        // The service's clock may be ahead of this one, but not by that much.
        if to > now + AHEAD {
            let words =
                format!("--to: {to} is in the future; what comes before it would not be read");
            return Err(Failure::new(Exit::Usage, words));
        }
        let order = Order::SetCursor {
            source: self.source,
            tenant: self.tenant,
            to: order::time("--to", to)?,
            replay: self.replay,
        };
        give(config, order).await
    }
}

async fn give(config: &Path, order: Order) -> Result<(), Failure> {
    let words = order::give(config, order, |_| {}).await?;
    let _ = writeln!(io::stderr(), "{}", escaped_lines(&words));
    Ok(())
}

/// The ledger, to look at.
fn look_at(config_file: &Path) -> Result<Sqlite, Failure> {
    Sqlite::look(&folder_of(config_file)?).map_err(not_opened)
}
