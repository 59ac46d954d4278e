//! Two graphs in lock step, from their outputs on.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::hashes::{Seen, commutes};
use super::{Difference, Pairing, Part, Unlike};
use crate::graph::{Graph, ParameterId, ValueId, ValueKind};
use crate::op::Op;
use crate::shape::{Dim, Shape};
use crate::tensor::DType;
use crate::validate::Typed;

/// Classes of values that are to be the same, of both graphs: first those of the first one, then those of the second.
struct Classes {
    parents: Vec<usize>,
}

impl Classes {
    fn find(&mut self, mut value: usize) -> usize {
        while self.parents[value] != value {
            // Half of the way is cut each time, which keeps all ways short.
            self.parents[value] = self.parents[self.parents[value]];
            value = self.parents[value];
        }
        value
    }

    /// Joins two classes; whether they were two.
    fn join(&mut self, x: usize, y: usize) -> bool {
        let (x, y) = (self.find(x), self.find(y));
        self.parents[y] = x;
        x != y
    }
}

/// Free sizes of the first graph and those of the second that are the same, in both directions.
#[derive(Default)]
struct Symbols<'g> {
    forth: HashMap<&'g str, &'g str>,
    back: HashMap<&'g str, &'g str>,
}

impl<'g> Symbols<'g> {
    /// Whether two sizes are the same; free ones that were not met before are from now on.
    fn same(&mut self, x: &'g Dim, y: &'g Dim) -> bool {
        match (x, y) {
            (Dim::Fixed(x), Dim::Fixed(y)) => x == y,
            (
                Dim::Symbolic { symbol: x, offset, divisor },
                Dim::Symbolic { symbol: y, offset: other_offset, divisor: other_divisor },
            ) => {
                let named = |names: &mut HashMap<&'g str, &'g str>, x: &'g str, y: &'g str| match names.entry(x) {
                    Entry::Occupied(known) => *known.get() == y,
                    Entry::Vacant(new) => *new.insert(y) == y,
                };
                (offset, divisor) == (other_offset, other_divisor)
                    && named(&mut self.forth, x, y)
                    && named(&mut self.back, y, x)
            }
            (Dim::Unknown | Dim::Symbolic { .. } | Dim::Fixed(_), _) => false,
        }
    }

    fn same_shapes(&mut self, x: &'g Shape, y: &'g Shape) -> bool {
        x.rank() == y.rank() && x.dims().iter().zip(y.dims()).all(|(x, y)| self.same(x, y))
    }
}

/// How often each value may be looked at where a graph is compared in parts, on average.
const CUT_STEPS: usize = 8;

/// See the [module](self).
pub(super) struct Walk<'g> {
    a: Seen<'g>,
    b: Seen<'g>,
    classes: Classes,
    symbols: Symbols<'g>,
    /// The type that the reals of the second graph are to have, where it is one.
    float: Option<DType>,
    /// Values that are to be the same, not looked at yet.
    pending: Vec<(ValueId, ValueId)>,
    found: Pairing,
    cuts: Option<Cuts>,
}

/// Where what is made otherwise begins.
struct Cuts {
    /// For values of the second graph those of the first that are said to correspond.
    of_b: HashMap<ValueId, ValueId>,
    /// Pairs of values that were looked at.
    claimed: HashSet<(ValueId, ValueId)>,
    /// How often values may still be looked at, so that the work stays linear.
    left: usize,
}

impl<'g> Walk<'g> {
    pub(super) fn new(
        a: &'g Typed,
        b: &'g Typed,
        float: Option<DType>,
        corresponding: Option<&[(ValueId, ValueId)]>,
    ) -> Self {
        let values = a.graph().values().len() + b.graph().values().len();
        let cuts = corresponding.map(|pairs| Cuts {
            of_b: pairs.iter().map(|&(x, y)| (y, x)).collect(),
            claimed: HashSet::new(),
            left: values.saturating_mul(CUT_STEPS),
        });
        Self {
            a: Seen::new(a),
            b: Seen::new(b),
            classes: Classes { parents: (0..values).collect() },
            symbols: Symbols::default(),
            float,
            pending: Vec::new(),
            found: Pairing { operators: 0, edges: 0, tensors: Vec::new(), differences: Vec::new(), parts: Vec::new() },
            cuts,
        }
    }

