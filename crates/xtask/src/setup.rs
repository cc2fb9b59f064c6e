//! What a fresh machine lacks.

use crate::shell::{cargo, output, program, root, run};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest Node that the suites use, by major version.
const NODE: u32 = 20;

/// Everything.
pub(crate) fn all() -> Result<()> {
    target()?;
    python()?;
    node()
}

/// The guests' target. A toolchain file alone installs none where
/// RUSTUP_AUTO_INSTALL=0.
pub(crate) fn target() -> Result<()> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET)
        .is_dir()
    {
        return Ok(());
    }
    run(program(Path::new("rustup")).args(["target", "add", TARGET])).with_context(|| {
        format!("the target {TARGET} is missing and rustup cannot add it; install it by hand")
    })
}

/// A virtual environment with what the Python suite needs.
pub(crate) fn python() -> Result<()> {
    let folder = root().join("target/python");
    if !folder.join("bin/pip").exists() {
        run(program(Path::new("python3"))
            .args(["-m", "venv", "--clear"])
            .arg(&folder))
        .context("Python 3.11 with venv is needed (on Debian: apt-get install python3-venv)")?;
    }
    let wanted = root().join("tests/languages/requirements.txt");
    run(program(&folder.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(wanted))
    .context("the Python packages cannot be installed")
}

/// The Python of that environment.
pub(crate) fn python_program() -> PathBuf {
    root().join("target/python/bin/python")
}

/// The Node packages, when the lock file is newer than what is installed.
pub(crate) fn node() -> Result<()> {
    let wanted = format!("Node {NODE} or later is needed, with npm");
    let version = output(Command::new("node").arg("--version")).context(wanted.clone())?;
    let major = version.trim().trim_start_matches('v').split('.').next();
    if major.and_then(|major| major.parse().ok()) < Some(NODE) {
        bail!("{wanted}; this is {}", version.trim());
    }
    let folder = root().join("examples/node");
    let changed = |name| {
        folder
            .join(name)
            .metadata()
            .and_then(|file| file.modified())
    };
    // npm writes the second when it is done.
    if let (Ok(wanted), Ok(there)) = (
        changed("package-lock.json"),
        changed("node_modules/.package-lock.json"),
    ) && wanted <= there
    {
        return Ok(());
    }
    // `npm ci` refuses a lock whose optional packages for other platforms were never
    // published, as those of jco-node-fs 0.3.2; this installs what is locked all the same.
    run(program(Path::new("npm"))
        .args(["install", "--no-save", "--no-audit", "--no-fund"])
        .current_dir(folder))
    .context("the Node packages cannot be installed")
}

/// A cargo subcommand, compiled when it is not there.
pub(crate) fn subcommand(name: &str) -> Result<()> {
    let there = cargo()
        .args([name, "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if there {
        return Ok(());
    }
    // Its own target folder would be thrown away; ours must not be mixed with it.
    let mut install = cargo();
    install
        .env_remove("CARGO_TARGET_DIR")
        .args(["install", "--locked", &format!("cargo-{name}")]);
    run(&mut install).with_context(|| format!("cargo-{name} is missing and cannot be installed"))
}
