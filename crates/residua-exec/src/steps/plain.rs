//! Operators as they are: in place where their operand is not read again, into a buffer of their own otherwise.

use std::sync::Arc;

use residua_ir::op::Op;
use residua_ir::shape::range::Range;
use residua_ir::shape::window::{Window, resolve};
use residua_ir::{Dim, Extent, Grain, Padding, Quantize, ResizeTarget, Shape, TensorType, ValueId};

use super::{Values, integer};
use crate::array::permute_into;
use crate::buffer::Buffer;
use crate::element::Element;
use crate::error::ExecError;
use crate::kernels::norm::{self, Statistics};
use crate::kernels::panels::pack_columns;
use crate::kernels::pool::{self, Axis};
use crate::kernels::quantise::{self, Grid};
use crate::kernels::transposed::Sizes;
use crate::kernels::{activation, combine, map_in_place, matmul, moves, reduce, resize, select, top_k, transposed};
use crate::run::Run;
use crate::step::Step;

/// Elements that an operator needs besides its result; [`None`] where the number overflows.
pub(super) fn scratch<T>(op: &Op, step: &Step<T>, shapes: &[Vec<usize>]) -> Option<usize> {
    let Op::Resize(resize) = op else { return Some(0) };
    // One buffer after each axis but the last.
    let (mut shape, result) = (shapes[step.operands[0].index()].clone(), &shapes[step.output.index()]);
    let mut sum = 0usize;
    for &axis in &resize.axes {
        shape[axis] = result[axis];
        sum = sum.checked_add(crate::array::element_count(&shape)?)?;
    }
    Some(sum)
}

/// Runs an operator. Operands among `dead` are not read again.
pub(super) fn run_op<T: Element>(
    run: &mut Run<'_, T>,
    op: &Op,
    step: &Step<T>,
    dead: &[ValueId],
) -> Result<Values<T>, ExecError> {
    let in_place = |run: &mut Run<'_, T>, f: &(dyn Fn(&mut [T]) + Sync)| {
        let mut values = run.take(step.operands[0], dead);
        map_in_place(run.arch, &mut values, f);
        Ok(Arc::new(values))
    };
    match op {
        Op::Identity(_) | Op::Flatten { .. } | Op::Reshape { .. } | Op::Squeeze { .. } | Op::Unsqueeze { .. } => {
            return Ok(run.share(step.operands[0]));
        }
        Op::Cast { dtype } if dtype.is_float() => return Ok(run.share(step.operands[0])),
        Op::Cast { dtype } => return in_place(run, &|values| integer::cast(values, *dtype)),
        Op::Activation(function) => {
            let mut values = run.take(step.operands[0], dead);
            map_in_place(run.arch, &mut values, |values| activation::apply(*function, values));
            return Ok(Arc::new(values));
        }
        Op::Is(property) => return in_place(run, &|values| combine::has(*property, values)),
        Op::Elementwise(op) => return Ok(Arc::new(run_elementwise(run, *op, step))),
        Op::Quantize(Quantize { dtype, grain }) => {
            let mut values = run.take(step.operands[0], dead);
            quantise::quantize(run.arch, &grid(run, step, *grain), *dtype, &mut values);
            return Ok(Arc::new(values));
        }
        Op::Dequantize(grain) => {
            let mut values = run.take(step.operands[0], dead);
            quantise::dequantize(run.arch, &grid(run, step, *grain), &mut values);
            return Ok(Arc::new(values));
        }
        Op::DynamicRange(part) => {
            return Ok(Arc::new(vec![quantise::dynamic_range(*part, run.values(step.operands[0]))].into()));
        }
        Op::Resize(attributes) => return Ok(Arc::new(run_resize(run, attributes, step))),
        Op::Sizes { sizes, .. } => return run_sizes(run, sizes, step),
        Op::Conv(_)
        | Op::ConvTranspose(_)
        | Op::Linear
        | Op::BatchNorm(_)
        | Op::GroupNorm(_)
        | Op::LayerNorm(_)
        | Op::Lrn(_)
        | Op::PRelu
        | Op::Compare(_)
        | Op::Where
        | Op::MaxPool(_)
        | Op::AvgPool(_)
        | Op::LpPool(_)
        | Op::GlobalPool(_)
        | Op::Reduce(_)
        | Op::ArgExtremum(_)
        | Op::TopK(_)
        | Op::Pad(_)
        | Op::PadAxes(_)
        | Op::MatMul
        | Op::Concat { .. }
        | Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Gather { .. }
        | Op::GatherElements { .. }
        | Op::GatherNd { .. }
        | Op::Expand { .. }
        | Op::Tile { .. }
        | Op::Softmax { .. }
        | Op::LogSoftmax { .. }
        | Op::Hardmax { .. }
        | Op::CumSum(_)
        | Op::Opaque(_) => {}
    }
    let mut result = run.buffer(run.shape(step.output).iter().product());
    fill(run, op, step, &mut result)?;
    Ok(Arc::new(result))
}

