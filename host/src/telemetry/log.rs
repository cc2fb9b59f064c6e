//! The log: one line for each event, on stderr, whatever is in it.

use super::escape::{Escape, OneLine};
use clap::ValueEnum;
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The variable that holds the filter.
const VARIABLE: &str = "WATCHBELL_LOG";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Why there is no such log.
#[derive(Debug, thiserror::Error)]
#[error(
    "{VARIABLE}: `{directive}` is no filter: {reason}; write a level (error, warn, info, debug, trace or off), or a level for a module as in watchbell=debug,info"
)]
pub struct NotAFilter {
    directive: String,
    reason: String,
}

/// Starts the log with the filter in `WATCHBELL_LOG` (tracing's syntax, e.g. `debug` or
/// `watchbell=debug,warn`), else with that of `verbosity`: 0 is info, each step up is one
/// level more of this program's own lines (debug, trace), each step down one level less
/// (warn, error).
///
/// # Errors
/// [`NotAFilter`]: the variable holds none. A filter that is taken for something else
/// would silence errors too.
pub fn start(format: Format, verbosity: i16) -> Result<(), NotAFilter> {
    let filter = match std::env::var_os(VARIABLE).map(OsString::into_string) {
        Some(Ok(text)) if !text.trim().is_empty() => parse(&text)?,
        Some(Err(text)) => {
            return Err(NotAFilter {
                directive: super::printable(&text.to_string_lossy()),
                reason: "it is not UTF-8".to_owned(),
            });
        }
        _ => EnvFilter::new(usual(verbosity)),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // That a line cannot be written would be said on stderr too, which is where it cannot.
        .log_internal_errors(false)
        .with_target(false);
    // Fails only when a log was started before, as tests in one process do.
    let _ = match format {
        Format::Text => lines
            .with_writer(|| OneLine::new(io::stderr(), Escape::Text))
            .with_ansi(has_colors(&io::stderr()))
            .try_init(),
        Format::Json => lines
            .with_writer(|| OneLine::new(io::stderr(), Escape::Json))
            .json()
            .flatten_event(true)
            .try_init(),
    };
    Ok(())
}

/// The filter without `WATCHBELL_LOG`. Other libraries' lines stay at info.
fn usual(verbosity: i16) -> &'static str {
    match verbosity {
        i16::MIN..=-2 => "error",
        -1 => "warn",
        0 => "info",
        1 => "info,watchbell=debug",
        2.. => "info,watchbell=trace",
    }
}

/// A filter of directives with commas between. What no directive names is logged when it
/// is an error: only `off` silences that.
fn parse(text: &str) -> Result<EnvFilter, NotAFilter> {
    let mut whole = "error".to_owned();
    for directive in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        let refuse = |reason: String| NotAFilter {
            directive: super::printable(directive),
            reason,
        };
        // A bare word is a module to tracing, and nothing else would be logged.
        let is_word = !directive.contains(['=', '[', ':']);
        if is_word && directive.parse::<LevelFilter>().is_err() && !is_module(directive) {
            return Err(refuse(
                "it is neither a level nor a module of this program".to_owned(),
            ));
        }
        if let Err(error) = EnvFilter::builder().parse(directive) {
            return Err(refuse(error.to_string()));
        }
        whole.push(',');
        whole.push_str(directive);
    }
    EnvFilter::builder()
        .parse(&whole)
        .map_err(|error| NotAFilter {
            directive: super::printable(text),
            reason: error.to_string(),
        })
}

/// Whether lines come from there: this program, and the libraries that log much.
fn is_module(word: &str) -> bool {
    word.starts_with("watchbell")
        || [
            "hyper",
            "hyper_util",
            "rustls",
            "tokio",
            "wasmtime",
            "cranelift",
            "mio",
        ]
        .contains(&word)
}

/// Whether colors may be written there: to a terminal that knows them, unless `NO_COLOR`
/// is set (<https://no-color.org>).
pub fn has_colors(stream: &impl IsTerminal) -> bool {
    let is_set =
        |name, is: fn(&OsStr) -> bool| std::env::var_os(name).is_some_and(|value| is(&value));
    stream.is_terminal()
        && !is_set("NO_COLOR", |value| !value.is_empty())
        && !is_set("TERM", |value| value == "dumb")
}

/// The last words of a program that failed, in the form of the log: whatever its filter,
/// and before it was started too.
pub fn last_words(format: Format, words: &str, exit_code: u8) {
    let mut err = io::stderr().lock();
    match format {
        Format::Text => {
            for line in words.lines() {
                let _ = writeln!(err, "watchbell: {}", super::escaped(line));
            }
        }
        Format::Json => {
            let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            let line = json!({
                "timestamp": now,
                "level": "ERROR",
                "message": super::escaped_lines(words),
                "exit_code": exit_code,
            });
            let _ = writeln!(err, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_refused_by_its_name() {
        for (text, named) in [
            ("verbose", "`verbose`"),
            ("watchbell=verbose", "`watchbell=verbose`"),
            ("info,all", "`all`"),
            ("=", "`=`"),
            ("debug;trace", "`debug;trace`"),
            ("in\u{1b}fo", "`in\\u{1b}fo`"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.contains(named) && error.contains("watchbell=debug"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_filter_leaves_errors_of_what_it_does_not_name() {
        for (text, want) in [
            ("watchbell=debug", "watchbell=debug,error"),
            ("DEBUG", "debug"),
            ("warn, hyper=trace", "hyper=trace,warn"),
            ("off", "off"),
            ("watchbell", "watchbell=trace,error"),
        ] {
            let filter = parse(text).unwrap().to_string();
            let mut parts: Vec<&str> = filter.split(',').collect();
            let mut wanted: Vec<&str> = want.split(',').collect();
            parts.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(parts, wanted, "{text}");
        }
    }
}
