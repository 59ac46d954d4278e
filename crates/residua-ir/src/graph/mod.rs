//! The graph: nodes in topological order over values, with the layers and parameters of the source model.
//!
//! Invariant: a graph is made by [`GraphBuilder`] alone, which takes operands only once they exist; so nodes are in
//! topological order, there are no cycles, and every handle of a graph is in range for it.

mod builder;
mod metadata;
mod source;

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::op::Op;
use crate::shape::{Dim, Shape};
use crate::tensor::{DType, Tensor};

pub use builder::{GraphBuilder, GraphError};
pub use metadata::{Metadata, OnnxHeader, ValueMetadata};
pub use source::{Format, Framework, Source};

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            #[expect(clippy::cast_possible_truncation, reason = "the builder bounds every arena far below u32::MAX")]
            pub(crate) fn new(index: usize) -> Self {
                Self(index as u32)
            }

            /// Position in the graph's list.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

handle!(
    /// A node of a graph.
    NodeId
);
handle!(
    /// A value of a graph: an input, a parameter, or what a node computes.
    ValueId
);
handle!(
    /// A parameter of a graph.
    ParameterId
);
handle!(
    /// A layer of the source model.
    LayerId
);

/// How the elements of a value lie in the source model, compared with the value here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceOrder {
    /// The same axes in the same order.
    #[default]
    Same,
    /// Axis `i` of the source value is axis `perm[i]` of this one; NHWC is `[0, 2, 3, 1]`.
    Permuted(Vec<usize>),
    /// Here `[N, C·H·W]`, there `[N, H·W·C]`.
    FlattenedChannelsLast {
        /// Channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

impl SourceOrder {
    /// NHWC in the source, NCHW here.
    #[must_use]
    pub fn channels_last() -> Self {
        Self::Permuted(vec![0, 2, 3, 1])
    }

    /// The shape that the source model shows for a value of this shape.
    #[must_use]
    pub fn source_shape(&self, shape: &Shape) -> Shape {
        match self {
            SourceOrder::Permuted(perm) if perm.len() == shape.rank() => {
                Shape::new(perm.iter().map(|&axis| shape.dims()[axis].clone()).collect())
            }
            SourceOrder::Same | SourceOrder::Permuted(_) | SourceOrder::FlattenedChannelsLast { .. } => shape.clone(),
        }
    }
}

/// Type of a graph input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputType {
    /// Element type.
    pub dtype: DType,
    /// Shape in this crate's axis order.
    pub shape: Shape,
}

/// What gives a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueKind {
    /// An input of the graph.
    Input(InputType),
    /// A parameter.
    Parameter(ParameterId),
    /// Output `index` of a node.
    Computed {
        /// The node.
        node: NodeId,
        /// Which of its outputs.
        index: usize,
    },
}

/// An edge of the graph.
#[derive(Debug, Clone)]
pub struct Value {
    /// Unique in the graph. For inputs and outputs the name that the source shows.
    pub name: Name,
    /// What gives it.
    pub kind: ValueKind,
    /// How it lies in the source model.
    pub order: SourceOrder,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Node {
    /// Unique in the graph; the layer's name where the layer is one node.
    pub name: Name,
    /// What it computes.
    pub op: Op,
    /// Operands.
    pub inputs: Vec<ValueId>,
    /// Results; one, but for some [`Op::Opaque`].
    pub outputs: Vec<ValueId>,
    /// The layer of the source model that it belongs to.
    pub layer: LayerId,
}

impl Node {
    /// The first result.
    #[must_use]
    pub fn output(&self) -> ValueId {
        self.outputs[0]
    }

    /// Operands whose elements it reads; of the others it reads sizes alone.
    #[must_use]
    pub fn read(&self) -> &[ValueId] {
        &self.inputs[..self.op.describe().operands.read().min(self.inputs.len())]
    }
}

/// A layer of the source model, as its framework counts layers. A shared layer is one layer with several nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Name, with the names of enclosing models before it: `resnet50v2/conv1_conv`.
    pub name: Name,
    /// What the framework calls it: `Conv2D`, `BatchNormalization`, an ONNX op type.
    pub kind: Name,
    /// Whether it is trained.
    pub trainable: bool,
    /// What else the source says of it.
    #[serde(skip)]
    pub metadata: Metadata,
}

