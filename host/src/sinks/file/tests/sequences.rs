//! Sequences that once lost, repeated or broke something, each on a disk that forgets what
//! was not synced.

use super::forgetful::{Forgetful, Truncate};
use super::*;

/// Where the disk does as it likes, each is tried with so many seeds.
const SEEDS: u64 = 60;

struct Machine {
    disk: Forgetful,
    process: Arc<Process<Forgetful>>,
    rotate: Rotate,
    recorded: Option<Place>,
}

impl Machine {
    fn new(seed: u64) -> Self {
        let disk = Forgetful::new(seed);
        Self {
            process: Arc::new(Process::new(disk.clone())),
            disk,
            rotate: Rotate::default(),
            recorded: None,
        }
    }

    fn start(&mut self) {
        self.process = Arc::new(Process::new(self.disk.clone()));
    }

    fn file(&self, path: &str) -> File<Forgetful> {
        let owner = Arc::new(Owner::among("all", self.process.owned()));
        let process = Arc::clone(&self.process);
        let settings = Settings {
            rotate: self.rotate,
            ..settings(path)
        };
        File::on(process, settings, owner, None, self.recorded.clone())
    }

    /// Delivers as after a start; what is acknowledged is recorded.
    fn deliver(&mut self, path: &str, text: &str, acknowledged: bool) -> io::Result<Vec<Notice>> {
        let mut file = self.file(path);
        let recorded = &mut self.recorded;
        let place = file.deliver(&batch(text), &mut |place| {
            *recorded = Some(place.clone());
            Ok(())
        })?;
        if acknowledged {
            self.recorded = Some(place);
        }
        Ok(file.notices())
    }

    /// The process dies at one of its operations, the first or a later one, while it
    /// delivers this. False once it does not any more.
    fn dies(&mut self, path: &str, text: &str, after: u64) -> bool {
        self.disk.lock().faults.dies_after = Some(after);
        let died = self.deliver(path, text, false).is_err();
        self.disk.lock().faults.dies_after = None;
        died
    }
}

/// Once, the file was taken for another, and the batch was appended to what stood there.
#[test]
fn another_device_number_after_a_reboot_repeats_and_breaks_nothing() {
    for knows_births in [true, false] {
        for before in ["", "1\n"] {
            for cut in 0..="head\nline 2\n".len() {
                let mut machine = Machine::new(0);
                machine.disk.lock().knows_births = knows_births;
                let mut kept = String::new();
                if before.is_empty() {
                    assert!(machine.dies("/a", "line 2\n", 8), "before it was written");
                    assert!(machine.recorded.is_some());
                } else {
                    machine.deliver("/a", before, true).unwrap();
                    kept = format!("head\n{before}");
                }
                let whole = format!("head\n{before}line 2\n");
                let begun = &whole[..whole.len().min(kept.len() + cut)];
                machine.disk.write("/a", begun.as_bytes());
                machine.disk.lock().device += 1;
                machine.start();
                let notices = machine.deliver("/a", "line 2\n", true).unwrap();
                assert_eq!(notices, [], "{begun}");
                assert_eq!(machine.disk.read("/a"), whole, "{begun}");
            }
        }
    }
}

/// Once, what the kernel showed was believed after a start, and gone after the next cut.
#[test]
fn what_a_failed_sync_left_is_written_again_after_a_start() {
    for seed in 0..SEEDS {
        let mut machine = Machine::new(seed);
        machine.deliver("/a", "1\n", true).unwrap();
        machine.disk.lock().faults.sync_fails = true;
        let lost = format!("2 {}\n", "x".repeat(200));
        machine.deliver("/a", &lost, true).unwrap_err();
        machine.disk.kill();
        machine.start();
        machine.deliver("/a", &lost, true).unwrap();
        machine.disk.cut();
        assert_eq!(
            machine.disk.read("/a"),
            format!("head\n1\n{lost}"),
            "{seed}"
        );
    }
}

