//! Who may read what a file sink makes.

use super::support::{Home, SINCE, at_noon, run, source, start};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_file_gets_the_mode_that_is_configured_less_the_umask() {
    let running = start(at_noon());
    let sink = |name: &str, setting: &str| {
        format!(
            "[sinks.{name}]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"{name}\"\n{setting}"
        )
    };
    let home = Home::with(&format!(
        "data_dir = \"data\"\n{}since = \"{SINCE}\"\n{}{}{}",
        source(&running),
        sink("usual", ""),
        sink("mine", "mode = \"0600\"\n"),
        sink("shared", "mode = \"0666\"\n")
    ));
    let program = home.watchbell(["run", "--once", "-c", "watchbell.toml"]);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "umask 022; exec \"$@\"", "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(home.path(""))
        .env_clear()
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    run(&mut command).ok();
    for (name, want) in [("usual", 0o640), ("mine", 0o600), ("shared", 0o644)] {
        assert_ne!(home.read(name), "");
        let about = fs::metadata(home.path(name)).unwrap();
        let mode = about.permissions().mode() & 0o777;
        assert_eq!(mode, want, "{name}: {mode:o}");
    }
}
