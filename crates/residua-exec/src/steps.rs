//! Steps: from what a step of the plan says to the kernels that compute it.

use std::sync::Arc;

use residua_ir::shape::window::{Window, resolve};
use residua_ir::{Conv, DType, Op, Padding, ValueId};

use crate::array::permute_into;
use crate::element::Element;
use crate::engine::Run;
use crate::error::ExecError;
use crate::kernels::conv::{Epilogue, conv};
use crate::kernels::depthwise::depthwise;
use crate::kernels::image::Geometry;
use crate::kernels::norm::{self, Statistics};
use crate::kernels::panels::pack_columns;
use crate::kernels::pool::{self, Axis};
use crate::kernels::{activation, combine, map_in_place, matmul, moves, reduce};
use crate::plan::weights::{is_depthwise, pack};
use crate::plan::{Step, Weights, Work};

type Values<T> = Arc<Vec<T>>;

/// Runs one step. Operands among `dead` are not read again.
pub(crate) fn run<T: Element>(run: &mut Run<'_, T>, step: &Step<T>, dead: &[ValueId]) -> Result<Values<T>, ExecError> {
    match &step.work {
        Work::Conv { conv, weights: Some(weights) } => run_conv(run, step, conv, weights),
        Work::Conv { conv, weights: None } => {
            let weights = computed_weights(run, step, Some(conv.groups));
            run_conv(run, step, conv, &weights)
        }
        Work::Linear { weights: Some(weights) } => run_linear(run, step, weights),
        Work::Linear { weights: None } => {
            let weights = computed_weights(run, step, None);
            run_linear(run, step, &weights)
        }
        Work::Scale { mean, factor, offset } => {
            let mut values = run.take(step.operands[0], dead);
            let plane = run.shape(step.output).iter().skip(2).product();
            norm::centre_and_scale(run.arch, &mut values, [mean, factor, offset], plane, step.activation);
            Ok(Arc::new(values))
        }
        Work::Op(op) => Ok(run_op(run, op, step, dead)),
    }
}

/// Elements that a step needs besides its result; [`None`] where the number overflows.
pub(crate) fn scratch<T>(step: &Step<T>, shapes: &[Vec<usize>]) -> Option<usize> {
    match &step.work {
        Work::Conv { conv, weights } => {
            let kernel = match weights {
                Some(weights) => &weights.shape,
                None => &shapes[step.operands[1].index()],
            };
            geometry(conv, &shapes[step.operands[0].index()], kernel, &shapes[step.output.index()])?.prepared_len()
        }
        Work::Linear { .. } | Work::Scale { .. } => Some(0),
        Work::Op(_) => Some(0),
    }
}

fn geometry(conv: &Conv, x: &[usize], kernel: &[usize], out: &[usize]) -> Option<Geometry> {
    let (&[batch, channels, height, width], &[filters, _, kh, kw], &[_, _, oh, ow]) = (x, kernel, out) else {
        return None;
    };
    let windows = [0, 1].map(|i| Window { kernel: [kh, kw][i], stride: conv.strides[i], dilation: conv.dilations[i] });
    let pads = resolve(conv.padding, height, width, windows)?;
    Some(Geometry {
        batch,
        channels,
        size: [height, width],
        filters,
        output: [oh, ow],
        kernel: [kh, kw],
        strides: conv.strides,
        dilations: conv.dilations,
        before: [pads.top, pads.left],
        groups: conv.groups,
    })
}

/// Weights that another node computes, packed for this run only.
fn computed_weights<T: Element>(run: &Run<'_, T>, step: &Step<T>, groups: Option<usize>) -> Weights<T> {
    let kernel = step.operands[1];
    let shape = run.shape(kernel).to_vec();
    let packed = pack(run.values(kernel).to_vec(), &shape, groups, run.arch);
    Weights { shape, packed, factor: None, bias: step.operands.get(2).map(|&id| run.values(id).to_vec()) }
}

fn epilogue<'a, T: Element>(
    run: &'a Run<'_, T>,
    step: &Step<T>,
    weights: &'a Weights<T>,
) -> Result<Epilogue<'a, T>, ExecError> {
    if let Some(id) = step.residual
        && run.shape(id) != run.shape(step.output)
    {
        let operands = format!("{:?}, {:?}", run.shape(step.output), run.shape(id));
        let reason = "sums in a fused step need operands of one shape".to_owned();
        return Err(ExecError::Node { node: step.name.clone(), op: "Add".to_owned(), operands, reason });
    }
    Ok(Epilogue {
        factor: weights.factor.as_deref(),
        bias: weights.bias.as_deref(),
        residual: step.residual.map(|id| run.values(id)),
        activation: step.activation,
    })
}

