//! The folder that the ledger is in: made by others, mounted late, or lost.

use super::support::{Home, ended, once_each, start, to_file, visible};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// What the log says of a ledger that was made.
const MADE: &str = "there was no ledger";

#[test]
fn a_folder_that_others_may_use_is_tightened_with_all_that_is_in_it() {
    let running = start(ended());
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    fs::create_dir(home.path("data")).unwrap();
    // As systemd makes it, and then as a volume is opened to its group when it is mounted.
    for (folder, file) in [(0o755, 0o644), (0o2775, 0o660)] {
        for path in ["data", "data/compiled"] {
            if home.path(path).exists() {
                fs::set_permissions(home.path(path), Permissions::from_mode(folder)).unwrap();
            }
        }
        if home.path("data/ledger.sqlite").exists() {
            let ledger = home.path("data/ledger.sqlite");
            fs::set_permissions(ledger, Permissions::from_mode(file)).unwrap();
        }
        let ran = home.run_once();
        assert!(!ran.stderr.contains(MADE), "{}", ran.stderr);
        for (path, mode) in [
            ("data", 0o700),
            ("data/compiled", 0o700),
            ("data/ledger.sqlite", 0o600),
        ] {
            let about = fs::metadata(home.path(path)).unwrap();
            assert_eq!(about.permissions().mode() & 0o777, mode, "{path}");
        }
    }
    once_each(&home.read("all.ndjson"), &visible(&running));
}

/// Once nothing was said, and everything came again.
#[test]
fn a_ledger_that_is_made_beside_what_an_earlier_run_wrote_is_said() {
    let running = start(ended());
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    let ran = home.run_once();
    assert!(
        !ran.stderr.contains(MADE),
        "the first start: {}",
        ran.stderr
    );
    // As if the disk were not mounted.
    fs::rename(home.path("data"), home.path("away")).unwrap();
    let ran = home.run_once();
    assert!(ran.stderr.contains(MADE), "{}", ran.stderr);
    assert!(ran.stderr.contains("all.ndjson"), "{}", ran.stderr);
    assert!(ran.stderr.contains("require_mount"), "{}", ran.stderr);
    // As if somebody had deleted the one file.
    fs::remove_file(home.path("all.ndjson")).unwrap();
    fs::remove_file(home.path("data/ledger.sqlite")).unwrap();
    fs::write(home.path("data/notes"), "").unwrap();
    let ran = home.run_once();
    assert!(ran.stderr.contains(MADE), "{}", ran.stderr);
    assert!(ran.stderr.contains("data/notes"), "{}", ran.stderr);
    let ran = home.run_once();
    assert!(!ran.stderr.contains(MADE), "it is there: {}", ran.stderr);
}

#[test]
fn a_mount_that_is_demanded_and_missing_stops_every_verb_before_anything_is_made() {
    let running = start(ended());
    let config = to_file(&running, "since = \"PT1H\"");
    let home = Home::new();
    let mount = home.path("disk");
    fs::create_dir(&mount).unwrap();
    let demand = |mount: &str| format!("require_mount = \"{mount}\"\n{config}");
    let config_of = |text: &str| text.replace("\"data\"", "\"disk/data\"");
    home.write(
        "watchbell.toml",
        &config_of(&demand(mount.to_str().unwrap())),
    );
    let backfill = ["--source", "contoso", "--from", "PT1H", "--to", "PT0S"];
    for (verb, args) in [
        ("run", &["--once"][..]),
        ("state", &[]),
        ("poll", &[]),
        ("backfill", &backfill),
    ] {
        let said = home.run(verb, args).failed(75);
        assert!(
            said.contains("require_mount") && said.contains("nothing is mounted"),
            "{verb}: {said}"
        );
        assert_eq!(fs::read_dir(&mount).unwrap().count(), 0, "{verb}");
    }
    // One that is there.
    home.write("watchbell.toml", &config_of(&demand("/proc")));
    home.run_once();
    once_each(&home.read("all.ndjson"), &visible(&running));
    home.write("watchbell.toml", &config_of(&demand("disk")));
    let said = home.run("run", &["--once"]).failed(78);
    assert!(said.contains("absolute path"), "{said}");
}

#[test]
fn a_ledger_that_is_damaged_is_told_so_and_one_that_is_not_found_whole_is_left_alone() {
    let running = start(ended());
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    home.run_once();
    let file = home.path("data/ledger.sqlite");
    let mut bytes = fs::read(&file).unwrap();
    for byte in &mut bytes[4096..12_288] {
        *byte ^= 0x55;
    }
    fs::write(&file, &bytes).unwrap();
    let said = home.run("run", &["--once"]).failed(78);
    assert!(said.contains("damaged"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), bytes);
}
