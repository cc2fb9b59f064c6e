//! `watchbell backfill`: a range of the past, once.

use super::order;
use crate::control::{Order, Reply};
use crate::exit::{Exit, Failure};
use crate::polling::Progress;
use chrono::Utc;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use watchbell_settings::TimeBound;

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Read a range of the past and deliver what was not delivered before.
///
/// What was read of the range before, by polls or by a backfill, is left out. It may be
/// stopped at any time: the same command goes on where it was. When `watchbell run` is at
/// work on the same data_dir, that process does it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  watchbell backfill -c watchbell.toml --source contoso --from 2026-03-01 --to 2026-04-01")]
pub(super) struct BackfillVerb {
    /// Configuration file (TOML, YAML or JSON).
    #[arg(short, long, value_name = "FILE", env = "WATCHBELL_CONFIG")]
    config: PathBuf,
    /// Which source of the file.
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Which of its tenants, when it has several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// From when: an instant, or an ISO 8601 duration back from now such as P7D.
    #[arg(long, value_name = "TIME")]
    from: TimeBound,
    /// Until when, without this instant; likewise.
    #[arg(long, value_name = "TIME")]
    to: TimeBound,
    /// Deliver what was delivered before once more. With instants only, not durations.
    #[arg(long)]
    again: bool,
}

impl BackfillVerb {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let now = Utc::now();
        let from = order::time("--from", self.from.resolve(now))?;
        let to = order::time("--to", self.to.resolve(now))?;
        if from >= to {
            return Err(Failure::new(
                Exit::Usage,
                "--to: is not after --from; make it later",
            ));
        }
        if let TimeBound::At(begin) = self.from
            && begin > now
        {
            return Err(Failure::new(
                Exit::Usage,
                "--from: is in the future, and nothing can be read of it yet",
            ));
        }
        if self.again {
            // Stopped and started again it must mean the same range.
            let is_fixed = |bound: &TimeBound| matches!(bound, TimeBound::At(_));
            if !is_fixed(&self.from) || !is_fixed(&self.to) {
                return Err(Failure::new(
                    Exit::Usage,
                    "--again: write --from and --to as instants such as 2026-03-01T12:00:00Z, so that the same command goes on where it was",
                ));
            }
            let _ = writeln!(
                io::stderr(),
                "--again: what was delivered of this range before is delivered once more"
            );
        }
        let order = Order::Backfill {
            source: self.source,
            tenant: self.tenant,
            from,
            to,
            again: self.again,
        };
        let mut shown = Shown::new();
        let words = order::give(&self.config, order, |reply| {
            if let Reply::Progress(progress) = reply {
                shown.show(progress);
            }
        });
        let words = words.await;
        shown.end();
        let _ = writeln!(io::stderr(), "{}", words?);
        Ok(())
    }
}

/// A bar on a terminal, lines elsewhere.
struct Shown {
    bar: Option<ProgressBar>,
    began: Instant,
    said: Option<Instant>,
}

impl Shown {
    fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{wide_bar} {percent}% {msg}, {eta} left");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            began: Instant::now(),
            said: None,
        }
    }

    fn show(&mut self, progress: &Progress) {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let words = format!(
            "{} detections, {:.0}/s, {} windows",
            progress.read,
            progress.read as f64 / seconds,
            progress.windows
        );
        if let Some(bar) = &self.bar {
            bar.set_length(progress.all_millis);
            bar.set_position(progress.done_millis);
            bar.set_message(words);
            return;
        }
        if self.said.is_some_and(|said| said.elapsed() < LINE_EVERY) {
            return;
        }
        self.said = Some(Instant::now());
        let percent = 100.0 * progress.done_millis as f64 / progress.all_millis.max(1) as f64;
        let left = match percent {
            done if done > 0.0 && progress.windows > 0 => {
                format!(", {:.0} s left", seconds * (100.0 - done) / done)
            }
            _ => String::new(),
        };
        let _ = writeln!(io::stderr(), "{percent:.0} %: {words}{left}");
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
