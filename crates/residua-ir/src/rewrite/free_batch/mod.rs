//! A batch that an exporter froze, made free again.
//!
//! An export at one image has the batch in its input, and again wherever a shape was computed: a reshape to `[1, 2048]`,
//! a token of `[1, 1, C]` that is joined to each image. The axis along which images lie is followed from the inputs to
//! the outputs, and what has its size written out has it computed.
//!
//! Invariant: what mixes images, or drops their axis, is refused by name. Whether the result gives for each image what
//! the model gave for it alone is not shown here: that is for whoever runs both.

mod follow;

use crate::budget::Overrun;
use crate::free_sizes;
use crate::graph::{Graph, InputType, NodeId, ValueId, ValueKind};
use crate::name::{Name, Text};
use crate::shape::{Dim, Shape};
use crate::validate::{Checked, Typed, validate};

use super::{Edits, RewriteError};
use follow::Follower;

/// Why a batch cannot be made free.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FreeBatchError {
    /// No input has a batch that is fixed.
    #[error("the batch is free already: no input fixes its first axis, and nothing in the graph contradicts that")]
    Free,
    /// A node cannot be written for a free batch.
    #[error("layer `{layer}`: {reason}")]
    Node {
        /// Its layer.
        layer: Name,
        /// What keeps it from that.
        reason: Text,
    },
    /// Nothing is fixed, and whether the graph contradicts that was not tried to the end.
    #[error("no input fixes its first axis, and whether the graph does was not tried to the end: {0}")]
    NotTried(Overrun),
    /// The graph cannot be made.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
}

/// A model with a free batch.
#[derive(Debug, Clone)]
pub struct Freed {
    /// The graph; it is to be validated.
    pub graph: Graph,
    /// The model as it was, with the batch that it has in truth; to be validated as well.
    pub frozen: Graph,
    /// Layers that had its size written out.
    pub changed: Vec<String>,
}

/// Where the images of a value lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lane {
    axis: usize,
    /// How many elements of the axis belong to each image: 1, but where another axis was merged with it.
    factor: usize,
}

/// The same model with a free batch.
///
/// # Errors
/// [`FreeBatchError`] where the batch is free already, or a node mixes images or is not known.
pub fn free_batch(model: &Checked) -> Result<Freed, FreeBatchError> {
    let batch = frozen(model)?;
    let symbol = name(model);
    let inputs = batched(model, batch);
    let first = *inputs.first().ok_or(FreeBatchError::Free)?;
    // The graph as it is at that batch, of which the sizes that are written out are true.
    let mut freezing = Edits::new(model);
    for &id in &inputs {
        redeclare(model, &mut freezing, id, &Dim::Fixed(batch));
    }
    let still = Typed::new(freezing.apply()?.0);
    // Handles may be others there.
    let place = |id: ValueId| model.graph().inputs().iter().position(|&input| input == id);
    let of_still = |id: ValueId| place(id).and_then(|at| still.graph().inputs().get(at).copied());
    let lanes: Vec<ValueId> = inputs.iter().filter_map(|&id| of_still(id)).collect();
    let mut edits = Edits::new(&still);
    for &id in &lanes {
        redeclare(&still, &mut edits, id, &symbol);
    }
    let follower = Follower::new(&still, &lanes, of_still(first).ok_or(FreeBatchError::Free)?, batch);
    let changed = follower.follow(&mut edits).map_err(|(node, reason)| at(still.graph(), node, reason))?;
    let graph = edits.apply()?.0;
    let changed = changed.into_iter().map(|node| layer(still.graph(), node)).collect();
    if let Err(invalid) = validate(graph.clone()) {
        let first = invalid.findings.iter().find(|finding| finding.level == crate::Level::Error);
        let told = |finding: &crate::Finding| (finding.node.clone().unwrap_or_default(), finding.message.clone());
        let (layer, reason) = first.map(told).unwrap_or_default();
        return Err(FreeBatchError::Node { layer, reason: format!("with a free batch: {reason}").into() });
    }
    Ok(Freed { graph, frozen: still.into_graph(), changed })
}

fn layer(graph: &Graph, node: NodeId) -> String {
    graph.layer(graph.node(node).layer).name.raw().to_owned()
}

fn at(graph: &Graph, node: NodeId, reason: String) -> FreeBatchError {
    FreeBatchError::Node { layer: layer(graph, node).into(), reason: reason.into() }
}

/// The batch that a model is frozen at: what its inputs fix, or what its graph fixes where they do not.
fn frozen(model: &Checked) -> Result<usize, FreeBatchError> {
    let fixed = model.graph().inputs().iter().find_map(|&id| first_size(model, id)?.fixed());
    if let Some(batch) = fixed {
        return Some(batch).filter(|&batch| batch > 0).ok_or(FreeBatchError::Free);
    }
    let tried = free_sizes::contradictions(model, &[]);
    let batch = tried.found.iter().find(|found| found.axes == [0]).and_then(|found| found.holds.first()?.least());
    match (batch.filter(|&batch| batch > 0), tried.given_up) {
        (Some(batch), _) => Ok(batch),
        (None, Some(overrun)) => Err(FreeBatchError::NotTried(overrun)),
        (None, None) => Err(FreeBatchError::Free),
    }
}

/// Inputs whose first axis is that batch, or free.
fn batched(model: &Checked, batch: usize) -> Vec<ValueId> {
    let is_batch = |dim: &Dim| dim.fixed().is_none_or(|size| size == batch);
    model.graph().inputs().iter().copied().filter(|&id| first_size(model, id).is_some_and(is_batch)).collect()
}

/// The first size of an input of several axes.
fn first_size(model: &Typed, id: ValueId) -> Option<&Dim> {
    let shape = model.shape_of(id)?;
    shape.dims().first().filter(|_| shape.rank() > 1)
}

/// A name that no other axis has.
fn name(model: &Checked) -> Dim {
    let taken = |name: &str| {
        let mut sizes = model.graph().inputs().iter().filter_map(|&id| model.shape_of(id)).flat_map(Shape::dims);
        sizes.any(|dim| *dim == Dim::symbol(name))
    };
    let declared =
        model.graph().inputs().iter().filter_map(|&id| first_size(model, id)).find(|dim| dim.fixed().is_none());
    let ours = ["N", "batch", "batch_size"].into_iter().find(|name| !taken(name)).unwrap_or("images");
    declared.cloned().unwrap_or_else(|| Dim::symbol(ours))
}

/// Declares the first size of an input otherwise.
fn redeclare(model: &Typed, edits: &mut Edits, id: ValueId, size: &Dim) {
    let ValueKind::Input(input) = &model.graph().value(id).kind else { return };
    let rest = input.shape.dims().iter().skip(1).cloned();
    let shape = Shape::new(std::iter::once(size.clone()).chain(rest).collect());
    edits.input(id, InputType { dtype: input.dtype, shape });
}