    pub(super) fn run(mut self) -> Pairing {
        let (a, b) = (self.a.graph(), self.b.graph());
        if a.inputs().len() != b.inputs().len() || a.outputs().len() != b.outputs().len() {
            self.found.differences.push(Difference { a: None, b: None, unlike: Unlike::Interface });
            return self.found;
        }
        // All inputs, those that nothing reads, too: their free sizes and their order are the interface.
        for (&x, &y) in a.inputs().iter().zip(b.inputs()) {
            let (ValueKind::Input(p), ValueKind::Input(q)) = (&a.value(x).kind, &b.value(y).kind) else { continue };
            if self.written(p.dtype) != q.dtype {
                self.differ(x, y, Unlike::Input);
            } else if !self.symbols.same_shapes(&p.shape, &q.shape) {
                self.differ(x, y, Unlike::InputShape);
            }
        }
        self.pending = a.outputs().iter().copied().zip(b.outputs().iter().copied()).rev().collect();
        while let Some((x, y)) = self.pending.pop() {
            if self.is_new(x, y) {
                self.visit(x, y);
            }
        }
        self.found
    }

    /// Whether two values were not known yet to be the same if nothing is unlike.
    fn is_new(&mut self, x: ValueId, y: ValueId) -> bool {
        let of_a = self.a.graph().values().len();
        match &mut self.cuts {
            None => self.classes.join(x.index(), of_a + y.index()),
            // What is only run on some inputs is no equality that others follow from: each pair is a claim of its own.
            Some(cuts) => {
                let new = cuts.claimed.insert((x, y));
                if new && cuts.left.checked_sub(1).is_none() {
                    self.found.differences.push(Difference { a: Some(x), b: Some(y), unlike: Unlike::Operator });
                    return false;
                }
                cuts.left = cuts.left.saturating_sub(usize::from(new));
                new
            }
        }
    }

    fn differ(&mut self, x: ValueId, y: ValueId, unlike: Unlike) {
        if unlike == Unlike::Operator
            && self.a.graph().producer(x).is_some()
            && let Some(from) = self.cut(y)
        {
            self.pending.extend(from.iter().copied());
            self.found.parts.push(Part { a: x, b: y, from });
            return;
        }
        self.found.differences.push(Difference { a: Some(x), b: Some(y), unlike });
    }

    /// What the second graph makes a value of, as far as values correspond; nothing where that is not known, or was not asked.
    fn cut(&mut self, y: ValueId) -> Option<Vec<(ValueId, ValueId)>> {
        let cuts = self.cuts.as_mut()?;
        let (a, b) = (self.a.graph(), self.b.graph());
        let mut from = Vec::new();
        let mut seen = HashSet::from([y]);
        let mut open = vec![y];
        while let Some(value) = open.pop() {
            cuts.left = cuts.left.checked_sub(1)?;
            match &b.value(value).kind {
                ValueKind::Computed { .. } if value != y && cuts.of_b.contains_key(&value) => {
                    from.extend(cuts.of_b.get(&value).map(|&x| (x, value)));
                }
                ValueKind::Computed { node, .. } => {
                    open.extend(b.node(*node).inputs.iter().copied().filter(|input| seen.insert(*input)));
                }
                ValueKind::Input(_) => from.push((*a.inputs().get(self.b.place(value)?)?, value)),
                ValueKind::Parameter(_) => {}
            }
        }
        from.sort_unstable_by_key(|(_, y)| y.index());
        Some(from)
    }

    /// The type that what is of a type in the first graph has in the second.
    fn written(&self, dtype: DType) -> DType {
        self.float.filter(|_| dtype.is_float()).unwrap_or(dtype)
    }

