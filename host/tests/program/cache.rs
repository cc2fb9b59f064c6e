//! Compiled code between starts: used when it is ours, compiled anew when it is not.

use super::support::{Home, Ran, SINCE, at_noon, expected, lines, source, start};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use watchbell_simulator::Running;

fn poll(home: &Home) -> Ran {
    home.run("poll", &["--since", SINCE, "--data-dir", "data"])
}

/// The one file of compiled code.
fn compiled(home: &Home) -> PathBuf {
    let folder = fs::read_dir(home.path("data/compiled")).unwrap();
    let mut files = folder.map(|entry| entry.unwrap().path());
    files
        .find(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .unwrap()
}

fn set_up() -> (Running, Home) {
    let running = start(at_noon());
    let home = Home::with(&source(&running));
    poll(&home).ok();
    (running, home)
}

#[test]
fn a_second_start_compiles_nothing() {
    let (_running, home) = set_up();
    let file = compiled(&home);
    let first = fs::metadata(&file).unwrap();
    assert_eq!(first.mode() & 0o077, 0, "nobody else may read it");
    // What cannot be read would be compiled and written again, to a new inode.
    poll(&home).ok();
    assert_eq!(fs::metadata(&file).unwrap().ino(), first.ino());
    let key = fs::metadata(home.path("data/compiled/key")).unwrap();
    assert_eq!(key.mode() & 0o777, 0o600);
}

#[test]
fn code_that_was_tampered_with_is_compiled_anew_and_said() {
    let (running, home) = set_up();
    let file = compiled(&home);
    let right = fs::read(&file).unwrap();
    // In the tag, in the code, at the end, and a file cut short.
    let flipped = |at: usize| {
        let mut bytes = right.clone();
        bytes[at] ^= 1;
        bytes
    };
    for wrong in [
        flipped(0),
        flipped(right.len() / 2),
        flipped(right.len() - 1),
        right[..100].to_vec(),
    ] {
        fs::write(&file, wrong).unwrap();
        let ran = poll(&home);
        assert!(ran.stderr.contains("compiling again"), "{ran:?}");
        assert_eq!(ran.ok(), lines(&expected(&running, SINCE)));
        assert_eq!(poll(&home).stderr, "", "written again, as it should be");
    }
}

#[test]
fn code_under_another_key_or_name_is_not_run() {
    let (_running, home) = set_up();
    fs::write(home.path("data/compiled/key"), [7; 32]).unwrap();
    assert!(poll(&home).stderr.contains("compiling again"));
    // One component's code under another's name.
    let file = compiled(&home);
    let jq = "[transforms.x]\ntype = \"jq\"\ninputs = [\"contoso\"]\nfilter = '.'\n[sinks.o]\ntype = \"console\"\ninputs = [\"x\"]\n";
    home.write(
        "watchbell.toml",
        &format!("data_dir = \"data\"\n{}{jq}", home.read("watchbell.toml")),
    );
    home.run("validate", &[]).ok();
    let folder = fs::read_dir(home.path("data/compiled")).unwrap();
    let jq = folder
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "cwasm") && *path != file)
        .unwrap();
    fs::copy(&jq, &file).unwrap();
    assert!(poll(&home).stderr.contains("compiling again"));
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let (_running, home) = set_up();
    fs::set_permissions(home.path("data/compiled"), Permissions::from_mode(0o770)).unwrap();
    let words = poll(&home).failed(78);
    assert!(
        words.contains("data/compiled") && words.contains("chmod 700"),
        "{words}"
    );
}
