//! Convolutions, pools and padding.

use residua_ir::shape::window::{Window, resolve, same_upper_any_size};
use residua_ir::{AvgPool, Conv, GlobalPool, MaxPool, Op, Pad, Padding, Pads, PoolKind, ValueId};

use super::super::{Reader, Unknown};
use super::Read;

fn two_dimensional(r: &Reader<'_>, x: ValueId) -> Result<(), Unknown> {
    match r.rank(x) {
        Some(4) | None => Ok(()),
        Some(rank) => Err(Unknown(format!("only pictures are known, of four axes; its operand has {rank}"))),
    }
}

/// `pads` or `auto_pad`, as amounts wherever they are known.
fn padding(r: &Reader<'_>, x: ValueId, windows: [Window; 2]) -> Result<Padding, Unknown> {
    let pads = r.attributes.ints("pads")?;
    let same = match r.attributes.text("auto_pad")?.unwrap_or("NOTSET") {
        "NOTSET" | "" => {
            return match pads {
                None => Ok(Padding::default()),
                Some(&[top, left, bottom, right]) => {
                    let amounts = amounts([top, left, bottom, right])?;
                    Ok(Padding::Explicit(amounts))
                }
                Some(other) => Err(Unknown(format!("`pads` must be four amounts, found {other:?}"))),
            };
        }
        "VALID" => return Ok(Padding::default()),
        "SAME_UPPER" => Padding::SameUpper,
        "SAME_LOWER" => Padding::SameLower,
        other => return Err(Unknown(format!("`auto_pad` {other} is not known"))),
    };
    if let (Some(height), Some(width)) = (r.scope.fixed(x, 2), r.scope.fixed(x, 3)) {
        let amounts = resolve(same, height, width, windows);
        return amounts.map(Padding::Explicit).ok_or_else(|| Unknown("its padding is out of range".to_owned()));
    }
    if let [Some(rows), Some(cols)] = windows.map(same_upper_any_size) {
        let (rows, cols) = if same == Padding::SameLower { ((rows.1, rows.0), (cols.1, cols.0)) } else { (rows, cols) };
        return Ok(Padding::Explicit(Pads { top: rows.0, bottom: rows.1, left: cols.0, right: cols.1 }));
    }
    Ok(same)
}

fn amounts(values: [i64; 4]) -> Result<Pads, Unknown> {
    let sizes = values.map(usize::try_from);
    let [Ok(top), Ok(left), Ok(bottom), Ok(right)] = sizes else {
        return Err(Unknown(format!("padding must not be negative, found {values:?}")));
    };
    Ok(Pads { top, left, bottom, right })
}

struct Attributes {
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    padding: Padding,
}

/// The attributes that windows share; `kernel` where they need not say it.
fn window(r: &Reader<'_>, x: ValueId, kernel: Option<[usize; 2]>) -> Result<Attributes, Unknown> {
    two_dimensional(r, x)?;
    let stated = r.attributes.pair("kernel_shape", kernel)?;
    if let Some(kernel) = kernel.filter(|&kernel| kernel != stated) {
        return Err(Unknown(format!("`kernel_shape` is {stated:?} and its kernel {kernel:?}")));
    }
    let strides = r.attributes.pair("strides", Some([1, 1]))?;
    let dilations = r.attributes.pair("dilations", Some([1, 1]))?;
    let windows = [0, 1].map(|i| Window { kernel: stated[i], stride: strides[i], dilation: dilations[i] });
    Ok(Attributes { kernel: stated, strides, dilations, padding: padding(r, x, windows)? })
}

/// Attributes of a convolution of these operands.
pub(super) fn conv_attributes(r: &Reader<'_>, x: ValueId, kernel: ValueId) -> Result<Conv, Unknown> {
    let sizes = r.scope.shape(kernel)?.as_fixed();
    let Some(&[_, _, height, width]) = sizes.as_deref() else {
        return Err(Unknown("its kernel must have four axes of known sizes".to_owned()));
    };
    let a = window(r, x, Some([height, width]))?;
    let groups = r.attributes.int("group")?.unwrap_or(1);
    let groups = usize::try_from(groups).map_err(|_| Unknown(format!("`group` is {groups}")))?;
    Ok(Conv { strides: a.strides, padding: a.padding, dilations: a.dilations, groups })
}

