//! Builds guests for wasm32-unknown-unknown and wraps them as components: what the
//! build scripts of the bundled components and of the test suites share.
//!
//! That target rather than wasm32-wasip2, whose std imports thirteen interfaces of
//! WASI that no guest of ours needs. The guests are built by a second cargo in a
//! target folder of their own below ours: ours is locked while a build script runs.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the packages `PREFIXguest` of this workspace, wraps each and leaves it at
/// `OUT_DIR/guest.wasm`. `folder` holds their sources, below the workspace's root. For
/// build scripts only: it reads what Cargo tells those.
///
/// # Errors
/// When the target is missing, a guest does not build or is no component.
#[allow(clippy::print_stdout)] // build scripts speak to Cargo so
pub fn build(prefix: &str, folder: &str, guests: &[&str]) -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(var("OUT_DIR")?);
    let root = root(Path::new(&var("CARGO_MANIFEST_DIR")?))?;
    for input in [
        folder,
        "crates/detection/src",
        "crates/detection/Cargo.toml",
        "crates/guests/sdk",
        "wit",
        "Cargo.toml",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    need_target()?;
    let target = target_folder(&out).join("guests");
    compile(&root, &target, prefix, guests)?;
    for guest in guests {
        let file = format!("{prefix}{guest}.wasm").replace('-', "_");
        let module = target.join(TARGET).join("guest").join(file);
        let component = wrap(&module).map_err(|e| format!("wrapping {guest}: {e}"))?;
        fs::write(out.join(format!("{guest}.wasm")), component)?;
    }
    Ok(())
}

/// The workspace's root: the folder above with `wit/`.
fn root(package: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let root = package
        .ancestors()
        .find(|folder| folder.join("wit").is_dir());
    Ok(root.ok_or("no folder above has wit/")?.to_owned())
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

fn compile(
    root: &Path,
    folder: &Path,
    prefix: &str,
    guests: &[&str],
) -> Result<(), Box<dyn Error>> {
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
    for guest in guests {
        cargo.args(["-p", &format!("{prefix}{guest}")]);
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

/// A core module in text as a component of one of the contract's worlds: for components
/// that no compiler would make.
///
/// # Errors
/// When the text is no module, or not of that world.
pub fn component_of(module: &str, world: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    component_beside(module, world, None)
}

/// The same for the world in `beside`, WIT of a package of its own that may include the
/// contract's worlds.
///
/// # Errors
/// When the text is no module, or not of that world.
pub fn component_beside(
    module: &str,
    world: &str,
    beside: Option<&str>,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut module = wat::parse_str(module)?;
    let mut resolve = wit_parser::Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (contract, _) = resolve.push_dir(folder)?;
    let package = match beside {
        Some(text) => resolve.push_str("beside.wit", text)?,
        None => contract,
    };
    let world = resolve.select_world(&[package], Some(world))?;
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding, false)?;
    let mut encoder = wit_component::ComponentEncoder::default();
    Ok(encoder.validate(true).module(&module)?.encode()?)
}

fn var(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|e| format!("{name}: {e}").into())
}