/// Operators that write a buffer of their own.
fn fill<T: Element>(run: &Run<'_, T>, op: &Op, step: &Step<T>, out: &mut [T]) -> Result<(), ExecError> {
    let values = |operand: usize| run.values(step.operands[operand]);
    let shaped = |operand: usize| (values(operand), run.shape(step.operands[operand]));
    let ((x, shape), result) = (shaped(0), run.shape(step.output));
    let after = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    let lanes = |axis: usize| (shape[axis], after(axis));
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
        Op::Lrn(lrn) => norm::lrn(x, lrn, shape[1], after(1), out),
        Op::PRelu => combine::prelu(run.arch, (x, shape), shaped(1), out),
        Op::Compare(comparison) => combine::compare(run.arch, *comparison, (x, shape), shaped(1), out, result),
        Op::Where => select::choose((x, shape), shaped(1), shaped(2), out, result),
        Op::MaxPool(p) => {
            if let Some(axes) = pool_axes(p.kernel, p.strides, p.dilations, p.padding, shape, result) {
                pool::max_pool(run.arch, x, axes, out);
            }
        }
        Op::AvgPool(p) => {
            if let Some(axes) = pool_axes(p.kernel, p.strides, p.dilations, p.padding, shape, result) {
                pool::avg_pool(run.arch, x, axes, p.count_include_pad, out);
            }
        }
        Op::LpPool(p) => {
            if let Some(axes) = pool_axes(p.kernel, p.strides, p.dilations, p.padding, shape, result) {
                pool::lp_pool(run.arch, x, axes, p.p, out);
            }
        }
        Op::ConvTranspose(conv) => {
            if let Some(sizes) = transposed_sizes(conv, shape, run.shape(step.operands[1]), result) {
                let bias = step.operands.get(2).map(|&id| run.values(id));
                transposed::conv_transpose(run.arch, &sizes, x, values(1), bias, out);
            }
        }
        Op::GlobalPool(p) => reduce::reduce_last(p.kind, x, after(1), out),
        Op::Reduce(r) => {
            reduce::reduce(r.kind, x, shape, &r.axes, out);
            integer::fill_empty(out, step.integer, step.truth);
        }
        Op::ArgExtremum(arg) => top_k::arg_extremum(x, arg, lanes(arg.axis), out),
        Op::TopK(top) => top_k::top_k(x, top, lanes(top.axis), out),
        Op::Hardmax { axis } => top_k::hardmax(x, lanes(*axis), out),
        Op::Pad(pad) => {
            if let &[n, c, h, w] = shape {
                moves::pad(x, [n, c, h, w], pad, out);
            }
        }
        Op::PadAxes(pad) => moves::pad_axes(x, shape, pad, result, out),
        Op::Expand { .. } => moves::expand(x, shape, result, out),
        Op::Tile { .. } => moves::tile(x, shape, result, out),
        Op::MatMul => run_matmul(run, step, out)?,
        Op::Concat { axis } => {
            let operands: Vec<(&[T], usize)> =
                step.operands.iter().map(|&id| (run.values(id), run.shape(id)[*axis..].iter().product())).collect();
            moves::concat(&operands, out);
        }
        Op::Transpose { perm } => permute_into(x, shape, perm, out),
        Op::Slice { axis, start, end, step: stride } => {
            let operands = types(run, step);
            let bound = |extent: &Extent| extent.resolve(&operands).ok().and_then(|resolved| resolved.number());
            let range = Range { start: bound(start).unwrap_or(0), end: end.as_ref().and_then(bound), step: *stride };
            moves::slice(x, lanes(*axis), (range.of(shape[*axis]).first, *stride), result[*axis], out);
        }
        Op::Gather { axis } => {
            let gathered = select::gather(x, lanes(*axis), values(1), out);
            gathered.map_err(|problem| failed(run, op, step, problem))?;
        }
        Op::GatherElements { axis } => {
            let gathered = select::gather_elements((x, shape), shaped(1), *axis, out);
            gathered.map_err(|problem| failed(run, op, step, problem))?;
        }
        Op::GatherNd { batch_dims } => {
            let gathered = select::gather_nd((x, shape), shaped(1), *batch_dims, out);
            gathered.map_err(|problem| failed(run, op, step, problem))?;
        }
        Op::Softmax { axis } => reduce::softmax(x, shape[*axis], after(*axis), false, out),
        Op::CumSum(sum) => reduce::cum_sum(x, sum, lanes(sum.axis), out),
        Op::LogSoftmax { axis } => reduce::softmax(x, shape[*axis], after(*axis), true, out),
        // These have steps of their own, make no buffer, or are refused when the plan is made.
        Op::Conv(_)
        | Op::Linear
        | Op::Activation(_)
        | Op::Is(_)
        | Op::Elementwise(_)
        | Op::Resize(_)
        | Op::Sizes { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Identity(_)
        | Op::Cast { .. }
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::DynamicRange(_)
        | Op::Opaque(_) => {}
    }
    Ok(())
}

