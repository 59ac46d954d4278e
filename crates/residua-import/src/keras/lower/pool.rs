//! Windows without weights: pooling, zero padding, cropping.

use residua_ir::shape::window::Window;
use residua_ir::{AvgPool, GlobalPool, MaxPool, Op, Pad, Padding, Pads, PoolKind, Reduce};

use super::conv::padding;
use crate::keras::layer_call::{LayerCall, Lowered, Val};
use crate::keras::order;

/// `MaxPooling2D` and `AveragePooling2D`. Padding counts for neither.
pub(super) fn windows(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    let fields = layer_call.fields();
    let kernel = fields.pair_or("pool_size", [2, 2])?;
    let strides = fields.pair_or("strides", kernel)?;
    if [kernel, strides].as_flattened().contains(&0) {
        return Err(layer_call.wrong("pool_size and strides must be at least 1"));
    }
    // Amounts are what classes of KerasHub that are written out say.
    let stated = fields.get("padding").filter(|padding| padding.is_array());
    let padding =
        if let (Some(_), Some([[top, bottom], [left, right]])) = (stated, fields.margins("padding").ok().flatten()) {
            Padding::Explicit(Pads { top, left, bottom, right })
        } else {
            padding(fields, &x, [0, 1].map(|i| Window { kernel: kernel[i], stride: strides[i], dilation: 1 }))?
        };
    let op = if layer_call.layer.class == "MaxPooling2D" {
        Op::MaxPool(MaxPool { kernel, strides, padding, dilations: [1, 1], ceil_mode: false })
    } else {
        let dilations = [1, 1];
        Op::AvgPool(AvgPool { kernel, strides, padding, dilations, ceil_mode: false, count_include_pad: false })
    };
    Ok(layer_call.finish(op, &[&x], x.order.clone()))
}

/// `GlobalMaxPooling2D` and `GlobalAveragePooling2D`.
pub(super) fn global(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    let keep_dims = layer_call.fields().bool_or("keepdims", false)?;
    let kind = if layer_call.layer.class == "GlobalMaxPooling2D" { PoolKind::Max } else { PoolKind::Mean };
    let order = if keep_dims { x.order.clone() } else { order::permuted(vec![0, 1]) };
    Ok(layer_call.finish(Op::GlobalPool(GlobalPool { kind, keep_dims }), &[&x], order))
}

/// `GlobalMaxPooling1D` and `GlobalAveragePooling1D`: over the steps of a sequence.
pub(super) fn global_of_steps(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = if x.axes().is_none() { layer_call.plain(&x)? } else { x };
    if layer_call.rank(&x)? != 3 {
        return Err(layer_call.misfit("takes sequences of vectors (3 axes)"));
    }
    let keep_dims = layer_call.fields().bool_or("keepdims", false)?;
    let axis = layer_call.axis(&x, if layer_call.is_channels_first()? { 2 } else { 1 })?;
    let kind = if layer_call.layer.class == "GlobalMaxPooling1D" { PoolKind::Max } else { PoolKind::Mean };
    let order = if keep_dims { x.order.clone() } else { order::without(&x.axes().unwrap_or_default(), &[axis]) };
    Ok(layer_call.finish(Op::Reduce(Reduce { kind, axes: vec![axis], keep_dims }), &[&x], order))
}

/// The input with its axes where they lie, and where in the graph's value its rows and columns are. A layer that
/// neither mixes pixels nor channels takes them anywhere, so a `Permute` before it costs nothing: networks have padded
/// channels that way.
fn rows_and_columns(layer_call: &mut LayerCall<'_, '_>) -> Lowered<(Val, [usize; 2])> {
    let x = layer_call.input()?;
    let first = if layer_call.is_channels_first()? { 2 } else { 1 };
    match x.axes() {
        Some(axes) if axes.len() == 4 && axes[0] == 0 => Ok((x, [axes[first], axes[first + 1]])),
        Some(_) | None => Ok((layer_call.image(&x)?, [2, 3])),
    }
}

/// `ZeroPadding2D`.
pub(super) fn zero_padding(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let (x, at) = rows_and_columns(layer_call)?;
    let margins = layer_call.fields().margins("padding")?.unwrap_or([[1; 2]; 2]);
    let mut by_axis = [[0; 2]; 4];
    for (axis, margin) in at.into_iter().zip(margins) {
        by_axis[axis] = margin;
    }
    let [_, channels, [top, bottom], [left, right]] = by_axis;
    let pad = Pad { pads: Pads { top, left, bottom, right }, channels, value: 0.0 };
    Ok(layer_call.finish(Op::Pad(pad), &[&x], x.order.clone()))
}

/// `Cropping2D`.
pub(super) fn cropping(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let (x, at) = rows_and_columns(layer_call)?;
    let margins = layer_call.fields().margins("cropping")?.unwrap_or([[0; 2]; 2]);
    let mut ops = Vec::new();
    for (axis, [start, cut]) in at.into_iter().zip(margins) {
        let end = match (cut, x.size(axis)) {
            (0, _) => None,
            (cut, Some(size)) => Some(size.saturating_sub(cut)),
            (_, None) => return Err(layer_call.wrong("the size of what it crops from the end must be known")),
        };
        if start > 0 || end.is_some() {
            ops.push(("crop", Op::slice(axis, start, end, 1)));
        }
    }
    Ok(layer_call.chain(&x, ops, x.order.clone()))
}
