//! Images whose channels come last, between transposes, as TensorFlow's exporters leave them: channels first
//! throughout, and the transposes gone.
//!
//! Every value is followed with the order in which it is held: axis `i` of the value as it was is axis `perm[i]` of what
//! stands for it. A transpose changes the order alone, arithmetic on single elements goes on in it, whatever names an
//! axis names another one, constants are seen otherwise, and what needs its own order (a convolution) gets it by a transpose.
//! So transposes move towards outputs until they meet their inverse. The order that a value ends in is its
//! [`SourceOrder`]: inputs, outputs and every value between are shown to users as before.
//!
//! Nothing is done unless transposes become fewer.

use std::collections::{BTreeMap, BTreeSet};

use super::matching::Matcher;
use super::{Change, Form, Found};
use crate::graph::{InputType, Node, NodeId, Parameter, SourceOrder, ValueId, ValueKind};
use crate::op::{Conv, Op, Pad, PadAxes, Pads, Reduce, ReshapeDim};
use crate::rewrite::RewriteError;
use crate::rewrite::edit::{Edits, Expr};
use crate::shape::{Dim, Shape};
use crate::tensor::{Tensor, TensorError};

pub(super) const PASS: Form =
    Form { name: "channels-first", what: "moved channels before rows and columns, and took transposes out", find };

/// The order of an image whose channels come last, held with its channels first.
const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];

/// Plans that are tried with more and more values in their own order.
const TRIES: usize = 4;

fn find(m: &Matcher<'_>, edits: &mut Edits<'_>) -> Result<Found, RewriteError> {
    let mut found = Found::default();
    let before = m.nodes().filter(|(_, node)| matches!(node.op, Op::Transpose { .. })).count();
    if before == 0 {
        return Ok(found);
    }
    let mut best: Option<Plan<'_, '_>> = None;
    for inputs in [false, true] {
        let plan = Plan::best(m, inputs)?;
        if best.as_ref().is_none_or(|best| plan.transposes < best.transposes) {
            best = Some(plan);
        }
    }
    let Some(plan) = best.filter(|plan| plan.transposes < before) else { return Ok(found) };
    for (id, node) in m.nodes().filter(|(_, node)| matches!(node.op, Op::Transpose { .. })) {
        if matches!(plan.instead.get(&id), Some(Expr::Old(_))) {
            found.nodes.push(node.name.raw().to_owned());
        }
    }
    if plan.rounds {
        found.change = Change::Rounding;
    }
    plan.write(edits);
    Ok(found)
}

/// How what stands for a value lies.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    /// Axis `i` of the value is axis `perm[i]` of what stands for it.
    Axes(Vec<usize>),
    /// The value is `[N, H·W·C]`, what stands for it `[N, C·H·W]`.
    Flattened([usize; 3]),
}

fn identity(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

fn is_identity(perm: &[usize]) -> bool {
    perm.iter().enumerate().all(|(axis, &from)| axis == from)
}

fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    for (to, &from) in perm.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}

/// A way to write the graph.
struct Plan<'p, 'm> {
    m: &'p Matcher<'m>,
    held: Vec<Held>,
    instead: BTreeMap<NodeId, Expr>,
    inputs: BTreeMap<ValueId, InputType>,
    /// Transposes that it needs.
    transposes: usize,
    /// Whether sums are taken in another order somewhere.
    rounds: bool,
    /// How often a value was brought back to its own order for a reader.
    restored: BTreeMap<ValueId, usize>,
    /// Values that are to be in their own order from the start.
    own: BTreeSet<ValueId>,
}

