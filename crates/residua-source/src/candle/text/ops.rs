//= rectangular
/// A convolution whose kernel has other rows than columns: `kernel` is `[rows, columns]`.
pub fn rectangular(
    inputs: usize,
    outputs: usize,
    kernel: [usize; 2],
    bias: bool,
    config: Conv2dConfig,
    vb: VarBuilder,
) -> Result<Conv2d> {
    let shape = (outputs, inputs / config.groups, kernel[0], kernel[1]);
    let weight = vb.get(shape, "weight")?;
    let bias = bias.then(|| vb.get(outputs, "bias")).transpose()?;
    Ok(Conv2d::new(weight, bias, config))
}
//= pad2d
/// Zeros around an image: `pads` are those at the top, left, bottom and right.
pub fn pad2d(xs: &Tensor, pads: [usize; 4]) -> Result<Tensor> {
    let [top, left, bottom, right] = pads;
    xs.pad_with_zeros(2, top, bottom)?
        .pad_with_zeros(3, left, right)
}
//= fill2d
/// A number around an image: `pads` are those at the top, left, bottom and right.
pub fn fill2d(xs: &Tensor, pads: [usize; 4], value: f64) -> Result<Tensor> {
    let [top, left, bottom, right] = pads;
    let mut xs = xs.clone();
    for (axis, before, after) in [(2, top, bottom), (3, left, right)] {
        let border = |size: usize| -> Result<Tensor> {
            let mut shape = xs.dims().to_vec();
            shape[axis] = size;
            Tensor::full(value as f32, shape, xs.device())?.to_dtype(xs.dtype())
        };
        if before + after > 0 {
            xs = Tensor::cat(&[border(before)?, xs.clone(), border(after)?], axis)?;
        }
    }
    Ok(xs)
}
//= same_padding
/// Padding with which a window gives `ceil(n / stride)` results; the odd row and column come after, or before.
pub fn same_padding(
    xs: &Tensor,
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    odd_before: bool,
) -> Result<[usize; 4]> {
    let (_, _, height, width) = xs.dims4()?;
    let along = |axis: usize, size: usize| {
        let covered = (size.div_ceil(strides[axis]).max(1) - 1) * strides[axis]
            + (kernel[axis] - 1) * dilations[axis]
            + 1;
        let total = covered.saturating_sub(size);
        let (less, more) = (total / 2, total - total / 2);
        if odd_before {
            (more, less)
        } else {
            (less, more)
        }
    };
    let ((top, bottom), (left, right)) = (along(0, height), along(1, width));
    Ok([top, left, bottom, right])
}
//= round_up
/// Padding with rows below and columns on the right such that the last window is whole, where sizes are rounded up. A window
/// that would begin in the padding behind the image is left out.
pub fn round_up(
    xs: &Tensor,
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
) -> Result<[usize; 4]> {
    let (_, _, height, width) = xs.dims4()?;
    let after = |axis: usize, size: usize, before: usize, after: usize| {
        let room = (size + before + after).saturating_sub(kernel[axis]);
        let mut steps = room.div_ceil(strides[axis]);
        if steps * strides[axis] >= size + before {
            steps -= 1;
        }
        (steps * strides[axis] + kernel[axis]).saturating_sub(size + before)
    };
    let [top, left, bottom, right] = pads;
    let (bottom, right) = (after(0, height, top, bottom), after(1, width, left, right));
    Ok([top, left, bottom, right])
}
//= max_pool2d fill2d
/// The largest value of each window; what lies around the image is smaller than any number.
pub fn max_pool2d(
    xs: &Tensor,
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
) -> Result<Tensor> {
    fill2d(xs, pads, f64::NEG_INFINITY)?
        .max_pool2d_with_stride((kernel[0], kernel[1]), (strides[0], strides[1]))
}
//= avg_pool2d pad2d
/// The mean of each window. Of what lies around the image, `counted` is part of the mean as zeros, all else is not part of it.
pub fn avg_pool2d(
    xs: &Tensor,
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    counted: [usize; 4],
) -> Result<Tensor> {
    let pool =
        |xs: &Tensor| xs.avg_pool2d_with_stride((kernel[0], kernel[1]), (strides[0], strides[1]));
    let (_, _, height, width) = xs.dims4()?;
    let [top, left, bottom, right] = counted;
    let shape = (1, 1, height + top + bottom, width + left + right);
    let ones = Tensor::ones(shape, xs.dtype(), xs.device())?;
    let rest = [
        pads[0] - top,
        pads[1] - left,
        pads[2] - bottom,
        pads[3] - right,
    ];
    let share = pool(&pad2d(&ones, rest)?)?;
    pool(&pad2d(xs, pads)?)?.broadcast_div(&share)
}
//= every
/// Every so many elements along an axis.
pub fn every(xs: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    let size = xs.dim(axis)? as u32;
    let places = Tensor::arange_step(0u32, size, step as u32, xs.device())?;
    xs.contiguous()?.index_select(&places, axis)
}
//= slice every
/// A range of an axis, as Python has it: what is below 0 counts from the end.
pub fn slice(
    xs: &Tensor,
    axis: usize,
    start: i64,
    end: Option<i64>,
    step: usize,
) -> Result<Tensor> {
    let size = xs.dim(axis)? as i64;
    let place = |at: i64| (if at < 0 { at + size } else { at }).clamp(0, size) as usize;
    let (start, end) = (place(start), place(end.unwrap_or(size)));
    let range = xs.narrow(axis, start, end.saturating_sub(start))?;
    if step > 1 {
        every(&range, axis, step)
    } else {
        range.contiguous()
    }
}
//= relu_within
/// `x` from `threshold` up to `most`, and `slope * (x - threshold)` below.
pub fn relu_within(xs: &Tensor, slope: f64, threshold: f64, most: f64) -> Result<Tensor> {
    let below = ((xs - threshold)? * slope)?;
    xs.gt(threshold)?.where_cond(xs, &below)?.minimum(most)
}
//= leaky_relu
/// `x`, and `slope * x` below 0.
pub fn leaky_relu(xs: &Tensor, slope: f64) -> Result<Tensor> {
    xs.ge(0.0)?.where_cond(xs, &(xs * slope)?)
}
//= prelu
/// `x`, and `slope * x` below 0, where the slope is learned.
pub fn prelu(xs: &Tensor, slope: &Tensor) -> Result<Tensor> {
    xs.ge(0.0)?.where_cond(xs, &xs.broadcast_mul(slope)?)
}
//= celu
/// `max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)`.
pub fn celu(xs: &Tensor, alpha: f64) -> Result<Tensor> {
    let below = (((xs.minimum(0.0)? / alpha)?.exp()? - 1.0)? * alpha)?;
    xs.maximum(0.0)? + below
}
//= selu
/// The scaled exponential unit of Klambauer et al. 2017.
pub fn selu(xs: &Tensor) -> Result<Tensor> {
    xs.elu(1.673_263_242_354_377_2)? * 1.050_700_987_355_480_5
}
//= hard_sigmoid
/// `slope * x + offset` between 0 and 1.
pub fn hard_sigmoid(xs: &Tensor, slope: f64, offset: f64) -> Result<Tensor> {
    ((xs * slope)? + offset)?.clamp(0.0, 1.0)
}
//= hard_swish hard_sigmoid
/// `x` times its hard sigmoid.
pub fn hard_swish(xs: &Tensor) -> Result<Tensor> {
    xs * hard_sigmoid(xs, 1.0 / 6.0, 0.5)?
}
//= softplus
/// `log(1 + exp(x))`.
pub fn softplus(xs: &Tensor) -> Result<Tensor> {
    xs.maximum(0.0)? + (xs.abs()?.neg()?.exp()? + 1.0)?.log()?
}
//= softsign
/// `x / (1 + |x|)`.
pub fn softsign(xs: &Tensor) -> Result<Tensor> {
    xs / (xs.abs()? + 1.0)?
}
//= mish softplus
/// `x * tanh(softplus(x))`.
pub fn mish(xs: &Tensor) -> Result<Tensor> {
    xs * softplus(xs)?.tanh()?
}
//= layer_norm
/// Normalises over some axes, then scales: `weight` and `bias` have the sizes of these axes.
pub fn layer_norm(
    xs: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    axes: &[usize],
    epsilon: f64,
) -> Result<Tensor> {
    let mut shape = vec![1; xs.rank()];
    for &axis in axes {
        shape[axis] = xs.dim(axis)?;
    }
    let centred = xs.broadcast_sub(&xs.mean_keepdim(axes)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(axes)? + epsilon)?.sqrt()?;
    centred
        .broadcast_div(&deviation)?
        .broadcast_mul(&weight.reshape(shape.as_slice())?)?
        .broadcast_add(&bias.reshape(shape.as_slice())?)
}
//= local_response_norm
/// `x / (bias + alpha / size * s)^beta`, where `s` sums the squares of `size` neighbouring channels.
pub fn local_response_norm(
    xs: &Tensor,
    size: usize,
    alpha: f64,
    beta: f64,
    bias: f64,
) -> Result<Tensor> {
    let channels = xs.dim(1)?;
    let before = (size - 1) / 2;
    let squares = xs.sqr()?.pad_with_zeros(1, before, size - 1 - before)?;
    let mut sum = squares.narrow(1, 0, channels)?;
    for offset in 1..size {
        sum = (sum + squares.narrow(1, offset, channels)?)?;
    }
    xs / ((sum * (alpha / size as f64))? + bias)?.powf(beta)?
}
//= reshape
/// What becomes an axis.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    /// As large as this axis was.
    Axis(usize),
    /// This many.
    Of(usize),
    /// What is left.
    Rest,
}

