//! Chains that are computed in integers: numbers restored from 8 bits, one operator, rounded to 8 bits again.
//!
//! What such a chain means is a function of integers. Rounding is not continuous: a sum that is off by its last bit can
//! give the neighbouring integer, and a network makes more of it with each layer. So both engines compute these chains
//! the same way, from exact sums with the f32 arithmetic of ONNX Runtime's kernels for x86-64, and agree with each other
//! and with it to the last integer. Only in f32, sums beyond 2^24 are rounded.
//!
//! On x86-64, ONNX Runtime computes with signed integers only where it may make them unsigned: in operators of integers,
//! and between QuantizeLinear and DequantizeLinear where each value has one reader. Elsewhere it restores real numbers,
//! computes in f32 and rounds, and so do both engines then ([`super::f32_islands`]).
//!
//! A chain is a property of the graph: whether a value within it is asked for as well makes no difference to its result.

use pulp::Arch;
use residua_ir::{
    Activation, Checked, Conv, DType, Elementwise, GlobalPool, Granularity, Node, NodeId, Op, PoolKind, Tensor, ValueId,
};

use super::{read, tensor_of};
use crate::element::Element;
use crate::error::ExecError;
use crate::kernels::conv::SumOrder;
use crate::kernels::pack::pack;
use crate::kernels::quantise::{Pair, Rounding};
use crate::step::{IntegerChain, Weights};

/// A value that is restored from integers of 8 bits.
#[derive(Debug, Clone)]
pub(super) struct Restored {
    /// The integers.
    value: ValueId,
    scale: Vec<f32>,
    zero: Vec<f32>,
    axis: usize,
    /// Whether the integers may be negative.
    signed: bool,
}

/// The second factor of a product, where it is a tensor: `[O, I, KH, KW]` or `[O, I]`, with a scale an output.
#[derive(Debug, Clone)]
struct Weight {
    tensor: Tensor,
    name: String,
    scale: Vec<f32>,
    zero: Vec<f32>,
}

#[derive(Debug, Clone)]
enum Kind {
    Conv(Conv, Weight, Option<Vec<f64>>),
    Linear(Weight, Option<Vec<f64>>),
    MatMul,
    Pair(Function),
    Mean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Add,
    Mul,
}

/// See the [module](self).
#[derive(Debug, Clone)]
pub(super) struct Chain {
    kind: Kind,
    /// Operands that are not weights.
    restored: Vec<Restored>,
    scale: f32,
    rounding: Rounding,
    /// Whether signed integers are made unsigned.
    shifted: bool,
}

/// The chain that ends in a node, if one does.
pub(super) fn chain(model: &Checked, consumers: &[Vec<NodeId>], id: NodeId) -> Option<Chain> {
    let graph = model.graph();
    let node = graph.node(id);
    let Op::Quantize(quantize) = &node.op else { return None };
    let (lowest, highest) = quantize.dtype.integer_range().filter(|_| quantize.dtype.size() == 1)?;
    let [scale] = numbers(model, *node.inputs.get(1)?)?[..] else { return None };
    let zero = match node.inputs.get(2) {
        Some(&zero) => numbers(model, zero)?,
        None => vec![0.0],
    };
    let [zero] = zero[..] else { return None };
    let mut before = graph.node(graph.producer(node.inputs[0])?);
    let cut = before.op == Op::Activation(Activation::RELU);
    if cut {
        before = graph.node(graph.producer(before.inputs[0])?);
    }
    let (kind, restored) = kind(model, before)?;
    let signed = quantize.dtype == DType::I8 || restored.iter().any(|operand| operand.signed);
    if signed && before.layer != node.layer {
        let ends = restored.iter().map(|operand| operand.value).chain([node.output()]);
        if !ends.into_iter().all(|value| becomes_unsigned(model, consumers, value)) || cut {
            return None;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "integers of 8 bits")]
    let (low, high) = (lowest as f32 - zero, highest as f32 - zero);
    let rounding = Rounding { zero, low: if cut { low.max(0.0) } else { low }, high };
    Some(Chain { kind, restored, scale, rounding, shifted: signed && before.layer != node.layer })
}