impl<'p, 'm> Plan<'p, 'm> {
    /// The plan for this graph; with `inputs`, images are given with their channels first.
    fn best(m: &'p Matcher<'m>, inputs: bool) -> Result<Self, RewriteError> {
        let mut own = BTreeSet::new();
        let mut plan = Self::new(m, inputs, BTreeSet::new())?;
        for _ in 1..TRIES {
            let often: Vec<ValueId> = plan.restored.iter().filter(|(_, count)| **count > 1).map(|(v, _)| *v).collect();
            if often.is_empty() {
                break;
            }
            own.extend(often);
            let next = Self::new(m, inputs, own.clone())?;
            if next.transposes >= plan.transposes {
                break;
            }
            plan = next;
        }
        Ok(plan)
    }

    fn new(m: &'p Matcher<'m>, inputs: bool, own: BTreeSet<ValueId>) -> Result<Self, RewriteError> {
        let held = m.graph.value_ids().map(|value| Held::Axes(identity(m.rank(value).unwrap_or(0)))).collect();
        let mut plan = Self {
            m,
            held,
            instead: BTreeMap::new(),
            inputs: BTreeMap::new(),
            transposes: 0,
            rounds: false,
            restored: BTreeMap::new(),
            own,
        };
        if inputs {
            plan.turn_inputs();
        }
        for (id, node) in m.nodes() {
            plan.visit(id, node)?;
        }
        Ok(plan)
    }

    fn turn_inputs(&mut self) {
        for &input in self.m.graph.inputs() {
            let value = self.m.graph.value(input);
            let ValueKind::Input(ty) = &value.kind else { continue };
            if ty.shape.rank() == 4 && value.order == SourceOrder::Same {
                let shape = inverse(&CHANNELS_LAST).iter().map(|&axis| ty.shape.dims()[axis].clone()).collect();
                self.inputs.insert(input, InputType { dtype: ty.dtype, shape: Shape::new(shape) });
                self.held[input.index()] = Held::Axes(CHANNELS_LAST.to_vec());
            }
        }
    }

    fn perm(&self, value: ValueId) -> Option<&[usize]> {
        match &self.held[value.index()] {
            Held::Axes(perm) => Some(perm),
            Held::Flattened(_) => None,
        }
    }

    fn is_own(&self, value: ValueId) -> bool {
        self.perm(value).is_some_and(is_identity)
    }

    /// Puts what computes a value in the place of its node, held like this.
    fn put(&mut self, id: NodeId, node: &Node, expr: Expr, held: Held) {
        let output = node.output();
        let expr = match &held {
            Held::Axes(perm) if self.own.contains(&output) && !is_identity(perm) => {
                self.transposes += 1;
                Expr::made(Op::Transpose { perm: perm.clone() }, vec![expr])
            }
            Held::Axes(_) | Held::Flattened(_) => {
                self.held[output.index()] = held;
                expr
            }
        };
        self.instead.insert(id, expr);
    }

    fn visit(&mut self, id: NodeId, node: &Node) -> Result<(), RewriteError> {
        let Op::Transpose { perm } = &node.op else {
            if node.inputs.iter().all(|&input| self.is_own(input)) {
                return Ok(());
            }
            return match self.moved(node)? {
                Some((expr, held)) => {
                    self.put(id, node, expr, held);
                    Ok(())
                }
                None => {
                    self.restore(id, node);
                    Ok(())
                }
            };
        };
        let Some(&x) = node.inputs.first() else { return Ok(()) };
        match self.perm(x) {
            // Behind an operator that is not known no axis is.
            Some(before) if self.m.rank(x) == Some(perm.len()) && self.m.parameter(x).is_none() => {
                let after = perm.iter().map(|&axis| before[axis]).collect();
                self.put(id, node, x.into(), Held::Axes(after));
            }
            Some(_) => self.transposes += 1,
            None => self.restore(id, node),
        }
        Ok(())
    }

