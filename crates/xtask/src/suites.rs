//! The test suites and checks, in the order in which they fail fastest.

use crate::setup;
use crate::shell::{cargo, output, program, root, run};
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// Every test.
pub(crate) fn test(fuzz_seconds: u32) -> Result<()> {
    setup::all()?;
    // The bench is built with the rest, so that its own tests run too.
    let mut tests = cargo();
    tests.args(["test", "--release", "--workspace"]);
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        tests.env("RUST_TEST_THREADS", threads().to_string());
    }
    run(&mut tests)?;
    crate::build()?;
    languages()?;
    fuzz(fuzz_seconds)
}

/// Most tests wait for a process or a clock rather than compute: five at a time take seven
/// minutes on two processors.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(5, |processors| 2 * processors.get() + 1)
}

fn languages() -> Result<()> {
    run(program(&setup::python_program()).arg("tests/languages/test_python.py"))?;
    run(program(&setup::python_program()).arg("tests/languages/test_readme.py"))?;
    run(program(&setup::python_program()).arg("tests/languages/test_schema.py"))?;
    run(Command::new("node")
        .current_dir(root())
        .args(["--test", "tests/languages/node.test.mjs"]))
}

/// The helpers beside plain Python and plain Node.
pub(crate) fn bench_languages() -> Result<()> {
    setup::all()?;
    crate::build()?;
    run(program(&setup::python_program()).arg("tests/languages/bench_python.py"))?;
    run(Command::new("node")
        .current_dir(root())
        .arg("tests/languages/bench_node.mjs"))
}

/// The hostile suite in its long form, a line of figures for each attack. What only loads
/// components is left out: compiling them would be in the figures.
#[allow(clippy::print_stderr)] // beside the suite's own lines
pub(crate) fn bench_hostile(polls: u32) -> Result<()> {
    setup::target()?;
    let mut suite = cargo();
    suite.args(["test", "--release", "--workspace", "--test", "hostile"]);
    run(suite.arg("--no-run"))?;
    eprintln!(
        "{:<32}{:>9}{:>7}{:>8}{:>18}{:>8}{:>18}{:>8}",
        "attack",
        "attacks",
        "polls",
        "missed",
        "p50 ms, without",
        "times",
        "p99 ms, without",
        "ticks"
    );
    let mut suite = cargo();
    let outcome = suite
        .args(["test", "--release", "--workspace", "--test", "hostile"])
        .args(["--quiet", "--", "sources::", "plugins::"])
        .arg("--test-threads=1")
        .env("HOSTILE_POLLS", polls.to_string())
        .env("HOSTILE_BARS", "1")
        .env(
            "HOSTILE_ATTACKERS",
            std::env::var("HOSTILE_ATTACKERS").unwrap_or_else(|_| "1".to_owned()),
        )
        .env("RUST_BACKTRACE", "0")
        // The figures; what failed is told at the end.
        .stderr(Stdio::inherit())
        .output()?;
    if !outcome.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&outcome.stdout));
        bail!("not every attack goes unnoticed");
    }
    Ok(())
}

/// The fuzz target, on the stable compiler: the sanitizer that cargo-fuzz adds by
/// default is what wants a nightly, and safe code has no use for it.
pub(crate) fn fuzz(seconds: u32) -> Result<()> {
    setup::subcommand("fuzz")?;
    let mut fuzz = cargo();
    fuzz.current_dir(root().join("crates/detection"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", root().join("target/fuzz"))
        .args(["fuzz", "run", "--sanitizer", "none", "split", "--"])
        .arg(format!("-max_total_time={seconds}"));
    run(&mut fuzz)
}

/// What needs no test to run.
pub(crate) fn check() -> Result<()> {
    setup::target()?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    transport()?;
    setup::subcommand("deny")?;
    // These three need no network.
    run(cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
    advisories(cargo)?;
    run(cargo().args([
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    run(cargo().env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--release",
        "--workspace",
        "--no-deps",
    ]))
}

/// Security advisories on dependencies. The database is a git repository elsewhere: that it
/// cannot be fetched is said and fails nothing, an advisory that applies does.
#[allow(clippy::print_stderr)] // a task runner's words are for its user
fn advisories(cargo: impl Fn() -> Command) -> Result<()> {
    if let Err(error) = run(cargo().args(["deny", "fetch", "db"])) {
        eprintln!(
            "xtask: NOT CHECKED: security advisories, since their database cannot be fetched ({error:#}); run `cargo deny check advisories` where the network allows it"
        );
        return Ok(());
    }
    run(cargo().args(["deny", "check", "--disable-fetch", "advisories"]))
}

/// wasmtime-wasi-http's own transport asks no policy. One crate that turned its default
/// features on would bring it back for all.
fn transport() -> Result<()> {
    let features = output(cargo().args([
        "tree",
        "--workspace",
        "-e",
        "features",
        "-i",
        "wasmtime-wasi-http",
    ]))?;
    if features.contains("default-send-request") {
        bail!("wasmtime-wasi-http has the feature default-send-request:\n{features}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cargo that fails at what begins so, and does nothing else.
    fn failing(args: &'static str) -> impl Fn() -> Command {
        move || {
            let mut command = Command::new("sh");
            let script = format!("case \"$*\" in '{args}'*) exit 1;; esac");
            command.args(["-c", &script, "cargo"]);
            command
        }
    }

    #[test]
    fn an_advisory_that_applies_fails_and_a_database_out_of_reach_does_not() {
        advisories(failing("nothing")).unwrap();
        advisories(failing("deny fetch")).unwrap();
        let words = advisories(failing("deny check")).unwrap_err().to_string();
        assert!(words.contains("advisories"), "{words}");
    }
}