/// The same elements under other axes.
pub fn reshape(xs: &Tensor, sizes: &[Size]) -> Result<Tensor> {
    let mut shape = Vec::new();
    for size in sizes {
        shape.push(match size {
            Size::Axis(axis) => xs.dim(*axis)?,
            Size::Of(count) => *count,
            Size::Rest => 0,
        });
    }
    if let Some(rest) = sizes.iter().position(|size| matches!(size, Size::Rest)) {
        shape[rest] = 1;
        shape[rest] = xs.elem_count() / shape.iter().product::<usize>().max(1);
    }
    xs.reshape(shape)
}
//= extreme
/// The largest values along some axes, or the smallest, with these axes of size 1.
pub fn extreme(xs: &Tensor, axes: &[usize], largest: bool) -> Result<Tensor> {
    let mut xs = xs.clone();
    for &axis in axes {
        xs = if largest {
            xs.max_keepdim(axis)?
        } else {
            xs.min_keepdim(axis)?
        };
    }
    Ok(xs)
}
//= mirror
/// The image mirrored at its edges along an axis; the edge itself is not repeated.
pub fn mirror(xs: &Tensor, axis: usize, before: usize, after: usize) -> Result<Tensor> {
    let size = xs.dim(axis)?;
    let place = |at: usize| {
        let at = (at as i64 - before as i64).unsigned_abs() as usize;
        let beyond = at.saturating_sub(size - 1);
        (at - 2 * beyond) as u32
    };
    let places: Vec<u32> = (0..before + size + after).map(place).collect();
    let places = Tensor::new(places, xs.device())?;
    xs.contiguous()?.index_select(&places, axis)
}