/// What a parameter is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Learned by gradient.
    Weight,
    /// Not learned by gradient, and stored beside what is: batch-norm moving statistics, adapted normalisation, a fixed filter.
    Statistic,
    /// Kept by the framework beside the weights, counted by it, not used when run: Normalization's `count`.
    Counter,
    /// A number of the graph's own text: an operand of an operator, an attribute; the framework does not count it.
    Literal,
    /// Filled in because the operator needs it and the source leaves it out: the scale of a batch norm without one.
    Default,
}

impl Role {
    /// Whether the source holds it among its weights; the rest are numbers of its text, or were filled in.
    #[must_use]
    pub fn is_of_source(self) -> bool {
        match self {
            Role::Weight | Role::Statistic => true,
            Role::Counter | Role::Literal | Role::Default => false,
        }
    }
}

/// A tensor of the model.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name in the source: `conv1_conv/kernel`, an ONNX initializer.
    pub name: Name,
    /// Path in the file, where that differs: `/model_weights/conv1_conv/conv1_conv/kernel:0`.
    pub location: Name,
    /// What it is.
    pub role: Role,
    /// The layer that owns it.
    pub layer: LayerId,
    /// Elements, as the operator that uses them needs them.
    pub tensor: Tensor,
}

/// Something in the file that the model does not use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// Path in the file.
    pub location: Name,
    /// Why: `optimizer state`.
    pub reason: String,
}

/// A network.
#[derive(Debug, Clone)]
pub struct Graph {
    name: Name,
    source: Source,
    layers: Vec<Layer>,
    parameters: Vec<Parameter>,
    values: Vec<Value>,
    nodes: Vec<Node>,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    /// The same, to be asked for.
    given: HashSet<ValueId>,
    unused: Vec<Unused>,
}

impl Graph {
    /// Name of the model.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Where it comes from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// To add what is learned about where it comes from.
    pub fn source_mut(&mut self) -> &mut Source {
        &mut self.source
    }

    /// To add what the file holds beside the graph.
    pub fn add_unused(&mut self, unused: impl IntoIterator<Item = Unused>) {
        self.unused.extend(unused);
    }

    /// Layers of the source model, in the source's order.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// All tensors.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// All values.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// All nodes, in topological order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Inputs, in the source's order.
    #[must_use]
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// Outputs, in the source's order.
    #[must_use]
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// Whether a value is an output.
    #[must_use]
    pub fn is_output(&self, value: ValueId) -> bool {
        self.given.contains(&value)
    }

    /// What is in the file and not in the graph.
    #[must_use]
    pub fn unused(&self) -> &[Unused] {
        &self.unused
    }

    /// One layer.
    #[must_use]
    pub fn layer(&self, id: LayerId) -> &Layer {
        &self.layers[id.index()]
    }

    /// One tensor.
    #[must_use]
    pub fn parameter(&self, id: ParameterId) -> &Parameter {
        &self.parameters[id.index()]
    }

    /// One value.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The parameter behind a value, if it is one.
    #[must_use]
    pub fn as_parameter(&self, id: ValueId) -> Option<&Parameter> {
        match self.value(id).kind {
            ValueKind::Parameter(parameter) => Some(self.parameter(parameter)),
            ValueKind::Input(_) | ValueKind::Computed { .. } => None,
        }
    }

    /// The node that computes a value, if one does.
    #[must_use]
    pub fn producer(&self, id: ValueId) -> Option<NodeId> {
        match self.value(id).kind {
            ValueKind::Computed { node, .. } => Some(node),
            ValueKind::Input(_) | ValueKind::Parameter(_) => None,
        }
    }

