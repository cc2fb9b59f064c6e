//! An inode is given to another file once its own is removed, so it alone tells nothing.

use super::*;

const OTHERS: &str = "somebody else's file, which is longer than ours\n";

fn is_gone(notices: &[Notice]) -> bool {
    matches!(notices, [Notice::Gone { .. }])
}

/// As after its file was removed and `other` got its inode.
fn reuse(disk: &mut Disk, other: &str) {
    fs::write(disk.path(other), OTHERS).unwrap();
    let about = fs::metadata(disk.path(other)).unwrap();
    let place = disk.recorded.as_mut().unwrap();
    (place.device, place.inode) = (about.dev(), about.ino());
}

#[test]
fn another_file_that_got_the_inode_is_never_cut() {
    for other in ["a", "b"] {
        let mut disk = Disk::new();
        disk.deliver("1\n", true);
        fs::remove_file(disk.path("a")).unwrap();
        reuse(&mut disk, other);
        assert!(is_gone(&disk.deliver("2\n", true)));
        disk.deliver("3\n", true);
        if other == "a" {
            assert_eq!(disk.read("a"), format!("{OTHERS}2\n3\n"));
        } else {
            assert_eq!(disk.read("b"), OTHERS);
            assert_eq!(disk.read("a"), "head\n2\n3\n");
        }
    }
}

#[test]
fn nor_is_one_that_got_the_inode_of_a_file_that_was_still_empty() {
    let mut disk = Disk::new();
    disk.record_empty();
    fs::remove_file(disk.path("a")).unwrap();
    reuse(&mut disk, "b");
    assert!(is_gone(&disk.deliver("2\n", true)));
    assert_eq!(disk.read("b"), OTHERS);
    assert_eq!(disk.read("a"), "head\n2\n");
}

#[test]
fn a_file_is_known_by_the_end_of_much_that_was_written_too() {
    let mut disk = Disk::new();
    let much = "x".repeat(20_000) + "\n";
    disk.deliver(&much, true);
    disk.deliver("2\n", false);
    assert_eq!(disk.deliver("2\n", true), []);
    assert_eq!(disk.read("a"), format!("head\n{much}2\n"));
}

#[test]
fn what_an_earlier_version_recorded_is_gone_on_with() {
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    let mut state = serde_json::to_value(disk.recorded.take().unwrap()).unwrap();
    state.as_object_mut().unwrap().remove("ends_with").unwrap();
    disk.recorded = Some(serde_json::from_value(state).unwrap());
    fs::write(disk.path("a"), "head\n1\nline").unwrap();
    assert_eq!(disk.deliver("line 2\n", true), []);
    assert_eq!(disk.read("a"), "head\n1\nline 2\n");
    let end = disk.recorded.unwrap().ends_with;
    assert!(end.is_some(), "from then on it is known by more");
}
