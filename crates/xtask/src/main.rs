//! Tasks of the project, each one command on a fresh machine: `cargo xtask --help`.
//!
//! A task installs what it needs (the WebAssembly target, Python and Node packages) and
//! says what is missing when it cannot. Everything is built in one profile, release, so
//! that wasmtime is built once.

mod setup;
mod shell;
mod suites;

use anyhow::Result;
use clap::{Parser, Subcommand};
use shell::{cargo, program, root, run};

/// Tasks: set up, build, test, bench, demo.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the other tasks need: the target, Python and Node packages.
    Setup,
    /// Build the program and leave the components at target/components/.
    Build,
    /// Run every test: Rust, the fuzz target for a minute, Python and Node.
    Test {
        /// Seconds for the fuzz target.
        #[arg(long, default_value_t = 60)]
        fuzz_seconds: u32,
    },
    /// Build everything, then show detections from a simulated Defender.
    Demo {
        /// Passed on to `watchbell demo`, e.g. --follow.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure against a plain native puller; with --languages, Python and Node too.
    Bench {
        /// Measure the Python and Node helpers as well.
        #[arg(long)]
        languages: bool,
        /// Only a tenant that must not notice, beside each attack: so many polls of it
        /// with and as many without.
        #[arg(
            long,
            value_name = "POLLS",
            num_args = 0..=1,
            default_missing_value = "1000",
            conflicts_with = "languages"
        )]
        hostile: Option<u32>,
        /// Passed on to the bench.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Feed the splitter with what libFuzzer comes up with.
    Fuzz {
        /// For so long.
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// Formatting, lints, documentation, licences, security advisories where the network
    /// allows, and the absent transport.
    Check,
}

fn main() -> Result<()> {
    match Xtask::parse().task {
        Task::Setup => setup::all(),
        Task::Build => build(),
        Task::Test { fuzz_seconds } => suites::test(fuzz_seconds),
        Task::Demo { args } => {
            build()?;
            run(program(&root().join("target/release/watchbell"))
                .arg("demo")
                .args(args))
        }
        Task::Bench {
            hostile: Some(polls),
            ..
        } => suites::bench_hostile(polls),
        Task::Bench {
            languages, args, ..
        } => {
            setup::target()?;
            run(cargo().args(["build", "--release", "--workspace"]))?;
            run(program(&root().join("target/release/bench")).args(args))?;
            if languages {
                suites::bench_languages()
            } else {
                Ok(())
            }
        }
        Task::Fuzz { seconds } => suites::fuzz(seconds),
        Task::Check => suites::check(),
    }
}

/// The program and the components, in release.
fn build() -> Result<()> {
    setup::target()?;
    // The whole workspace, as the tests do: another choice of packages is another choice
    // of features, and would build wasmtime twice.
    run(cargo().args(["build", "--release", "--workspace"]))?;
    run(program(&root().join("target/release/write-components")).arg("target/components"))
}