    /// For each value, the nodes that read it, in order; a node that reads it twice is there twice.
    #[must_use]
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                consumers[input.index()].push(NodeId::new(index));
            }
        }
        consumers
    }

    /// Handles of all nodes, in topological order.
    pub fn node_ids(&self) -> impl ExactSizeIterator<Item = NodeId> + DoubleEndedIterator + use<> {
        (0..self.nodes.len()).map(NodeId::new)
    }

    /// Handles of all values.
    pub fn value_ids(&self) -> impl ExactSizeIterator<Item = ValueId> + use<> {
        (0..self.values.len()).map(ValueId::new)
    }

    /// Handles of all parameters.
    pub fn parameter_ids(&self) -> impl ExactSizeIterator<Item = ParameterId> + use<> {
        (0..self.parameters.len()).map(ParameterId::new)
    }

    /// Handles of all layers.
    pub fn layer_ids(&self) -> impl ExactSizeIterator<Item = LayerId> + use<> {
        (0..self.layers.len()).map(LayerId::new)
    }

    /// The same graph with each tensor replaced by what `change` makes of it. Shapes are checked again by validation.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn map_tensors<E>(mut self, mut change: impl FnMut(&Parameter) -> Result<Tensor, E>) -> Result<Self, E> {
        for parameter in &mut self.parameters {
            parameter.tensor = change(parameter)?;
        }
        Ok(self)
    }

    /// The same graph with the operator of each node replaced by what `change` makes of it. Validation checks it again.
    #[must_use]
    pub fn map_ops(mut self, mut change: impl FnMut(&Node) -> Op) -> Self {
        for node in &mut self.nodes {
            node.op = change(node);
        }
        self
    }

    /// The same graph with other outputs.
    #[must_use]
    pub fn with_outputs(mut self, outputs: &[ValueId]) -> Self {
        self.outputs = outputs.to_vec();
        self.given = outputs.iter().copied().collect();
        self
    }

    /// The same graph with the sizes of its inputs fixed.
    ///
    /// # Errors
    /// [`GraphError::InputShape`] where a shape contradicts the declared one.
    pub fn with_input_shapes(mut self, shapes: &[Option<Vec<usize>>]) -> Result<Self, GraphError> {
        for (&id, wanted) in self.inputs.clone().iter().zip(shapes) {
            let Some(wanted) = wanted else { continue };
            let value = &mut self.values[id.index()];
            let ValueKind::Input(input) = &mut value.kind else { continue };
            let fits = input.shape.rank() == wanted.len()
                && input.shape.dims().iter().zip(wanted).all(|(dim, &size)| dim.fixed().is_none_or(|d| d == size));
            if !fits {
                return Err(GraphError::InputShape {
                    input: value.name.raw().into(),
                    declared: input.shape.to_string(),
                    wanted: Shape::fixed(wanted).to_string(),
                });
            }
            input.shape = Shape::new(wanted.iter().map(|&size| Dim::Fixed(size)).collect());
        }
        Ok(self)
    }
}

impl Graph {
    /// Whether this graph and another one have the same text: the same operators of the same names, in the same order, between the
    /// same inputs and outputs. What weights hold is not looked at.
    #[must_use]
    pub fn reads_as(&self, other: &Self) -> bool {
        let same_names = |own: &[ValueId], others: &[ValueId]| {
            own.len() == others.len()
                && own.iter().zip(others).all(|(&own, &of_other)| self.value(own).name == other.value(of_other).name)
        };
        // A number that is not equal to itself has a text all the same.
        let same_op = |own: &Op, of_other: &Op| own == of_other || format!("{own:?}") == format!("{of_other:?}");
        self.name == other.name
            && same_names(&self.inputs, &other.inputs)
            && same_names(&self.outputs, &other.outputs)
            && self.nodes.len() == other.nodes.len()
            && self.nodes.iter().zip(&other.nodes).all(|(own, of_other)| {
                same_names(&own.outputs, &of_other.outputs)
                    && same_names(&own.inputs, &of_other.inputs)
                    && same_op(&own.op, &of_other.op)
            })
    }
}

impl fmt::Display for Graph {
    /// The graph as text, a node a line; for tests and debugging.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |id: &ValueId| self.value(*id).name.raw();
        let list = |ids: &[ValueId]| ids.iter().map(name).collect::<Vec<_>>().join(", ");
        writeln!(f, "graph {} ({}) -> ({})", self.name, list(&self.inputs), list(&self.outputs))?;
        for node in &self.nodes {
            writeln!(f, "  {} = {:?} ({})", list(&node.outputs), node.op, list(&node.inputs))?;
        }
        Ok(())
    }
}
