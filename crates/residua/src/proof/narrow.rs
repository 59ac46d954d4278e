//! A run that rounds as a source does that computes in f16 or bf16: after each operation, and its weights before.
//!
//! Sums are made in f32, as processors and graphics cards make them; a framework that rounds within a sum is farther away,
//! which is what the factor of a bound is for.

use std::collections::BTreeMap;

use crate::error::Result;
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::computes::narrow_nodes;
use residua_ir::{Checked, DType, Graph, ValueId, ValueKind, validate};

use super::Settings;
use super::bound::Bound;

/// A model as its source computes it.
pub(super) struct Narrow {
    /// The type of the fewest digits that is computed in.
    pub(super) dtype: DType,
    /// The model, its weights rounded.
    model: Checked,
    /// What is rounded to which type.
    round: BTreeMap<ValueId, DType>,
    /// What each input is rounded to.
    inputs: Vec<Option<DType>>,
    /// For each output, whether anything that is rounded goes into it.
    reaches: Vec<bool>,
}

impl Narrow {
    /// Of a model whose source computes in such a type; `None` of any other.
    pub(super) fn of(model: &Checked) -> Result<Option<Self>> {
        let graph = model.graph();
        let nodes = narrow_nodes(model);
        let Some(dtype) = nodes.iter().flatten().copied().max_by_key(|&dtype| dtype == DType::BF16) else {
            return Ok(None);
        };
        let mut round = BTreeMap::new();
        let mut tensors: BTreeMap<ValueId, DType> = BTreeMap::new();
        for (node, dtype) in graph.nodes().iter().zip(&nodes) {
            let Some(dtype) = *dtype else { continue };
            round.extend(node.outputs.iter().map(|&id| (id, dtype)));
            // Frameworks keep the statistics of norms in f32, and compute with them in it.
            if node.op.describe().epsilon.is_none() {
                tensors.extend(node.inputs.iter().map(|&id| (id, dtype)));
            }
        }
        let consumers = graph.consumers();
        let of_input = |&id: &ValueId| {
            let mut readers = consumers[id.index()].iter().map(|node| nodes[node.index()]);
            let first = readers.next()??;
            readers.all(|dtype| dtype == Some(first)).then_some(first)
        };
        let inputs = graph.inputs().iter().map(of_input).collect();
        let rounded: Vec<Option<DType>> = {
            let mut of_parameter = vec![None; graph.parameters().len()];
            for (id, dtype) in tensors {
                if let ValueKind::Parameter(parameter) = graph.value(id).kind {
                    of_parameter[parameter.index()] = Some(dtype);
                }
            }
            of_parameter
        };
        let reaches = reached(graph, &nodes);
        let mut dtypes = rounded.into_iter();
        let graph = graph.clone().map_tensors(|parameter| {
            let tensor = parameter.tensor.clone();
            let wanted = dtypes.next().flatten().filter(|_| tensor.dtype().is_float());
            Ok::<_, std::convert::Infallible>(wanted.map_or(tensor.clone(), |dtype| tensor.cast(dtype)))
        });
        let graph = match graph {
            Ok(graph) => graph,
            Err(never) => match never {},
        };
        Ok(Some(Self { dtype, model: validate(graph)?, round, inputs, reaches }))
    }

    /// How far each output may be from the exact one; where nothing that is rounded goes into it, what `wide` says.
    pub(super) fn noise(
        &self,
        inputs: &[Array],
        exact: &[Array],
        wide: Vec<Bound>,
        settings: &Settings,
    ) -> Result<Vec<Bound>> {
        let rounded = |(array, dtype): (&Array, &Option<DType>)| {
            let Some(dtype) = dtype else { return Ok(array.clone()) };
            let mut values = array.to_f64();
            dtype.round(&mut values);
            Ok(Array::new(array.shape().to_vec(), values)?)
        };
        let inputs = inputs.iter().zip(&self.inputs).map(rounded).collect::<Result<Vec<Array>>>()?;
        let options = Options {
            precision: Precision::F32,
            threads: settings.threads,
            round: self.round.clone(),
            ..Options::default()
        };
        let found = Executor::new(&self.model, &options)?.run(&inputs)?;
        let mut bounds = Vec::new();
        for ((wide, &reaches), (exact, found)) in
            wide.into_iter().zip(&self.reaches).zip(exact.iter().zip(&found.outputs))
        {
            bounds.push(match reaches {
                true => Bound::noise_in(self.dtype, exact, found, "the model after each operation")?,
                false => wide,
            });
        }
        Ok(bounds)
    }
}

/// For each output, whether it depends on a node that is computed in a narrow type.
fn reached(graph: &Graph, nodes: &[Option<DType>]) -> Vec<bool> {
    let mut values = vec![false; graph.values().len()];
    for (node, dtype) in graph.nodes().iter().zip(nodes) {
        let reached = dtype.is_some() || node.inputs.iter().any(|id| values[id.index()]);
        node.outputs.iter().for_each(|id| values[id.index()] = reached);
    }
    graph.outputs().iter().map(|id| values[id.index()]).collect()
}
