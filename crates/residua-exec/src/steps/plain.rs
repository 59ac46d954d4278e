//! Operators as they are: in place where their operand is not read again, into a buffer of their own otherwise.

use std::sync::Arc;

use residua_ir::op::Op;
use residua_ir::shape::range::Range;
use residua_ir::shape::window::{Window, resolve};
use residua_ir::{Dim, Extent, Granularity, Padding, Quantize, ResizeTarget, Shape, TensorType, ValueId};

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

/// What a step reads and gives, for what writes a buffer of its own.
struct StepContext<'r, 'a, T> {
    run: &'r Run<'a, T>,
    step: &'r Step<T>,
}

impl<'r, T: Element> StepContext<'r, '_, T> {
    fn values(&self, operand: usize) -> &'r [T] {
        self.run.values(self.step.operands[operand])
    }

    fn shape(&self, operand: usize) -> &'r [usize] {
        self.run.shape(self.step.operands[operand])
    }

    fn shaped(&self, operand: usize) -> (&'r [T], &'r [usize]) {
        (self.values(operand), self.shape(operand))
    }

    /// Shape of the result.
    fn result(&self) -> &'r [usize] {
        self.run.shape(self.step.output)
    }

    /// Elements of operand 0 behind an axis.
    fn after(&self, axis: usize) -> usize {
        self.shape(0)[axis + 1..].iter().product()
    }

    /// Length of an axis of operand 0, and elements behind it.
    fn lanes(&self, axis: usize) -> (usize, usize) {
        (self.shape(0)[axis], self.after(axis))
    }
}

/// What goes wrong where a step cannot be computed; that it is about this node is said by whoever calls.
type Written = Result<(), String>;

/// A value in a buffer of its own, which held anything before: `write` either writes all of it, or says why it cannot.
fn written<T: Element>(
    run: &mut Run<'_, T>,
    op: &Op,
    step: &Step<T>,
    write: &dyn Fn(&StepContext<'_, '_, T>, &mut [T]) -> Written,
) -> Result<Values<T>, ExecError> {
    let mut out = run.buffer(run.shape(step.output).iter().product());
    match write(&StepContext { run, step }, &mut out) {
        Ok(()) => Ok(Arc::new(out)),
        Err(problem) => Err(failed(run, op, step, problem)),
    }
}

/// The same of what cannot fail.
fn filled<T: Element>(
    run: &mut Run<'_, T>,
    step: &Step<T>,
    write: &dyn Fn(&StepContext<'_, '_, T>, &mut [T]),
) -> Result<Values<T>, ExecError> {
    let mut out = run.buffer(run.shape(step.output).iter().product());
    write(&StepContext { run, step }, &mut out);
    Ok(Arc::new(out))
}

