//! Which operator of one model is which of the other.
//!
//! The surest sign counts first: the same name and the same weights; the same weights, where no other operator has
//! them; the same name and shapes. Operators without weights follow those that they take their operands from: all of
//! them, or the one that nothing else of their kind takes. Then the same place in the network ([`positions`]) counts, which one
//! shortcut that leads elsewhere moves for all blocks behind it, and last the same name. Nothing corresponds to two.

use std::collections::BTreeMap;
use std::mem::discriminant;

use crate::error::{Context, Result};
use rayon::prelude::*;
use residua_ir::{Graph, Node, NodeId, Op, ParameterId, ValueKind};
use residua_resnet::naming::positions;
use residua_resnet::slot::{Component, Position};

use super::elements;
use crate::model::Model;

/// Pairs of operators, and what was learned about tensors on the way.
#[derive(Debug)]
pub(super) struct Alignment {
    /// For each operator of A, that of B.
    to_b: Vec<Option<NodeId>>,
    /// The other way round.
    to_a: Vec<Option<NodeId>>,
    /// Samples of the tensors of A, and of B.
    pub(super) samples: [Vec<Option<u64>>; 2],
}

/// A value that more operators take tells nothing of one of them.
const MOST_TAKERS: usize = 16;

/// How much of what an operator takes must correspond.
#[derive(Debug, Clone, Copy)]
enum Taken {
    /// All of it.
    All,
    /// One operand that is enough to tell.
    One,
}

/// A graph with what operators are told by.
struct Facts<'a> {
    graph: &'a Graph,
    nodes: Vec<NodeId>,
    positions: BTreeMap<NodeId, Position>,
    samples: Vec<Option<u64>>,
}

impl<'a> Facts<'a> {
    fn of(model: &'a Model) -> Result<Self> {
        let graph = model.checked.graph();
        let sample = |parameter: &residua_ir::Parameter| {
            elements::sample(&parameter.tensor).with_context(|| format!("tensor `{}`", parameter.name))
        };
        let samples = graph.parameters().par_iter().map(sample).collect::<Result<_>>()?;
        Ok(Self {
            graph,
            nodes: graph.node_ids().collect(),
            positions: positions(&model.anatomy).into_iter().collect(),
            samples,
        })
    }

    fn node(&self, id: NodeId) -> &'a Node {
        self.graph.node(id)
    }

    /// What an operator computes, attributes aside.
    fn kind(&self, id: NodeId) -> std::mem::Discriminant<Op> {
        discriminant(&self.node(id).op)
    }

    fn parameters(&self, id: NodeId) -> Vec<ParameterId> {
        parameters(self.graph, self.node(id))
    }

    /// Samples of its weights, where one of them tells anything.
    fn contents(&self, id: NodeId) -> Option<Vec<Option<u64>>> {
        let samples: Vec<Option<u64>> = self.parameters(id).iter().map(|id| self.samples[id.index()]).collect();
        samples.iter().any(Option::is_some).then_some(samples)
    }

    fn shapes(&self, id: NodeId) -> Vec<&'a [usize]> {
        self.parameters(id).iter().map(|&id| self.graph.parameter(id).tensor.shape()).collect()
    }
}

/// The tensors that an operator takes, in order.
pub(super) fn parameters(graph: &Graph, node: &Node) -> Vec<ParameterId> {
    let parameter = |&input: &_| match graph.value(input).kind {
        ValueKind::Parameter(id) => Some(id),
        ValueKind::Input(_) | ValueKind::Computed { .. } => None,
    };
    node.inputs.iter().filter_map(parameter).collect()
}

impl Alignment {
    /// Aligns two models.
    ///
    /// # Errors
    /// Where a tensor cannot be read.
    pub(super) fn of(a: &Model, b: &Model) -> Result<Self> {
        let (a, b) = (Facts::of(a)?, Facts::of(b)?);
        let mut alignment = Self {
            to_b: vec![None; a.nodes.len()],
            to_a: vec![None; b.nodes.len()],
            samples: [Vec::new(), Vec::new()],
        };
        let name = |facts: &Facts<'_>, id: NodeId| Some(facts.node(id).name.clone());
        alignment.by(&a, &b, |facts, id| Some((name(facts, id)?, facts.kind(id), facts.contents(id)?)));
        alignment.by(&a, &b, |facts, id| Some((facts.kind(id), facts.contents(id)?)));
        alignment.by(&a, &b, |facts, id| {
            let shapes = facts.shapes(id);
            (!shapes.is_empty()).then(|| (facts.node(id).name.clone(), facts.kind(id), shapes))
        });
        alignment.by_operands(&a, &b, Taken::All);
        alignment.by_operands(&a, &b, Taken::One);
        alignment.by(&a, &b, |facts, id| {
            let place = facts.positions.get(&id).copied()?;
            // A classifier is a matrix here and a product there.
            let dense = matches!(place, Position::Dense(_) | Position::Block { component: Component::Gate(_), .. });
            Some((place, (!dense).then(|| facts.kind(id))))
        });
        alignment.by(&a, &b, |facts, id| Some((name(facts, id)?, facts.kind(id))));
        alignment.by_operands(&a, &b, Taken::All);
        alignment.by(&a, &b, name);
        alignment.samples = [a.samples, b.samples];
        Ok(alignment)
    }

    /// The operator of B for one of A.
    pub(super) fn in_b(&self, a: NodeId) -> Option<NodeId> {
        self.to_b[a.index()]
    }

    /// The operator of A for one of B.
    pub(super) fn in_a(&self, b: NodeId) -> Option<NodeId> {
        self.to_a[b.index()]
    }