fn run_conv<T: Element>(
    run: &mut Run<'_, T>,
    step: &Step<T>,
    attributes: &Conv,
    weights: &Weights<T>,
) -> Result<Values<T>, ExecError> {
    let (x, out) = (step.operands[0], step.output);
    let sizes = geometry(attributes, run.shape(x), &weights.shape, run.shape(out));
    let (Some(geometry), Some(prepared_len)) = (sizes, sizes.and_then(|sizes| sizes.prepared_len())) else {
        return Err(ExecError::Node {
            node: step.name.clone(),
            op: "Conv".to_owned(),
            operands: format!("{:?}, {:?}", run.shape(x), weights.shape),
            reason: "the padded picture is too large".to_owned(),
        });
    };
    let mut prepared = run.buffer(prepared_len);
    let mut result = run.buffer(run.shape(out).iter().product());
    if prepared_len > 0 {
        geometry.prepare(run.values(x), &mut prepared);
    }
    let pictures = if prepared_len > 0 { &prepared } else { run.values(x) };
    let epilogue = epilogue(run, step, weights)?;
    let kernel = if is_depthwise(&weights.shape, attributes.groups) { depthwise } else { conv };
    kernel(run.arch, &geometry, pictures, &weights.packed, &epilogue, &mut result);
    run.recycle(prepared);
    Ok(Arc::new(result))
}

fn run_linear<T: Element>(run: &mut Run<'_, T>, step: &Step<T>, weights: &Weights<T>) -> Result<Values<T>, ExecError> {
    let (features, depth) = (weights.shape[0], weights.shape[1]);
    let mut result = run.buffer(run.shape(step.output).iter().product());
    let epilogue = epilogue(run, step, weights)?;
    matmul::matmul(run.arch, run.values(step.operands[0]), &weights.packed, depth, features, &mut result);
    matmul::finish(run.arch, &epilogue, features, &mut result);
    Ok(Arc::new(result))
}

fn run_op<T: Element>(run: &mut Run<'_, T>, op: &Op, step: &Step<T>, dead: &[ValueId]) -> Values<T> {
    let x = step.operands[0];
    match op {
        Op::Identity(_) | Op::Flatten { .. } | Op::Reshape { .. } | Op::Squeeze { .. } | Op::Unsqueeze { .. } => {
            return run.share(x);
        }
        Op::Cast { dtype } if dtype.is_float() => return run.share(x),
        Op::Cast { dtype } => {
            let mut values = run.take(x, dead);
            values.iter_mut().for_each(|value| *value = T::from_f64(to_integer(value.to_f64(), *dtype)));
            return Arc::new(values);
        }
        Op::Activation(function) => {
            let mut values = run.take(x, dead);
            map_in_place(run.arch, &mut values, |values| activation::apply(*function, values));
            return Arc::new(values);
        }
        Op::Elementwise(op) => return Arc::new(run_elementwise(run, *op, step)),
        Op::Conv(_)
        | Op::Linear
        | Op::BatchNorm(_)
        | Op::GroupNorm(_)
        | Op::LayerNorm(_)
        | Op::PRelu
        | Op::MaxPool(_)
        | Op::AvgPool(_)
        | Op::GlobalPool(_)
        | Op::Reduce(_)
        | Op::Pad(_)
        | Op::MatMul
        | Op::Concat { .. }
        | Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Softmax { .. }
        | Op::Opaque(_) => {}
    }
    let mut result = run.buffer(run.shape(step.output).iter().product());
    fill(run, op, step, &mut result);
    Arc::new(result)
}

/// Operators that write a buffer of their own.
fn fill<T: Element>(run: &Run<'_, T>, op: &Op, step: &Step<T>, out: &mut Vec<T>) {
    let values = |operand: usize| run.values(step.operands[operand]);
    let (x, shape, result) = (values(0), run.shape(step.operands[0]), run.shape(step.output));
    let after = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    match op {
        Op::BatchNorm(norm) => {
            let s = Statistics { scale: values(1), offset: values(2), mean: values(3), variance: values(4) };
            norm::batch_norm(run.arch, x, s, norm.epsilon, after(1), out);
        }
        Op::GroupNorm(norm) => {
            norm::group_norm(x, [values(1), values(2)], norm.groups, after(1), norm.epsilon, out);
        }
        Op::LayerNorm(norm) => {
            norm::layer_norm(x, shape, &norm.axes, [values(1), values(2)], norm.epsilon, out);
        }
        Op::PRelu => combine::prelu(run.arch, (x, shape), (values(1), run.shape(step.operands[1])), out),
        Op::MaxPool(p) => {
            if let Some(axes) = pool_axes(p.kernel, p.strides, p.dilations, p.padding, shape, result) {
                pool::max_pool(run.arch, x, axes, out);
            }
        }
        Op::AvgPool(p) => {
            if let Some(axes) = pool_axes(p.kernel, p.strides, [1, 1], p.padding, shape, result) {
                pool::avg_pool(run.arch, x, axes, p.count_include_pad, out);
            }
        }
        Op::GlobalPool(p) => reduce::reduce_last(p.kind, x, after(1), out),
        Op::Reduce(r) => reduce::reduce(r.kind, x, shape, &r.axes, out),
        Op::Pad(pad) => {
            if let &[n, c, h, w] = shape {
                moves::pad(x, [n, c, h, w], pad, out);
            }
        }
        Op::MatMul => run_matmul(run, step, out),
        Op::Concat { axis } => {
            let operands: Vec<(&[T], usize)> =
                step.operands.iter().map(|&id| (run.values(id), run.shape(id)[*axis..].iter().product())).collect();
            moves::concat(&operands, out);
        }
        Op::Transpose { perm } => {
            out.clear();
            permute_into(x, shape, perm, out);
        }
        Op::Slice { axis, start, step, .. } => {
            moves::slice(x, shape[*axis], after(*axis), result[*axis], *start, *step, out);
        }
        Op::Softmax { axis } => reduce::softmax(x, shape[*axis], after(*axis), out),
        // These have steps of their own, make no buffer, or are refused when the plan is made.
        Op::Conv(_)
        | Op::Linear
        | Op::Activation(_)
        | Op::Elementwise(_)
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Identity(_)
        | Op::Cast { .. }
        | Op::Opaque(_) => {}
    }
}