    /// The node as it is, its operands in their own order.
    fn restore(&mut self, id: NodeId, node: &Node) {
        self.transposes += usize::from(matches!(node.op, Op::Transpose { .. }));
        if node.outputs.len() != 1 {
            // It is copied as it is: what it reads has to be in its own order from the start.
            for &input in &node.inputs {
                if !self.is_own(input) {
                    *self.restored.entry(input).or_default() += 2;
                    self.transposes += 1 << 16;
                }
            }
            return;
        }
        let operands = node.inputs.iter().map(|&input| self.in_own_order(input)).collect();
        self.put(id, node, Expr::made(node.op.clone(), operands), Held::Axes(identity(self.rank(node.output()))));
    }

    fn rank(&self, value: ValueId) -> usize {
        self.m.rank(value).unwrap_or(0)
    }

    fn in_own_order(&mut self, value: ValueId) -> Expr {
        match self.held[value.index()].clone() {
            Held::Axes(perm) if is_identity(&perm) => value.into(),
            Held::Axes(perm) => self.turned(value, perm),
            Held::Flattened([channels, height, width]) => {
                self.transposes += 1;
                let split = [channels, height, width].map(ReshapeDim::Fixed);
                let split = Op::Reshape { shape: [vec![ReshapeDim::Copy(0)], split.to_vec()].concat() };
                let split = Expr::step("split", split, vec![value.into()]);
                let turned = Expr::step("turned", Op::Transpose { perm: CHANNELS_LAST.to_vec() }, vec![split]);
                Expr::step("flattened", Op::Flatten { axis: 1 }, vec![turned])
            }
        }
    }

    /// A value with the axes of what stands for it reordered; where only axes of size 1 move, without moving anything.
    fn turned(&mut self, value: ValueId, perm: Vec<usize>) -> Expr {
        if is_identity(&perm) {
            return value.into();
        }
        if let Some(shape) = self.without_moving(value, &perm) {
            return Expr::step("reshaped", Op::Reshape { shape }, vec![value.into()]);
        }
        self.transposes += 1;
        *self.restored.entry(value).or_default() += 1;
        Expr::step("turned", Op::Transpose { perm }, vec![value.into()])
    }

    /// Sizes of what stands for a value.
    fn sizes(&self, value: ValueId) -> Option<Vec<Dim>> {
        let perm = self.perm(value)?;
        let dims = self.m.shape(value)?.dims();
        Some(inverse(perm).iter().map(|&axis| dims[axis].clone()).collect())
    }

    /// The shape that a permutation gives, where it leaves the elements where they are.
    fn without_moving(&self, value: ValueId, perm: &[usize]) -> Option<Vec<ReshapeDim>> {
        let sizes = self.sizes(value)?;
        let large: Vec<usize> = perm.iter().copied().filter(|&axis| sizes[axis] != Dim::Fixed(1)).collect();
        if !large.is_sorted() {
            return None;
        }
        let target: Vec<Dim> = perm.iter().map(|&axis| sizes[axis].clone()).collect();
        reshape_to(&target, &sizes)
    }

    /// What stands for an operand, or a tensor, with its axes as `perm` says for the result.
    fn operand(&mut self, value: ValueId, perm: &[usize]) -> Result<Option<Expr>, RewriteError> {
        if let Some(parameter) = self.m.parameter(value) {
            return Ok(constant(parameter, perm)?);
        }
        let Some(own) = self.perm(value).map(<[usize]>::to_vec).filter(|own| own.len() == perm.len()) else {
            return Ok(None);
        };
        Ok(Some(self.turned(value, inverse(perm).iter().map(|&axis| own[axis]).collect())))
    }

