//! Convolutions: plain, depthwise, separable, transposed.

use residua_ir::shape::window::{Window, same_upper, same_upper_any_size};
use residua_ir::{Conv, ConvTranspose, Op, Padding, Pads};

use super::activation::activated;
use crate::keras::json::Fields;
use crate::keras::layer_call::{LayerCall, Lowered, Stop, Val, Weight};

/// The `padding` key for windows over an image in NCHW; explicit amounts wherever they can be known.
pub(super) fn padding(fields: Fields<'_>, x: &Val, windows: [Window; 2]) -> Lowered<Padding> {
    match fields.str("padding")?.unwrap_or("valid") {
        "valid" | "VALID" => return Ok(Padding::default()),
        "same" | "SAME" => {}
        _ => return Err(fields.error("padding", "valid or same").into()),
    }
    let along = |i: usize| match x.size(2 + i) {
        Some(size) => same_upper(size, windows[i]),
        None => same_upper_any_size(windows[i]),
    };
    Ok(match (along(0), along(1)) {
        (Some((top, bottom)), Some((left, right))) => Padding::Explicit(Pads { top, left, bottom, right }),
        (None, _) | (_, None) => Padding::SameUpper,
    })
}

/// What the three kinds of convolution have in common.
struct Geometry {
    kernel: [usize; 2],
    conv: Conv,
    use_bias: bool,
}

fn geometry(layer_call: &LayerCall<'_, '_>, x: &Val) -> Lowered<Geometry> {
    let fields = layer_call.fields();
    if layer_call.net.flipped_kernels {
        return Err(
            layer_call.wrong("its kernel was written for Theano, which flips kernels; save the model with TensorFlow")
        );
    }
    if fields.get("quantization_config").is_some() || fields.get("lora_rank").is_some() {
        return Err(Stop::Opaque("quantised and low-rank layers are not known".to_owned()));
    }
    let kernel = fields.pair("kernel_size")?.ok_or_else(|| fields.error("kernel_size", "a size"))?;
    let strides = fields.pair_or("strides", [1, 1])?;
    let dilations = fields.pair_or("dilation_rate", [1, 1])?;
    if [kernel, strides, dilations].as_flattened().contains(&0) {
        return Err(layer_call.wrong("kernel_size, strides and dilation_rate must be at least 1"));
    }
    let windows = [0, 1].map(|i| Window { kernel: kernel[i], stride: strides[i], dilation: dilations[i] });
    let padding = padding(fields, x, windows)?;
    let conv = Conv { strides, padding, dilations, groups: 1 };
    Ok(Geometry { kernel, conv, use_bias: fields.bool_or("use_bias", true)? })
}

/// HWIO to OIHW.
fn oihw<'v>(weight: Weight<'v>) -> Weight<'v> {
    weight.view(|kernel| kernel.permute(&[3, 2, 0, 1]))
}

/// `Conv2D`. Kernel (h, w, in / groups, out).
pub(super) fn conv(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    let Geometry { kernel: [h, w], conv, use_bias } = geometry(layer_call, &x)?;
    let filters = layer_call.fields().required_usize("filters")?;
    let groups = layer_call.fields().usize("groups")?.unwrap_or(1);
    let inputs = match (x.size(1), groups) {
        (_, 0) => return Err(layer_call.fields().error("groups", "an integer of at least 1").into()),
        (Some(channels), _) if channels % groups != 0 => {
            return Err(layer_call.misfit(format!("{channels} channels cannot be split into {groups} groups")));
        }
        (channels, _) => channels.map(|channels| channels / groups),
    };
    let mut weights = vec![oihw(Weight::new("kernel", &[Some(h), Some(w), inputs, Some(filters)]))];
    if use_bias {
        weights.push(Weight::new("bias", &[Some(filters)]));
    }
    let weights = layer_call.weight_list(weights)?;
    let operands: Vec<&Val> = std::iter::once(&x).chain(&weights).collect();
    activated(layer_call, "conv", Op::Conv(Conv { groups, ..conv }), &operands, x.order.clone())
}

