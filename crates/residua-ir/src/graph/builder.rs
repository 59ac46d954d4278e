//! The only way to make a graph: operands first, so that order and handles are right by construction.

use std::collections::{HashMap, HashSet};

use super::{
    Graph, InputType, Layer, LayerId, Metadata, Node, NodeId, Parameter, ParameterId, Role, Source, SourceOrder,
    Unused, Value, ValueId, ValueKind,
};
use crate::budget::{Limit, Overrun};
use crate::name::Name;
use crate::op::Op;
use crate::shape::Shape;
use crate::tensor::{DType, Tensor, TensorError};

/// What can go wrong while a graph is built.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A graph that is larger than any network this tool is for.
    #[error(transparent)]
    TooLarge(Overrun),
    /// A shape that was asked for contradicts the declared one.
    #[error("input `{input}` is declared {declared}, it cannot be {wanted}")]
    InputShape {
        /// The input.
        input: Name,
        /// Its shape in the model.
        declared: String,
        /// The shape that was asked for.
        wanted: String,
    },
    /// A tensor that cannot be what its layer makes of it.
    #[error("tensor `{name}`")]
    Tensor {
        /// Its name.
        name: Name,
        /// What is wrong.
        source: TensorError,
    },
}

/// Builds a [`Graph`].
///
/// ```
/// use residua_ir::{Activation, GraphBuilder, Op, Shape};
/// let mut g = GraphBuilder::new("tiny");
/// let x = g.input("x", Shape::batch(&[3, 8, 8]));
/// let y = g.add("relu", Op::Activation(Activation::RELU), &[x]);
/// g.output(y);
/// let graph = g.finish().unwrap();
/// assert_eq!(graph.nodes().len(), 1);
/// ```
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    /// Names that are taken, each with the number that was last put behind it.
    names: HashMap<String, usize>,
}

impl GraphBuilder {
    /// An empty graph.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        let graph = Graph {
            name: name.into(),
            source: Source::default(),
            layers: Vec::new(),
            parameters: Vec::new(),
            values: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            given: HashSet::new(),
            unused: Vec::new(),
        };
        Self { graph, names: HashMap::new() }
    }

    /// Says where the model comes from.
    pub fn source(&mut self, source: Source) {
        self.graph.source = source;
    }

    /// Says what in the file the graph does not use.
    pub fn unused(&mut self, unused: impl IntoIterator<Item = Unused>) {
        self.graph.unused.extend(unused);
    }

    /// The graph as it is so far.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    fn unique(&mut self, name: &str) -> String {
        let Some(mut count) = self.names.get(name).copied() else {
            self.names.insert(name.to_owned(), 1);
            return name.to_owned();
        };
        let unique = loop {
            count += 1;
            let unique = format!("{name}_{count}");
            if !self.names.contains_key(&unique) {
                break unique;
            }
        };
        // The next of this name need not count again.
        self.names.insert(name.to_owned(), count);
        self.names.insert(unique.clone(), 1);
        unique
    }

    fn value(&mut self, name: &str, kind: ValueKind, order: SourceOrder) -> ValueId {
        let name = self.unique(name);
        self.graph.values.push(Value { name: name.into(), kind, order });
        ValueId::new(self.graph.values.len() - 1)
    }

    /// A layer of the source model.
    pub fn layer(&mut self, name: impl Into<Name>, kind: impl Into<Name>, trainable: bool) -> LayerId {
        self.copy_layer(Layer { name: name.into(), kind: kind.into(), trainable, metadata: Metadata::default() })
    }

    /// A layer of another graph of the same source.
    pub fn copy_layer(&mut self, layer: Layer) -> LayerId {
        self.graph.layers.push(layer);
        LayerId::new(self.graph.layers.len() - 1)
    }

    /// Says what else the source says of a layer.
    pub fn set_metadata(&mut self, layer: LayerId, metadata: Metadata) {
        self.graph.layers[layer.index()].metadata = metadata;
    }

    /// An f32 input whose axes are the source's.
    pub fn input(&mut self, name: &str, shape: Shape) -> ValueId {
        self.input_with(name, InputType { dtype: DType::F32, shape }, SourceOrder::Same)
    }

    /// An input; `shape` in this crate's axis order.
    pub fn input_with(&mut self, name: &str, input: InputType, order: SourceOrder) -> ValueId {
        let id = self.value(name, ValueKind::Input(input), order);
        self.graph.inputs.push(id);
        id
    }

    /// A tensor of the model, as a value.
    pub fn parameter(&mut self, parameter: Parameter) -> ValueId {
        self.graph.parameters.push(parameter);
        let id = ParameterId::new(self.graph.parameters.len() - 1);
        let name = self.graph.parameters[id.index()].name.clone();
        self.value(name.raw(), ValueKind::Parameter(id), SourceOrder::Same)
    }

    /// A tensor that belongs to a layer and that no node reads, such as a counter.
    pub fn unread_parameter(&mut self, parameter: Parameter) {
        self.graph.parameters.push(parameter);
    }

    /// A weight with a layer of its own; for small graphs in tests.
    pub fn weight(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let layer = self.layer(name, "Parameter", true);
        let parameter = Parameter { name: name.into(), location: name.into(), role: Role::Weight, layer, tensor };
        self.parameter(parameter)
    }

    /// A node with a layer of its own name and one result.
    pub fn add(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        let layer = self.layer(name, op.name().to_owned(), true);
        self.node(name, op, inputs, layer)
    }

    /// A node of a layer, with one result.
    pub fn node(&mut self, name: &str, op: Op, inputs: &[ValueId], layer: LayerId) -> ValueId {
        self.node_with_outputs(op, inputs, layer, &[name])[0]
    }

    /// A node with named results, at least one; the first names the node.
    ///
    /// # Panics
    /// Where `outputs` is empty.
    pub fn node_with_outputs(&mut self, op: Op, inputs: &[ValueId], layer: LayerId, outputs: &[&str]) -> Vec<ValueId> {
        let node = NodeId::new(self.graph.nodes.len());
        let outputs: Vec<ValueId> = outputs
            .iter()
            .enumerate()
            .map(|(index, output)| self.value(output, ValueKind::Computed { node, index }, SourceOrder::Same))
            .collect();
        let name = self.graph.value(outputs[0]).name.clone();
        self.graph.nodes.push(Node { name, op, inputs: inputs.to_vec(), outputs: outputs.clone(), layer });
        outputs
    }

    /// Says how a value lies in the source model.
    pub fn set_order(&mut self, value: ValueId, order: SourceOrder) {
        self.graph.values[value.index()].order = order;
    }

    /// Makes a value an output.
    pub fn output(&mut self, value: ValueId) {
        self.graph.outputs.push(value);
        self.graph.given.insert(value);
    }

    /// The graph.
    ///
    /// # Errors
    /// [`GraphError::TooLarge`].
    pub fn finish(self) -> Result<Graph, GraphError> {
        let graph = self.graph;
        let largest = graph.values.len().max(graph.nodes.len()).max(graph.parameters.len()).max(graph.layers.len());
        Limit::GraphItems.check_here(largest).map_err(GraphError::TooLarge)?;
        for input in &graph.inputs {
            if let ValueKind::Input(input) = &graph.value(*input).kind {
                Limit::Rank.check_here(input.shape.rank()).map_err(GraphError::TooLarge)?;
            }
        }
        Ok(graph)
    }
}
