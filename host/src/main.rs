//! The `watchbell` program. All of it is in the library; this is where it ends.

use clap::Parser;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use watchbell::cli::{Cli, compile_if_asked, end, print};
use watchbell::exit::{Exit, Failure};
use watchbell::telemetry::{Format, has_colors};

fn main() -> ExitCode {
    if let Some(exit) = compile_if_asked() {
        return exit;
    }
    share_arenas();
    match Cli::try_parse() {
        Ok(cli) => {
            let log_format = cli.log_format();
            end(cli.run(), log_format)
        }
        Err(error) => end(not_parsed(&error), asked_for()),
    }
}

/// What clap has to say: help and the version are data, all else is a mistake.
fn not_parsed(error: &clap::Error) -> Result<(), Failure> {
    let words = error.render();
    if !error.use_stderr() {
        let text = match has_colors(&io::stdout()) {
            true => words.ansi().to_string(),
            false => words.to_string(),
        };
        return print(text.as_bytes());
    }
    if asked_for() == Format::Json {
        return Err(Failure::new(Exit::Usage, words.to_string().trim_end()));
    }
    let text = match has_colors(&io::stderr()) {
        true => words.ansi().to_string(),
        false => words.to_string(),
    };
    let _ = io::stderr().write_all(text.as_bytes());
    Err(Failure::silent(Exit::Usage))
}

/// How log lines should look, of a command line that cannot be read.
fn asked_for() -> Format {
    let args: Vec<OsString> = std::env::args_os().collect();
    let is_pair = |pair: &[OsString]| matches!(pair, [name, value] if name == "--log-format" && value == "json");
    let by_flag = args.windows(2).any(is_pair) || args.iter().any(|arg| arg == "--log-format=json");
    let by_variable = std::env::var_os("WATCHBELL_LOG_FORMAT").is_some_and(|value| value == "json");
    if by_flag || by_variable {
        Format::Json
    } else {
        Format::Text
    }
}

/// Two heaps for all threads in place of glibc's eight for each processor. What thousands
/// of tenants allocate on one thread and free on another left holes in each: with 1,000 of
/// 10,000 failing the process held 20 MiB more, and a poll took no less processor time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn share_arenas() {
    // SAFETY: mallopt takes two numbers and is called before there is a second thread.
    #[allow(unsafe_code)]
    let _is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn share_arenas() {}