/// The steps that a value is rounded to.
fn grid<'a, T: Element>(run: &'a Run<'_, T>, step: &Step<T>, grain: Grain) -> Grid<'a, T> {
    let zero = step.operands.get(2).map(|&zero| run.values(zero));
    Grid::new(run.shape(step.output), grain, run.values(step.operands[1]), zero)
}

/// Shapes of the operands, for what is computed from sizes.
fn types<T: Element>(run: &Run<'_, T>, step: &Step<T>) -> Vec<TensorType> {
    let ty = |&id: &ValueId| TensorType { dtype: residua_ir::DType::F32, shape: Shape::fixed(run.shape(id)) };
    step.operands.iter().map(ty).collect()
}

fn failed<T: Element>(run: &Run<'_, T>, op: &Op, step: &Step<T>, problem: String) -> ExecError {
    ExecError::node(&step.name, op, &types(run, step), problem)
}

fn run_sizes<T: Element>(run: &Run<'_, T>, sizes: &[Extent], step: &Step<T>) -> Result<Values<T>, ExecError> {
    let operands = types(run, step);
    let number = |extent: &Extent| extent.resolve(&operands).ok().and_then(|resolved| resolved.number());
    let values = sizes.iter().map(|size| number(size).map(integer::of_integer));
    // Shape inference has resolved the same for the same shapes.
    let known: Option<Vec<T>> = values.collect();
    known
        .map(|values| Arc::new(values.into()))
        .ok_or_else(|| ExecError::Size { value: step.name.clone().into(), shape: "[?]".into() })
}

fn transposed_sizes(conv: &residua_ir::ConvTranspose, x: &[usize], kernel: &[usize], out: &[usize]) -> Option<Sizes> {
    let (&[_, channels, height, width], &[_, _, kh, kw], &[_, filters, oh, ow]) = (x, kernel, out) else {
        return None;
    };
    Some(Sizes {
        channels,
        filters,
        groups: conv.groups,
        size: [height, width],
        output: [oh, ow],
        kernel: [kh, kw],
        strides: conv.strides,
        dilations: conv.dilations,
        before: [conv.pads.top, conv.pads.left],
    })
}

