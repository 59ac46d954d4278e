//! The command line of residua; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    residua::handle_signals();
    residua::run(std::env::args_os())
}
