//! saevt, the command-line tool: arguments and exit codes are in `src/cli`.

#[path = "../cli/mod.rs"]
mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
