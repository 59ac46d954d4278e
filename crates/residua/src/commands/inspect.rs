//! `inspect`: what is in a file, from its metadata alone.

use anyhow::Result;
use residua_ir::{Checked, Dim, validate};

use crate::args::{InspectArgs, InspectFormat};
use crate::console::Console;
use crate::exit::Outcome;
use crate::model::Model;
use crate::render;
use crate::render::inspect::Layers;
use crate::render::{drawing, inspect};
use crate::summary::Summary;

pub(super) fn run(args: &InspectArgs, console: &mut Console) -> Result<Outcome> {
    let model = Model::from_args(&args.model)?;
    let sized = at_usual_size(&model);
    let known = model.preprocessing();
    let sized = sized.as_ref().unwrap_or(&model.checked);
    let mut summary = Summary::of(&model.path, &model.checked, sized, &model.anatomy, args.count);
    summary.preprocessing = known.mode;
    summary.preprocessing_known_by = Some(known.reason);
    let layers = match &args.columns[..] {
        [] if args.layers => Layers::Usual,
        [] => Layers::None,
        columns => Layers::Chosen(columns),
    };
    let style = console.style();
    let out = console.out();
    match args.format {
        InspectFormat::Text => inspect::text(out, style, &summary, layers)?,
        InspectFormat::Json => render::json(out, &summary)?,
        InspectFormat::Markdown => inspect::markdown(out, &summary, layers)?,
        InspectFormat::Csv => inspect::csv(out, &summary, layers)?,
        InspectFormat::Dot => drawing::dot(out, &summary)?,
        InspectFormat::Svg => drawing::svg(out, &summary)?,
    }
    Ok(Outcome::Holds)
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
