//! Images of other sizes: `Resizing`, `CenterCrop`, `UpSampling2D`, adaptive pools.
//!
//! Nearest and bilinear resizing are an operator. All others are linear in the image as well, with weights that follow from
//! the sizes: a product with a matrix from the left for rows, and one from the right for columns.

use residua_ir::{
    AvgPool, Coordinates, Extent, Fit, Interpolation, MaxPool, Op, Pad, Padding, Pads, PoolKind, Reduce, Resize,
    ResizeTarget, Role, Rounding, Tensor,
};

use super::filters::{self, Filter};
use crate::error::Error;
use crate::keras::json::Fields;
use crate::keras::layer_call::{LayerCall, Lowered, Stop, Val};

/// Rows and columns of the graph's value.
const PIXELS: [usize; 2] = [2, 3];

/// What makes one size of another.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    Nearest,
    Bilinear,
    Filtered(Filter, bool),
}

fn method(fields: Fields<'_>, default: &str) -> Lowered<Method> {
    let antialias = fields.bool_or("antialias", false)?;
    let filtered = |filter| Method::Filtered(filter, antialias);
    let name = fields.str("interpolation")?.unwrap_or(default).to_ascii_lowercase();
    Ok(match name.as_str() {
        "nearest" => Method::Nearest,
        "bilinear" if antialias => filtered(Filter::Triangle),
        "bilinear" => Method::Bilinear,
        "bicubic" => filtered(Filter::Cubic),
        "area" => Method::Filtered(Filter::Area, false),
        "lanczos3" => filtered(Filter::Lanczos(3.0)),
        "lanczos5" => filtered(Filter::Lanczos(5.0)),
        "gaussian" => filtered(Filter::Gaussian),
        "mitchellcubic" => filtered(Filter::MitchellCubic),
        other => return Err(Stop::Opaque(format!("the interpolation `{other}` is not known"))),
    })
}

/// Rows and columns of an image, which must be known.
fn sizes(x: &Val) -> Lowered<[usize; 2]> {
    let sizes = PIXELS.map(|axis| x.size(axis));
    match sizes {
        [Some(height), Some(width)] if height > 0 && width > 0 => Ok([height, width]),
        _ => Err(Stop::Opaque("what it computes depends on the size of its images, which is not known".to_owned())),
    }
}

/// `Resizing`.
pub(super) fn resizing(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let fields = layer_call.fields();
    let target = [fields.required_usize("height")?, fields.required_usize("width")?];
    resize_layer(layer_call, fields, target)
}

/// `ops.image.resize`.
pub(super) fn resize_operation(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let target = fields.pair("size")?.ok_or_else(|| fields.error("size", "height and width"))?;
    resize_layer(layer_call, fields, target)
}

fn resize_layer(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>, target: [usize; 2]) -> Lowered {
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    if target.contains(&0) {
        return Err(layer_call.wrong("an image has at least one row and one column"));
    }
    let method = method(fields, "bilinear")?;
    let x = if fields.bool_or("crop_to_aspect_ratio", false)? {
        cropped_to_aspect(layer_call, &x, target)?
    } else if fields.bool_or("pad_to_aspect_ratio", false)? {
        let value = fields.f64_or("fill_value", 0.0)?;
        padded_to_aspect(layer_call, &x, target, value)?
    } else {
        x
    };
    resized(layer_call, &x, target, method)
}

/// What of one side goes with a side of the other at the target's ratio, as TensorFlow rounds it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes of images")]
fn in_proportion(other: usize, numerator: usize, denominator: usize) -> usize {
    ((other.saturating_mul(numerator)) as f32 / denominator as f32) as usize
}

/// The middle of an image, at the ratio of the target.
fn cropped_to_aspect(layer_call: &mut LayerCall<'_, '_>, x: &Val, [rows, columns]: [usize; 2]) -> Lowered {
    let [height, width] = sizes(x)?;
    let kept = [
        in_proportion(width, rows, columns).min(height).max(1),
        in_proportion(height, columns, rows).min(width).max(1),
    ];
    Ok(middle(layer_call, x, [height, width], kept, "crop"))
}

/// The middle of an image: so many rows and columns.
fn middle(layer_call: &mut LayerCall<'_, '_>, x: &Val, from: [usize; 2], kept: [usize; 2], part: &str) -> Val {
    let mut value = x.clone();
    for at in [0, 1] {
        if kept[at] < from[at] {
            let start = (from[at] - kept[at]) / 2;
            let slice = Op::slice(PIXELS[at], start, Some(start + kept[at]), 1);
            value = layer_call.step(&format!("{part}_{at}"), slice, &[&value], x.order.clone());
        }
    }
    value
}

