//! `inspect`: what is in a file, from its metadata; its page shows what the weights hold besides.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use residua_ir::{Checked, Dim, validate};
use residua_verify::Subject;

use crate::args::{InspectArgs, InspectFormat};
use crate::console::Console;
use crate::exit::Outcome;
use crate::model::Model;
use crate::progress::Progress;
use crate::render::drawing::{self, Place};
use crate::render::inspect::Layers;
use crate::render::{self, FindingRecord, html, inspect};
use crate::summary::diagram::Diagram;
use crate::summary::{Summary, Weights, weights};

pub(super) fn run(args: &InspectArgs, console: &mut Console) -> Result<Outcome> {
    let model = Model::from_args(&args.model)?;
    let sized = at_usual_size(&model);
    let known = model.preprocessing();
    let sized = sized.as_ref().unwrap_or(&model.checked);
    let mut summary = Summary::of(&model.path, &model.checked, sized, &model.anatomy, args.count);
    summary.preprocessing = known.name();
    summary.preprocessing_known_by = Some(known.reason.clone());
    summary.preparation = Some(known);
    let layers = match &args.columns[..] {
        [] if args.layers => Layers::Usual,
        [] => Layers::None,
        columns => Layers::Chosen(columns),
    };
    let diagram = || Diagram::of(&model.checked, sized, &model.anatomy);
    let style = console.style();
    match args.format {
        InspectFormat::Text => inspect::text(console.out(), style, &summary, layers)?,
        InspectFormat::Json => render::json(console.out(), &summary)?,
        InspectFormat::Markdown => inspect::markdown(console.out(), &summary, layers)?,
        InspectFormat::Csv => inspect::csv(console.out(), &summary, layers)?,
        InspectFormat::Dot => drawing::dot(console.out(), &summary, &diagram())?,
        InspectFormat::Mermaid => drawing::mermaid(console.out(), &summary, &diagram())?,
        InspectFormat::Svg => drawing::svg(console.out(), &summary, &diagram(), Place::File)?,
        InspectFormat::Html => {
            let weights = read_weights(&model, &mut summary, console);
            html::html(console.out(), &summary, &diagram(), &weights)?;
        }
    }
    Ok(Outcome::Holds)
}

/// Looks at every weight: findings of all rules into the summary, and the tensors of each row of its layer table.
fn read_weights(model: &Model, summary: &mut Summary, console: &Console) -> Vec<Vec<Weights>> {
    let graph = model.checked.graph();
    let progress = Progress::start(console, "looking at the weights");
    let (done, all) = (AtomicUsize::new(0), graph.parameters().len());
    let tell = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress.step(format!("looking at the weights: {done} of {all} tensors"));
    };
    // The rules read each weight; what they see of it is asked for only once.
    let name = model.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let subject = Subject::new(&model.checked, &model.anatomy, None).called(&name);
    progress.step("checking");
    let findings = residua_verify::check(&subject);
    let of_layers = weights(graph, &subject, tell);
    summary.set_findings(graph, findings.iter().map(FindingRecord::from).collect());
    // Rows of inputs that are no layers come first.
    let inputs = summary.layers.len() - of_layers.len();
    let mut rows: Vec<Vec<Weights>> = (0..inputs).map(|_| Vec::new()).collect();
    rows.extend(of_layers);
    rows
}

/// The model at the size that its architecture was published for, where its own height and width are free.
fn at_usual_size(model: &Model) -> Option<Checked> {
    let usual = model.usual_size()?;
    let graph = model.checked.graph();
    let [input] = graph.inputs() else { return None };
    let shape = model.checked.shape_of(*input)?;
    let free = shape.dims().iter().skip(1).any(|dim| dim.fixed().is_none());
    if !free || shape.rank() != 4 {
        return None;
    }
    let size = |(axis, dim): (usize, &Dim)| dim.fixed().unwrap_or(if axis == 0 { 1 } else { usual });
    let sizes: Vec<usize> = shape.dims().iter().enumerate().map(size).collect();
    validate(graph.clone().with_input_shapes(&[Some(sizes)]).ok()?).ok()
}