/// Axis after axis, in the order in which they stand.
fn run_resize<T: Element>(run: &mut Run<'_, T>, attributes: &residua_ir::Resize, step: &Step<T>) -> Buffer<T> {
    let (mut shape, result) = (run.shape(step.operands[0]).to_vec(), run.shape(step.output).to_vec());
    let before: Vec<usize> = attributes.axes.iter().map(|&axis| shape[axis]).collect();
    let after: Vec<usize> = attributes.axes.iter().map(|&axis| result[axis]).collect();
    let wanted: Option<Vec<usize>> = match &attributes.target {
        ResizeTarget::Sizes { sizes, .. } => {
            let operands = types(run, step);
            sizes.iter().map(|size| size.size(&operands).ok().as_ref().and_then(Dim::fixed)).collect()
        }
        ResizeTarget::Scales(_) => None,
    };
    let scales = attributes.scales(&before, &after, wanted.as_deref());
    let mut values: Option<Buffer<T>> = None;
    for (index, &axis) in attributes.axes.iter().enumerate() {
        let line = resize::Line { index, before: before[index], after: after[index], scale: scales[index] };
        shape[axis] = after[index];
        let mut out = run.buffer(shape.iter().product());
        let x = values.as_deref().unwrap_or(run.values(step.operands[0]));
        resize::resize(x, line, shape[axis + 1..].iter().product(), attributes, &mut out);
        if let Some(used) = values.replace(out) {
            run.recycle(used);
        }
    }
    values.unwrap_or_else(|| run.values(step.operands[0]).to_vec().into())
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
fn run_elementwise<T: Element>(run: &mut Run<'_, T>, op: residua_ir::Elementwise, step: &Step<T>) -> Buffer<T> {
    let first = step.operands[0];
    let mut shape = run.shape(first).to_vec();
    let mut sum: Option<Buffer<T>> = None;
    for &operand in &step.operands[1..] {
        let joint = combine::broadcast_shape(&shape, run.shape(operand));
        let mut out = run.buffer(joint.iter().product());
        let left = sum.as_deref().unwrap_or(run.values(first));
        let right = (run.values(operand), run.shape(operand));
        combine::combine(run.arch, (op, step.integer.is_some()), (left, &shape), right, &mut out, &joint);
        if let Some(buffer) = sum.replace(out) {
            run.recycle(buffer);
        }
        shape = joint;
    }
    let mut result = sum.unwrap_or_else(|| run.values(first).to_vec().into());
    if op == residua_ir::Elementwise::Mean {
        #[expect(clippy::cast_precision_loss, reason = "a node has few operands")]
        let count = T::from_f64(step.operands.len() as f64);
        result.iter_mut().for_each(|value| *value = *value / count);
    }
    result
}

fn run_matmul<T: Element>(run: &Run<'_, T>, step: &Step<T>, out: &mut [T]) -> Result<(), ExecError> {
    let [a, b] = [0, 1].map(|index| run.values(step.operands[index]));
    if let (Some(dtype), Some(&depth)) = (step.integer, run.shape(step.operands[0]).last()) {
        integer::product(a, b, depth, dtype, &step.name)?;
    }
    matmul_into(run, step, [a, b], out);
    Ok(())
}

/// Matrix products of all matrices of the elements of two operands, the leading axes broadcast.
pub(super) fn matmul_into<T: Element>(run: &Run<'_, T>, step: &Step<T>, [left, right]: [&[T]; 2], out: &mut [T]) {
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
        let a = &left[at(&a_steps) * rows * depth..][..rows * depth];
        let matrix = at(&b_steps);
        if packed.as_ref().is_none_or(|(of, _)| *of != matrix) {
            let b = &right[matrix * depth * columns..][..depth * columns];
            packed = Some((matrix, pack_columns(b, *columns, tile)));
        }
        if let Some((_, b)) = &packed {
            matmul::matmul(run.arch, a, b, *depth, *columns, out);
        }
        crate::array::advance(&mut index, batch);
    }
}