/// An image with a border, at the ratio of the target. Keras puts the same on both sides.
fn padded_to_aspect(layer_call: &mut LayerCall<'_, '_>, x: &Val, [rows, columns]: [usize; 2], value: f64) -> Lowered {
    let [height, width] = sizes(x)?;
    let top = in_proportion(width, rows, columns).saturating_sub(height) / 2;
    let left = in_proportion(height, columns, rows).saturating_sub(width) / 2;
    if [top, left] == [0, 0] {
        return Ok(x.clone());
    }
    let pads = Pads { top, left, bottom: top, right: left };
    Ok(layer_call.step("pad", Op::Pad(Pad { pads, channels: [0, 0], value }), &[x], x.order.clone()))
}

/// The image in another size, as what the layer gives.
fn resized(layer_call: &mut LayerCall<'_, '_>, x: &Val, target: [usize; 2], method: Method) -> Lowered {
    let order = x.order.clone();
    // Two of the filters blur, also where the size stays.
    let blurs = matches!(method, Method::Filtered(Filter::Gaussian | Filter::MitchellCubic, _));
    if PIXELS.map(|axis| x.size(axis)) == target.map(Some) && !blurs {
        return Ok(layer_call.chain(x, Vec::new(), order));
    }
    let interpolation = match method {
        Method::Nearest => Interpolation::Nearest(Rounding::HalfUp),
        Method::Bilinear => Interpolation::Linear,
        Method::Filtered(filter, antialias) => {
            let before = sizes(x)?;
            let matrices = [0, 1].map(|at| filter.matrix_within(layer_call, before[at], target[at], antialias));
            let [rows, columns] = matrices;
            return products(layer_call, x, [before, target], [rows?, columns?]);
        }
    };
    let sizes = target.map(Extent::from).to_vec();
    let resize = Resize {
        axes: PIXELS.to_vec(),
        target: ResizeTarget::Sizes { sizes, fit: Fit::Stretch },
        interpolation,
        coordinates: Coordinates::HalfPixel,
        antialias: false,
        exclude_outside: false,
    };
    Ok(layer_call.finish(Op::Resize(resize), &[x], order))
}

impl Filter {
    /// Its weights, once it is known that there is room for them.
    fn matrix_within(
        self,
        layer_call: &mut LayerCall<'_, '_>,
        before: usize,
        after: usize,
        antialias: bool,
    ) -> Lowered<Vec<f64>> {
        room(layer_call, before, after)?;
        Ok(self.matrix(before, after, antialias))
    }
}

/// Counts what a matrix takes.
fn room(layer_call: &mut LayerCall<'_, '_>, before: usize, after: usize) -> Lowered<()> {
    let bytes = before.saturating_mul(after).saturating_mul(size_of::<f64>());
    Ok(layer_call.net.made.spend_here(bytes).map_err(Error::from)?)
}

/// `rows · x · columnsᵀ`, with matrices of `[after, before]`.
fn products(
    layer_call: &mut LayerCall<'_, '_>,
    x: &Val,
    [before, after]: [[usize; 2]; 2],
    [rows, columns]: [Vec<f64>; 2],
) -> Lowered {
    #[expect(clippy::cast_possible_truncation, reason = "Keras computes with weights of f32")]
    let single = |weights: &[f64]| weights.iter().map(|&weight| weight as f32).collect::<Vec<f32>>();
    let tensor = |of: &[f64], at: usize| Tensor::from_f32(vec![after[at], before[at]], &single(of));
    let rows = tensor(&rows, 0).map_err(|error| layer_call.tensor_error(error))?;
    let columns = tensor(&columns, 1).and_then(|tensor| tensor.permute(&[1, 0]));
    let columns = columns.map_err(|error| layer_call.tensor_error(error))?;
    let (rows, columns) =
        (layer_call.made("rows", Role::Literal, rows), layer_call.made("columns", Role::Literal, columns));
    let order = x.order.clone();
    let high = layer_call.step("high", Op::MatMul, &[&rows, x], order.clone());
    Ok(layer_call.finish(Op::MatMul, &[&high, &columns], order))
}

