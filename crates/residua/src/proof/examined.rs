//! One of two models that are looked into: at known sizes, as it was before any export, with its landmarks.

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::error::{Context, Result};
use residua_exec::{Array, Precision, order};
use residua_ir::rewrite::normalise;
use residua_ir::{Checked, Graph, NodeId, ValueId, validate};
use residua_resnet::anatomy;
use residua_resnet::naming::positions;

use super::Settings;
use super::compared_values::squashed;
use super::landmarks::{Landmark, landmarks};
use super::run::{run, taken};

/// See the [module](self).
#[derive(Debug, Clone)]
pub(super) struct Examined {
    pub(super) model: Checked,
    /// What it is run on, in its own order of axes.
    pub(super) inputs: Vec<Array>,
    pub(super) marks: Vec<Landmark>,
    /// What an f32 run gave: outputs, and what goes into their softmax.
    results: OnceCell<HashMap<ValueId, Array>>,
}

impl Examined {
    /// A model whose sizes are all known, and what it is run on.
    ///
    /// Where both models must be the same bit for bit, they are looked at as they are.
    pub(super) fn new(model: &Checked, inputs: &[Array], exactly: bool) -> Result<Self> {
        let normal = if exactly { None } else { normalise(model).context("cannot undo what the exporter did")? };
        match normal.and_then(|normal| validate(normal.model.into_graph()).ok()) {
            Some(normal) => {
                let inputs = reordered(model.graph(), normal.graph(), inputs)?;
                Ok(Self::of(normal, inputs))
            }
            None => Ok(Self::of(model.clone(), inputs.to_vec())),
        }
    }

    fn of(model: Checked, inputs: Vec<Array>) -> Self {
        let anatomy = anatomy::analyse_as_it_is(&model);
        let marks = landmarks(&model, &positions(&anatomy));
        Self { model, inputs, marks, results: OnceCell::new() }
    }

    /// The same on other inputs.
    pub(super) fn with_inputs(&self, inputs: Vec<Array>) -> Self {
        Self { inputs, results: OnceCell::new(), ..self.clone() }
    }

    /// What an f32 run gives for an output, or for what it is the softmax of.
    pub(super) fn output(&self, value: ValueId, settings: &Settings) -> Result<Array> {
        let results = match self.results.get() {
            Some(results) => results,
            None => {
                let outputs = self.model.graph().outputs();
                let before = outputs.iter().filter_map(|&output| squashed(&self.model, output));
                let values: Vec<ValueId> = outputs.iter().copied().chain(before).collect();
                let arrays = taken(run(&self.model, Precision::F32, &self.inputs, &values, settings)?, &values)?;
                self.results.get_or_init(|| values.into_iter().zip(arrays).collect())
            }
        };
        results.get(&value).cloned().context("a value that was to be kept is not there")
    }

    /// The same with another graph of the same inputs.
    pub(super) fn with_graph(&self, graph: Graph) -> Result<Self> {
        Ok(Self::of(validate(graph)?, self.inputs.clone()))
    }

    /// Name of the layer that a node belongs to.
    pub(super) fn layer(&self, node: NodeId) -> String {
        self.model.graph().layer(self.model.graph().node(node).layer).name.raw().to_owned()
    }
}

/// Arrays for the inputs of one graph as the inputs of another graph of the same source take them.
pub(super) fn reordered(from: &Graph, to: &Graph, inputs: &[Array]) -> Result<Vec<Array>> {
    let pairs = from.inputs().iter().zip(to.inputs());
    inputs
        .iter()
        .zip(pairs)
        .map(|(array, (&from_id, &to_id))| {
            let shown = order::to_source(array, &from.value(from_id).order)?;
            Ok(order::from_source(&shown, &to.value(to_id).order)?)
        })
        .collect()
}
