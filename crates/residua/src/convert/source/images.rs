//! How the program of a crate prepares images, and what it calls classes.

use std::path::Path;

use residua_ir::preparation::{Crop, Filter, Preprocessing, Resize};
use residua_ir::{Activation, Dim, Op, Shape};
use residua_resnet::preprocessing::Known;
use residua_source::package::ImageInput;

use crate::error::{Result, bail};
use crate::labels::Labels;
use crate::model::Model;

/// Side of an image where nothing says it.
const SIDE: usize = 224;

/// How images are prepared; none where the network takes none, or gives no scores of classes. What is assumed is noted.
pub(super) fn of(model: &Model, known: &Known, notes: &mut Vec<String>) -> Option<ImageInput> {
    let graph = model.checked.graph();
    let (&[input], &[output]) = (graph.inputs(), graph.outputs()) else { return None };
    let dims = model.checked.shape_of(input).map(Shape::dims)?;
    let [_, Dim::Fixed(channels @ (1 | 3)), height, width] = dims else { return None };
    if model.checked.shape_of(output).map(Shape::rank) != Some(2) {
        return None;
    }
    let values = match &known.values {
        Some(values) if known.assumed => {
            notes.push(format!("how images are scaled is assumed: {}", known.reason));
            values.value
        }
        Some(values) => values.value,
        None => {
            notes.push(format!(
                "nothing says how images are scaled: they are divided by 255, which may be wrong ({})",
                known.reason
            ));
            Preprocessing::Unit.values()
        }
    };
    let side = |dim: &Dim| dim.fixed().or(model.usual_size()).unwrap_or(SIDE);
    let (height, width) = (side(height), side(width));
    let filter = known.filter.as_ref().map_or(Filter::Bilinear, |filter| filter.value);
    let (resize, crop) = match (known.resize.as_ref(), known.crop.as_ref()) {
        (None, None) => {
            notes.push(format!("nothing says the size of images: they are resized to {height} by {width}"));
            (Resize::Exact { height, width }, Crop::All)
        }
        (resize, crop) => (
            resize.map_or(Resize::Keep, |resize| resize.value),
            match crop.map_or(Crop::All, |crop| crop.value) {
                // What the network takes is what has to come out.
                Crop::Center { rounding, fill, .. } => Crop::Center { height, width, rounding, fill },
                Crop::All if matches!(resize.map(|resize| resize.value), Some(Resize::Exact { .. })) => Crop::All,
                Crop::All => Crop::Center { height, width, rounding: Default::default(), fill: [0; 3] },
            },
        ),
    };
    let images = ImageInput { resize, crop, filter, values, channels: *channels };
    if !images.has_filter() {
        notes.push(format!("images are resized with a triangle: the crate `image` has no {} filter", filter.name()));
    }
    Some(images)
}

/// Whether what the network gives are probabilities.
pub(super) fn squashes(model: &Model) -> bool {
    let graph = model.checked.graph();
    let last = graph.outputs().first().and_then(|&output| graph.producer(output));
    last.is_some_and(|last| matches!(graph.node(last).op, Op::Softmax { .. } | Op::Activation(Activation::Sigmoid)))
}

/// Names of the classes: the user's, or ImageNet's where there are a thousand.
pub(super) fn labels(model: &Model, is_classifier: bool, file: Option<&Path>) -> Result<Vec<String>> {
    let classes = model
        .checked
        .graph()
        .outputs()
        .first()
        .and_then(|&output| model.checked.shape_of(output)?.dims().last()?.fixed());
    let Some(classes) = classes.filter(|_| is_classifier) else {
        if file.is_some() {
            bail!("labels are for networks that give one score a class, which this one does not");
        }
        return Ok(Vec::new());
    };
    let labels = match file {
        Some(file) => Labels::read(file, classes)?,
        None => Labels::standard(classes),
    };
    Ok((0..classes).map_while(|class| labels.get(class).map(str::to_owned)).collect())
}