/// Once, a folder that a process had made and not synced was taken for durable by the next.
#[test]
fn a_folder_that_is_found_is_synced_too() {
    for seed in 0..SEEDS {
        let mut dies = true;
        for after in 0.. {
            let mut machine = Machine::new(seed);
            dies &= machine.dies("/out/tenant/day/a", "1\n", after);
            if !dies {
                assert!(after > 10, "it never died");
                break;
            }
            machine.disk.kill();
            machine.start();
            machine.deliver("/out/tenant/day/a", "1\n", true).unwrap();
            machine.disk.cut();
            let read = machine.disk.read("/out/tenant/day/a");
            assert_eq!(read, "head\n1\n", "seed {seed}, after {after}");
        }
    }
}

/// Once, the moved file kept its broken lines.
#[test]
fn a_file_that_was_moved_after_its_first_batch_was_torn_is_mended() {
    let text = format!("1 {0}\n2 {0}\n3 {0}\n", "x".repeat(70));
    for seed in 0..SEEDS {
        for after in 5..20 {
            let mut machine = Machine::new(seed);
            machine.disk.lock().knows_births = seed % 2 == 0;
            machine.dies("/a", &text, after);
            machine.disk.cut();
            let creates = seed % 3 == 0;
            machine
                .disk
                .logrotate(Path::new("/a"), Path::new("/a.1"), creates);
            machine.start();
            machine.deliver("/a", &text, true).unwrap();
            let all = machine.disk.read("/a.1") + &machine.disk.read("/a");
            assert_eq!(all, format!("head\n{text}"), "seed {seed}, after {after}");
        }
    }
}

/// Once, the process died, or the disk failed, when it had cut off what was in doubt and not
/// written it again. Then the file was left for another, and a power cut undid the cut.
#[test]
fn what_was_cut_off_a_file_that_is_left_does_not_come_back() {
    let mut left_empty = 0;
    for leave in ["logrotate", "rotate", "path"] {
        for seed in 0..SEEDS {
            for after in 0..14 {
                let mut machine = Machine::new(seed);
                machine.disk.lock().knows_births = seed % 2 == 0;
                let mut kept = "";
                if leave == "rotate" || seed % 3 == 0 {
                    machine.deliver("/a", "1\n", true).unwrap();
                    kept = "head\n1\n";
                }
                machine.deliver("/a", "line 2\n", false).unwrap();
                machine.start();
                machine.dies("/a", "line 2\n", after);
                machine.disk.kill();
                left_empty += usize::from(machine.disk.read("/a") == kept);
                machine.start();
                let mut path = "/a";
                match leave {
                    "logrotate" => {
                        let (from, to) = (Path::new("/a"), Path::new("/a.1"));
                        machine.disk.logrotate(from, to, seed % 4 < 2);
                    }
                    "rotate" => machine.rotate.max_size = Some(1),
                    _ => path = "/b",
                }
                machine.disk.lock().faults.sync_fails = seed % 5 == 0;
                while machine.deliver(path, "line 2\n", true).is_err() {}
                machine.disk.cut();
                let files = machine.disk.files();
                let text: Vec<u8> = files.into_iter().flat_map(|(_, bytes)| bytes).collect();
                let text = String::from_utf8(text).unwrap();
                let times = text.matches("line 2\n").count();
                assert_eq!(times, 1, "{leave}, seed {seed}, after {after}: {text:?}");
            }
        }
    }
    assert!(left_empty > 0, "it never died behind the cut");
}

#[test]
fn a_folder_that_its_file_system_cannot_sync_is_said_once_and_delivered_to() {
    for code in [libc::EINVAL, libc::EBADF, libc::ENOTSUP, libc::ENOSYS] {
        let mut machine = Machine::new(0);
        machine.disk.lock().faults.dir_sync_says = Some(code);
        let said = machine.deliver("/out/a", "1\n", true).unwrap();
        assert!(matches!(said[..], [Notice::NotSynced { .. }]), "{said:?}");
        assert_eq!(machine.deliver("/out/a", "2\n", true).unwrap(), []);
        machine.recorded = None;
        assert_eq!(machine.deliver("/out/b", "3\n", true).unwrap(), []);
        assert_eq!(machine.disk.read("/out/a"), "head\n1\n2\n");
    }
}