/// Whether ONNX Runtime makes this value unsigned: one operator reads it, restored, and nothing else does.
fn becomes_unsigned(model: &Checked, consumers: &[Vec<NodeId>], value: ValueId) -> bool {
    let graph = model.graph();
    let quantized = graph.producer(value).is_some_and(|node| matches!(graph.node(node).op, Op::Quantize(_)));
    let [reader] = consumers[value.index()][..] else { return false };
    let restored = graph.node(reader).output();
    quantized
        && matches!(graph.node(reader).op, Op::Dequantize(_))
        && !graph.is_output(value)
        && consumers[restored.index()].len() + graph.outputs().iter().filter(|&&output| output == restored).count() == 1
}

fn kind(model: &Checked, node: &Node) -> Option<(Kind, Vec<Restored>)> {
    let whole = |index: usize| side(model, *node.inputs.get(index)?).filter(Restored::is_whole);
    let first = whole(0)?;
    let one = |kind: Kind, first: Restored| Some((kind, vec![first]));
    let op = &node.op;
    if let Op::Conv(conv) = op {
        let weight = weight(model, node.inputs[1], 0)?;
        let bias = bias(model, node, &first, &weight)?;
        one(Kind::Conv(*conv, weight, bias), first)
    } else if matches!(op, Op::Linear) {
        let weight = weight(model, node.inputs[1], 0)?;
        let bias = bias(model, node, &first, &weight)?;
        one(Kind::Linear(weight, bias), first)
    } else if matches!(op, Op::MatMul) {
        // A matrix that is a tensor is packed once, as the weight of a linear layer.
        if let Some(weight) = columns(model, node.inputs[1]) {
            return one(Kind::Linear(weight, None), first);
        }
        Some((Kind::MatMul, vec![first, whole(1)?]))
    } else if matches!(op, Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, .. })) {
        one(Kind::Mean, first)
    } else if matches!(op, Op::Elementwise(Elementwise::Add)) && node.inputs.len() == 2 {
        Some((Kind::Pair(Function::Add), vec![first, whole(1)?]))
    } else if matches!(op, Op::Elementwise(Elementwise::Mul)) && node.inputs.len() == 2 {
        Some((Kind::Pair(Function::Mul), vec![first, whole(1)?]))
    } else {
        None
    }
}

/// Elements of a parameter that are f32 or integers.
fn numbers(model: &Checked, id: ValueId) -> Option<Vec<f32>> {
    let (tensor, _) = tensor_of(model, id)?;
    let plain = tensor.dtype() == DType::F32 || !tensor.dtype().is_float();
    plain.then(|| tensor.to_f32().ok())?
}

impl Restored {
    fn is_whole(&self) -> bool {
        self.scale.len() == 1 && self.zero.len() == 1
    }
}

fn side(model: &Checked, id: ValueId) -> Option<Restored> {
    let graph = model.graph();
    let node = graph.node(graph.producer(id)?);
    let Op::Dequantize(Granularity { axis, block: None }) = node.op else { return None };
    let value = node.inputs[0];
    let dtype = model.type_of(value)?.dtype;
    let scale = numbers(model, *node.inputs.get(1)?)?;
    let zero = match node.inputs.get(2) {
        Some(&zero) => numbers(model, zero)?,
        None => vec![0.0],
    };
    let bytes = matches!(dtype, DType::U8 | DType::I8);
    bytes.then_some(Restored { value, scale, zero, axis, signed: dtype == DType::I8 })
}

/// A restored tensor whose scales, where there are several, lie along `axis`; behind a transpose along the other one.
fn weight(model: &Checked, id: ValueId, axis: usize) -> Option<Weight> {
    let graph = model.graph();
    let node = graph.node(graph.producer(id)?);
    let turned = matches!(&node.op, Op::Transpose { perm } if perm[..] == [1, 0]);
    let side = side(model, if turned { node.inputs[0] } else { id })?;
    let (tensor, name) = tensor_of(model, side.value)?;
    let fits = side.is_whole() || side.axis == if turned { 1 - axis } else { axis };
    let tensor = if turned { tensor.permute(&[1, 0]).ok()? } else { tensor.clone() };
    fits.then(|| Weight { tensor, name: name.to_owned(), scale: side.scale, zero: side.zero })
}

/// A matrix `[I, O]` as the weight of a linear layer.
fn columns(model: &Checked, id: ValueId) -> Option<Weight> {
    let rank = model.shape_of(id)?.rank();
    let weight = weight(model, id, 1).filter(|_| rank == 2)?;
    Some(Weight { tensor: weight.tensor.permute(&[1, 0]).ok()?, ..weight })
}