    /// The node on operands as they are held; `None` where it needs them in their own order.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not known here is given in its own order")]
    fn moved(&mut self, node: &Node) -> Result<Option<(Expr, Held)>, RewriteError> {
        let output = node.output();
        if node.outputs.len() != 1 || node.inputs.is_empty() {
            return Ok(None);
        }
        let x = node.inputs[0];
        if let Held::Flattened(sizes) = self.held[x.index()] {
            return self.flattened(node, sizes);
        }
        let perm = self.perm(x).unwrap_or_default().to_vec();
        let op = &node.op;
        let at = |axis: usize| perm.get(axis).copied();
        let axes = |axes: &[usize]| {
            let mut moved: Vec<usize> = axes.iter().filter_map(|&axis| perm.get(axis).copied()).collect();
            moved.sort_unstable();
            moved
        };
        Ok(match op {
            Op::Activation(_) | Op::Identity(_) | Op::Cast { .. } | Op::Is(_) => {
                Some((Expr::made(op.clone(), vec![x.into()]), Held::Axes(perm)))
            }
            Op::Elementwise(_) | Op::PRelu | Op::Concat { .. } | Op::Compare(_) | Op::Where => self.joined(node)?,
            Op::Softmax { axis } => {
                at(*axis).map(|axis| (Expr::made(Op::Softmax { axis }, vec![x.into()]), Held::Axes(perm.clone())))
            }
            Op::LogSoftmax { axis } => {
                at(*axis).map(|axis| (Expr::made(Op::LogSoftmax { axis }, vec![x.into()]), Held::Axes(perm.clone())))
            }
            Op::PadAxes(pad) => {
                let amounts = inverse(&perm).iter().filter_map(|&axis| pad.amounts.get(axis).copied()).collect();
                let moved = PadAxes { amounts, border: pad.border };
                Some((Expr::made(Op::PadAxes(moved), vec![x.into()]), Held::Axes(perm)))
            }
            Op::Slice { axis, start, end, step } if node.inputs.len() == 1 => at(*axis).map(|axis| {
                let moved = Op::Slice { axis, start: start.clone(), end: end.clone(), step: *step };
                (Expr::made(moved, vec![x.into()]), Held::Axes(perm.clone()))
            }),
            Op::Reduce(reduce) => {
                let moved = reduce.axes.iter().filter_map(|axis| perm.get(*axis));
                self.rounds |= !axes(&reduce.axes).iter().eq(moved);
                let moved = Reduce { axes: axes(&reduce.axes), ..reduce.clone() };
                let after = if reduce.keep_dims { perm.clone() } else { without(&perm, &reduce.axes) };
                Some((Expr::made(Op::Reduce(moved), vec![x.into()]), Held::Axes(after)))
            }
            Op::Squeeze { axes: gone } => {
                let moved = Op::Squeeze { axes: axes(gone) };
                Some((Expr::made(moved, vec![x.into()]), Held::Axes(without(&perm, gone))))
            }
            Op::Pad(pad) => {
                pad_moved(pad, &perm).map(|pad| (Expr::made(Op::Pad(pad), vec![x.into()]), Held::Axes(perm.clone())))
            }
            Op::Linear => self.pixelwise(node, &perm)?,
            Op::Flatten { .. } | Op::Reshape { .. } => self.reshaped(node, output),
            _ => None,
        })
    }

    /// Arithmetic on several values: in the order that the first one is held in which is not in its own.
    fn joined(&mut self, node: &Node) -> Result<Option<(Expr, Held)>, RewriteError> {
        let rank = self.rank(node.output());
        let turned = node
            .inputs
            .iter()
            .find(|&&input| self.m.parameter(input).is_none() && !self.is_own(input) && self.rank(input) == rank);
        let Some(perm) = turned.and_then(|&input| self.perm(input)).map(<[usize]>::to_vec) else { return Ok(None) };
        let before = (self.transposes, self.restored.clone());
        let mut operands = Vec::new();
        for &input in &node.inputs {
            match self.operand(input, &perm)? {
                Some(operand) => operands.push(operand),
                None => {
                    (self.transposes, self.restored) = before;
                    return Ok(None);
                }
            }
        }
        let op = match (&node.op, &perm) {
            (Op::Concat { axis }, perm) => match perm.get(*axis) {
                Some(&axis) => Op::Concat { axis },
                None => return Ok(None),
            },
            (op, _) => op.clone(),
        };
        Ok(Some((Expr::made(op, operands), Held::Axes(perm))))
    }

