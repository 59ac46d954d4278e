//! Steps with their weights: read, and packed for the kernels.
//!
//! A batch norm behind them becomes a factor and a bias an output, computed in f64 and rounded once; the weights stay
//! as they are in the file.

use pulp::Arch;
use residua_ir::{Checked, DType, IdentityReason, Node, NodeId, Op};

use super::fuse::Group;
use super::{Scene, tensor_of};
use crate::element::Element;
use crate::error::ExecError;
use crate::kernels::conv::SumOrder;
use crate::kernels::pack::pack;
use crate::options::Precision;
use crate::step::{Step, Weights, Work, integer};

/// What a batch norm does to each channel, in f64: `(x - mean) * factor + offset`.
struct Scale {
    mean: Vec<f64>,
    factor: Vec<f64>,
    offset: Vec<f64>,
}

impl Scale {
    fn read<T: Element>(scene: &Scene<'_, T>, node: &Node, epsilon: f64) -> Result<Option<Self>, ExecError> {
        let mut operands = Vec::new();
        for &id in &node.inputs[1..] {
            let Some(values) = scene.exact(id) else { return Ok(None) };
            operands.push(values?);
        }
        let Ok([scale, offset, mean, variance]) = <[Vec<f64>; 4]>::try_from(operands) else { return Ok(None) };
        let factor = scale.iter().zip(variance).map(|(scale, variance)| scale / (variance + epsilon).sqrt()).collect();
        Ok(Some(Self { mean, factor, offset }))
    }
}

/// Makes the step of a group.
pub(super) fn step<T: Element>(
    scene: &Scene<'_, T>,
    group: Group,
    precision: Precision,
    arch: Arch,
) -> Result<Step<T>, ExecError> {
    let node = scene.model.graph().node(group.head);
    let mut step = plain(scene.model, scene.consumers, node);
    if let Op::Conv(conv) = &node.op {
        step.work = Work::Conv { conv: *conv, weights: weights(scene, &group, Some(conv.groups), arch)? };
    } else if let Op::Linear = &node.op {
        step.work = Work::Linear { weights: weights(scene, &group, None, arch)? };
    } else if let (Op::BatchNorm(norm), Precision::F32) = (&node.op, precision)
        && let Some(Scale { mean, factor, offset }) = Scale::read(scene, node, norm.epsilon)?
    {
        let [mean, factor, offset] = [mean, factor, offset].map(|v| v.into_iter().map(T::from_f64).collect());
        step.work = Work::Scale { mean, factor, offset };
    }
    let Group { residual, activation, output, chain, .. } = group;
    if let Some(chain) = chain {
        step.operands = chain.reads().collect();
        step.work = Work::Integers(chain.pack(arch)?);
    }
    if let Work::Conv { weights: Some(_), .. } | Work::Linear { weights: Some(_) } | Work::Scale { .. } = step.work {
        step.operands.truncate(1);
    }
    Ok(Step { residual, activation, output, ..step })
}

/// The step of one node, with nothing prepared.
pub(super) fn plain<T>(model: &Checked, consumers: &[Vec<NodeId>], node: &Node) -> Step<T> {
    let work = if let Op::Conv(conv) = node.op {
        Work::Conv { conv, weights: None }
    } else if node.op == Op::Linear {
        Work::Linear { weights: None }
    } else if let Op::Cast { dtype } = node.op
        && integer(dtype).is_some()
        && !is_real(model, node)
    {
        // Between integers only the range changes.
        Work::Op(Op::Identity(IdentityReason::Linear))
    } else {
        Work::Op(node.op.clone())
    };
    let (name, operands, output) = (node.name.clone(), node.inputs.clone(), node.output());
    let dtype = model.type_of(output).map(|ty| ty.dtype);
    let integer = dtype.and_then(integer).filter(|_| !keeps_range(model, &consumers[output.index()], node));
    let truth = dtype == Some(DType::Bool);
    Step {
        name: name.into_raw(),
        work,
        operands,
        residual: None,
        activation: None,
        output,
        integer,
        truth,
        round: None,
    }
}

