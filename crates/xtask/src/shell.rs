//! Running other programs, each named before it runs.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = program(Path::new(&cargo));
    // The target folder is where the other tasks look.
    command.env("CARGO_TARGET_DIR", "target");
    // What cargo tells this program about itself would tell ring's build script that its
    // package has changed, and with ring most of the workspace would be built again.
    for (name, _) in std::env::vars_os() {
        let is_of_package = ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|start| name.to_string_lossy().starts_with(start));
        if is_of_package {
            command.env_remove(name);
        }
    }
    command
}

/// A program, run in the workspace's folder.
pub(crate) fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.current_dir(root());
    command
}

/// Runs to the end, with the program's words on the terminal; a failure is an error.
#[allow(clippy::print_stderr)] // a task runner's words are for its user
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = words(command);
    eprintln!("xtask: {name}");
    let began = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{name}: cannot be started"))?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    eprintln!(
        "xtask: done in {:.0} s: {name}",
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// What a program prints.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = words(command);
    let output = command
        .output()
        .with_context(|| format!("{name}: cannot be started"))?;
    if !output.status.success() {
        bail!(
            "{name}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| name)
}

fn words(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words: Vec<_> = std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    words.join(" ")
}
