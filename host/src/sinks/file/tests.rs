use super::settings::FileMode;
use super::*;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use tempfile::TempDir;

mod cuts;
mod disk;
mod forgetful;
mod inode;
mod names;
mod sequences;

fn settings(path: impl Into<PathBuf>) -> Settings {
    Settings {
        path: path.into(),
        mode: FileMode(0o640),
        rotate: Rotate::default(),
        follow_symlinks: false,
        require_mount: None,
    }
}

fn batch(text: &str) -> Chunk {
    Chunk {
        header: b"head\n".to_vec(),
        bytes: text.as_bytes().to_vec(),
    }
}

/// As after a start.
fn open(settings: Settings, place: Option<Place>) -> File {
    File::new(settings, Arc::new(Owner::new("all")), None, place)
}

/// A folder, and a place as a ledger would keep it.
struct Disk {
    folder: TempDir,
    rotate: Rotate,
    recorded: Option<Place>,
}

impl Disk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            rotate: Rotate::default(),
            recorded: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// As after a start.
    fn file(&self) -> File {
        let settings = Settings {
            rotate: self.rotate,
            ..settings(self.path("a"))
        };
        open(settings, self.recorded.clone())
    }

    /// Delivers; `acknowledged` is whether it came to that.
    fn deliver(&mut self, text: &str, acknowledged: bool) -> Vec<Notice> {
        let mut file = self.file();
        let mut record = |place: &Place| {
            self.recorded = Some(place.clone());
            Ok(())
        };
        let place = file.deliver(&batch(text), &mut record).unwrap();
        if acknowledged {
            self.recorded = Some(place);
        }
        file.notices()
    }

    /// A new file that nothing was written to yet.
    fn record_empty(&mut self) {
        let (_, place) = self.file().begin(&self.path("a"), &batch("")).unwrap();
        self.recorded = Some(place);
    }

    /// All files, oldest first.
    fn all(&self) -> String {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort_by_key(|path| (path.ends_with("a"), path.clone()));
        let text = |path| fs::read_to_string(path).unwrap();
        names.into_iter().map(text).collect()
    }
}

#[test]
fn the_header_stands_once_over_restarts() {
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    disk.deliver("2\n", true);
    assert_eq!(disk.read("a"), "head\n1\n2\n");
}

#[test]
fn wherever_a_write_was_cut_the_batch_stands_there_once_in_the_same_file() {
    for first in [false, true] {
        let whole = if first {
            "head\nline 1\nline 2\n"
        } else {
            "line 1\nline 2\n"
        };
        for cut in 0..=whole.len() {
            let mut disk = Disk::new();
            let before = if first {
                String::new()
            } else {
                "head\n0\n".to_owned()
            };
            if first {
                disk.record_empty();
            } else {
                disk.deliver("0\n", true);
            }
            fs::write(disk.path("a"), format!("{before}{}", &whole[..cut])).unwrap();
            let inode = fs::metadata(disk.path("a")).unwrap().ino();
            assert_eq!(disk.deliver("line 1\nline 2\n", true), [], "cut at {cut}");
            assert_eq!(disk.read("a"), format!("{before}{whole}"), "cut at {cut}");
            assert_eq!(fs::metadata(disk.path("a")).unwrap().ino(), inode);
        }
    }
}

#[test]
fn a_batch_that_was_written_and_not_acknowledged_is_not_written_again() {
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    disk.deliver("2\n", false);
    disk.deliver("2\n", true);
    disk.deliver("3\n", true);
    assert_eq!(disk.read("a"), "head\n1\n2\n3\n");
}

/// Without a crash: once, an acknowledgement that failed had the file get the batch twice.
#[test]
fn a_batch_whose_acknowledgement_failed_is_not_written_again() {
    let disk = Disk::new();
    let mut file = disk.file();
    for text in ["1\n", "2\n"] {
        file.deliver(&batch(text), &mut |_| Ok(())).unwrap();
        file.deliver(&batch(text), &mut |_| Ok(())).unwrap();
        file.committed();
        assert_eq!(file.notices(), []);
    }
    assert_eq!(disk.read("a"), "head\n1\n2\n");
}

#[test]
fn what_does_not_belong_to_the_batch_is_cut_and_said() {
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    disk.deliver("as it was configured before\n", false);
    let notices = disk.deliver("2\n", true);
    assert!(
        matches!(notices[..], [Notice::Cut { bytes: 28, .. }]),
        "{notices:?}"
    );
    assert_eq!(disk.read("a"), "head\n1\n2\n");
}

#[test]
fn more_than_we_can_have_written_is_never_cut() {
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    let foreign = "x".repeat(33 << 20) + "\n";
    fs::write(disk.path("a"), format!("head\n1\n{foreign}")).unwrap();
    let notices = disk.deliver("2\n", true);
    assert!(
        matches!(notices[..], [Notice::Foreign { .. }]),
        "{notices:?}"
    );
    assert_eq!(disk.read("a"), format!("head\n1\n{foreign}2\n"));
}

