//! The command line of residua; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    residua_cli::handle_signals();
    residua_cli::run(std::env::args_os())
}