/// Runs an operator. Operands among `dead` are not read again.
pub(super) fn run_op<T: Element>(
    run: &mut Run<'_, T>,
    op: &Op,
    step: &Step<T>,
    dead: &[ValueId],
) -> Result<Values<T>, ExecError> {
    let arch = run.arch;
    let in_place = |run: &mut Run<'_, T>, f: &(dyn Fn(&mut [T]) + Sync)| {
        let mut values = run.take(step.operands[0], dead);
        map_in_place(arch, &mut values, f);
        Ok(Arc::new(values))
    };
    match op {
        Op::Identity(_) | Op::Flatten { .. } | Op::Reshape { .. } | Op::Squeeze { .. } | Op::Unsqueeze { .. } => {
            Ok(run.share(step.operands[0]))
        }
        Op::Cast { dtype } if dtype.is_float() => Ok(run.share(step.operands[0])),
        Op::Cast { dtype } => in_place(run, &|values| integer::cast(values, *dtype)),
        Op::Activation(function) => {
            let mut values = run.take(step.operands[0], dead);
            map_in_place(arch, &mut values, |values| activation::apply(*function, values));
            Ok(Arc::new(values))
        }
        Op::Is(property) => in_place(run, &|values| combine::has(*property, values)),
        Op::Elementwise(op) => Ok(Arc::new(run_elementwise(run, *op, step))),
        Op::Quantize(Quantize { dtype, granularity }) => {
            let mut values = run.take(step.operands[0], dead);
            quantise::quantize(arch, &grid(run, step, *granularity), *dtype, &mut values);
            Ok(Arc::new(values))
        }
        Op::Dequantize(granularity) => {
            let mut values = run.take(step.operands[0], dead);
            quantise::dequantize(arch, &grid(run, step, *granularity), &mut values);
            Ok(Arc::new(values))
        }
        Op::DynamicRange(part) => {
            Ok(Arc::new(vec![quantise::dynamic_range(*part, run.values(step.operands[0]))].into()))
        }
        Op::Resize(attributes) => Ok(Arc::new(run_resize(run, attributes, step))),
        Op::Sizes { sizes, .. } => run_sizes(run, sizes, step),
        Op::BatchNorm(norm) => filled(run, step, &|at, out| {
            let [scale, offset, mean, variance] = [1, 2, 3, 4].map(|operand| at.values(operand));
            let statistics = Statistics { scale, offset, mean, variance };
            norm::batch_norm(arch, at.values(0), statistics, norm.epsilon, at.after(1), out);
        }),
        Op::GroupNorm(norm) => filled(run, step, &|at, out| {
            let scales = [at.values(1), at.values(2)];
            norm::group_norm(at.values(0), scales, norm.groups, at.after(1), norm.epsilon, out);
        }),
        Op::LayerNorm(norm) => filled(run, step, &|at, out| {
            let scales = [at.values(1), at.values(2)];
            norm::layer_norm(at.values(0), at.shape(0), &norm.axes, scales, norm.epsilon, out);
        }),
        Op::Lrn(lrn) => filled(run, step, &|at, out| norm::lrn(at.values(0), lrn, at.shape(0)[1], at.after(1), out)),
        Op::PRelu => filled(run, step, &|at, out| combine::prelu(arch, at.shaped(0), at.shaped(1), out)),
        Op::Compare(comparison) => filled(run, step, &|at, out| {
            combine::compare(arch, *comparison, at.shaped(0), at.shaped(1), out, at.result());
        }),
        Op::Where => filled(run, step, &|at, out| {
            select::choose(at.shaped(0), at.shaped(1), at.shaped(2), out, at.result());
        }),
        Op::MaxPool(p) => written(run, op, step, &|at, out| {
            let axes = pool_axes(p.kernel, p.strides, p.dilations, p.padding, at)?;
            pool::max_pool(arch, at.values(0), axes, out);
            Ok(())
        }),
        Op::AvgPool(p) => written(run, op, step, &|at, out| {
            let axes = pool_axes(p.kernel, p.strides, p.dilations, p.padding, at)?;
            pool::avg_pool(arch, at.values(0), axes, p.count_include_pad, out);
            Ok(())
        }),
        Op::LpPool(p) => written(run, op, step, &|at, out| {
            let axes = pool_axes(p.kernel, p.strides, p.dilations, p.padding, at)?;
            pool::lp_pool(arch, at.values(0), axes, p.p, out);
            Ok(())
        }),
        Op::ConvTranspose(conv) => written(run, op, step, &|at, out| {
            let sizes = transposed_sizes(conv, at.shape(0), at.shape(1), at.result()).ok_or("it takes no images")?;
            let bias = step.operands.get(2).map(|&id| at.run.values(id));
            transposed::conv_transpose(arch, &sizes, at.values(0), at.values(1), bias, out);
            Ok(())
        }),
        Op::GlobalPool(p) => filled(run, step, &|at, out| reduce::reduce_last(p.kind, at.values(0), at.after(1), out)),
        Op::Reduce(r) => filled(run, step, &|at, out| {
            reduce::reduce(r.kind, at.values(0), at.shape(0), &r.axes, out);
            integer::fill_empty(out, step.integer, step.truth);
        }),
        Op::ArgExtremum(arg) => {
            filled(run, step, &|at, out| top_k::arg_extremum(at.values(0), arg, at.lanes(arg.axis), out))
        }
        Op::TopK(top) => filled(run, step, &|at, out| top_k::top_k(at.values(0), top, at.lanes(top.axis), out)),
        Op::Hardmax { axis } => filled(run, step, &|at, out| top_k::hardmax(at.values(0), at.lanes(*axis), out)),
        Op::Pad(pad) => written(run, op, step, &|at, out| {
            let &[n, c, h, w] = at.shape(0) else { return Err("it takes no images".to_owned()) };
            moves::pad(at.values(0), [n, c, h, w], pad, out);
            Ok(())
        }),
        Op::PadAxes(pad) => {
            filled(run, step, &|at, out| moves::pad_axes(at.values(0), at.shape(0), pad, at.result(), out))
        }
        Op::Expand { .. } => filled(run, step, &|at, out| moves::expand(at.values(0), at.shape(0), at.result(), out)),
        Op::Tile { .. } => filled(run, step, &|at, out| moves::tile(at.values(0), at.shape(0), at.result(), out)),
        Op::MatMul => {
            if let (Some(dtype), Some(&depth)) = (step.integer, run.shape(step.operands[0]).last()) {
                let [a, b] = [0, 1].map(|index| run.values(step.operands[index]));
                integer::product(a, b, depth, dtype, &step.name)?;
            }
            written(run, op, step, &|at, out| matmul_into(at.run, step, [at.values(0), at.values(1)], out))
        }
        Op::Concat { axis } => filled(run, step, &|at, out| {
            let operand = |&id: &ValueId| (at.run.values(id), at.run.shape(id)[*axis..].iter().product());
            moves::concat(&step.operands.iter().map(operand).collect::<Vec<_>>(), out);
        }),
        Op::Transpose { perm } => filled(run, step, &|at, out| permute_into(at.values(0), at.shape(0), perm, out)),
        Op::Slice { axis, start, end, step: stride } => written(run, op, step, &|at, out| {
            let operands = types(at.run, step);
            let bound = |extent: &Extent| {
                let number = extent.resolve(&operands).ok().and_then(|resolved| resolved.number());
                number.ok_or("its bounds do not follow from the sizes of its operands")
            };
            let range = Range { start: bound(start)?, end: end.as_ref().map(bound).transpose()?, step: *stride };
            let first = range.of(at.shape(0)[*axis]).first;
            moves::slice(at.values(0), at.lanes(*axis), (first, *stride), at.result()[*axis], out);
            Ok(())
        }),
        Op::Gather { axis } => {
            written(run, op, step, &|at, out| select::gather(at.values(0), at.lanes(*axis), at.values(1), out))
        }
        Op::GatherElements { axis } => {
            written(run, op, step, &|at, out| select::gather_elements(at.shaped(0), at.shaped(1), *axis, out))
        }
        Op::GatherNd { batch_dims } => {
            written(run, op, step, &|at, out| select::gather_nd(at.shaped(0), at.shaped(1), *batch_dims, out))
        }
        Op::ScatterNd => {
            written(run, op, step, &|at, out| select::scatter_nd(at.shaped(0), at.shaped(1), at.values(2), out))
        }
        Op::Softmax { axis } => filled(run, step, &|at, out| {
            reduce::softmax(at.values(0), at.shape(0)[*axis], at.after(*axis), false, out);
        }),
        Op::LogSoftmax { axis } => filled(run, step, &|at, out| {
            reduce::softmax(at.values(0), at.shape(0)[*axis], at.after(*axis), true, out);
        }),
        Op::Trilu(trilu) => filled(run, step, &|at, out| moves::trilu(at.values(0), at.shape(0), *trilu, out)),
        Op::CumSum(sum) => filled(run, step, &|at, out| reduce::cum_sum(at.values(0), sum, at.lanes(sum.axis), out)),
        // These have steps of their own, or are refused when the plan is made.
        Op::Conv(_) | Op::Linear | Op::Opaque(_) => {
            Err(failed(run, op, step, "it has no kernel that takes it as it is".to_owned()))
        }
    }
}