    fn pair(&mut self, a: NodeId, b: NodeId) {
        self.to_b[a.index()] = Some(b);
        self.to_a[b.index()] = Some(a);
    }

    /// Pairs what has one key and is alone with it in both models.
    fn by<'f, K: Eq + std::hash::Hash>(
        &mut self,
        a: &Facts<'f>,
        b: &Facts<'f>,
        key: impl Fn(&Facts<'f>, NodeId) -> Option<K>,
    ) {
        let collect = |facts: &Facts<'f>, taken: &[Option<NodeId>]| {
            let mut keys: std::collections::HashMap<K, Vec<NodeId>> = std::collections::HashMap::new();
            for &id in facts.nodes.iter().filter(|id| taken[id.index()].is_none()) {
                if let Some(key) = key(facts, id) {
                    keys.entry(key).or_default().push(id);
                }
            }
            keys
        };
        let others = collect(b, &self.to_a);
        let own = collect(a, &self.to_b);
        for &id in &a.nodes {
            if self.to_b[id.index()].is_some() {
                continue;
            }
            let Some(key) = key(a, id) else { continue };
            if let (Some([only]), Some([other])) =
                (own.get(&key).map(Vec::as_slice), others.get(&key).map(Vec::as_slice))
            {
                self.pair(*only, *other);
            }
        }
    }

    /// Pairs operators of one kind whose operands correspond, from the inputs on, and those whose takers do, from the
    /// outputs back.
    fn by_operands(&mut self, a: &Facts<'_>, b: &Facts<'_>, taken: Taken) {
        let takers = a.graph.consumers();
        let consumers = b.graph.consumers();
        for &id in &a.nodes {
            if self.in_b(id).is_some() {
                continue;
            }
            let of_one = || match taken {
                Taken::All => None,
                Taken::One => self.taker_of_one(a, b, id, &takers, &consumers),
            };
            if let Some(other) = self.taker_of_all(a, b, id, &consumers).or_else(of_one) {
                self.pair(id, other);
            }
        }
        for &id in a.nodes.iter().rev() {
            let value = a.node(id).output().index();
            let [taker] = takers[value][..] else { continue };
            let (None, Some(other)) = (self.in_b(id), self.in_b(taker)) else { continue };
            let place = a.node(taker).inputs.iter().position(|input| input.index() == value);
            let Some(input) = place.and_then(|place| b.node(other).inputs.get(place)) else { continue };
            if let Some(producer) = b.graph.producer(*input)
                && self.in_a(producer).is_none()
                && a.kind(id) == b.kind(producer)
                && a.shapes(id) == b.shapes(producer)
            {
                self.pair(id, producer);
            }
        }
    }

    /// The operator of B that takes what an operator of A takes.
    fn taker_of_all(&self, a: &Facts<'_>, b: &Facts<'_>, id: NodeId, consumers: &[Vec<NodeId>]) -> Option<NodeId> {
        let wanted = self.operands_in_b(a, b, id)?;
        let fits = |other: &NodeId| {
            self.in_a(*other).is_none() && a.kind(id) == b.kind(*other) && computed(b.graph, b.node(*other)) == wanted
        };
        let takers: Vec<NodeId> = consumers[*wanted.first()?].iter().copied().filter(fits).collect();
        // Of several equals the one of the same name, else the first.
        let same_name = |other: &&NodeId| b.node(**other).name == a.node(id).name;
        takers.iter().find(same_name).or(takers.first()).copied()
    }

    /// The operator of B that takes one of the values that an operator of A takes, where each is the only one of its
    /// kind that does.
    fn taker_of_one(
        &self,
        a: &Facts<'_>,
        b: &Facts<'_>,
        id: NodeId,
        takers: &[Vec<NodeId>],
        consumers: &[Vec<NodeId>],
    ) -> Option<NodeId> {
        // A sum and a product are of one kind; here they must be the same.
        let name = a.node(id).op.name();
        a.node(id).inputs.iter().find_map(|input| {
            let ValueKind::Computed { node, index } = a.graph.value(*input).kind else { return None };
            let value = b.node(self.in_b(node)?).outputs.get(index)?;
            if takers[input.index()].len().max(consumers[value.index()].len()) > MOST_TAKERS {
                return None;
            }
            let own = takers[input.index()].iter();
            let own = own.filter(|&&other| a.node(other).op.name() == name && self.in_b(other).is_none());
            let others = consumers[value.index()].iter();
            let mut others = others.filter(|&&other| b.node(other).op.name() == name && self.in_a(other).is_none());
            let only = others.next().filter(|_| others.next().is_none() && own.count() == 1)?;
            Some(*only)
        })
    }

    /// The values of B that an operator of A would take there; none where one of them corresponds to nothing.
    fn operands_in_b(&self, a: &Facts<'_>, b: &Facts<'_>, id: NodeId) -> Option<Vec<usize>> {
        let node = a.node(id);
        let place = |input: &residua_ir::ValueId| match a.graph.value(*input).kind {
            ValueKind::Parameter(_) => None,
            ValueKind::Input(_) => {
                let place = a.graph.inputs().iter().position(|other| other == input);
                Some(place.and_then(|place| b.graph.inputs().get(place)).map(|input| input.index()))
            }
            ValueKind::Computed { node, index } => {
                let other = self.in_b(node).and_then(|other| b.node(other).outputs.get(index).copied());
                Some(other.map(residua_ir::ValueId::index))
            }
        };
        node.inputs.iter().filter_map(place).collect()
    }
}

/// Operands that are no parameters.
fn computed(graph: &Graph, node: &Node) -> Vec<usize> {
    let computed = node.inputs.iter().filter(|&&input| graph.as_parameter(input).is_none());
    computed.map(|input| input.index()).collect()
}