fn is_real(model: &Checked, node: &Node) -> bool {
    node.inputs.first().and_then(|&id| model.type_of(id)).is_none_or(|ty| ty.dtype.is_float())
}

/// Whether integers need not be looked at: they are in the range of their type by what makes them, or nothing reads
/// them but as real numbers, for which they are rounded anyway.
fn keeps_range(model: &Checked, readers: &[NodeId], node: &Node) -> bool {
    let graph = model.graph();
    let becomes_real = |reader: &NodeId| matches!(graph.node(*reader).op, Op::Cast { dtype } if dtype.is_float());
    matches!(node.op, Op::Quantize(_) | Op::DynamicRange(_))
        || matches!(node.op, Op::Cast { .. })
            && is_real(model, node)
            && !readers.is_empty()
            && readers.iter().all(becomes_real)
            && !graph.is_output(node.output())
}

/// Packed weights of a convolution of so many groups, or of a linear layer; [`None`] where they are computed.
fn weights<T: Element>(
    scene: &Scene<'_, T>,
    group: &Group,
    groups: Option<usize>,
    arch: Arch,
) -> Result<Option<Weights<T>>, ExecError> {
    let node = scene.model.graph().node(group.head);
    let shape = scene.model.shape_of(node.inputs[1]).and_then(|shape| shape.as_fixed());
    let Some(shape) = shape else { return Ok(None) };
    let order = groups.map_or(SumOrder::PLAIN, |groups| order(scene.model, node, &shape, groups));
    let packed = match scene.stored(node.inputs[1]) {
        Some(bytes) => pack(bytes, &shape, groups, order, arch),
        None => match scene.elements(node.inputs[1]) {
            Some(values) => pack(&values?, &shape, groups, order, arch),
            None => return Ok(None),
        },
    };
    if let Some((tensor, _)) = tensor_of(scene.model, node.inputs[1]) {
        tensor.let_go();
    }
    let own = match node.inputs.get(2).map(|&id| scene.exact(id)) {
        Some(None) => return Ok(None),
        Some(Some(values)) => Some(values?),
        None => None,
    };
    let scale = group.norm.map(|norm| folded(scene, norm)).transpose()?.flatten();
    let (factor, bias) = match scale {
        None => (None, own),
        Some(Scale { mean, factor, offset }) => {
            let own = |o: usize| own.as_ref().map_or(0.0, |bias| bias[o]);
            let bias = (0..mean.len()).map(|o| (own(o) - mean[o]) * factor[o] + offset[o]).collect();
            (Some(factor), Some(bias))
        }
    };
    let narrow = |values: Option<Vec<f64>>| values.map(|values| values.into_iter().map(T::from_f64).collect());
    Ok(Some(Weights { shape, packed, order, factor: narrow(factor), bias: narrow(bias) }))
}

fn folded<T: Element>(scene: &Scene<'_, T>, norm: NodeId) -> Result<Option<Scale>, ExecError> {
    let node = scene.model.graph().node(norm);
    let Op::BatchNorm(attributes) = &node.op else { return Ok(None) };
    Scale::read(scene, node, attributes.epsilon)
}

/// In which order a convolution sums products.
fn order(model: &Checked, node: &Node, weights: &[usize], groups: usize) -> SumOrder {
    let graph = model.graph();
    let is_restored = graph.producer(node.inputs[1]).is_some_and(|id| matches!(graph.node(id).op, Op::Dequantize(_)));
    if let Some(order) = SumOrder::of_blocked(weights, groups).filter(|_| !is_restored) {
        return order;
    }
    let depth = weights[1..].iter().product();
    let size = |axis: usize| model.shape_of(node.output())?.dims().get(axis)?.fixed();
    match (size(2), size(3)) {
        (Some(height), Some(width)) => SumOrder::of_product(depth, height.saturating_mul(width)),
        _ => SumOrder::PLAIN,
    }
}
