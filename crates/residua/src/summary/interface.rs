//! Inputs and outputs as the source model shows them.

use residua_ir::{Checked, Dim, Shape, SourceOrder, ValueId};
use serde::Serialize;

/// An input or output.
#[derive(Debug, Serialize)]
pub struct Interface<'a> {
    /// Its name in the source.
    pub name: &'a str,
    /// Element type; null where it is not known.
    pub dtype: Option<String>,
    /// Sizes in the source's axis order; null where a size is free.
    pub shape: Option<Vec<Size>>,
    /// What the axes are: `NCHW`, `NHWC`, `NC`; null where that is not known.
    pub layout: Option<&'static str>,
    /// The shape with the free sizes as expressions.
    #[serde(skip)]
    pub text: String,
}

/// A size, or nothing where it is free.
pub(crate) type Size = Option<usize>;

/// Sizes of a shape.
pub(crate) fn sizes(shape: &Shape) -> Vec<Size> {
    shape.dims().iter().map(Dim::fixed).collect()
}

impl<'a> Interface<'a> {
    pub(super) fn of(model: &'a Checked, id: ValueId) -> Self {
        let value = model.graph().value(id);
        let shape = model.source_shape_of(id);
        Self {
            name: value.name.raw(),
            dtype: model.source_dtype_of(id).map(|dtype| dtype.to_string()),
            layout: shape.as_ref().and_then(|shape| layout(shape, &value.order)),
            text: shape.as_ref().map_or_else(|| "unknown".to_owned(), Shape::to_string),
            shape: shape.as_ref().map(sizes),
        }
    }
}

fn layout(shape: &Shape, order: &SourceOrder) -> Option<&'static str> {
    match (shape.dims(), order) {
        ([_, _], _) => Some("NC"),
        ([_, _, _, _], SourceOrder::Permuted(perm)) if perm == &[0, 2, 3, 1] => Some("NHWC"),
        // A graph that takes images channels last and transposes them itself.
        ([_, height, _, channels], SourceOrder::Same) if is_color(channels) && !is_color(height) => Some("NHWC"),
        ([_, _, _, _], SourceOrder::Same) => Some("NCHW"),
        _ => None,
    }
}

fn is_color(dim: &Dim) -> bool {
    matches!(dim.fixed(), Some(1 | 3 | 4))
}

/// Input shapes in the source's order, for a model whose sizes are known but for the batch.
pub(super) fn fixed_inputs(model: &Checked) -> Vec<Vec<usize>> {
    let shapes = model.graph().inputs().iter().filter_map(|&id| model.source_shape_of(id));
    shapes.map(|shape| shape.dims().iter().map(|dim| dim.fixed().unwrap_or(1)).collect()).collect()
}
