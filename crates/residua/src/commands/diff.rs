//! `diff`: what differs between two models in structure and tensors, without running anything.

use anyhow::Result;

use crate::args::{DiffArgs, DiffFormat};
use crate::console::Console;
use crate::diff::{self, Change, Differences, Side};
use crate::exit::Outcome;
use crate::model::Model;
use crate::progress::Progress;
use crate::render;
use crate::render::differences;
use crate::summary::Parameters;

pub(super) fn run(args: &DiffArgs, console: &mut Console) -> Result<Outcome> {
    let progress = Progress::start(console, "reading both models");
    let (a, b) = Model::load_both(&args.a, &args.b, &args.source)?;
    progress.step("comparing their tensors");
    let (layers, tensors) = diff::differences(side(&a), side(&b))?;
    let model = model(&a, &b, !args.ignore_names);
    drop(progress);
    [&a, &b].into_iter().for_each(|model| model.tell(console));
    let names = !args.ignore_names;
    let same = model.is_empty() && layers.is_same(names) && tensors.is_same(names);
    let differences = Differences {
        schema: "residua.diff/1",
        a: args.a.to_string_lossy().into_owned(),
        b: args.b.to_string_lossy().into_owned(),
        verdict: if same { "same" } else { "different" },
        model,
        layers,
        tensors,
    };
    let style = console.style();
    match args.format {
        DiffFormat::Json => render::json(console.out(), &differences)?,
        DiffFormat::Text => differences::text(console.out(), style, &differences)?,
        DiffFormat::Markdown => differences::markdown(console.out(), &differences)?,
    }
    Ok(if same { Outcome::Holds } else { Outcome::Fails })
}

fn side(model: &Model) -> Side<'_> {
    Side { model: &model.checked, anatomy: &model.anatomy }
}

/// Properties of the whole models that differ.
fn model(a: &Model, b: &Model, names: bool) -> Vec<Change> {
    let architecture = |model: &Model| {
        model.anatomy.architecture.as_ref().map_or_else(|| "none".to_owned(), |architecture| architecture.name.clone())
    };
    let interface = |model: &Model, outputs: bool| {
        let graph = model.checked.graph();
        let ids = if outputs { graph.outputs() } else { graph.inputs() };
        let text = |&id| {
            let shape = model.checked.source_shape_of(id).map(|shape| shape.to_string()).unwrap_or_default();
            let name = if names { graph.value(id).name.raw() } else { "" };
            format!("{name} {shape}").trim().to_owned()
        };
        ids.iter().map(text).collect::<Vec<_>>().join(", ")
    };
    let count = |model: &Model| render::number(Parameters::of(model.checked.graph()).total);
    let facts = [
        ("architecture", architecture(a), architecture(b)),
        ("inputs", interface(a, false), interface(b, false)),
        ("outputs", interface(a, true), interface(b, true)),
        ("parameters", count(a), count(b)),
    ];
    facts.into_iter().filter_map(|(what, a, b)| Change::between(what, a, b)).collect()
}
