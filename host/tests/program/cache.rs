//! Compiled code between starts: used when it is ours, compiled anew when it is not.

use super::support::{Home, Ran, SINCE, at_noon, expected, lines, run, source, start};
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
    // In the tag, in the code, and at the end.
    let flipped = |at: usize| {
        let mut bytes = right.clone();
        bytes[at] ^= 1;
        bytes
    };
    for wrong in [
        flipped(8),
        flipped(right.len() / 2),
        flipped(right.len() - 1),
    ] {
        fs::write(&file, wrong).unwrap();
        let ran = poll(&home);
        assert!(ran.stderr.contains("compiling again"), "{ran:?}");
        assert_eq!(ran.ok(), lines(&expected(&running, SINCE)));
        assert_eq!(poll(&home).stderr, "", "written again, as it should be");
    }
}

/// What a power cut leaves of a file that was never synced. It used to be told as a change
/// that somebody made.
#[test]
fn code_that_was_never_written_out_is_compiled_anew_without_a_word() {
    let (running, home) = set_up();
    let file = compiled(&home);
    let right = fs::read(&file).unwrap();
    let mut torn = right.clone();
    torn.truncate(right.len() / 4096 * 4096 - 4096);
    let blocks_of_zeros = [&right[..8], &vec![0; right.len() - 8]].concat();
    for incomplete in [
        Vec::new(),
        right[..100].to_vec(),
        torn,
        blocks_of_zeros,
        vec![0; right.len()],
    ] {
        fs::write(&file, incomplete).unwrap();
        let ran = poll(&home);
        assert_eq!(ran.stderr, "");
        assert_eq!(ran.ok(), lines(&expected(&running, SINCE)));
        assert_eq!(fs::read(&file).unwrap().len(), right.len());
    }
    let left = fs::read_dir(home.path("data/compiled")).unwrap().count();
    assert_eq!(left, 2, "the code and the key");
}

/// Anybody can compute what a key of zeros vouches for.
#[test]
fn a_key_that_was_never_written_out_is_made_anew() {
    let (running, home) = set_up();
    let key = home.path("data/compiled/key");
    let first = fs::read(&key).unwrap();
    for wrong in [vec![0; 32], Vec::new(), first[..16].to_vec(), vec![1; 33]] {
        fs::write(&key, &wrong).unwrap();
        let ran = poll(&home);
        assert_eq!(ran.ok(), lines(&expected(&running, SINCE)));
        let made = fs::read(&key).unwrap();
        assert_eq!(made.len(), 32);
        assert!(made.iter().any(|byte| *byte != 0) && made != first && made != wrong);
        assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
        assert_eq!(poll(&home).stderr, "", "and stays");
    }
    // One that others could read is no secret any more.
    let before = fs::read(&key).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    poll(&home).ok();
    assert_ne!(fs::read(&key).unwrap(), before);
}

/// Without a folder for it, code is compiled at each start. That used to be an error. (What
/// `validate` compiles is kept nowhere anyway.)
#[test]
fn without_a_folder_for_compiled_code_everything_works() {
    let running = start(at_noon());
    let home = Home::with(&source(&running));
    for verb in ["poll", "token"] {
        let mut command = home.watchbell([verb, "-c", "watchbell.toml"]);
        if verb == "poll" {
            command.args(["--since", SINCE]);
        }
        command
            .env_remove("XDG_CACHE_HOME")
            .env("HOME", "/dev/null");
        let ran = run(&mut command);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(!ran.stderr.contains("compiled"), "{ran:?}");
        let ran = run(command.env("WATCHBELL_LOG", "debug"));
        assert!(ran.stderr.contains("compiled code is not kept"), "{ran:?}");
    }
    home.run("poll", &["--since", SINCE, "--data-dir", "/dev/null/x"])
        .ok();
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
    // Which compiles it; what else comes of it is not asked for.
    home.run("run", &["--once"]);
    let folder = fs::read_dir(home.path("data/compiled")).unwrap();
    let jq = folder
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "cwasm") && *path != file)
        .unwrap();
    fs::copy(&jq, &file).unwrap();
    assert!(poll(&home).stderr.contains("compiling again"));
}

/// As Kubernetes makes them with fsGroup. What others could have put there is not run.
#[test]
fn a_folder_that_others_could_write_is_closed_and_nothing_in_it_believed() {
    let (running, home) = set_up();
    let folder = home.path("data/compiled");
    let key = fs::read(folder.join("key")).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o770)).unwrap();
    let ran = poll(&home);
    assert!(ran.stderr.contains("others could write"), "{ran:?}");
    assert_eq!(ran.ok(), lines(&expected(&running, SINCE)));
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    assert_ne!(fs::read(folder.join("key")).unwrap(), key);
    assert_eq!(poll(&home).stderr, "");
}
