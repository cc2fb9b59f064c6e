//! `cargo xtask bench`: starts the simulator and both sides, measures, prints.

use anyhow::{Context, Result};
use clap::Parser;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use watchbell_bench::{
    Report, Served, SimulatorProcess, Window, Worker, backlog, first_byte, fleet, held, large,
    small,
};
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, TENANT_ID};

/// Detections of a small poll.
const FEW: u32 = 20;

#[derive(Parser)]
#[command(about = "Watchbell beside a plain native puller")]
struct Arguments {
    /// Little of everything: shows that the bench works, measures nothing.
    #[arg(long)]
    quick: bool,
    /// Interleaved pairs of each comparison.
    #[arg(long, default_value_t = 11)]
    pairs: u32,
    /// Only a backlog of that many detections, through the ledger to a file on disk.
    #[arg(long, value_name = "DETECTIONS")]
    backlog: Option<u32>,
    /// Only that many tenants in one process, without and with failing ones among them.
    #[arg(long, value_name = "TENANTS", conflicts_with = "backlog")]
    tenants: Option<u32>,
    /// How many of the tenants fail. Default: a tenth.
    #[arg(long, value_name = "TENANTS", requires = "tenants")]
    failing: Option<u32>,
    /// How long the tenants are polled.
    #[arg(long, default_value_t = 10, requires = "tenants")]
    minutes: u32,
    /// The `watchbell` program. Default: the one beside this.
    #[arg(long)]
    watchbell: Option<PathBuf>,
}

/// How much of each.
struct Sizes {
    many: u32,
    pairs: u32,
    polls: u32,
    instances: usize,
    starts: u32,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let sizes = if arguments.quick {
        Sizes {
            many: 1000,
            pairs: 2,
            polls: 5,
            instances: 50,
            starts: 2,
        }
    } else {
        Sizes {
            many: 100_000,
            pairs: arguments.pairs,
            polls: 500,
            instances: 20_000,
            starts: 2 * arguments.pairs,
        }
    };
    let here = env::current_exe()?
        .parent()
        .context("this program lies in no folder")?
        .to_owned();
    let watchbell = arguments
        .watchbell
        .unwrap_or_else(|| here.join("watchbell"));
    if let Some(total) = arguments.backlog {
        let folder = tempfile::tempdir_in(&here)?;
        let ca_file = folder.path().join("ca.pem");
        let simulator = SimulatorProcess::start(&here.join("bench-simulator"), total, &ca_file)?;
        let sizes = (total, arguments.pairs.min(3));
        let measured = backlog(&here, &watchbell, &simulator.served, folder.path(), sizes)?;
        return Ok(write!(io::stdout(), "{measured}")?);
    }
    if let Some(tenants) = arguments.tenants {
        let failing = arguments.failing.unwrap_or(tenants / 10);
        let minutes = arguments.minutes;
        // One after the other: the bar is about one process on the machine.
        let run = |failing| fleet(&here, &watchbell, (tenants, failing, minutes));
        let with = run(failing)?;
        let without = run(0)?;
        write!(io::stdout(), "{without}{with}{}", with.beside(&without))?;
        return Ok(write!(
            io::stdout(),
            "{}",
            held(&here, &watchbell, tenants)?
        )?);
    }
    let report = measure(&here, &watchbell, &sizes)?;
    Ok(report.write(&mut io::stdout())?)
}

fn measure(here: &Path, watchbell: &Path, sizes: &Sizes) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let ca_file = folder.path().join("ca.pem");
    let data_dir = folder.path().join("data");
    let simulator = SimulatorProcess::start(&here.join("bench-simulator"), sizes.many, &ca_file)?;
    let served = &simulator.served;
    let plain: [&OsStr; 5] = [
        "serve",
        "--endpoint",
        &served.plain,
        "--authority",
        &served.plain,
    ]
    .map(OsStr::new);
    let with_data_dir = [&plain[..], &["--data-dir".as_ref(), data_dir.as_ref()]].concat();
    let mut native = Worker::start(
        &here.join("native"),
        &plain,
        folder.path().join("native.ndjson"),
    )?;
    let mut ours = Worker::start(
        &here.join("ours"),
        &with_data_dir,
        folder.path().join("ours.ndjson"),
    )?;

    let large = large(&mut ours, &mut native, sizes.many, sizes.pairs)?;
    let small = small(&mut ours, &mut native, FEW, sizes.pairs, sizes.polls)?;
    let created = ours.create(sizes.instances)?;
    let (mut ours, mut native) = first_byte_commands(here, watchbell, served, &ca_file, &data_dir)?;
    let first_byte = first_byte(&mut ours, &mut native, sizes.starts)?;
    Ok(Report {
        large,
        small,
        created,
        first_byte,
    })
}

/// The same question to the same service by both programs, each as a user starts it.
fn first_byte_commands(
    here: &Path,
    watchbell: &Path,
    served: &Served,
    ca_file: &Path,
    data_dir: &Path,
) -> Result<(Command, Command)> {
    let window = Window::of(FEW)?;
    let text = OsString::from;
    let both = [
        (text("--endpoint"), text(&served.tls_endpoint)),
        (text("--authority"), text(&served.tls_authority)),
        (text("--ca-file"), ca_file.into()),
        (text("--since"), text(&window.since)),
        (text("--until"), text(&window.until)),
        (text("--tenant-id"), text(TENANT_ID)),
        (text("--client-id"), text(CLIENT_ID)),
    ];
    let mut ours = Command::new(watchbell);
    let mut native = Command::new(here.join("native"));
    ours.arg("poll");
    native.arg("print").args(["--client-secret", CLIENT_SECRET]);
    for (name, value) in both {
        ours.arg(&name).arg(&value);
        native.arg(&name).arg(&value);
    }
    ours.env("WATCHBELL_CLIENT_SECRET", CLIENT_SECRET);
    ours.args(["--allow-address", "127.0.0.0/8"])
        .arg("--data-dir")
        .arg(data_dir);
    Ok((ours, native))
}
