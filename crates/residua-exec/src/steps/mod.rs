//! Steps: from what a step of the plan says to the kernels that compute it.
//!
//! Here is what has weights; [`plain`] has the operators as they are, [`integer_chain`] chains of integers, and [`integer`] keeps
//! integers exact.

pub(crate) mod integer;
mod integer_chain;
mod plain;

use std::sync::Arc;

use pulp::Arch;
use residua_ir::shape::window::{Window, resolve};
use residua_ir::{Conv, DType, ValueId};

use crate::array::element_count;
use crate::buffer::{Buffer, FreeList};
use crate::element::Element;
use crate::error::ExecError;
use crate::kernels::conv::{Epilogue, Filters, SumOrder, conv};
use crate::kernels::depthwise::depthwise;
use crate::kernels::image::Geometry;
use crate::kernels::pack::{is_depthwise, pack};
use crate::kernels::{matmul, norm};
use crate::run::Run;
use crate::step::{F32Island, Step, Weights, Work};

type Values<T> = Arc<Buffer<T>>;

/// Runs one step. Operands among `dead` are not read again.
pub(crate) fn run<T: Element>(run: &mut Run<'_, T>, step: &Step<T>, dead: &[ValueId]) -> Result<Values<T>, ExecError> {
    let values = compute(run, step, dead)?;
    let values = match step.round {
        Some(dtype) => rounded(values, dtype),
        None => values,
    };
    match step.integer {
        Some(dtype) => integer::wrapped(values, dtype, &step.name),
        None => Ok(values),
    }
}

/// The values as a narrower type holds them.
fn rounded<T: Element>(mut values: Values<T>, dtype: DType) -> Values<T> {
    let mut exact: Vec<f64> = values.iter().map(|value| value.to_f64()).collect();
    dtype.round(&mut exact);
    Arc::make_mut(&mut values).iter_mut().zip(exact).for_each(|(value, exact)| *value = T::from_f64(exact));
    values
}

fn compute<T: Element>(run: &mut Run<'_, T>, step: &Step<T>, dead: &[ValueId]) -> Result<Values<T>, ExecError> {
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
        Work::Integers(chain) => integer_chain::run(run, step, chain, dead),
        Work::F32Island(inner) => run_f32_island(run, step, inner),
        Work::Op(op) => plain::run_op(run, op, step, dead),
    }
}

/// Runs a step in f32 on the values that the outer one reads.
fn run_f32_island<T: Element>(outer: &Run<'_, T>, step: &Step<T>, inner: &F32Island) -> Result<Values<T>, ExecError> {
    let mut single = Run::new(outer.arch, outer.shapes.clone(), FreeList::default(), &inner.constants);
    for &id in &step.operands {
        let values: Vec<f32> = outer.values(id).iter().map(|value| value.to_f32()).collect();
        single.put(id, Arc::new(values.into()));
    }
    let result = run(&mut single, &inner.step, &step.operands)?;
    let result: Vec<T> = result.iter().map(|&value| T::from_f32(value)).collect();
    Ok(Arc::new(result.into()))
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
        Work::Integers(chain) => integer_chain::scratch(step, chain, shapes),
        Work::F32Island(inner) => {
            let own = scratch(&inner.step, shapes)?;
            let mut values = step.operands.iter().chain([&step.output]);
            values.try_fold(own, |sum, id| sum.checked_add(element_count(&shapes[id.index()])?))
        }
        Work::Linear { .. } | Work::Scale { .. } => Some(0),
        Work::Op(op) => plain::scratch(op, step, shapes),
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
    let packed = pack(run.values(kernel), &shape, groups, SumOrder::PLAIN, run.arch);
    Weights {
        shape,
        packed,
        order: SumOrder::PLAIN,
        factor: None,
        bias: step.operands.get(2).map(|&id| run.values(id).to_vec()),
    }
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
        return Err(ExecError::Node {
            node: step.name.clone().into(),
            op: "Add".into(),
            operands: operands.into(),
            reason: reason.into(),
        });
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
            node: step.name.clone().into(),
            op: "Conv".into(),
            operands: format!("{:?}, {:?}", run.shape(x), weights.shape).into(),
            reason: "the padded image is too large".into(),
        });
    };
    let mut prepared = run.buffer(prepared_len);
    let mut result = run.buffer(run.shape(out).iter().product());
    let images = prepare(&geometry, run.values(x), &mut prepared);
    let epilogue = epilogue(run, step, weights)?;
    convolve(run.arch, &geometry, images, weights, &epilogue, &mut result);
    run.recycle(prepared);
    Ok(Arc::new(result))
}

fn convolve<T: Element>(
    arch: Arch,
    geometry: &Geometry,
    images: &[T],
    weights: &Weights<T>,
    epilogue: &Epilogue<'_, T>,
    out: &mut [T],
) {
    let &Weights { ref shape, ref packed, order, .. } = weights;
    if is_depthwise(shape, geometry.groups) {
        depthwise(arch, geometry, images, packed, epilogue, out);
    } else {
        conv(arch, geometry, images, Filters { packed, order }, epilogue, out);
    }
}

/// Images as the kernels need them: in a buffer of that size, unless they lie right as they are.
fn prepare<'a, T: Element>(geometry: &Geometry, images: &'a [T], buffer: &'a mut [T]) -> &'a [T] {
    if buffer.is_empty() {
        return images;
    }
    geometry.prepare(images, buffer);
    buffer
}

fn run_linear<T: Element>(run: &mut Run<'_, T>, step: &Step<T>, weights: &Weights<T>) -> Result<Values<T>, ExecError> {
    let (features, depth) = (weights.shape[0], weights.shape[1]);
    if let Some(dtype) = step.integer {
        integer::product(run.values(step.operands[0]), &weights.packed, depth, dtype, &step.name)?;
    }
    let mut result = run.buffer(run.shape(step.output).iter().product());
    let epilogue = epilogue(run, step, weights)?;
    matmul::matmul(run.arch, run.values(step.operands[0]), &weights.packed, depth, features, &mut result);
    matmul::finish(run.arch, &epilogue, features, &mut result);
    Ok(Arc::new(result))
}
