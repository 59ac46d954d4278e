//! The nodes of a graph in an order in which parts lie together, and the places where a single value goes on.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use residua_ir::{Checked, Graph, NodeId, Op, ValueId, ValueKind};

/// Nodes that compute something, in an order in which whatever leads to a value lies before what does not.
pub(super) struct Order<'m> {
    pub(super) graph: &'m Graph,
    pub(super) nodes: Vec<NodeId>,
    /// For each value the one that it is: operators that do nothing are looked through.
    bases: Vec<ValueId>,
    /// Nodes that read each value; a node that reads it twice is there twice.
    readers: HashMap<ValueId, Vec<NodeId>>,
    given: HashSet<ValueId>,
}

/// A stretch of the order between two places where a single value goes on.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Places in the order.
    pub(super) range: Range<usize>,
    /// What goes in and what comes out; `None` where there are several values, or outputs of the network within.
    pub(super) ends: Option<(ValueId, ValueId)>,
}

impl<'m> Order<'m> {
    pub(super) fn of(model: &'m Checked) -> Self {
        let graph = model.graph();
        let mut bases: Vec<ValueId> = graph.value_ids().collect();
        for node in graph.nodes() {
            if matches!(node.op, Op::Identity(_)) {
                bases[node.output().index()] = bases[node.inputs[0].index()];
            }
        }
        let given = graph.outputs().iter().map(|output| bases[output.index()]).collect();
        let mut order = Self { graph, nodes: Vec::new(), bases, readers: HashMap::new(), given };
        order.walk();
        for &node in &order.nodes {
            for &input in &graph.node(node).inputs {
                order.readers.entry(order.bases[input.index()]).or_default().push(node);
            }
        }
        order
    }

    /// What leads to each output, deepest first, operands in order.
    fn walk(&mut self) {
        let graph = self.graph;
        let mut seen = vec![false; graph.nodes().len()];
        for &output in graph.outputs() {
            let mut stack: Vec<(NodeId, usize)> = self.producer(output).map(|node| (node, 0)).into_iter().collect();
            while let Some((node, next)) = stack.pop() {
                if next == 0 && std::mem::replace(&mut seen[node.index()], true) {
                    continue;
                }
                match graph.node(node).inputs.get(next) {
                    Some(&operand) => {
                        stack.push((node, next + 1));
                        let before = self.producer(operand).filter(|before| !seen[before.index()]);
                        stack.extend(before.map(|before| (before, 0)));
                    }
                    None => self.nodes.push(node),
                }
            }
        }
    }

    /// The value that a value is.
    pub(super) fn base(&self, value: ValueId) -> ValueId {
        self.bases[value.index()]
    }

    pub(super) fn producer(&self, value: ValueId) -> Option<NodeId> {
        self.graph.producer(self.base(value))
    }

    pub(super) fn is_parameter(&self, value: ValueId) -> bool {
        matches!(self.graph.value(self.base(value)).kind, ValueKind::Parameter(_))
    }

    /// What a node is given that is computed or an input.
    pub(super) fn operands(&self, node: NodeId) -> impl Iterator<Item = ValueId> + '_ {
        self.graph.node(node).inputs.iter().map(|&input| self.base(input)).filter(|&input| !self.is_parameter(input))
    }

    pub(super) fn readers(&self, value: ValueId) -> &[NodeId] {
        self.readers.get(&value).map_or(&[], Vec::as_slice)
    }

    /// Whether a value is an output of the network.
    pub(super) fn is_given(&self, value: ValueId) -> bool {
        self.given.contains(&value)
    }

    /// The stretches between the places where a single value goes on.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let mut last: HashMap<ValueId, usize> = HashMap::new();
        for (at, &node) in self.nodes.iter().enumerate() {
            for operand in self.operands(node) {
                last.insert(operand, at);
            }
        }
        let inputs: Vec<ValueId> =
            self.graph.inputs().iter().copied().filter(|input| last.contains_key(input)).collect();
        let mut open = inputs.len();
        let mut from = match &inputs[..] {
            [only] => Some(*only),
            _ => None,
        };
        let (mut start, mut segments) = (0, Vec::new());
        for (at, &node) in self.nodes.iter().enumerate() {
            let output = self.graph.node(node).output();
            let operands: HashSet<ValueId> = self.operands(node).collect();
            open -= operands.iter().filter(|operand| last.get(operand) == Some(&at)).count();
            let goes_on = last.get(&output).is_some_and(|&last| last > at);
            open += usize::from(goes_on);
            let ends = at + 1 == self.nodes.len();
            let splits = goes_on && open == 1;
            if !splits && !ends {
                continue;
            }
            let gives = |node: &NodeId| {
                let value = self.graph.node(*node).output();
                value != output && self.is_given(value)
            };
            let is_whole = open <= 1 && !self.nodes[start..=at].iter().any(gives);
            let single = self.nodes[start..=at].iter().all(|&node| self.graph.node(node).outputs.len() == 1);
            segments.push(Segment {
                range: start..at + 1,
                ends: from.filter(|_| is_whole && single).map(|from| (from, output)),
            });
            (start, from) = (at + 1, Some(output));
        }
        segments
    }
}

#[cfg(test)]
mod tests {
    use residua_ir::{Activation, Elementwise, GraphBuilder, Shape, validate};

    use super::*;

    #[test]
    fn a_sum_of_two_paths_is_one_segment() {
        let mut g = GraphBuilder::new("block");
        let relu = || Op::Activation(Activation::RELU);
        let x = g.input("x", Shape::batch(&[4]));
        let a = g.add("a", relu(), &[x]);
        let b = g.add("b", relu(), &[a]);
        let c = g.add("c", relu(), &[a]);
        let d = g.add("d", Op::Elementwise(Elementwise::Add), &[b, c]);
        let e = g.add("e", relu(), &[d]);
        g.output(e);
        let model = validate(g.finish().unwrap()).unwrap();
        let found: Vec<_> = Order::of(&model).segments().into_iter().map(|segment| segment.range).collect();
        assert_eq!(found, [0..1, 1..4, 4..5]);
    }
}
