//! Runs chains of integers: exact sums of products, then one rounding.

use std::sync::Arc;

use residua_ir::{Conv, Op, ValueId};

use super::plain::{failed, matmul_into};
use super::{Values, convolve, geometry, prepare};
use crate::array::element_count;
use crate::buffer::Buffer;
use crate::element::Element;
use crate::error::ExecError;
use crate::kernels::conv::Epilogue;
use crate::kernels::quantise::{self, Rescale};
use crate::kernels::{map_in_place, matmul};
use crate::run::Run;
use crate::step::{IntegerChain, Step, Weights};

/// Runs the chain of a step.
pub(super) fn run<T: Element>(
    run: &mut Run<'_, T>,
    step: &Step<T>,
    chain: &IntegerChain<T>,
    dead: &[ValueId],
) -> Result<Values<T>, ExecError> {
    let x = step.operands[0];
    let mut out = run.buffer(run.shape(step.output).iter().product());
    match chain {
        IntegerChain::Conv { conv, weights, zero, factor, rounding } => {
            let rescale = Rescale { factor, bias: weights.bias.as_deref(), rounding: *rounding };
            run_conv(run, step, conv, (weights, *zero), rescale, dead, &mut out)?;
        }
        IntegerChain::Linear { weights, zero, factor, rounding } => {
            let rows = centred(run, x, *zero, dead);
            let (features, depth) = (weights.shape[0], weights.shape[1]);
            matmul::matmul(run.arch, &rows, &weights.packed, depth, features, &mut out);
            let rescale = Rescale { factor, bias: weights.bias.as_deref(), rounding: *rounding };
            rescale.columns(run.arch, features, &mut out);
            run.recycle(rows);
        }
        IntegerChain::MatMul { zeros, factor, rounding } => {
            let [a, b] = [0, 1].map(|index| centred(run, step.operands[index], zeros[index], &[]));
            let product = matmul_into(run, step, [&a, &b], &mut out);
            product.map_err(|problem| failed(run, &Op::MatMul, step, problem))?;
            let rescale = Rescale { factor: std::slice::from_ref(factor), bias: None, rounding: *rounding };
            let columns = run.shape(step.output).last().copied().unwrap_or(1);
            rescale.columns(run.arch, columns, &mut out);
            [a, b].into_iter().for_each(|buffer| run.recycle(buffer));
        }
        IntegerChain::Pair(pair) => {
            let shaped = |index: usize| (run.values(step.operands[index]), run.shape(step.operands[index]));
            quantise::pairs(run.arch, *pair, shaped(0), shaped(1), &mut out, run.shape(step.output));
        }
        IntegerChain::Mean { scales, zero, rounding } => {
            let len = run.shape(x).iter().skip(2).product();
            quantise::mean(run.values(x), len, *zero, *scales, *rounding, &mut out);
        }
    }
    Ok(Arc::new(out))
}

/// Elements that a chain needs besides its result; [`None`] where the number overflows.
pub(super) fn scratch<T>(step: &Step<T>, chain: &IntegerChain<T>, shapes: &[Vec<usize>]) -> Option<usize> {
    let shape = |index: usize| &shapes[step.operands[index].index()];
    let own = |index: usize| element_count(shape(index));
    match chain {
        IntegerChain::Conv { conv, weights, .. } => {
            let geometry = geometry(conv, shape(0), &weights.shape, &shapes[step.output.index()])?;
            geometry.prepared_len()?.checked_add(own(0)?)
        }
        IntegerChain::Linear { .. } => own(0),
        IntegerChain::MatMul { .. } => own(0)?.checked_add(own(1)?),
        IntegerChain::Pair(_) | IntegerChain::Mean { .. } => Some(0),
    }
}

/// IntegerChain less their zero point.
fn centred<T: Element>(run: &mut Run<'_, T>, x: ValueId, zero: T, dead: &[ValueId]) -> Buffer<T> {
    let mut values = run.take(x, dead);
    if zero != T::default() {
        map_in_place(run.arch, &mut values, |values| values.iter_mut().for_each(|value| *value = *value - zero));
    }
    values
}

fn run_conv<T: Element>(
    run: &mut Run<'_, T>,
    step: &Step<T>,
    attributes: &Conv,
    (weights, zero): (&Weights<T>, T),
    rescale: Rescale<'_, T>,
    dead: &[ValueId],
    out: &mut [T],
) -> Result<(), ExecError> {
    let x = step.operands[0];
    let sizes = geometry(attributes, run.shape(x), &weights.shape, run.shape(step.output));
    let geometry = sizes.ok_or_else(|| ExecError::Node {
        node: step.name.clone().into(),
        op: "Conv".into(),
        operands: format!("{:?}, {:?}", run.shape(x), weights.shape).into(),
        reason: "the padded image is too large".into(),
    })?;
    // Padding is 0, which the zero point stands for.
    let centred = centred(run, x, zero, dead);
    let mut prepared = run.buffer(geometry.prepared_len().unwrap_or(0));
    let epilogue = Epilogue { factor: None, bias: None, residual: None, activation: None };
    convolve(run.arch, &geometry, prepare(&geometry, &centred, &mut prepared), weights, &epilogue, out);
    rescale.rows(run.arch, geometry.filters, geometry.output[0] * geometry.output[1], out);
    run.recycle(prepared);
    run.recycle(centred);
    Ok(())
}
