//! Operations that reduce axes: sums, extremes, deviations, the place of the largest.

use residua_ir::{
    Activation, ArgExtremum, DType, Elementwise, Extremum, GlobalPool, Op, PoolKind, Reduce, SourceOrder,
};

use super::lengths::graph_axes;
use crate::keras::json::Fields;
use crate::keras::layer_call::{Generation, LayerCall, Lowered, Stop, Val};
use crate::keras::order;

/// What is reduced: the operand, the graph's axes, and how what remains lies.
struct Reduced {
    x: Val,
    axes: Vec<usize>,
    keep_dims: bool,
    order: SourceOrder,
}

impl Reduced {
    fn read(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered<Self> {
        let x = layer_call.input()?;
        let x = if x.axes().is_none() { layer_call.plain(&x)? } else { x };
        let rank = layer_call.rank(&x)?;
        let keep_dims = fields.bool_or("keepdims", false)?;
        let axes = match fields.integers("axis")? {
            None => (0..rank).collect(),
            Some(axes) => graph_axes(layer_call, &x, &axes)?,
        };
        let order = if keep_dims { x.order.clone() } else { order::without(&x.axes().unwrap_or_default(), &axes) };
        Ok(Self { x, axes, keep_dims, order })
    }
}

/// A reduction over source axes; over all pixels of an image it is a global pooling.
pub(super) fn reduce(layer_call: &mut LayerCall<'_, '_>, kind: PoolKind, fields: Fields<'_>) -> Lowered {
    let Reduced { x, axes, keep_dims, order } = Reduced::read(layer_call, fields)?;
    let pixels = x.rank() == Some(4) && axes == [2, 3] && matches!(kind, PoolKind::Mean | PoolKind::Max);
    let op = if pixels {
        Op::GlobalPool(GlobalPool { kind, keep_dims })
    } else {
        Op::Reduce(Reduce { kind, axes, keep_dims })
    };
    Ok(layer_call.finish(op, &[&x], order))
}

/// `var` and, with `root`, `std`: of all elements, not of a sample.
pub(super) fn deviation(layer_call: &mut LayerCall<'_, '_>, root: bool, fields: Fields<'_>) -> Lowered {
    let Reduced { x, axes, keep_dims, order } = Reduced::read(layer_call, fields)?;
    let mean = |keep_dims| Op::Reduce(Reduce { kind: PoolKind::Mean, axes: axes.clone(), keep_dims });
    let own = x.order.clone();
    let centre = layer_call.step("mean", mean(true), &[&x], own.clone());
    let distance = layer_call.step("sub", Op::Elementwise(Elementwise::Sub), &[&x, &centre], own.clone());
    let square = layer_call.step("square", Op::Elementwise(Elementwise::Mul), &[&distance, &distance], own);
    let mut ops = vec![("variance", mean(keep_dims))];
    if root {
        ops.push(("sqrt", Op::Activation(Activation::Sqrt)));
    }
    Ok(layer_call.chain(&square, ops, order))
}

/// `argmax` and `argmin`: the first of the largest, as an integer of the type that Keras or TensorFlow gives.
pub(super) fn place(layer_call: &mut LayerCall<'_, '_>, of: Extremum, fields: Fields<'_>) -> Lowered {
    let axis = fields.get("axis").or(fields.get("dimension"));
    if axis.is_none() && layer_call.net.generation == Generation::Keras3 {
        return Err(Stop::Opaque("a place among all elements, the batch included, has no operator".to_owned()));
    }
    let x = layer_call.input()?;
    let x = if x.axes().is_none() { layer_call.plain(&x)? } else { x };
    let axis = fields.i64("axis")?.or(fields.i64("dimension")?).unwrap_or(0);
    let axis = layer_call.axis(&x, axis)?;
    let keep_dims = fields.bool_or("keepdims", false)?;
    let order = if keep_dims { x.order.clone() } else { order::without(&x.axes().unwrap_or_default(), &[axis]) };
    let arg = Op::ArgExtremum(ArgExtremum { of, axis, keep_dims, last: false });
    let wide = layer_call.net.generation == Generation::Keras2 && fields.str("output_type")? != Some("int32");
    let ops = if wide { vec![("place", arg)] } else { vec![("place", arg), ("cast", Op::Cast { dtype: DType::I32 })] };
    Ok(layer_call.chain(&x, ops, order))
}
