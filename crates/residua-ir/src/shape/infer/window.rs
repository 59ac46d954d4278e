//! Convolutions, pools and the padding of images.

use super::super::window::{Window, output_size, same_output_size};
use super::super::{Dim, Shape, ShapeError, TensorType};
use super::{Result, arity, expect_shape, rank};
use crate::op::{Conv, ConvTranspose, Pad, Padding};

/// Height and width of a window operator's result.
fn spatial(
    x: &Shape,
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    padding: Padding,
    ceil: bool,
) -> Result<[Dim; 2]> {
    let windows = [0, 1].map(|i| Window { kernel: kernel[i], stride: strides[i], dilation: dilations[i] });
    if windows.iter().any(|w| w.kernel == 0 || w.stride == 0 || w.dilation == 0) {
        return Err(ShapeError::Attribute("kernel, strides and dilations must be at least 1".into()));
    }
    let along = |i: usize| {
        let (size, window) = (&x.dims()[2 + i], windows[i]);
        let (before, after, output) = match padding {
            Padding::Explicit(pads) => {
                let (before, after) = if i == 0 { (pads.top, pads.bottom) } else { (pads.left, pads.right) };
                (before, after, output_size(size, window, before, after, ceil))
            }
            Padding::SameUpper | Padding::SameLower => (0, 0, same_output_size(size, window)),
        };
        output.ok_or_else(|| ShapeError::Window {
            kernel: window.kernel,
            stride: window.stride,
            dilation: window.dilation,
            size: size.clone(),
            before,
            after,
        })
    };
    Ok([along(0)?, along(1)?])
}

pub(super) fn conv(conv: &Conv, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 2, 3)?;
    let (x, kernel) = (&operands[0].shape, &operands[1].shape);
    rank("x", x, 4)?;
    rank("kernel", kernel, 4)?;
    let Some([out, input, height, width]) = kernel.as_fixed().and_then(|k| <[usize; 4]>::try_from(k).ok()) else {
        return Err(ShapeError::Attribute(format!("the kernel's shape {kernel} must be known").into()));
    };
    let groups = conv.groups;
    if groups == 0 || out % groups != 0 {
        return Err(ShapeError::Attribute(format!("{out} filters cannot be split into {groups} groups").into()));
    }
    let channels = input.checked_mul(groups).map_or(Dim::Unknown, Dim::Fixed);
    if !x.dims()[1].may_equal(&channels) {
        return Err(ShapeError::Attribute(
            format!("kernel {kernel} with {groups} groups takes {channels} channels, found x {x}").into(),
        ));
    }
    if let Some(bias) = operands.get(2) {
        expect_shape("bias", &bias.shape, &[Dim::Fixed(out)])?;
    }
    let [h, w] = spatial(x, [height, width], conv.strides, conv.dilations, conv.padding, false)?;
    Ok(Shape::new(vec![x.dims()[0].clone(), Dim::Fixed(out), h, w]))
}

/// `(n - 1) * stride + (kernel - 1) * dilation + 1 + output padding - pads`.
pub(super) fn conv_transpose(conv: &ConvTranspose, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 2, 3)?;
    let (x, kernel) = (&operands[0].shape, &operands[1].shape);
    rank("x", x, 4)?;
    rank("kernel", kernel, 4)?;
    let Some([input, out, height, width]) = kernel.as_fixed().and_then(|k| <[usize; 4]>::try_from(k).ok()) else {
        return Err(ShapeError::Attribute(format!("the kernel's shape {kernel} must be known").into()));
    };
    if conv.groups == 0 || input % conv.groups != 0 {
        return Err(ShapeError::Attribute(
            format!("{input} channels cannot be split into {} groups", conv.groups).into(),
        ));
    }
    if !x.dims()[1].may_equal(&Dim::Fixed(input)) {
        return Err(ShapeError::Attribute(format!("kernel {kernel} takes {input} channels, found x {x}").into()));
    }
    let out = out.checked_mul(conv.groups).ok_or_else(|| ShapeError::Attribute("there are too many filters".into()))?;
    if let Some(bias) = operands.get(2) {
        expect_shape("bias", &bias.shape, &[Dim::Fixed(out)])?;
    }
    let along = |i: usize| {
        let window = Window { kernel: [height, width][i], stride: conv.strides[i], dilation: conv.dilations[i] };
        let pads = if i == 0 { [conv.pads.top, conv.pads.bottom] } else { [conv.pads.left, conv.pads.right] };
        let size = &x.dims()[2 + i];
        spread(size, window, pads, conv.output_padding[i]).ok_or_else(|| ShapeError::Window {
            kernel: window.kernel,
            stride: window.stride,
            dilation: window.dilation,
            size: size.clone(),
            before: pads[0],
            after: pads[1],
        })
    };
    Ok(Shape::new(vec![x.dims()[0].clone(), Dim::Fixed(out), along(0)?, along(1)?]))
}

fn spread(size: &Dim, window: Window, pads: [usize; 2], more: usize) -> Option<Dim> {
    if window.kernel == 0 || window.stride == 0 || window.dilation == 0 {
        return None;
    }
    let stride = i64::try_from(window.stride).ok()?;
    let cut = i64::try_from(pads[0].checked_add(pads[1])?).ok()?;
    let rest = window.extent()?.checked_add(i64::try_from(more).ok()?)?.checked_sub(cut)?.checked_sub(stride)?;
    match size.fixed() {
        Some(0) => Some(Dim::Fixed(0)),
        Some(size) => {
            let size = i64::try_from(size).ok()?.checked_mul(stride)?.checked_add(rest)?;
            usize::try_from(size).ok().map(Dim::Fixed)
        }
        None if stride == 1 => size.affine(rest, 1, 0),
        None => Some(Dim::Unknown),
    }
}

/// Any pool over windows.
pub(super) fn pool(
    operands: &[TensorType],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    (padding, ceil): (Padding, bool),
) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let x = &operands[0].shape;
    rank("x", x, 4)?;
    let [h, w] = spatial(x, kernel, strides, dilations, padding, ceil)?;
    Ok(Shape::new(vec![x.dims()[0].clone(), x.dims()[1].clone(), h, w]))
}

pub(super) fn pad(pad: &Pad, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let x = &operands[0].shape;
    rank("x", x, 4)?;
    let grow = |axis: usize, before: usize, after: usize| {
        i64::try_from(before.saturating_add(after))
            .ok()
            .and_then(|amount| x.dims()[axis].affine(amount, 1, 0))
            .ok_or_else(|| ShapeError::Attribute("the padding is too large".into()))
    };
    Ok(Shape::new(vec![
        x.dims()[0].clone(),
        grow(1, pad.channels[0], pad.channels[1])?,
        grow(2, pad.pads.top, pad.pads.bottom)?,
        grow(3, pad.pads.left, pad.pads.right)?,
    ]))
}
