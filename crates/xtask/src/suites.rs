//! The test suites and checks, in the order in which they fail fastest.

use crate::setup;
use crate::shell::{cargo, output, program, root, run};
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// Every test.
pub(crate) fn test(fuzz_seconds: u32) -> Result<()> {
    setup::all()?;
    // The bench is built with the rest, so that its own tests run too.
    run(cargo().args(["test", "--release", "--workspace"]))?;
    crate::build()?;
    languages()?;
    fuzz(fuzz_seconds)
}

fn languages() -> Result<()> {
    run(program(&setup::python_program()).arg("tests/languages/test_python.py"))?;
    run(program(&setup::python_program()).arg("tests/languages/test_readme.py"))?;
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
    // The advisory database is a git repository elsewhere; these three need no network.
    run(cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
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
