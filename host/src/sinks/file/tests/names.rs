//! Two names of one file, links, and names that look like ours.

use super::*;
use std::os::unix::fs::symlink;

fn deliver(file: &mut File, text: &str) -> io::Result<Place> {
    let place = file.deliver(&batch(text), &mut |_| Ok(()))?;
    file.committed();
    Ok(place)
}

/// The parts of one sink, each at a path.
fn parts<const N: usize>(paths: [(&str, &Path); N]) -> [File; N] {
    let owner = Arc::new(Owner::new("all"));
    paths.map(|(tenant, path)| File::new(settings(path), Arc::clone(&owner), Some(tenant), None))
}

/// Once, each took the other's lines for its own unfinished batch and cut them off.
#[test]
fn two_tenants_whose_paths_are_one_file_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir(at("one")).unwrap();
    symlink(at("one"), at("linked")).unwrap();
    fs::write(at("one/a"), "").unwrap();
    fs::hard_link(at("one/a"), at("b")).unwrap();
    for other in [at("b"), at("linked/a"), at("one/../one/a")] {
        fs::write(at("one/a"), "").unwrap();
        let [mut acme, mut globex] = parts([("acme", &at("one/a")), ("globex", &other)]);
        deliver(&mut acme, "1\n").unwrap();
        let refused = deliver(&mut globex, "2\n").unwrap_err().to_string();
        let want = format!("the sink all, tenant acme, too ({})", at("one/a").display());
        assert!(refused.contains(&want), "{refused}");
        deliver(&mut acme, "3\n").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "head\n1\n3\n");
    }
}

#[test]
fn a_file_is_free_again_once_its_sink_is_gone_or_begins_another() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let owner = |sink| Arc::new(Owner::new(sink));
    let mut first = File::new(settings(at("a")), owner("first"), None, None);
    let mut second = File::new(settings(at("a")), owner("second"), None, None);
    deliver(&mut first, "1\n").unwrap();
    let refused = deliver(&mut second, "2\n").unwrap_err().to_string();
    assert!(refused.contains("the sink first too"), "{refused}");
    drop(first);
    deliver(&mut second, "2\n").unwrap();
    // Moved away, and another begun by the one that it was of.
    fs::rename(at("a"), at("b")).unwrap();
    deliver(&mut second, "3\n").unwrap();
    let mut third = File::new(settings(at("b")), owner("third"), None, None);
    deliver(&mut third, "4\n").unwrap();
    assert_eq!(fs::read_to_string(at("b")).unwrap(), "head\n1\n2\n4\n");
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "head\n3\n");
}

#[test]
fn a_link_is_not_followed_unless_it_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir(at("real")).unwrap();
    symlink("real/b", at("a")).unwrap();
    for is_dangling in [true, false] {
        let refused = deliver(&mut open(settings(at("a")), None), "1\n").unwrap_err();
        assert!(refused.to_string().contains("follow_symlinks"), "{refused}");
        assert_eq!(at("real/b").exists(), !is_dangling);
        fs::write(at("real/b"), "").unwrap();
    }
    let mut followed = Settings {
        follow_symlinks: true,
        ..settings(at("a"))
    };
    followed.rotate.max_size = Some(1);
    let mut file = open(followed, None);
    deliver(&mut file, "1\n").unwrap();
    deliver(&mut file, "2\n").unwrap();
    // Rotated where it is; the link stays one.
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "head\n2\n");
    assert!(fs::symlink_metadata(at("a")).unwrap().is_symlink());
    assert_eq!(fs::read_dir(at("real")).unwrap().count(), 2);
}

/// Once, `keep` removed whatever began with the file's name and ended in a Z.
#[test]
fn keep_removes_only_what_was_moved_away() {
    let mut disk = Disk::new();
    disk.rotate = Rotate {
        max_size: Some(1),
        keep: Some(1),
        ..Rotate::default()
    };
    let others = [
        "a.eT.Z",
        "a.1T2Z",
        "a.2020-01-01T00-00-00.000000Z.gz",
        "a.2020-01-01T00-00-00.00000Z",
        "a.2020-13-01T00-00-00.000000Z",
        "a.2020-1-01T00-00-00.0000000Z",
        "a.b.2020-01-01T00-00-00.000000Z",
        "aa.2020-01-01T00-00-00.000000Z",
    ];
    for name in others {
        fs::write(disk.path(name), "theirs\n").unwrap();
    }
    let ours = "a.2020-01-01T00-00-00.000000Z";
    fs::write(disk.path(ours), "ours\n").unwrap();
    let folder = "a.2019-01-01T00-00-00.000000Z";
    fs::create_dir(disk.path(folder)).unwrap();
    for text in ["1\n", "2\n", "3\n"] {
        disk.deliver(text, true);
    }
    for name in others {
        assert_eq!(disk.read(name), "theirs\n", "{name}");
    }
    assert!(!disk.path(ours).exists() && disk.path(folder).exists());
    let old: Vec<_> = fs::read_dir(disk.folder.path())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.starts_with("a.202") && !others.contains(&name.as_str()))
        .collect();
    assert_eq!(old.len(), 1, "{old:?}");
}

#[test]
fn keep_never_removes_the_file_of_another_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let other = "acme.2020-01-01t00-00-00.000000z".to_uppercase();
    let other = other.replace("ACME", "acme");
    let [mut acme, mut theirs] = parts([
        ("acme", &folder.path().join("acme")),
        (&other, &folder.path().join(&other)),
    ]);
    deliver(&mut theirs, "theirs\n").unwrap();
    acme.settings.rotate = Rotate {
        max_size: Some(1),
        keep: Some(0),
        ..Rotate::default()
    };
    for text in ["1\n", "2\n", "3\n"] {
        deliver(&mut acme, text).unwrap();
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(
        (read(&other), read("acme")),
        ("head\ntheirs\n".into(), "head\n3\n".into())
    );
}

#[test]
fn a_file_that_is_gone_is_said_with_where_and_how_long_it_was() {
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(disk.path("a"), elsewhere.path().join("a")).unwrap();
    let said = disk.deliver("2\n", true);
    assert_eq!(
        said,
        [Notice::Gone {
            path: disk.path("a"),
            recorded: 7,
            begun: disk.path("a"),
        }]
    );
    let words = said[0].to_string();
    assert!(
        words.contains("7 bytes") && words.contains("require_mount"),
        "{words}"
    );
}

#[test]
fn nothing_is_written_where_a_disk_must_be_mounted_and_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenant/a");
    let demanding = |mount: &Path| Settings {
        require_mount: Some(mount.to_owned()),
        ..settings(&path)
    };
    let refused = deliver(&mut open(demanding(folder.path()), None), "1\n").unwrap_err();
    assert!(
        refused.to_string().contains("nothing is mounted at"),
        "{refused}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    deliver(&mut open(demanding(Path::new("/")), None), "1\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "head\n1\n");
}