    /// A matrix product over the channels of every pixel: a convolution with one tap.
    fn pixelwise(&mut self, node: &Node, perm: &[usize]) -> Result<Option<(Expr, Held)>, RewriteError> {
        let Some(weight) = self.m.parameter(node.inputs[1]).filter(|_| *perm == CHANNELS_LAST) else {
            return Ok(None);
        };
        let &[outputs, inputs] = weight.tensor.shape() else { return Ok(None) };
        let kernel = Parameter { tensor: weight.tensor.reshape(&[outputs, inputs, 1, 1])?, ..weight.clone() };
        let mut operands = vec![node.inputs[0].into(), kernel.into()];
        for &bias in &node.inputs[2..] {
            if self.m.parameter(bias).is_none() {
                return Ok(None);
            }
            operands.push(bias.into());
        }
        self.rounds = true;
        Ok(Some((Expr::made(Op::Conv(Conv::default()), operands), Held::Axes(perm.to_vec()))))
    }

    /// A reshape of a value whose elements lie in their own order, or one that flattens an image for a matrix product.
    fn reshaped(&mut self, node: &Node, output: ValueId) -> Option<(Expr, Held)> {
        let x = node.inputs[0];
        let target = self.m.shape(output)?.dims();
        let sizes = self.sizes(x)?;
        let perm = self.perm(x)?;
        let large: Vec<usize> = perm.iter().copied().filter(|&axis| sizes[axis] != Dim::Fixed(1)).collect();
        if large.is_sorted() {
            let shape = reshape_to(target, &sizes)?;
            return Some((Expr::made(Op::Reshape { shape }, vec![x.into()]), Held::Axes(identity(target.len()))));
        }
        let [batch, channels, height, width] = &sizes[..] else { return None };
        let image = [channels.fixed()?, height.fixed()?, width.fixed()?];
        let features = image.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
        let flattens = *perm == CHANNELS_LAST
            && target.len() == 2
            && target[0].is_equal(batch)
            && target[1].fixed() == features
            && self.ends_in_products(output);
        flattens.then(|| (Expr::made(Op::Flatten { axis: 1 }, vec![x.into()]), Held::Flattened(image)))
    }

    /// Whether only matrix products read a value, through what treats every element alike.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else reads it needs it in its own order")]
    fn ends_in_products(&self, value: ValueId) -> bool {
        let mut pending = vec![value];
        while let Some(value) = pending.pop() {
            if self.m.graph.is_output(value) {
                return false;
            }
            for &reader in self.m.readers(value) {
                let node = self.m.graph.node(reader);
                match &node.op {
                    Op::Activation(_) | Op::Identity(_) => pending.push(node.output()),
                    Op::Linear if node.inputs[0] == value && self.m.parameter(node.inputs[1]).is_some() => {}
                    _ => return false,
                }
            }
        }
        true
    }

    /// What reads a flattened image.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not known here is given in its own order")]
    fn flattened(&mut self, node: &Node, sizes: [usize; 3]) -> Result<Option<(Expr, Held)>, RewriteError> {
        let x = node.inputs[0];
        Ok(match &node.op {
            Op::Activation(_) | Op::Identity(_) => {
                Some((Expr::made(node.op.clone(), vec![x.into()]), Held::Flattened(sizes)))
            }
            Op::Linear => {
                let Some(weight) = self.m.parameter(node.inputs[1]) else { return Ok(None) };
                let tensor = weight_of_flattened(&weight.tensor, sizes)?;
                let mut operands = vec![x.into(), Parameter { tensor, ..weight.clone() }.into()];
                operands.extend(node.inputs[2..].iter().map(|&bias| Expr::Old(bias)));
                self.rounds = true;
                let rank = self.rank(node.output());
                Some((Expr::made(Op::Linear, operands), Held::Axes(identity(rank))))
            }
            _ => None,
        })
    }

