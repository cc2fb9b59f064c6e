//! The `watchbell` program. All of it is in the library; this is where it ends.

use clap::Parser;
use std::process::ExitCode;
use watchbell::cli::{Cli, end};
use watchbell::exit::Exit;

fn main() -> ExitCode {
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
