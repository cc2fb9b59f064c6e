//! The command line: what each verb is for, its flags, and how it ends.

mod backfill;
mod demo;
mod order;
mod poll;
mod reload;
mod run;
mod settings;
mod simulate;
mod state;
mod token;
mod validate;

use crate::exit::{Exit, Failure};
use crate::observe;
use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// How long work that cannot be interrupted may go on when all else is done.
const AT_THE_END: Duration = Duration::from_secs(1);

/// Pulls security detections out of Microsoft Defender and hands them on.
///
/// Detections go to stdout or to the configured sinks, everything else to stderr.
/// Exit codes: 0 done; 64 usage; 69 unexpected answer; 70 internal; 74 I/O; 75 try
/// again later; 77 not allowed; 78 configuration.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// How log lines look.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        env = "WATCHBELL_LOG_FORMAT"
    )]
    log_format: observe::Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Poll(poll::Poll),
    Token(token::TokenVerb),
    Run(run::Run),
    Backfill(backfill::BackfillVerb),
    State(state::State),
    Validate(validate::Validate),
    Simulate(simulate::Simulate),
    Demo(demo::Demo),
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// [`Failure`] with the exit code and the words for stderr.
    pub fn run(self) -> Result<(), Failure> {
        observe::start(self.log_format);
        match self.verb {
            Verb::Validate(verb) => verb.run(),
            Verb::Poll(verb) => on_runtime(verb.run()),
            Verb::Token(verb) => on_runtime(verb.run()),
            Verb::Run(verb) => on_runtime(verb.run()),
            Verb::Backfill(verb) => on_runtime(verb.run()),
            Verb::State(verb) => on_runtime(verb.run()),
            Verb::Simulate(verb) => on_runtime(verb.run()),
            Verb::Demo(verb) => on_runtime(verb.run()),
        }
    }
}

/// Ends the program: words on stderr, and the exit code.
#[must_use]
pub fn end(outcome: Result<(), Failure>) -> ExitCode {
    let exit = match outcome {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            for line in failure.to_string().lines() {
                let _ = writeln!(io::stderr(), "watchbell: {line}");
            }
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

/// The threads that all polls share, one for each processor.
///
/// Each looks at the sockets, the timers and what comes from other threads after every
/// task. tokio's own 61 and 31 tasks suppose short ones, and a busy guest is one of 10 ms
/// again and again: beside four of them on two threads a poll took 370 to 500 ms in place
/// of 1, and some more than a second.
#[must_use]
pub fn threads() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .enable_all()
        .event_interval(1)
        .global_queue_interval(1);
    builder
}

fn on_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = threads()
        .build()
        .map_err(|e| Failure::new(Exit::Internal, e))?;
    let done = runtime.block_on(work);
    // What still compiles or waits for a disk would hold up the end.
    runtime.shutdown_timeout(AT_THE_END);
    done
}

/// Resolves when the program is asked to end: SIGTERM, or Ctrl-C.
async fn asked_to_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
