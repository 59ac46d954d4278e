//! `inspect`: what is in a file, from its metadata; its page shows what the weights hold besides.

use anyhow::Result;
use residua::known::Table;
use residua::model::Model;
use residua::render::drawing::{self, Place};
use residua::render::inspect::Layers;
use residua::render::{self, html};
use residua::summary::Sized;

use crate::args::{InspectArgs, InspectFormat};
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;
use crate::render::inspect;

/// Finds out which published weights the model is; where its format is none that such are in, that is said.
fn identify(model: &mut Model, console: &Console) -> Result<()> {
    match model.identify(Table::standard())? {
        Some(identity) => identity.not_those.iter().for_each(|not| console.warn(not.sentence())),
        None => console.note("published weights are told in files of Keras and PyTorch, and this is none"),
    }
    Ok(())
}

pub(super) fn run(args: &InspectArgs, console: &mut Console) -> Result<Outcome> {
    let mut model = Model::open_strict(&args.model.path, &args.model.options())?;
    if args.identify {
        identify(&mut model, console)?;
    }
    let sized = Sized::new(&model);
    let mut summary = sized.summary(args.count);
    let layers = match &args.columns[..] {
        [] if args.layers => Layers::Usual,
        [] => Layers::None,
        columns => Layers::Chosen(columns),
    };
    let style = console.style();
    match args.format {
        InspectFormat::Text => inspect::text(console.out(), style, &summary, layers)?,
        InspectFormat::Json => render::json(console.out(), &summary)?,
        InspectFormat::Markdown => render::inspect::markdown(console.out(), &summary, layers)?,
        InspectFormat::Csv => render::inspect::csv(console.out(), &summary, layers)?,
        InspectFormat::Dot => drawing::dot(console.out(), &summary, &sized.diagram())?,
        InspectFormat::Mermaid => drawing::mermaid(console.out(), &summary, &sized.diagram())?,
        InspectFormat::Svg => drawing::svg(console.out(), &summary, &sized.diagram(), Place::File)?,
        InspectFormat::Html => {
            let progress = Progress::start(console, "checking");
            let tell = |done: usize, all: usize| {
                progress.step(format!("looking at the weights: {done} of {all} tensors"));
            };
            let weights = sized.read_weights(&mut summary, tell);
            drop(progress);
            html::html(console.out(), &summary, &sized.diagram(), &weights)?;
        }
    }
    Ok(Outcome::Holds)
}