pub(super) fn conv(r: &mut Reader<'_>) -> Read {
    let (x, kernel) = (r.value(0)?, r.value(1)?);
    let conv = conv_attributes(r, x, kernel)?;
    let mut inputs = vec![x, kernel];
    if r.operand(2).is_some() {
        inputs.push(r.value(2)?);
    }
    r.end(Op::Conv(conv), &inputs)
}

pub(super) fn max_pool(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let pool = max_pool_attributes(r, x)?;
    r.end(Op::MaxPool(pool), &[x])
}

pub(super) fn max_pool_attributes(r: &Reader<'_>, x: ValueId) -> Result<MaxPool, Unknown> {
    let a = window(r, x, None)?;
    // The order of the indices, which nothing reads.
    r.attributes.skip(&["storage_order"]);
    let ceil_mode = r.attributes.flag("ceil_mode", false)?;
    let Attributes { kernel, strides, dilations, padding } = a;
    Ok(MaxPool { kernel, strides, padding, dilations, ceil_mode })
}

pub(super) fn avg_pool(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let pool = avg_pool_attributes(r, x)?;
    r.end(Op::AvgPool(pool), &[x])
}

pub(super) fn avg_pool_attributes(r: &Reader<'_>, x: ValueId) -> Result<AvgPool, Unknown> {
    let a = window(r, x, None)?;
    let ceil_mode = r.attributes.flag("ceil_mode", false)?;
    let count_include_pad = r.attributes.flag("count_include_pad", false)?;
    let Attributes { kernel, strides, padding, dilations } = a;
    Ok(AvgPool { kernel, strides, padding, dilations, ceil_mode, count_include_pad })
}

pub(super) fn global_pool(r: &mut Reader<'_>, kind: PoolKind) -> Read {
    let x = r.value(0)?;
    two_dimensional(r, x)?;
    r.end(Op::GlobalPool(GlobalPool { kind, keep_dims: true }), &[x])
}

pub(super) fn pad(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    two_dimensional(r, x)?;
    match r.attributes.text("mode")?.unwrap_or("constant") {
        "constant" => {}
        other => return Err(Unknown(format!("padding by `{other}` is not known"))),
    }
    let (amounts, value) = if r.opset < 11 {
        let stated = r.attributes.ints(if r.opset < 2 { "paddings" } else { "pads" })?.unwrap_or_default();
        (stated.to_vec(), r.attributes.float("value")?.unwrap_or(0.0))
    } else {
        let name = r.required(1)?;
        let amounts = r.scope.ints(name, "amounts")?;
        let value = r.operand(2).map_or(Ok(0.0), |name| r.scope.number(name, "value"))?;
        (amounts, value)
    };
    let amounts = match r.operand(3) {
        Some(name) => {
            let axes = r.scope.ints(name, "axes")?;
            spread(&amounts, &axes)?
        }
        None => amounts,
    };
    let found =
        || Unknown(format!("padding {amounts:?} is not known: eight amounts, none of them negative or of the batch"));
    let sizes: Vec<usize> =
        amounts.iter().map(|&a| usize::try_from(a).map_err(|_| found())).collect::<Result<_, _>>()?;
    let &[0, before, top, left, 0, after, bottom, right] = &sizes[..] else { return Err(found()) };
    r.end(Op::Pad(Pad { pads: Pads { top, left, bottom, right }, channels: [before, after], value }), &[x])
}

/// Amounts of some axes as amounts of all four.
fn spread(amounts: &[i64], axes: &[i64]) -> Result<Vec<i64>, Unknown> {
    if amounts.len() != 2 * axes.len() {
        return Err(Unknown(format!("{} amounts for {} axes", amounts.len(), axes.len())));
    }
    let mut all = vec![0; 8];
    for (index, &axis) in axes.iter().enumerate() {
        let axis = Reader::axis(axis, Some(4))?;
        all[axis] = amounts[index];
        all[4 + axis] = amounts[axes.len() + index];
    }
    Ok(all)
}
