//! Parts of a graph, and the text by which two of them are known to be alike.

use std::collections::HashMap;
use std::fmt::Write;

use residua_ir::{Checked, Elementwise, NodeId, Op, ParameterId, Shape, ValueId, ValueKind};

use super::layer;
use super::order::Order;
use crate::form::{Kind, Layer, Number};
use crate::slots;

/// What a part is to whoever reads the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Root,
    Stem,
    Head,
    /// A residual block of this name.
    Block(&'static str),
    /// What a block does beside its main path.
    Shortcut(&'static str),
    /// What is repeated.
    Repeated,
    /// A stretch of a long network.
    Stretch,
}

/// A part of a graph: a few values go in, a few come out.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) inputs: Vec<ValueId>,
    pub(super) outputs: Vec<ValueId>,
    pub(super) pieces: Vec<Piece>,
    pub(super) label: Label,
    /// The stage that it belongs to, from 0.
    pub(super) stage: Option<usize>,
}

/// A piece of a part.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Node(NodeId),
    /// Another part.
    Item(usize),
    /// Parts in a row, all of one module.
    Row(Vec<usize>),
    /// The operand of a node that is one thing in some parts and another in others.
    Choice(ChoicePiece),
}

/// One operand of a sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChoicePiece {
    pub(super) join: NodeId,
    pub(super) position: usize,
    /// The value that it starts from.
    pub(super) given: ValueId,
    /// What is made of it; nothing where it is the value itself.
    pub(super) part: Option<usize>,
}

/// Values of a part by their numbers in it.
pub(super) struct Locals {
    values: HashMap<ValueId, usize>,
    choices: HashMap<(NodeId, usize), usize>,
    next: usize,
}

impl Locals {
    pub(super) fn of(inputs: &[ValueId]) -> Self {
        let values = inputs.iter().enumerate().map(|(at, &input)| (input, at)).collect();
        Self { values, choices: HashMap::new(), next: inputs.len() }
    }

    pub(super) fn add(&mut self, value: ValueId) {
        self.values.insert(value, self.next);
        self.next += 1;
    }

    pub(super) fn add_choice(&mut self, choice: &ChoicePiece) {
        self.choices.insert((choice.join, choice.position), self.next);
        self.next += 1;
    }

    pub(super) fn get(&self, value: ValueId) -> Option<usize> {
        self.values.get(&value).copied()
    }

    /// The number of an operand of a node.
    pub(super) fn operand(&self, node: NodeId, position: usize, value: ValueId) -> Option<usize> {
        self.choices.get(&(node, position)).copied().or_else(|| self.get(value))
    }
}

/// Text that is the same for parts that can be one module, with their numbers left out.
pub(super) fn key(model: &Checked, order: &Order, items: &[Item], keys: &[String], item: &Item) -> String {
    let mut locals = Locals::of(&item.inputs);
    let mut tensors: HashMap<ParameterId, usize> = HashMap::new();
    let mut key = format!("{}:", item.inputs.len());
    for piece in &item.pieces {
        match piece {
            Piece::Node(node) => {
                let of_node = node_key(model, order, *node, &locals, &mut tensors);
                // Writing into memory does not fail.
                let _ = write!(key, "{of_node};");
                locals.add(order.graph.node(*node).output());
            }
            Piece::Item(nested) => {
                let given = locals.get(items[*nested].inputs[0]);
                let _ = write!(key, "{{{}}}{given:?};", keys[*nested]);
                locals.add(items[*nested].outputs[0]);
            }
            Piece::Row(row) => {
                let _ = write!(key, "row{row:?};");
                if let Some(&last) = row.last() {
                    locals.add(items[last].outputs[0]);
                }
            }
            Piece::Choice(choice) => {
                let _ = write!(key, "choice{};", choice.position);
                locals.add_choice(choice);
            }
        }
    }
    let results: Vec<Option<usize>> = item.outputs.iter().map(|&output| locals.get(output)).collect();
    let _ = write!(key, "{results:?}");
    key
}

/// The same of one node.
pub(super) fn node_key(
    model: &Checked,
    order: &Order,
    node: NodeId,
    locals: &Locals,
    tensors: &mut HashMap<ParameterId, usize>,
) -> String {
    let (id, node) = (node, order.graph.node(node));
    let mut key = match layer::of(order, id) {
        Some(mut found) => {
            let even = layer::evenness(&found.layer);
            for (_, number) in layer::numbers(&mut found.layer) {
                *number = Number::Fixed(0);
            }
            format!("{:?}{even:?}", found.layer)
        }
        None => {
            let even = op_evenness(&node.op);
            let zeros = vec![0; slots::numbers(&mut node.op.clone()).len()];
            format!("{:?}{even:?}{}", slots::with_numbers(&node.op, &zeros), broadcasts(model, order, id))
        }
    };
    for (position, &input) in node.inputs.iter().enumerate() {
        let value = order.base(input);
        let ty = model.type_of(value);
        let about = ty.map(|ty| (ty.dtype, ty.shape.rank()));
        match order.graph.value(value).kind {
            ValueKind::Parameter(id) => {
                let next = tensors.len();
                let _ = write!(key, " t{}{about:?}", tensors.entry(id).or_insert(next));
            }
            ValueKind::Input(_) | ValueKind::Computed { .. } => {
                let _ = write!(key, " v{:?}{about:?}", locals.operand(id, position, value));
            }
        }
    }
    key
}

/// Whether the operands of an elementwise operator have different shapes.
pub(super) fn broadcasts(model: &Checked, order: &Order, node: NodeId) -> bool {
    let node = order.graph.node(node);
    let Op::Elementwise(_) = node.op else { return false };
    let shape = |value: &ValueId| model.shape_of(order.base(*value));
    let first = node.inputs.first().and_then(shape);
    node.inputs.iter().any(|input| match (first, shape(input)) {
        (Some(a), Some(b)) => !same(a, b),
        (None, _) | (_, None) => true,
    })
}

fn same(a: &Shape, b: &Shape) -> bool {
    a.rank() == b.rank() && a.dims().iter().zip(b.dims()).all(|(a, b)| a.is_equal(b))
}

/// What of the numbers of an operator decides how it is written.
fn op_evenness(op: &Op) -> Vec<bool> {
    let mut op = op.clone();
    let numbers: Vec<(Kind, usize)> =
        slots::numbers(&mut op).into_iter().map(|(kind, number)| (kind, *number)).collect();
    let pads: Vec<usize> = numbers.iter().filter(|(kind, _)| *kind == Kind::Padding).map(|(_, pad)| *pad).collect();
    let is_sum = matches!(op, Op::Elementwise(Elementwise::Add));
    vec![pads.iter().all(|pad| *pad == 0), is_sum]
}

/// Whether a part has a layer with weights.
pub(super) fn has_layer(order: &Order, nodes: &[NodeId]) -> bool {
    nodes.iter().any(|&node| layer::of(order, node).is_some())
}

/// The name of a layer's kind, as fields are called.
pub(super) fn kind_of(layer: &Layer) -> &'static str {
    match layer {
        Layer::Conv { .. } => "conv",
        Layer::BatchNorm { .. } => "bn",
        Layer::GroupNorm { .. } => "gn",
        Layer::Linear { .. } => "fc",
    }
}