/// `Conv2DTranspose`. Kernel (h, w, out, in).
pub(super) fn transposed(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    let fields = layer_call.fields();
    let same = match fields.str("padding")?.unwrap_or("valid").to_ascii_lowercase().as_str() {
        "valid" => false,
        "same" => true,
        _ => return Err(fields.error("padding", "valid or same").into()),
    };
    // Its padding is that of the result, which its own rules say.
    let Geometry { kernel, conv: Conv { strides, dilations, .. }, use_bias } = geometry(layer_call, &x)?;
    if fields.usize("groups")?.is_some_and(|groups| groups != 1) {
        return Err(Stop::Opaque("transposed convolutions of several groups are not known".to_owned()));
    }
    let stated = fields.pair("output_padding")?;
    let (mut before, mut behind, mut more) = ([0; 2], [0; 2], [0; 2]);
    for at in [0, 1] {
        let reach = kernel[at]
            .checked_sub(1)
            .and_then(|gaps| gaps.checked_mul(dilations[at])?.checked_add(1))
            .ok_or_else(|| layer_call.wrong("kernel_size and dilation_rate are too large"))?;
        // What the result has beyond one stride for each element but the last.
        let beyond = match (same, stated) {
            (true, None) => strides[at],
            (true, Some(stated)) => (reach % 2).saturating_add(stated[at]),
            (false, None) => reach.max(strides[at]),
            (false, Some(stated)) => reach.saturating_add(stated[at]),
        };
        let cut = reach.saturating_sub(beyond);
        (before[at], behind[at], more[at]) = (cut / 2, cut - cut / 2, beyond.saturating_sub(reach));
    }
    let filters = layer_call.fields().required_usize("filters")?;
    let shape = [Some(kernel[0]), Some(kernel[1]), Some(filters), x.size(1)];
    let mut weights = vec![oihw(Weight::new("kernel", &shape))];
    if use_bias {
        weights.push(Weight::new("bias", &[Some(filters)]));
    }
    let weights = layer_call.weight_list(weights)?;
    let operands: Vec<&Val> = std::iter::once(&x).chain(&weights).collect();
    let pads = Pads { top: before[0], left: before[1], bottom: behind[0], right: behind[1] };
    let conv = ConvTranspose { strides, pads, output_padding: more, dilations, groups: 1 };
    activated(layer_call, "conv", Op::ConvTranspose(conv), &operands, x.order.clone())
}

/// The kernel (h, w, in, multiplier) of a depthwise convolution, of which output channel `c * multiplier + m` is the
/// `m`-th of input channel `c`.
fn depthwise_kernel<'v>(kernel: [usize; 2], channels: Option<usize>, multiplier: usize) -> Weight<'v> {
    let shape = [Some(kernel[0]), Some(kernel[1]), channels, Some(multiplier)];
    Weight::new("depthwise_kernel", &shape).or_named("kernel").view(|kernel| {
        let &[h, w, channels, multiplier] = kernel.shape() else { return Ok(kernel.clone()) };
        kernel.permute(&[2, 3, 0, 1])?.reshape(&[channels.saturating_mul(multiplier), 1, h, w])
    })
}

/// The number of groups is the number of channels, which must be known.
fn channels(layer_call: &LayerCall<'_, '_>, x: &Val) -> Lowered<usize> {
    layer_call.rank(x)?;
    x.size(1).ok_or_else(|| layer_call.wrong("the number of channels of its input must be known"))
}

/// `DepthwiseConv2D`.
pub(super) fn depthwise(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    let Geometry { kernel, conv, use_bias } = geometry(layer_call, &x)?;
    let groups = channels(layer_call, &x)?;
    let multiplier = layer_call.fields().usize("depth_multiplier")?.unwrap_or(1);
    let mut weights = vec![depthwise_kernel(kernel, Some(groups), multiplier)];
    if use_bias {
        weights.push(Weight::new("bias", &[groups.checked_mul(multiplier)]));
    }
    let weights = layer_call.weight_list(weights)?;
    let operands: Vec<&Val> = std::iter::once(&x).chain(&weights).collect();
    activated(layer_call, "conv", Op::Conv(Conv { groups, ..conv }), &operands, x.order.clone())
}

/// `SeparableConv2D`: depthwise with the window, then 1x1 over all channels.
pub(super) fn separable(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = layer_call.image(&x)?;
    let Geometry { kernel, conv, use_bias } = geometry(layer_call, &x)?;
    let groups = channels(layer_call, &x)?;
    let multiplier = layer_call.fields().usize("depth_multiplier")?.unwrap_or(1);
    let filters = layer_call.fields().required_usize("filters")?;
    let pointwise = [Some(1), Some(1), groups.checked_mul(multiplier), Some(filters)];
    let mut weights =
        vec![depthwise_kernel(kernel, Some(groups), multiplier), oihw(Weight::new("pointwise_kernel", &pointwise))];
    if use_bias {
        weights.push(Weight::new("bias", &[Some(filters)]));
    }
    let weights = layer_call.weight_list(weights)?;
    let order = x.order.clone();
    let [depthwise, rest @ ..] = weights.as_slice() else {
        return Err(layer_call.wrong("its tensors cannot be bound"));
    };
    let middle = layer_call.step("depthwise", Op::Conv(Conv { groups, ..conv }), &[&x, depthwise], order.clone());
    let operands: Vec<&Val> = std::iter::once(&middle).chain(rest).collect();
    activated(layer_call, "pointwise", Op::Conv(Conv::default()), &operands, order)
}
