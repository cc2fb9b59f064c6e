//! Syncs that fail, on what really cannot be synced: of files and folders under `/proc`
//! the kernel refuses it. `comm`, the name of this process's first thread, can be written.

use super::*;
use std::process::Command;

#[cfg(target_os = "linux")]
#[test]
fn a_batch_that_cannot_be_synced_is_not_written() {
    let comm = Path::new("/proc/self/comm");
    let opened = OpenOptions::new().read(true).open(comm).unwrap();
    let place = Place::of(comm, &opened, 0).unwrap();
    let mut file = open(settings(comm), Some(place.clone()));
    let error = file
        .deliver(&batch("1\n"), &mut |_| Ok(()))
        .expect_err("it was told as written");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    file.committed();
    assert_eq!(file.place, Some(place));

    // What stands there now need not be on disk, so it is written again.
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    file.settings.path = disk.path("a");
    file.place = disk.recorded.clone();
    fs::write(disk.path("a"), "head\n1\n2\n").unwrap();
    let then = SystemTime::UNIX_EPOCH;
    let opened = OpenOptions::new().append(true).open(disk.path("a"));
    opened.unwrap().set_modified(then).unwrap();
    file.deliver(&batch("2\n"), &mut |_| Ok(())).unwrap();
    assert_eq!(disk.read("a"), "head\n1\n2\n");
    let about = fs::metadata(disk.path("a")).unwrap();
    assert!(about.modified().unwrap() > then, "it was believed");
    assert_eq!(file.notices(), []);
}

/// A folder that may not be read cannot be synced. The superuser may read all, so without
/// that power.
#[test]
fn a_folder_for_a_tenant_is_made_only_where_its_name_can_be_synced() {
    const NAME: &str =
        "sinks::file::tests::disk::a_folder_for_a_tenant_is_made_only_where_its_name_can_be_synced";
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let outer = folder.path().join("outer");
    fs::create_dir(&outer).unwrap();
    fs::set_permissions(&outer, fs::Permissions::from_mode(0o333)).unwrap();
    if fs::File::open(&outer).is_ok() {
        let ran = Command::new("setpriv")
            .args(["--inh-caps=-all", "--bounding-set=-all"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .output();
        match ran {
            Ok(ran) => {
                let said = String::from_utf8_lossy(&ran.stdout);
                assert!(said.contains("1 passed"), "{said}");
            }
            Err(error) => println!("not run: setpriv: {error}"),
        }
        return;
    }
    let path = outer.join("tenant/day/a");
    for _ in 0..2 {
        let mut file = open(settings(&path), None);
        let tried = file.deliver(&batch("1\n"), &mut |_| Ok(()));
        assert_eq!(tried.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
    fs::set_permissions(&outer, fs::Permissions::from_mode(0o700)).unwrap();
    let mut file = open(settings(&path), None);
    file.deliver(&batch("1\n"), &mut |_| Ok(())).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "head\n1\n");
}
