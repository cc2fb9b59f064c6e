//! The command line: what each verb is for, its flags, and how it ends.

mod backfill;
mod changes;
mod data_dir;
mod demo;
mod order;
mod poll;
mod print;
mod reload;
mod run;
mod schema;
mod settings;
mod signals;
mod simulate;
mod state;
mod token;
mod validate;

use crate::exit::{Exit, Failure};
use crate::sources::Runtime;
use crate::telemetry;
use clap::{ArgAction, Parser, Subcommand};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use watchbell_sandbox::{Compiler, Pool, compile_for_parent};

/// The one argument with which this program starts itself to compile a component.
const COMPILE: &str = "compile-component";

/// How long work that cannot be interrupted may go on when all else is done.
const AT_THE_END: Duration = Duration::from_secs(1);

pub use print::print;

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
    log_format: telemetry::Format,
    /// Log more: -v debug, -vv trace. WATCHBELL_LOG goes before it.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Log less: -q warnings and errors, -qq errors. WATCHBELL_LOG goes before it.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    quiet: u8,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Poll(poll::Poll),
    Token(token::TokenVerb),
    Run(run::Run),
    Backfill(backfill::BackfillVerb),
    State(state::State),
    Validate(validate::Validate),
    Schema(schema::SchemaVerb),
    Simulate(simulate::Simulate),
    Demo(demo::Demo),
}

impl Cli {
    /// How log lines look, and the last words.
    #[must_use]
    pub fn log_format(&self) -> telemetry::Format {
        self.log_format
    }

    /// Does what the command line says.
    ///
    /// # Errors
    /// [`Failure`] with the exit code and the words for stderr.
    pub fn run(self) -> Result<(), Failure> {
        let verbosity = i16::from(self.verbose) - i16::from(self.quiet);
        telemetry::start(self.log_format, verbosity).map_err(|e| Failure::new(Exit::Usage, e))?;
        match self.verb {
            Verb::Validate(verb) => verb.run(),
            Verb::Schema(verb) => verb.run(),
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

/// Compiles a component for the process that started this one for it, if one did. To be
/// called first of all: see [`compile_for_parent`].
#[must_use]
pub fn compile_if_asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != COMPILE || args.next().is_some() {
        return None;
    }
    let words = |error| Failure::new(Exit::Usage, format!("{COMPILE}: {error}"));
    let outcome = compile_for_parent().map_err(words);
    Some(end(outcome, telemetry::Format::Text))
}

/// An engine and a way out, with components from files compiled in processes of their own.
fn start_runtime(pool: Pool, data_dir: Option<&Path>) -> Result<Runtime, Failure> {
    Ok(Runtime::start(pool, data_dir)?.with_compiler(compiler()?))
}

/// As [`start_runtime`], for a look: what is compiled is kept nowhere.
fn start_runtime_without_cache(pool: Pool) -> Result<Runtime, Failure> {
    Ok(Runtime::start_without_cache(pool)?.with_compiler(compiler()?))
}

/// This program, started anew for each component.
fn compiler() -> Result<Compiler, Failure> {
    Compiler::this_program([COMPILE]).map_err(|e| Failure::new(Exit::Internal, e))
}

/// Ends the program: words on stderr, in the form of the log, and the exit code.
#[must_use]
pub fn end(outcome: Result<(), Failure>, log_format: telemetry::Format) -> ExitCode {
    let exit = match outcome {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            telemetry::last_words(log_format, &failure.to_string(), failure.exit.code());
            failure.exit
        }
    };
    ExitCode::from(exit.code())
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