    fn visit(&mut self, x: ValueId, y: ValueId) {
        if self.a.is_reshaped(x) || self.b.is_reshaped(y) {
            let shapes = self.a.model.shape_of(x).zip(self.b.model.shape_of(y));
            if !shapes.is_some_and(|(p, q)| self.symbols.same_shapes(p, q)) {
                return self.differ(x, y, Unlike::Operator);
            }
        }
        let (base_x, base_y) = (self.a.base(x), self.b.base(y));
        if (base_x, base_y) != (x, y) {
            return self.pending.push((base_x, base_y));
        }
        let (a, b) = (self.a.graph(), self.b.graph());
        match (&a.value(x).kind, &b.value(y).kind) {
            (ValueKind::Input(_), ValueKind::Input(_)) => {
                if self.a.place(x) != self.b.place(y) {
                    self.differ(x, y, Unlike::Operator);
                }
            }
            (ValueKind::Parameter(p), ValueKind::Parameter(q)) => self.visit_tensors((x, *p), (y, *q)),
            (ValueKind::Computed { node: p, index: i }, ValueKind::Computed { node: q, index: j }) => {
                let (p, q) = (a.node(*p), b.node(*q));
                if i != j || p.op.name() != q.op.name() || p.inputs.len() != q.inputs.len() {
                    return self.differ(x, y, Unlike::Operator);
                }
                let settled = [self.a.settled(p), self.b.settled(q)];
                if !same_attributes(&settled[0], &settled[1]) && !self.same_range((x, &p.op), (y, &q.op)) {
                    self.differ(x, y, Unlike::Attributes);
                }
                let mut operands: Vec<_> = p.inputs.iter().copied().zip(q.inputs.iter().copied()).collect();
                if let (true, Some(first)) = (commutes(&p.op), operands.first_chunk_mut::<2>()) {
                    self.exchange(first);
                }
                // What is computed and what is given are not made otherwise, they are other values.
                let is_computed = |graph: &Graph, value| graph.producer(value).is_some();
                let other = |&(x, y): &(ValueId, ValueId)| is_computed(a, x) != is_computed(b, y);
                if self.cuts.is_some() && operands.iter().any(other) {
                    return self.differ(x, y, Unlike::Operator);
                }
                self.found.operators += 1;
                self.found.edges += p.inputs.len();
                self.pending.extend(operands.into_iter().rev());
            }
            (ValueKind::Input(_) | ValueKind::Parameter(_) | ValueKind::Computed { .. }, _) => {
                self.differ(x, y, Unlike::Operator);
            }
        }
    }

    /// Whether two slices take the same elements: they start alike, and give as many.
    fn same_range(&mut self, (x, p): (ValueId, &Op), (y, q): (ValueId, &Op)) -> bool {
        let (Op::Slice { axis, start, step, .. }, Op::Slice { axis: other_axis, start: other, step: other_step, .. }) =
            (p, q)
        else {
            return false;
        };
        let shapes = self.a.model.shape_of(x).zip(self.b.model.shape_of(y));
        (axis, start, step) == (other_axis, other, other_step)
            && shapes.is_some_and(|(p, q)| self.symbols.same_shapes(p, q))
    }

    fn visit_tensors(&mut self, (x, p): (ValueId, ParameterId), (y, q): (ValueId, ParameterId)) {
        let (one, other) = (&self.a.graph().parameter(p).tensor, &self.b.graph().parameter(q).tensor);
        if self.written(one.dtype()) != other.dtype() || one.shape() != other.shape() {
            return self.differ(x, y, Unlike::Tensor);
        }
        self.found.tensors.push((p, q));
    }

    /// Pairs the operands of what commutes as they are more likely to belong together.
    fn exchange(&self, pairs: &mut [(ValueId, ValueId); 2]) {
        let [(x, y), (z, w)] = *pairs;
        let score = |x, y| self.a.hashes(x).score(self.b.hashes(y));
        if score(x, w) + score(z, y) > score(x, y) + score(z, w) {
            *pairs = [(x, w), (z, y)];
        }
    }
}

/// Whether two operators of one kind have the same attributes, real numbers bit for bit.
fn same_attributes(x: &Op, y: &Op) -> bool {
    let bits = |op: &Op| op.clone().reals_mut().into_iter().map(|(_, real)| real.to_bits()).collect::<Vec<_>>();
    x == y && bits(x) == bits(y)
}