#[test]
fn a_file_that_was_cut_by_copytruncate_is_said_and_gone_on_with() {
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    fs::copy(disk.path("a"), disk.path("a.1")).unwrap();
    fs::write(disk.path("a"), "").unwrap();
    let notices = disk.deliver("2\n", true);
    assert!(
        matches!(
            notices[..],
            [Notice::Shrunk {
                recorded: 7,
                found: 0,
                ..
            }]
        ),
        "{notices:?}"
    );
    assert_eq!(
        (disk.read("a.1"), disk.read("a")),
        ("head\n1\n".to_owned(), "head\n2\n".to_owned())
    );
}

/// After copytruncate a batch used to be left torn and then written a second time.
#[test]
fn a_batch_that_was_begun_after_copytruncate_ends_there() {
    let whole = "head\nlonger than what was there before\n";
    for cut in 0..=whole.len() {
        let mut disk = Disk::new();
        disk.deliver("1\n", true);
        fs::write(disk.path("a"), "").unwrap();
        disk.deliver("longer than what was there before\n", false);
        fs::write(disk.path("a"), &whole[..cut]).unwrap();
        let notices = disk.deliver("longer than what was there before\n", true);
        assert_eq!(notices, [], "cut at {cut}");
        assert_eq!(disk.read("a"), whole, "cut at {cut}");
    }
}

#[test]
fn a_batch_that_was_begun_after_what_is_not_ours_ends_there() {
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    let before = format!("head\n1\n{}\n", "x".repeat(33 << 20));
    fs::write(disk.path("a"), &before).unwrap();
    disk.deliver("line 2\n", false);
    fs::write(disk.path("a"), format!("{before}line")).unwrap();
    assert_eq!(disk.deliver("line 2\n", true), []);
    assert!(disk.read("a") == format!("{before}line 2\n"));
}

#[test]
fn a_file_that_logrotate_moved_is_left_alone_and_a_batch_begun_there_ends_there() {
    for create in [false, true] {
        for cut in 0..=2_usize {
            let mut disk = Disk::new();
            disk.deliver("1\n", true);
            let begun = &"2\n"[..cut];
            fs::write(disk.path("a"), format!("head\n1\n{begun}")).unwrap();
            fs::rename(disk.path("a"), disk.path("a.1")).unwrap();
            if create {
                fs::write(disk.path("a"), "").unwrap();
            }
            disk.deliver("2\n", true);
            disk.deliver("3\n", true);
            let (old, new) = if cut == 0 {
                ("head\n1\n", "head\n2\n3\n")
            } else {
                ("head\n1\n2\n", "head\n3\n")
            };
            assert_eq!(
                (disk.read("a.1").as_str(), disk.read("a").as_str()),
                (old, new)
            );
        }
    }
}

#[test]
fn a_new_file_is_recorded_before_it_is_written() {
    let disk = Disk::new();
    let mut file = disk.file();
    let refuse = file.deliver(&batch("1\n"), &mut |_| Err(io::Error::other("no ledger")));
    assert!(refuse.is_err());
    assert_eq!(disk.read("a"), "");
}

#[test]
fn it_rotates_by_size_between_batches_and_keeps_so_many() {
    let mut disk = Disk::new();
    disk.rotate = Rotate {
        max_size: Some(10),
        ..Rotate::default()
    };
    for text in ["1\n", "2\n", "3\n", "4\n"] {
        disk.deliver(text, true);
    }
    disk.deliver("much longer than a file may be\n", true);
    assert_eq!(
        disk.all(),
        "head\n1\n2\nhead\n3\n4\nhead\nmuch longer than a file may be\n"
    );
    disk.rotate.keep = Some(1);
    disk.deliver("5\n", true);
    assert_eq!(
        disk.all(),
        "head\nmuch longer than a file may be\nhead\n5\n"
    );
}

#[test]
fn a_rotation_that_was_not_finished_loses_and_repeats_nothing() {
    let mut disk = Disk::new();
    disk.deliver("1\n", true);
    disk.rotate = Rotate {
        max_size: Some(1),
        ..Rotate::default()
    };
    // Moved and written, and not acknowledged; then again.
    disk.deliver("2\n", false);
    disk.deliver("2\n", true);
    assert_eq!(disk.all(), "head\n1\nhead\n2\n");
}

#[test]
fn it_rotates_when_its_time_is_over() {
    let rotate = Rotate {
        every: Some(Duration::from_secs(3600)),
        ..Rotate::default()
    };
    let place = |began| Place {
        path: "a".into(),
        device: 0,
        inode: 0,
        born: None,
        length: 1,
        began,
        ends_with: None,
        is_truncated: false,
    };
    let at = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
    assert!(!rotate.is_due(&place(3600), 1, at(7199)));
    assert!(rotate.is_due(&place(3600), 1, at(7200)));
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let mut file = open(settings("/dev/null"), None);
    let error = file.deliver(&batch("1\n"), &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("no regular file"));
}
