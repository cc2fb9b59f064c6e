//! The `watchbell` program. All of it is in the library; this is where it ends.

use clap::Parser;
use std::process::ExitCode;
use watchbell::cli::{Cli, end};
use watchbell::exit::Exit;

fn main() -> ExitCode {
    share_arenas();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // --help and --version are errors to clap, and fine.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            let _ = error.print();
            return ExitCode::from(exit as u8);
        }
    };
    end(cli.run())
}

/// Two heaps for all threads in place of glibc's eight for each processor. What thousands
/// of tenants allocate on one thread and free on another left holes in each: with 1,000 of
/// 10,000 failing the process held 20 MiB more, and a poll took no less processor time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn share_arenas() {
    // SAFETY: mallopt takes two numbers and is called before there is a second thread.
    #[allow(unsafe_code)]
    let _is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn share_arenas() {}
