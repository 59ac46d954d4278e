//! The command line of residua: options, what is printed to be read, exit statuses. Everything else is the library's.

mod args;
mod commands;
mod console;
mod exit;
mod hints;
mod progress;
mod render;
mod signals;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use residua::ir::name::printable;
use residua::ir::{Shown, budget};

pub use signals::handle_signals;

use args::{Cli, GlobalArgs};
use console::Console;

/// Runs the command line, the name of the program first, and gives the status to exit with: 0 where everything that was
/// asked to hold holds, 1 where the model does not, 2 where it could not be done.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help that cannot be printed has no reader.
            let _ = printable_usage(&arguments, &error).as_ref().unwrap_or(&error).print();
            return if error.use_stderr() { exit::could_not() } else { ExitCode::SUCCESS };
        }
    };
    let mut console = Console::new(&cli.global);
    let (style, mut stderr) = (console.stderr_style(), console.err());
    hints::name_options();
    residua::ir::files::inputs::start();
    let result = set_budget(&cli.global).and_then(|()| commands::run(cli, &mut console));
    for path in residua::output::take_left_behind() {
        console.warn(format!(
            "{} is of no use any more, and could not be removed; the next conversion into its folder tries again",
            path.shown()
        ));
    }
    let result = console.finish().map_err(anyhow::Error::from).and(result);
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => exit::report(&error, style, &mut stderr),
    }
}

/// The same error as it is where the arguments, which it quotes, are spelled out; none where nothing in them acts.
fn printable_usage(arguments: &[OsString], error: &clap::Error) -> Option<clap::Error> {
    let printable: Vec<OsString> =
        arguments.iter().map(|argument| printable(&argument.to_string_lossy()).into_owned().into()).collect();
    if printable == arguments {
        return None;
    }
    let other = || Cli::command().error(error.kind(), "the arguments hold characters that cannot be shown");
    Some(Cli::try_parse_from(printable).err().filter(|again| again.kind() == error.kind()).unwrap_or_else(other))
}

/// Sets the limits that the environment and the command line ask for.
fn set_budget(global: &GlobalArgs) -> anyhow::Result<()> {
    if let Some(text) = std::env::var_os(budget::VARIABLE) {
        let text = text.to_string_lossy();
        let limits = budget::parse(&text).map_err(|problem| anyhow::anyhow!("{}: {problem}", budget::VARIABLE))?;
        budget::set(&limits);
    }
    global.budget.iter().for_each(|limits| budget::set(limits));
    Ok(())
}