/// The steps that a value is rounded to.
fn grid<'a, T: Element>(run: &'a Run<'_, T>, step: &Step<T>, granularity: Granularity) -> Grid<'a, T> {
    let zero = step.operands.get(2).map(|&zero| run.values(zero));
    Grid::new(run.shape(step.output), granularity, run.values(step.operands[1]), zero)
}

/// Shapes of the operands, for what is computed from sizes.
fn types<T: Element>(run: &Run<'_, T>, step: &Step<T>) -> Vec<TensorType> {
    let ty = |&id: &ValueId| TensorType { dtype: residua_ir::DType::F32, shape: Shape::fixed(run.shape(id)) };
    step.operands.iter().map(ty).collect()
}

pub(super) fn failed<T: Element>(run: &Run<'_, T>, op: &Op, step: &Step<T>, problem: String) -> ExecError {
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

fn pool_axes<T: Element>(
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    padding: Padding,
    at: &StepContext<'_, '_, T>,
) -> Result<[Axis; 2], String> {
    let (&[_, _, height, width], &[_, _, oh, ow]) = (at.shape(0), at.result()) else {
        return Err("it takes no images".to_owned());
    };
    let windows = [0, 1].map(|i| Window { kernel: kernel[i], stride: strides[i], dilation: dilations[i] });
    let pads = resolve(padding, height, width, windows).ok_or("its windows do not fit into its operand")?;
    let axis = |i: usize| Axis {
        size: [height, width][i],
        output: [oh, ow][i],
        kernel: kernel[i],
        stride: strides[i],
        dilation: dilations[i],
        before: [pads.top, pads.left][i],
        after: [pads.bottom, pads.right][i],
    };
    Ok([axis(0), axis(1)])
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

/// Matrix products of all matrices of the elements of two operands, the leading axes broadcast.
pub(super) fn matmul_into<T: Element>(
    run: &Run<'_, T>,
    step: &Step<T>,
    [left, right]: [&[T]; 2],
    out: &mut [T],
) -> Written {
    let (a, b) = (run.shape(step.operands[0]), run.shape(step.operands[1]));
    let ([batch_a @ .., rows, depth], [batch_b @ .., _, columns], [batch @ .., _, _]) = (a, b, run.shape(step.output))
    else {
        return Err("it takes no matrices".to_owned());
    };
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pulp::Arch;
    use residua_ir::{Checked, GraphBuilder, MaxPool, validate};

    use super::*;
    use crate::buffer::FreeList;
    use crate::step::Work;

    /// A graph of one node, for its handles.
    fn two_values() -> Checked {
        let mut g = GraphBuilder::new("net");
        let x = g.input("x", Shape::fixed(&[1, 2, 4]));
        let y = g.add("y", Op::Identity(residua_ir::IdentityReason::Linear), &[x]);
        g.output(y);
        validate(g.finish().unwrap()).unwrap()
    }

    /// What an operator makes of `[1, 2, 4]`, with the buffer of an earlier step at hand.
    fn run(op: &Op) -> Result<Values<f32>, ExecError> {
        let model = two_values();
        let node = &model.graph().nodes()[0];
        let (x, y) = (node.inputs[0], node.output());
        let step = Step {
            name: "y".to_owned(),
            work: Work::Op(op.clone()),
            operands: vec![x, x],
            residual: None,
            activation: None,
            output: y,
            integer: None,
            truth: false,
            round: None,
        };
        let mut free = FreeList::default();
        free.push(Buffer::from(vec![7.0; 8]));
        let constants = BTreeMap::new();
        let mut run = Run::new(Arch::new(), [vec![1, 2, 4], vec![1, 2, 4]].into(), free, &constants);
        run.put(x, Arc::new(vec![1.0; 8].into()));
        run_op(&mut run, op, &step, &[])
    }

    #[test]
    fn what_cannot_be_computed_is_an_error_and_not_what_a_buffer_held_before() {
        let padding = Padding::default();
        let pool = MaxPool { kernel: [1; 2], strides: [1; 2], padding, dilations: [1; 2], ceil_mode: false };
        let pad = residua_ir::Pad { pads: residua_ir::Pads::default(), channels: [0; 2], value: 0.0 };
        let slice = Op::Slice { axis: 2, start: Extent::Of { operand: 5, axis: 0 }, end: None, step: 1 };
        let transposed = Op::ConvTranspose(residua_ir::ConvTranspose {
            strides: [1; 2],
            pads: residua_ir::Pads::default(),
            output_padding: [0; 2],
            dilations: [1; 2],
            groups: 1,
        });
        for op in [Op::MaxPool(pool), Op::Pad(pad), slice, transposed, Op::Linear] {
            let error = run(&op).unwrap_err().to_string();
            assert!(error.contains("node `y`") && error.contains(op.name()), "{error}");
        }
    }

    #[test]
    fn a_buffer_that_was_used_before_is_written_from_end_to_end() {
        let values = run(&Op::Transpose { perm: vec![0, 2, 1] }).unwrap();
        assert_eq!(values[..], [1.0; 8]);
    }
}
