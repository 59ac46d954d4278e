//! `diff`: what differs between two models in structure and tensors, without running anything.

use anyhow::Result;
use residua::model::Model;
use residua::render;

use crate::args::{DiffArgs, DiffFormat};
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;
use crate::render::differences;

pub(super) fn run(args: &DiffArgs, console: &mut Console) -> Result<Outcome> {
    let progress = Progress::start(console, "reading both models");
    let (a, b) = Model::open_both(&args.a, &args.b, &args.source.options())?;
    progress.step("comparing their tensors");
    let differences = residua::diff(&a, &b, args.ignore_names)?;
    drop(progress);
    [&a, &b].into_iter().for_each(|model| console.tell(model));
    let style = console.style();
    match args.format {
        DiffFormat::Json => render::json(console.out(), &differences)?,
        DiffFormat::Text => differences::text(console.out(), style, &differences)?,
        DiffFormat::Markdown => render::differences::markdown(console.out(), &differences)?,
    }
    Ok(if differences.is_same() { Outcome::Holds } else { Outcome::Fails })
}
