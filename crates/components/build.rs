//! Builds every guest for wasm32-unknown-unknown and wraps it as a component.
//!
//! That target rather than wasm32-wasip2, whose std imports thirteen interfaces of
//! WASI that no guest of ours needs. The guests are built by a second cargo in a
//! target folder of their own below ours: ours is locked while this runs.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
const GUESTS: [&str; 3] = ["defender", "jq", "csv"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(var("OUT_DIR")?);
    let root = PathBuf::from(var("CARGO_MANIFEST_DIR")?)
        .join("../..")
        .canonicalize()?;
    for input in [
        "crates/guests",
        "crates/detection/src",
        "crates/detection/Cargo.toml",
        "wit",
        "Cargo.toml",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    need_target()?;
    let folder = target_folder(&out).join("guests");
    build(&root, &folder)?;
    for guest in GUESTS {
        let module = folder
            .join(TARGET)
            .join("guest")
            .join(format!("watchbell_guest_{guest}.wasm"));
        let component = wrap(&module).map_err(|e| format!("wrapping {guest}: {e}"))?;
        fs::write(out.join(format!("{guest}.wasm")), component)?;
    }
    Ok(())
}

/// One line that says what to do beats rustc's "can't find crate for `core`".
fn need_target() -> Result<(), Box<dyn Error>> {
    let rustc = var("RUSTC")?;
    let output = Command::new(rustc).args(["--print", "sysroot"]).output()?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    if !sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        return Err(
            format!("the target {TARGET} is missing: run `rustup target add {TARGET}`").into(),
        );
    }
    Ok(())
}

/// The folder that holds the profile's folder: OUT_DIR is
/// `target/[triple/]profile/build/package-hash/out`.
fn target_folder(out: &Path) -> PathBuf {
    let build = out
        .ancestors()
        .find(|folder| folder.file_name() == Some(OsStr::new("build")));
    build
        .and_then(Path::parent)
        .and_then(Path::parent)
        .unwrap_or(out)
        .to_owned()
}

fn build(root: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(var("CARGO")?);
    cargo.current_dir(root).args([
        "build",
        "--profile",
        "guest",
        "--target",
        TARGET,
        "--target-dir",
    ]);
    cargo.arg(folder);
    for guest in GUESTS {
        cargo.args(["-p", &format!("watchbell-guest-{guest}")]);
    }
    // What is set for the outer build (clippy as rustc, flags of the machine's own
    // target, where to put things) is not for the guests.
    for name in [
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(name);
    }
    // 128-bit SIMD is part of WebAssembly since 2022; every host of components has it.
    cargo.env(
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
        "-Ctarget-feature=+simd128",
    );
    if !cargo.status()?.success() {
        return Err("the guests do not build; cargo's words are above".into());
    }
    Ok(())
}

fn wrap(module: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let bytes = fs::read(module).map_err(|e| format!("{}: {e}", module.display()))?;
    let mut encoder = wit_component::ComponentEncoder::default();
    Ok(encoder.validate(true).module(&bytes)?.encode()?)
}

fn var(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|e| format!("{name}: {e}").into())
}