    fn write(self, edits: &mut Edits<'_>) {
        let graph = self.m.graph;
        for value in graph.value_ids() {
            let order = match &self.held[value.index()] {
                Held::Axes(perm) if is_identity(perm) => continue,
                Held::Axes(perm) => match &graph.value(value).order {
                    SourceOrder::Permuted(source) if source.len() == perm.len() => {
                        SourceOrder::Permuted(source.iter().map(|&axis| perm[axis]).collect())
                    }
                    SourceOrder::Permuted(_) | SourceOrder::Same | SourceOrder::FlattenedChannelsLast { .. } => {
                        SourceOrder::Permuted(perm.clone())
                    }
                },
                &Held::Flattened([channels, height, width]) => {
                    SourceOrder::FlattenedChannelsLast { channels, height, width }
                }
            };
            edits.order(value, order);
        }
        for (input, ty) in self.inputs {
            edits.input(input, ty);
        }
        for (node, expr) in self.instead {
            edits.replace(node, expr);
        }
    }
}

/// How what is left lies once these axes of a value are gone.
fn without(perm: &[usize], gone: &[usize]) -> Vec<usize> {
    let left: Vec<usize> =
        perm.iter().enumerate().filter(|(axis, _)| !gone.contains(axis)).map(|(_, &held)| held).collect();
    left.iter().map(|held| left.iter().filter(|other| *other < held).count()).collect()
}

/// The amounts of all but the batch, on other axes.
fn pad_moved(pad: &Pad, perm: &[usize]) -> Option<Pad> {
    let &[0, ..] = perm else { return None };
    let Pads { top, left, bottom, right } = pad.pads;
    let was = [[0, 0], pad.channels, [top, bottom], [left, right]];
    let mut now = [[0, 0]; 4];
    for (axis, amounts) in was.into_iter().enumerate() {
        *now.get_mut(*perm.get(axis)?)? = amounts;
    }
    let [_, channels, [top, bottom], [left, right]] = now;
    Some(Pad { pads: Pads { top, left, bottom, right }, channels, value: pad.value })
}

/// A target of so many elements as `from` has, at most one of its sizes to be inferred.
fn reshape_to(target: &[Dim], from: &[Dim]) -> Option<Vec<ReshapeDim>> {
    let mut open = 0;
    let shape: Vec<ReshapeDim> = target
        .iter()
        .enumerate()
        .map(|(axis, dim)| match dim.fixed() {
            Some(size) => ReshapeDim::Fixed(size),
            None if from.get(axis).is_some_and(|other| other.is_equal(dim)) => ReshapeDim::Copy(axis),
            None => {
                open += 1;
                ReshapeDim::Infer
            }
        })
        .collect();
    (open <= 1).then_some(shape)
}

/// A constant operand beside a value that is held in this order.
fn constant(parameter: &Parameter, perm: &[usize]) -> Result<Option<Expr>, TensorError> {
    let tensor = &parameter.tensor;
    if tensor.len() == 1 && tensor.shape().len() <= perm.len() {
        return Ok(Some(Expr::from(parameter.clone())));
    }
    let Some(lacking) = perm.len().checked_sub(tensor.shape().len()) else { return Ok(None) };
    let shape: Vec<usize> = std::iter::repeat_n(1, lacking).chain(tensor.shape().iter().copied()).collect();
    let tensor = tensor.reshape(&shape)?.permute(&inverse(perm))?;
    Ok(Some(Parameter { tensor, ..parameter.clone() }.into()))
}

/// `[O, H·W·C]` as `[O, C·H·W]`.
fn weight_of_flattened(weight: &Tensor, [channels, height, width]: [usize; 3]) -> Result<Tensor, TensorError> {
    let outputs = weight.shape().first().copied().unwrap_or(0);
    weight
        .reshape(&[outputs, height, width, channels])?
        .permute(&[0, 3, 1, 2])?
        .reshape(&[outputs, channels * height * width])
}
