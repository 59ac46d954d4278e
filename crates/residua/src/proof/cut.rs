//! A part of a model as a model of its own: some values are given to it, others are wanted of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Context, Result};
use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::graph::{InputType, LayerId};
use residua_ir::{Checked, GraphBuilder, NodeId, Shape, SourceOrder, ValueId, ValueKind, validate};

use super::Settings;

/// See the [module](self).
pub(super) struct Cut {
    model: Checked,
    /// The values of the whole model that its inputs are, in order.
    pub(super) given: Vec<ValueId>,
}

impl Cut {
    /// What lies between values that are given and those that are wanted. A value may be both: it is computed, and whatever
    /// reads it reads what is given. Of what is wanted each is given by a node.
    pub(super) fn new(whole: &Checked, given: &BTreeSet<ValueId>, wanted: &[ValueId]) -> Result<Self> {
        let mut making = Making::new(whole, given);
        for id in needed(whole, given, wanted) {
            making.node(id)?;
        }
        let Making { mut made, computed, inputs, .. } = making;
        for value in wanted {
            made.output(*computed.get(value).context("a value that is wanted and not computed")?);
        }
        let model = validate(made.finish().context("a part of the model")?).context("a part of the model")?;
        Ok(Self { model, given: inputs })
    }

    /// What it computes of what is given, in the order in which it was wanted.
    pub(super) fn run(&self, given: &[Array], precision: Precision, settings: &Settings) -> Result<Vec<Array>> {
        let options = Options { precision, threads: settings.threads, ..Options::default() };
        Ok(Executor::new(&self.model, &options)?.run(given)?.outputs)
    }
}

/// A part while it is made.
struct Making<'m> {
    whole: &'m Checked,
    given: &'m BTreeSet<ValueId>,
    made: GraphBuilder,
    layers: BTreeMap<LayerId, LayerId>,
    /// What stands for a value where it is read.
    read: BTreeMap<ValueId, ValueId>,
    /// What stands for it where it is given back.
    computed: BTreeMap<ValueId, ValueId>,
    inputs: Vec<ValueId>,
}

impl<'m> Making<'m> {
    fn new(whole: &'m Checked, given: &'m BTreeSet<ValueId>) -> Self {
        let mut made = GraphBuilder::new(whole.graph().name().clone());
        made.source(whole.graph().source().clone());
        let (layers, read, computed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { whole, given, made, layers, read, computed, inputs: Vec::new() }
    }

    fn layer(&mut self, id: LayerId) -> LayerId {
        let Self { whole, made, layers, .. } = self;
        *layers.entry(id).or_insert_with(|| made.copy_layer(whole.graph().layer(id).clone()))
    }

    /// What stands for an operand.
    fn operand(&mut self, id: ValueId) -> Result<ValueId> {
        if let Some(&stands) = self.read.get(&id) {
            return Ok(stands);
        }
        let value = self.whole.graph().value(id);
        let stands = match &value.kind {
            ValueKind::Parameter(parameter) if !self.given.contains(&id) => {
                let mut parameter = self.whole.graph().parameter(*parameter).clone();
                parameter.layer = self.layer(parameter.layer);
                self.made.parameter(parameter)
            }
            ValueKind::Computed { .. } if !self.given.contains(&id) => {
                *self.computed.get(&id).context("an operand that is not computed before it is read")?
            }
            ValueKind::Input(_) | ValueKind::Parameter(_) | ValueKind::Computed { .. } => {
                let ty = self.whole.type_of(id).context("a value of unknown type")?;
                let sizes = ty.shape.as_fixed().context("a value of unknown size")?;
                self.inputs.push(id);
                let ty = InputType { dtype: ty.dtype, shape: Shape::fixed(&sizes) };
                self.made.input_with(value.name.raw(), ty, SourceOrder::Same)
            }
        };
        self.read.insert(id, stands);
        Ok(stands)
    }

    fn node(&mut self, id: NodeId) -> Result<()> {
        let node = self.whole.graph().node(id);
        let operands = node.inputs.iter().map(|&operand| self.operand(operand)).collect::<Result<Vec<_>>>()?;
        let layer = self.layer(node.layer);
        let names: Vec<&str> = node.outputs.iter().map(|&output| self.whole.graph().value(output).name.raw()).collect();
        let outputs = self.made.node_with_outputs(node.op.clone(), &operands, layer, &names);
        self.computed.extend(node.outputs.iter().copied().zip(outputs));
        Ok(())
    }
}

/// The nodes between, in the order of the graph.
fn needed(whole: &Checked, given: &BTreeSet<ValueId>, wanted: &[ValueId]) -> BTreeSet<NodeId> {
    let graph = whole.graph();
    let mut needed = BTreeSet::new();
    let mut open: Vec<NodeId> = wanted.iter().filter_map(|&value| graph.producer(value)).collect();
    while let Some(id) = open.pop() {
        if needed.insert(id) {
            let operands = graph.node(id).inputs.iter().filter(|operand| !given.contains(operand));
            open.extend(operands.filter_map(|&operand| graph.producer(operand)));
        }
    }
    needed
}
