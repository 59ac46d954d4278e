//! Steps with their weights: read, and packed for the kernels.
//!
//! A batch norm behind them becomes a factor and a bias an output, computed in f64 and rounded once; the weights stay
//! as they are in the file.

use pulp::Arch;
use residua_ir::{Checked, IdentityReason, Node, NodeId, Op};

use super::fuse::Group;
use super::{Step, Weights, Work, integer, read, tensor_of};
use crate::element::Element;
use crate::error::ExecError;
use crate::executor::Precision;
use crate::kernels::panels::{pack_rows, pack_transposed};

/// What a batch norm does to each channel, in f64: `(x - mean) * factor + offset`.
struct Scale {
    mean: Vec<f64>,
    factor: Vec<f64>,
    offset: Vec<f64>,
}

impl Scale {
    fn read(model: &Checked, node: &Node, epsilon: f64) -> Result<Option<Self>, ExecError> {
        let mut operands = Vec::new();
        for &id in &node.inputs[1..] {
            let Some((tensor, name)) = tensor_of(model, id) else { return Ok(None) };
            operands.push(read::<f64>(tensor, name)?);
        }
        let Ok([scale, offset, mean, variance]) = <[Vec<f64>; 4]>::try_from(operands) else { return Ok(None) };
        let factor = scale.iter().zip(variance).map(|(scale, variance)| scale / (variance + epsilon).sqrt()).collect();
        Ok(Some(Self { mean, factor, offset }))
    }
}

/// Makes the step of a group.
pub(super) fn step<T: Element>(
    model: &Checked,
    group: Group,
    precision: Precision,
    arch: Arch,
) -> Result<Step<T>, ExecError> {
    let graph = model.graph();
    let node = graph.node(group.head);
    let mut operands = node.inputs.clone();
    let work = match &node.op {
        Op::Conv(conv) => Work::Conv { conv: *conv, weights: weights(model, &group, Some(conv.groups), arch)? },
        Op::Linear => Work::Linear { weights: weights(model, &group, None, arch)? },
        Op::BatchNorm(norm) if precision == Precision::F32 => match Scale::read(model, node, norm.epsilon)? {
            Some(scale) => {
                let [mean, factor, offset] =
                    [scale.mean, scale.factor, scale.offset].map(|v| v.into_iter().map(T::from_f64).collect());
                operands.truncate(1);
                Work::Scale { mean, factor, offset }
            }
            None => Work::Op(node.op.clone()),
        },
        // Between integers only the range changes.
        Op::Cast { dtype } if integer(*dtype).is_some() && !is_real(model, node) => {
            Work::Op(Op::Identity(IdentityReason::Linear))
        }
        Op::BatchNorm(_)
        | Op::GroupNorm(_)
        | Op::LayerNorm(_)
        | Op::Activation(_)
        | Op::PRelu
        | Op::Elementwise(_)
        | Op::MaxPool(_)
        | Op::AvgPool(_)
        | Op::GlobalPool(_)
        | Op::Reduce(_)
        | Op::Pad(_)
        | Op::PadAxes(_)
        | Op::ConvTranspose(_)
        | Op::Lrn(_)
        | Op::Compare(_)
        | Op::Is(_)
        | Op::Where
        | Op::LpPool(_)
        | Op::ArgExtremum(_)
        | Op::TopK(_)
        | Op::Resize(_)
        | Op::Gather { .. }
        | Op::GatherElements { .. }
        | Op::GatherNd { .. }
        | Op::Expand { .. }
        | Op::Tile { .. }
        | Op::Sizes { .. }
        | Op::LogSoftmax { .. }
        | Op::Hardmax { .. }
        | Op::MatMul
        | Op::Concat { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Transpose { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Slice { .. }
        | Op::Softmax { .. }
        | Op::Identity(_)
        | Op::Cast { .. }
        | Op::Opaque(_) => Work::Op(node.op.clone()),
    };
    if let Work::Conv { weights: Some(_), .. } | Work::Linear { weights: Some(_) } = work {
        operands.truncate(1);
    }
    let Group { residual, activation, output, .. } = group;
    let integer = model.type_of(output).and_then(|ty| integer(ty.dtype));
    Ok(Step { name: node.name.clone(), work, operands, residual, activation, output, integer })
}

fn is_real(model: &Checked, node: &Node) -> bool {
    node.inputs.first().and_then(|&id| model.type_of(id)).is_none_or(|ty| ty.dtype.is_float())
}

/// Packed weights of a convolution of so many groups, or of a linear layer; [`None`] where they are computed.
fn weights<T: Element>(
    model: &Checked,
    group: &Group,
    groups: Option<usize>,
    arch: Arch,
) -> Result<Option<Weights<T>>, ExecError> {
    let node = model.graph().node(group.head);
    let Some((tensor, name)) = tensor_of(model, node.inputs[1]) else { return Ok(None) };
    let bias = match node.inputs.get(2).map(|&id| tensor_of(model, id)) {
        Some(None) => return Ok(None),
        Some(Some((tensor, name))) => Some((tensor, name)),
        None => None,
    };
    let scale = group.norm.map(|norm| folded(model, norm)).transpose()?.flatten();
    let values: Vec<T> = read(tensor, name)?;
    let shape = tensor.shape().to_vec();
    let packed = pack(values, &shape, groups, arch);
    let own = bias.map(|(tensor, name)| read::<f64>(tensor, name)).transpose()?;
    let (factor, bias) = match scale {
        None => (None, own),
        Some(Scale { mean, factor, offset }) => {
            let own = |o: usize| own.as_ref().map_or(0.0, |bias| bias[o]);
            let bias = (0..mean.len()).map(|o| (own(o) - mean[o]) * factor[o] + offset[o]).collect();
            (Some(factor), Some(bias))
        }
    };
    let narrow = |values: Option<Vec<f64>>| values.map(|values| values.into_iter().map(T::from_f64).collect());
    Ok(Some(Weights { shape, packed, factor: narrow(factor), bias: narrow(bias) }))
}

fn folded(model: &Checked, norm: NodeId) -> Result<Option<Scale>, ExecError> {
    let node = model.graph().node(norm);
    let Op::BatchNorm(attributes) = &node.op else { return Ok(None) };
    Scale::read(model, node, attributes.epsilon)
}

/// Packs row-major weights: of a convolution, filters group by group (depthwise ones stay as they are); of a linear
/// layer, as columns.
pub(crate) fn pack<T: Element>(values: Vec<T>, shape: &[usize], groups: Option<usize>, arch: Arch) -> Vec<T> {
    let tile = T::tile_shape(arch);
    let (outputs, depth) = (shape[0], shape[1..].iter().product::<usize>());
    let Some(groups) = groups else { return pack_transposed(&values, depth, tile) };
    if is_depthwise(shape, groups) || values.is_empty() {
        return values;
    }
    let mut packed = vec![T::default(); values.len()];
    let group = outputs / groups * depth;
    for (packed, values) in packed.chunks_mut(group).zip(values.chunks(group)) {
        pack_rows(values, depth, tile, packed);
    }
    packed
}

/// Whether filters of this shape slide over one channel each.
pub(crate) fn is_depthwise(shape: &[usize], groups: usize) -> bool {
    groups > 1 && shape[1] == 1
}
