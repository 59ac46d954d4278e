//! The commands: each takes its options and the console, and says what came of it.

mod check;
mod compare;
mod completions;
mod convert;
mod diff;
mod evaluate;
mod explain;
mod head;
mod inspect;
mod layouts;
mod new;
mod predict;
mod run;
mod written;

use anyhow::{Context, Result};

use crate::args::{Cli, Command};
use crate::console::Console;
use crate::exit::Outcome;

/// Carries out a command.
pub(crate) fn run(cli: Cli, console: &mut Console) -> Result<Outcome> {
    let threads = cli.global.threads.map(usize::from);
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start the threads")?;
    }
    match cli.command {
        Command::Inspect(args) => inspect::run(&args, console),
        Command::Check(args) => check::run(&args, threads, console),
        Command::Convert(args) => convert::run(&args, threads, console),
        Command::Compare(args) => compare::run(&args, threads, console),
        Command::Run(args) => run::run(&args, threads, console),
        Command::Predict(args) => predict::run(&args, threads, console),
        Command::Evaluate(args) => evaluate::run(&args, threads, console),
        Command::New(args) => new::run(&args, threads, console),
        Command::Head(args) => head::run(&args, threads, console),
        Command::Diff(args) => diff::run(&args, console),
        Command::Layouts(args) => layouts::run(&args, console),
        Command::Explain(args) => explain::run(&args, console),
        Command::Completions(args) => completions::run(&args, console),
    }
}