fn pool_axes(
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    padding: Padding,
    x: &[usize],
    out: &[usize],
) -> Option<[Axis; 2]> {
    let (&[_, _, height, width], &[_, _, oh, ow]) = (x, out) else { return None };
    let windows = [0, 1].map(|i| Window { kernel: kernel[i], stride: strides[i], dilation: dilations[i] });
    let pads = resolve(padding, height, width, windows)?;
    let axis = |i: usize| Axis {
        size: [height, width][i],
        output: [oh, ow][i],
        kernel: kernel[i],
        stride: strides[i],
        dilation: dilations[i],
        before: [pads.top, pads.left][i],
        after: [pads.bottom, pads.right][i],
    };
    Some([axis(0), axis(1)])
}

/// Folds two or more operands from the left; each partial result has the shape of the operands so far.
fn run_elementwise<T: Element>(run: &mut Run<'_, T>, op: residua_ir::Elementwise, step: &Step<T>) -> Vec<T> {
    let first = step.operands[0];
    let mut shape = run.shape(first).to_vec();
    let mut sum: Option<Vec<T>> = None;
    for &operand in &step.operands[1..] {
        let joint = combine::broadcast_shape(&shape, run.shape(operand));
        let mut out = run.buffer(joint.iter().product());
        let left = sum.as_deref().unwrap_or(run.values(first));
        let right = (run.values(operand), run.shape(operand));
        combine::combine(run.arch, op, (left, &shape), right, &mut out, &joint);
        if let Some(buffer) = sum.replace(out) {
            run.recycle(buffer);
        }
        shape = joint;
    }
    let mut result = sum.unwrap_or_else(|| run.values(first).to_vec());
    if op == residua_ir::Elementwise::Mean {
        #[expect(clippy::cast_precision_loss, reason = "a node has few operands")]
        let count = T::from_f64(step.operands.len() as f64);
        result.iter_mut().for_each(|value| *value = *value / count);
    }
    result
}

/// Matrix products of all matrices of two operands, the leading axes broadcast.
fn run_matmul<T: Element>(run: &Run<'_, T>, step: &Step<T>, out: &mut [T]) {
    let (a, b) = (step.operands[0], step.operands[1]);
    let ([batch_a @ .., rows, depth], [batch_b @ .., _, columns]) = (run.shape(a), run.shape(b)) else { return };
    let result = run.shape(step.output);
    let batch = &result[..result.len() - 2];
    let (a_steps, b_steps) = (combine::broadcast_strides(batch_a, batch), combine::broadcast_strides(batch_b, batch));
    let mut index = vec![0; batch.len()];
    let tile = T::tile_shape(run.arch);
    let mut packed: Option<(usize, Vec<T>)> = None;
    for out in out.chunks_mut((rows * columns).max(1)) {
        let at = |steps: &[usize]| index.iter().zip(steps).map(|(i, step)| i * step).sum::<usize>();
        let a = &run.values(a)[at(&a_steps) * rows * depth..][..rows * depth];
        let matrix = at(&b_steps);
        if packed.as_ref().is_none_or(|(of, _)| *of != matrix) {
            let b = &run.values(b)[matrix * depth * columns..][..depth * columns];
            packed = Some((matrix, pack_columns(b, *columns, tile)));
        }
        if let Some((_, b)) = &packed {
            matmul::matmul(run.arch, a, b, *depth, *columns, out);
        }
        crate::array::advance(&mut index, batch);
    }
}

/// A float as an integer type holds it: truncated, and saturated at the type's ends.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "documented")]
fn to_integer(value: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 => value,
        DType::I64 => value as i64 as f64,
        DType::I32 => f64::from(value as i32),
        DType::I16 => f64::from(value as i16),
        DType::I8 => f64::from(value as i8),
        DType::U64 => value as u64 as f64,
        DType::U32 => f64::from(value as u32),
        DType::U16 => f64::from(value as u16),
        DType::U8 => f64::from(value as u8),
        DType::Bool => f64::from(u8::from(value != 0.0)),
    }
}