/// `CenterCrop`: the middle of an image; of one that is smaller, the middle at the right ratio, made larger.
pub(super) fn center_crop(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let fields = layer_call.fields();
    let target = [fields.required_usize("height")?, fields.required_usize("width")?];
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    if target.contains(&0) {
        return Err(layer_call.wrong("an image has at least one row and one column"));
    }
    let from = sizes(&x)?;
    let order = x.order.clone();
    if target[0] > from[0] || target[1] > from[1] {
        let x = cropped_to_aspect(layer_call, &x, target)?;
        return resized(layer_call, &x, target, Method::Bilinear);
    }
    let mut ops = Vec::new();
    for at in [0, 1] {
        if target[at] < from[at] {
            let start = (from[at] - target[at]) / 2;
            ops.push(("crop", Op::slice(PIXELS[at], start, Some(start + target[at]), 1)));
        }
    }
    Ok(layer_call.chain(&x, ops, order))
}

/// `UpSampling2D`.
pub(super) fn up_sampling(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let fields = layer_call.fields();
    let factors = fields.pair_or("size", [2, 2])?;
    let method = method(fields, "nearest")?;
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    if factors.contains(&0) {
        return Err(layer_call.wrong("size must be at least 1"));
    }
    let interpolation = match method {
        Method::Nearest => Interpolation::Nearest(Rounding::HalfUp),
        Method::Bilinear => Interpolation::Linear,
        Method::Filtered(..) => {
            let before = sizes(&x)?;
            let target = [0, 1].map(|at| before[at].saturating_mul(factors[at]));
            return resized(layer_call, &x, target, method);
        }
    };
    let order = x.order.clone();
    if factors == [1, 1] {
        return Ok(layer_call.chain(&x, Vec::new(), order));
    }
    let resize = Resize {
        axes: PIXELS.to_vec(),
        target: ResizeTarget::Scales(factors.map(|factor| factor as f64).to_vec()),
        interpolation,
        coordinates: Coordinates::HalfPixel,
        antialias: false,
        exclude_outside: false,
    };
    Ok(layer_call.finish(Op::Resize(resize), &[&x], order))
}

/// `AdaptiveAveragePooling2D` and `AdaptiveMaxPooling2D`: windows that follow from the sizes, and overlap where those do not divide.
pub(super) fn adaptive(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let fields = layer_call.fields();
    let target = fields.pair("output_size")?.ok_or_else(|| fields.error("output_size", "height and width"))?;
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    if target.contains(&0) {
        return Err(layer_call.wrong("output_size must be at least 1"));
    }
    let before = sizes(&x)?;
    let is_max = layer_call.layer.class == "AdaptiveMaxPooling2D";
    let order = x.order.clone();
    if [0, 1].iter().all(|&at| before[at].is_multiple_of(target[at])) {
        let kernel = [before[0] / target[0], before[1] / target[1]];
        let (padding, dilations) = (Padding::default(), [1, 1]);
        let op = if is_max {
            Op::MaxPool(MaxPool { kernel, strides: kernel, padding, dilations, ceil_mode: false })
        } else {
            let count_include_pad = false;
            Op::AvgPool(AvgPool { kernel, strides: kernel, padding, dilations, ceil_mode: false, count_include_pad })
        };
        return Ok(layer_call.finish(op, &[&x], order));
    }
    for at in [0, 1] {
        room(layer_call, before[at], target[at])?;
    }
    if !is_max {
        let matrices = [0, 1].map(|at| filters::means(before[at], target[at]));
        return products(layer_call, &x, [before, target], matrices);
    }
    let rows = largest(layer_call, &x, 0, [before[0], target[0]])?;
    let columns = largest(layer_call, &rows, 1, [before[1], target[1]])?;
    Ok(layer_call.chain(&columns, Vec::new(), order))
}

/// The largest of each window along rows or columns, side by side.
fn largest(layer_call: &mut LayerCall<'_, '_>, x: &Val, along: usize, [before, after]: [usize; 2]) -> Lowered {
    let (axis, name, order) = (PIXELS[along], ["row", "column"][along], x.order.clone());
    let mut parts = Vec::with_capacity(after);
    for (nth, [start, end]) in filters::windows(before, after).into_iter().enumerate() {
        layer_call.net.count_call().map_err(Stop::Fail)?;
        let window = Op::slice(axis, start, Some(end), 1);
        let window = layer_call.step(&format!("{name}_{nth}_window"), window, &[x], order.clone());
        let max = Op::Reduce(Reduce { kind: PoolKind::Max, axes: vec![axis], keep_dims: true });
        parts.push(layer_call.step(&format!("{name}_{nth}"), max, &[&window], order.clone()));
    }
    let operands: Vec<&Val> = parts.iter().collect();
    Ok(layer_call.step(&format!("{name}s"), Op::Concat { axis }, &operands, order))
}