/// What is added to the sums, in integers; `None` where it cannot be, and `Some(None)` where nothing is.
fn bias(model: &Checked, node: &Node, x: &Restored, weight: &Weight) -> Option<Option<Vec<f64>>> {
    let Some(&id) = node.inputs.get(2) else { return Some(None) };
    let step = |index: usize| x.scale[0] * weight.scale[if weight.scale.len() == 1 { 0 } else { index }];
    // A bias that was left as it is has to be rounded to what sums are multiples of.
    if let Some((tensor, _)) = tensor_of(model, id) {
        let values = tensor.to_f64().ok()?.into_iter().enumerate();
        return Some(Some(values.map(|(i, value)| (value / f64::from(step(i))).round_ties_even()).collect()));
    }
    let graph = model.graph();
    let restored = graph.node(graph.producer(id)?);
    let Op::Dequantize(Granularity { block: None, .. }) = restored.op else { return None };
    let scale = numbers(model, *restored.inputs.get(1)?)?;
    let zero = restored.inputs.get(2).map_or(Some(vec![0.0]), |&zero| numbers(model, zero))?;
    let (tensor, _) = tensor_of(model, restored.inputs[0])?;
    let values = tensor.to_f64().ok()?;
    let same = |index: usize| {
        let (found, wanted) = (scale[if scale.len() == 1 { 0 } else { index }], step(index));
        (found - wanted).abs() <= 4.0 * f32::EPSILON * wanted.abs()
    };
    let fits = zero.iter().all(|&zero| zero == 0.0) && (0..values.len()).all(same);
    fits.then_some(Some(values))
}

impl Chain {
    /// The integers that it reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.restored.iter().map(|operand| operand.value)
    }

    /// Packs its weights.
    pub(super) fn pack<T: Element>(self, arch: Arch) -> Result<IntegerChain<T>, ExecError> {
        let Self { kind, restored, scale, rounding, shifted } = self;
        let zero = |index: usize| T::from_f64(f64::from(restored[index].zero[0]));
        let factors = |weight: &Weight| weight.scale.iter().map(|w| restored[0].scale[0] * w / scale).collect();
        Ok(match kind {
            Kind::Conv(conv, weight, bias) => IntegerChain::Conv {
                conv,
                factor: factors(&weight),
                weights: packed(&weight, bias, Some(conv.groups), arch)?,
                zero: zero(0),
                rounding,
            },
            Kind::Linear(weight, bias) => IntegerChain::Linear {
                factor: factors(&weight),
                weights: packed(&weight, bias, None, arch)?,
                zero: zero(0),
                rounding,
            },
            Kind::MatMul => IntegerChain::MatMul {
                zeros: [zero(0), zero(1)],
                factor: restored[0].scale[0] * restored[1].scale[0] / scale,
                rounding,
            },
            Kind::Pair(function) => {
                let [left, right] = [0, 1].map(|index| restored[index].scale[0]);
                let zeros = [0, 1].map(|index| restored[index].zero[0]);
                let (product, shift) = (function == Function::Mul, if shifted { 128.0 } else { 0.0 });
                IntegerChain::Pair(if product {
                    Pair::Mul { factor: left * right / scale, zeros, rounding }
                } else {
                    Pair::Add { ratios: [left / scale, right / scale], zeros, rounding, shift }
                })
            }
            Kind::Mean => IntegerChain::Mean { scales: [restored[0].scale[0], scale], zero: zero(0), rounding },
        })
    }
}

/// The integers of a weight less their zero points.
fn packed<T: Element>(
    weight: &Weight,
    bias: Option<Vec<f64>>,
    groups: Option<usize>,
    arch: Arch,
) -> Result<Weights<T>, ExecError> {
    let mut values: Vec<T> = read(&weight.tensor, &weight.name)?;
    let shape = weight.tensor.shape().to_vec();
    let output = shape[1..].iter().product::<usize>().max(1);
    for (index, values) in values.chunks_mut(output).enumerate() {
        let zero = weight.zero[if weight.zero.len() == 1 { 0 } else { index }];
        let zero = T::from_f64(f64::from(zero));
        values.iter_mut().for_each(|value| *value = *value - zero);
    }
    let packed = pack(&values, &shape, groups, SumOrder::PLAIN, arch);
    let bias = bias.map(|bias| bias.into_iter().map(T::from_f64).collect());
    Ok(Weights { shape, packed, order: SumOrder::PLAIN, factor: None, bias })
}
