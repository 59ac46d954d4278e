//! `completions`: a script for a shell.

use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::console::Console;
use crate::exit::Outcome;

pub(super) fn run(args: &CompletionsArgs, console: &mut Console) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "residua", &mut script);
    console.out().write_all(&script)?;
    Ok(Outcome::Holds)
}
