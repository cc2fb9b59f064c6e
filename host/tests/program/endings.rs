//! How the program ends: by signals, by a pipe that nobody reads, by a full device; and
//! what it says then.

use super::support::{
    Home, Ran, Service, at_noon, ended, lines_of, once_each, run, source, start, to_file, visible,
    wait_until,
};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use watchbell_simulator::{Clock, Config};

/// A configuration whose sink has no place to write: what should be its file's folder is a
/// file.
fn stuck(running: &watchbell_simulator::Running) -> Home {
    let config = to_file(running, "since = \"PT1H\"").replace("all.ndjson", "wall/all.ndjson");
    let home = Home::with(&config);
    home.write("wall", "");
    home
}

/// Once, a log on a full disk ended the program, and with it all delivery.
#[test]
fn a_log_that_cannot_be_written_stops_no_delivery() {
    for format in ["text", "json"] {
        let running = start(ended());
        let home = Home::with(&to_file(&running, "since = \"PT1H\""));
        let mut command = home.watchbell(["run", "-c", "watchbell.toml", "--once"]);
        command.args(["--log-format", format, "-vv"]);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = command.stderr(full).status().unwrap();
        assert_eq!(ended.code(), Some(0), "{format}");
        once_each(&home.read("all.ndjson"), &visible(&running));
    }
    // Nobody reads it any more.
    let running = start(ended());
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    let mut command = home.watchbell(["run", "-c", "watchbell.toml", "-vv"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    wait_until("all", || {
        lines_of(&home.read("all.ndjson")) == visible(&running).len()
    });
    assert_eq!(child.try_wait().unwrap(), None, "it ended");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The listener used to be made anew between the two, so that the second was lost: the
/// process waited out its minute.
#[test]
fn a_second_signal_right_after_the_first_ends_it_at_once() {
    let running = start(ended());
    let home = stuck(&running);
    for _ in 0..5 {
        let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
        command.args(["--graceful-shutdown-limit-secs", "3600"]);
        let service = Service::start(&mut command);
        wait_until("the sink's trouble", || service.stderr().contains("ERROR"));
        service.signal();
        // Sent again as soon as the first was handled, which the kernel says.
        wait_until("the first", || !service.has_pending_signal());
        let ran = service.terminate();
        assert_eq!(ran.code, Some(75), "{ran:?}");
        assert!(ran.stderr.contains("ended at once"), "{}", ran.stderr);
    }
    fs::remove_file(home.path("wall")).unwrap();
    fs::create_dir(home.path("wall")).unwrap();
    home.run_once();
    once_each(&home.read("wall/all.ndjson"), &visible(&running));
}

/// It used to end by the signal, in the middle of whatever it was at.
#[test]
fn a_signal_while_it_starts_ends_it_cleanly() {
    let running = start(ended());
    let home = Home::with(&to_file(&running, ""));
    // A cache of its own, so that components are compiled, which takes a while.
    let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
    let service = Service::start(command.env("XDG_CACHE_HOME", home.path("cache")));
    wait_until("its beginning", || home.path("data/lock").exists());
    let ran = service.terminate();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("asked to end"), "{}", ran.stderr);
}

/// The same for SIGHUP, whose listener came last.
#[test]
fn a_reload_that_is_asked_for_while_it_starts_ends_nothing() {
    let running = start(ended());
    let home = Home::with(&to_file(&running, ""));
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("its beginning", || home.path("data/lock").exists());
    service.reload();
    wait_until("polls", || running.stats().detection_requests > 0);
    assert_eq!(service.terminate().code, Some(0));
}

/// Sources that go to a console and to a file.
fn to_console_and_file(running: &watchbell_simulator::Running) -> Home {
    Home::with(&format!(
        "{}[sinks.screen]\ntype = \"console\"\ninputs = [\"contoso\"]\n",
        to_file(running, "since = \"PT1H\"")
    ))
}

/// `run | head -1` used to poll on for ever.
#[test]
fn a_run_whose_output_nobody_reads_any_more_delivers_to_the_others_and_ends_with_74() {
    for is_quiet in [true, false] {
        let running = start(ended());
        let home = to_console_and_file(&running);
        let stderr = File::create(home.path("stderr")).unwrap();
        let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with('{'), "{line}");
        if is_quiet {
            // All is read, and nothing more comes: only a look at the pipe can tell.
            running.set_clock(Clock::Frozen(running.now()));
            for _ in 1..visible(&running).len() {
                reader.read_line(&mut line).unwrap();
            }
        }
        drop(reader);
        let ran = Ran {
            code: child.wait().unwrap().code(),
            stdout: String::new(),
            stderr: home.read("stderr"),
        };
        assert_eq!(ran.code, Some(74), "{ran:?}");
        assert!(
            ran.stderr.contains("sinks.screen: stdout is closed"),
            "{}",
            ran.stderr
        );
        // What it had not read yet comes at the next start, and nothing comes twice.
        home.run_once();
        once_each(&home.read("all.ndjson"), &visible(&running));
    }
}

/// Reads nothing of what a command prints.
fn unread(command: &mut Command) -> Ran {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap().into()
}

#[test]
fn verbs_that_print_once_do_not_mind_that_nobody_reads() {
    let running = start(at_noon());
    let home = Home::with(&format!(
        "data_dir = \"data\"\n{}[sinks.out]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"all\"\n",
        source(&running)
    ));
    home.run_once();
    let args: [&[&str]; 7] = [
        &["poll", "-c", "watchbell.toml", "--ago", "PT1H"],
        &["token", "-c", "watchbell.toml"],
        &["state", "-c", "watchbell.toml", "--json"],
        &["state", "-c", "watchbell.toml", "quarantine", "list"],
        &["--help"],
        &["run", "--help"],
        &["--version"],
    ];
    for args in args {
        // Printed before the pipe is closed, it succeeds as well.
        let ran = unread(&mut home.watchbell(args));
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran: Ran = home.watchbell(args).stdout(full).output().unwrap().into();
        assert_eq!(ran.code, Some(74), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains("stdout: "), "{args:?}: {ran:?}");
    }
}

#[test]
fn last_words_have_the_form_of_the_log() {
    let home = Home::with("data_dir = \"data\"\n[sources.a]\ntype = \"defender\"\n");
    let cases: [(&[&str], u64); 5] = [
        (&["run", "-c", "watchbell.toml", "--log-format", "json"], 78),
        (&["run", "-c", "missing.toml", "--log-format=json"], 78),
        (&["poll", "--nonsense", "--log-format", "json"], 64),
        (&["--log-format", "json", "state"], 64),
        (&["poll", "--log-format", "json", "--limit", "x"], 64),
    ];
    for (args, code) in cases {
        let said = run(&mut home.watchbell(args)).failed(i32::try_from(code).unwrap());
        assert_eq!(lines_of(&said), 1, "{args:?}: {said}");
        let line: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(line["level"], "ERROR", "{said}");
        assert_eq!(line["exit_code"], code, "{said}");
        assert!(line["message"].as_str().unwrap().len() > 10, "{said}");
        assert!(line["timestamp"].as_str().unwrap().contains('T'), "{said}");
    }
    let mut command = home.watchbell(["run", "-c", "missing.toml"]);
    let said = run(command.env("WATCHBELL_LOG_FORMAT", "json")).failed(78);
    assert!(said.starts_with('{'), "{said}");
}

#[test]
fn wrong_values_of_flags_that_every_verb_has_are_usage() {
    let home = Home::new();
    for args in [
        &["--log-format", "yaml", "poll"][..],
        &["poll", "--log-format", "yaml"],
        &["poll", "-v", "-q"],
        &["poll", "--verbose=3"],
    ] {
        run(&mut home.watchbell(args)).failed(64);
    }
    for (name, value) in [
        ("WATCHBELL_LOG_FORMAT", "yaml"),
        ("WATCHBELL_LOG", "verbose"),
    ] {
        let said = run(home.watchbell(["poll"]).env(name, value)).failed(64);
        assert!(said.contains(value), "{said}");
    }
    let odd = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
    let odd: &std::ffi::OsStr = odd;
    let said = run(home.watchbell(["poll"]).env("WATCHBELL_LOG", odd)).failed(64);
    assert!(said.contains("not UTF-8"), "{said}");
}

/// `WATCHBELL_LOG=verbose` used to silence everything, errors too.
#[test]
fn how_much_is_logged_is_a_flag_or_a_filter_and_errors_always_are() {
    let running = start(ended());
    running.add_fault("detections:400".parse().unwrap());
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    let said = |args: &[&str], filter: &str| {
        let mut command = home.watchbell(["run", "-c", "watchbell.toml"]);
        let mut command = command.args(args);
        if !filter.is_empty() {
            command = command.env("WATCHBELL_LOG", filter);
        }
        let service = Service::start(command);
        wait_until("the refusal", || {
            running.stats().detection_requests > 0
                && (filter == "off" || service.stderr().contains("answered 400"))
        });
        service.terminate().stderr
    };
    for (args, filter, info, debug) in [
        (&[][..], "", true, false),
        (&["-q"], "", false, false),
        (&["-qq"], "", false, false),
        (&["-v"], "", true, true),
        (&["-vv"], "", true, true),
        // As with Vector, the variable goes first.
        (&["-vv"], "error", false, false),
        (&["-q"], "debug", true, true),
        (&[], "hyper=trace", false, true),
        (&[], "", true, false),
    ] {
        let said = said(args, filter);
        assert_eq!(said.contains(" INFO "), info, "{args:?} {filter}: {said}");
        let is_debug = said.contains("DEBUG") || said.contains("TRACE");
        assert_eq!(is_debug, debug, "{args:?} {filter}: {said}");
    }
    assert_eq!(said(&[], "off").matches("answered 400").count(), 0);
}

/// What a command prints on a terminal.
fn on_terminal(home: &Home, line: &str, variables: &[(&str, &str)]) -> String {
    let program = home.watchbell(["x"]);
    let line = format!("{} {line}", program.get_program().to_string_lossy());
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .current_dir(home.path(""))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

#[test]
fn colors_are_for_terminals_that_want_them() {
    if Command::new("script").arg("--version").output().is_err() {
        println!("not run: this machine has no `script`");
        return;
    }
    let running = start(ended());
    let home = Home::with(&to_file(&running, ""));
    for (variables, is_colored) in [
        (&[][..], true),
        (&[("NO_COLOR", "1")], false),
        (&[("NO_COLOR", "")], true),
        (&[("TERM", "dumb")], false),
    ] {
        for line in ["run --once -c watchbell.toml", "--help", "poll --nonsense"] {
            let said = on_terminal(&home, line, variables);
            assert!(said.len() > 20, "{line}: {said}");
            assert_eq!(
                said.contains('\u{1b}'),
                is_colored,
                "{line} {variables:?}: {said}"
            );
        }
    }
}

/// An element with what a terminal obeys used to be printed there as it is.
#[test]
fn what_is_in_quarantine_is_bytes_in_a_pipe_and_escaped_on_a_terminal() {
    let running = start(Config {
        record: true,
        ..ended()
    });
    running.add_fault("detections:bad-element:times=1".parse().unwrap());
    let home = Home::with(&to_file(&running, "since = \"PT1H\""));
    home.run_once();
    let args = ["state", "-c", "watchbell.toml", "quarantine", "show", "1"];
    let bytes = home.watchbell(args).output().unwrap().stdout;
    assert!(!bytes.is_empty() && !bytes.ends_with(b"\n"), "{bytes:?}");
    if Command::new("script").arg("--version").output().is_err() {
        println!("not run: this machine has no `script`");
        return;
    }
    let ledger = home.path("data/ledger.sqlite");
    assert!(ledger.exists());
    let shown = on_terminal(&home, &args.join(" "), &[]);
    let plain = String::from_utf8_lossy(&bytes);
    assert_eq!(
        shown.replace("\r\n", "\n").trim_end(),
        watchbell::telemetry::escaped_lines(&plain).trim_end()
    );
}