#[test]
fn a_file_whose_folder_fails_to_sync_is_neither_recorded_nor_written() {
    let mut machine = Machine::new(0);
    machine.disk.lock().faults.dir_sync_says = Some(libc::EIO);
    for path in ["/a", "/out/a"] {
        let error = machine.deliver(path, "1\n", true).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert_eq!(machine.recorded, None);
        assert_eq!(machine.disk.read(path), "");
    }
    machine.disk.lock().faults.dir_sync_says = None;
    machine.deliver("/out/a", "1\n", true).unwrap();
    machine.disk.cut();
    assert_eq!(machine.disk.read("/out/a"), "head\n1\n");
}

/// What logrotate's copytruncate takes away nobody can hold. But no line is broken by us:
/// once, the rest of a batch stood where the file had been cut.
#[test]
fn a_file_that_is_cut_while_it_is_written_holds_whole_lines_behind_its_header() {
    for truncate in [Truncate::Before, Truncate::Between, Truncate::After] {
        for seed in 0..SEEDS {
            let mut machine = Machine::new(seed);
            machine.deliver("/a", "1\n", true).unwrap();
            machine.disk.lock().faults.truncates = Some(truncate);
            let said = machine.deliver("/a", "line 2\nline 3\n", true).unwrap();
            assert!(matches!(said[..], [Notice::Shrunk { .. }]), "{said:?}");
            machine.deliver("/a", "4\n", true).unwrap();
            let read = machine.disk.read("/a");
            assert_eq!(
                read, "head\nline 2\nline 3\n4\n",
                "{truncate:?}, seed {seed}"
            );
        }
    }
}

/// As above, and then the process is killed.
#[test]
fn a_file_that_was_cut_under_a_batch_that_was_not_finished_holds_whole_lines() {
    for left in ["li", "line 2\nli", "e 2\nline 3\n", "line 2\nline 3\n"] {
        let mut machine = Machine::new(0);
        let much = "0".repeat(40) + "\n";
        machine.deliver("/a", &much, true).unwrap();
        machine.disk.write("/a", left.as_bytes());
        machine.start();
        machine.deliver("/a", "line 2\nline 3\n", true).unwrap();
        assert_eq!(machine.disk.read("/a"), "head\nline 2\nline 3\n", "{left}");
    }
}

#[test]
fn a_line_that_somebody_else_left_unfinished_breaks_none_of_ours() {
    for (left, want) in [
        ("half a li", "half a li\n1\n2\n"),
        ("a line\n", "a line\n1\n2\n"),
    ] {
        let mut machine = Machine::new(0);
        machine.disk.write("/a", left.as_bytes());
        let said = machine.deliver("/a", "1\n", false).unwrap();
        assert!(matches!(said[..], [Notice::Unknown { .. }]), "{said:?}");
        machine.start();
        machine.deliver("/a", "1\n", true).unwrap();
        machine.deliver("/a", "2\n", true).unwrap();
        assert_eq!(machine.disk.read("/a"), want);
    }
}

#[test]
fn what_another_program_appends_while_this_runs_is_not_cut() {
    let machine = Machine::new(0);
    let mut file = machine.file("/a");
    file.deliver(&batch("1\n"), &mut |_| Ok(())).unwrap();
    file.committed();
    machine.disk.write("/a", b"head\n1\ntheirs\n");
    let mut recorded = 0;
    let place = file.deliver(&batch("2\n"), &mut |_| {
        recorded += 1;
        Ok(())
    });
    assert_eq!((place.unwrap().length, recorded), (16, 1));
    let said = file.notices();
    assert!(
        matches!(said[..], [Notice::Foreign { bytes: 7, .. }]),
        "{said:?}"
    );
    assert_eq!(machine.disk.read("/a"), "head\n1\ntheirs\n2\n");
}
