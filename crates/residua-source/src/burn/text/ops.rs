//= same_padding
/// Padding with which a window gives `ceil(n / stride)` results; the odd row and column come after, or before.
pub fn same_padding(
    xs: &Tensor<4>,
    kernel: [usize; 2],
    strides: [usize; 2],
    odd_before: bool,
) -> [usize; 4] {
    let [_, _, height, width] = xs.dims();
    let along = |axis: usize, size: usize| {
        let covered = (size.div_ceil(strides[axis]).max(1) - 1) * strides[axis] + kernel[axis];
        let total = covered.saturating_sub(size);
        let (less, more) = (total / 2, total - total / 2);
        if odd_before {
            (more, less)
        } else {
            (less, more)
        }
    };
    let ((top, bottom), (left, right)) = (along(0, height), along(1, width));
    [top, left, bottom, right]
}
//= round_up
/// Padding with rows below and columns on the right such that the last window is whole, where sizes are rounded up. A window
/// that would begin in the padding behind the image is left out.
pub fn round_up(
    xs: &Tensor<4>,
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
) -> [usize; 4] {
    let [_, _, height, width] = xs.dims();
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
    [top, left, bottom, right]
}
//= border
/// A number around an image: `pads` are those at the top, left, bottom and right.
fn border(xs: Tensor<4>, pads: [usize; 4], value: f32) -> Tensor<4> {
    let [top, left, bottom, right] = pads;
    if pads == [0; 4] {
        return xs;
    }
    xs.pad([(top, bottom), (left, right)], PadMode::Constant(value))
}
//= max_pool2d border
/// The largest value of each window; what lies around the image is smaller than any number.
pub fn max_pool2d(
    xs: Tensor<4>,
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
) -> Tensor<4> {
    let xs = border(xs, pads, f32::NEG_INFINITY);
    module::max_pool2d(xs, MaxPoolOptions::new(kernel).with_stride(strides))
}
//= avg_pool2d border
/// The mean of each window. Of what lies around the image, `counted` is part of the mean as zeros, all else is not part of it.
pub fn avg_pool2d(
    xs: Tensor<4>,
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    counted: [usize; 4],
) -> Tensor<4> {
    let pool = |xs: Tensor<4>| {
        let options = AvgPoolOptions::new(kernel).with_stride(strides);
        module::avg_pool2d(xs, options)
    };
    if pads == counted {
        return pool(border(xs, pads, 0.0));
    }
    let [_, _, height, width] = xs.dims();
    let [top, left, bottom, right] = counted;
    let shape = [1, 1, height + top + bottom, width + left + right];
    let ones = Tensor::ones(shape, &xs.device());
    let rest = [
        pads[0] - top,
        pads[1] - left,
        pads[2] - bottom,
        pads[3] - right,
    ];
    let share = pool(border(ones, rest, 0.0));
    pool(border(xs, pads, 0.0)) / share
}
//= slice
/// A range of an axis, as Python has it: what is below 0 counts from the end.
pub fn slice<const D: usize>(
    xs: Tensor<D>,
    axis: usize,
    start: i64,
    end: Option<i64>,
    step: isize,
) -> Tensor<D> {
    let size = xs.dims()[axis] as i64;
    let place = |at: i64| (if at < 0 { at + size } else { at }).clamp(0, size) as isize;
    let (start, end) = (place(start), place(end.unwrap_or(size)));
    xs.slice_dim(axis, Slice::new(start, Some(end.max(start)), step))
}
//= relu_within
/// `x` from `threshold` up to `most`, and `slope * (x - threshold)` below.
pub fn relu_within<const D: usize>(
    xs: Tensor<D>,
    slope: f64,
    threshold: f64,
    most: f64,
) -> Tensor<D> {
    let below = (xs.clone() - threshold) * slope;
    let is_below = xs.clone().lower_equal_scalar(threshold);
    xs.mask_where(is_below, below).clamp_max(most)
}
//= prelu
/// `x`, and `slope * x` below 0, where the slope is learned.
pub fn prelu<const D: usize>(xs: Tensor<D>, slope: Tensor<D>) -> Tensor<D> {
    xs.clone().clamp_min(0.0) + xs.clamp_max(0.0) * slope
}
//= layer_norm
/// Normalises over some axes, then scales: `weight` and `bias` have the sizes of these axes.
pub fn layer_norm<const D: usize, const N: usize>(
    xs: Tensor<D>,
    weight: Tensor<N>,
    bias: Tensor<N>,
    axes: [usize; N],
    epsilon: f64,
) -> Tensor<D> {
    let mut shape = [1; D];
    for axis in axes {
        shape[axis] = xs.dims()[axis];
    }
    let centred = xs.clone() - xs.mean_dims(&axes);
    let deviation = (centred.clone().square().mean_dims(&axes) + epsilon).sqrt();
    centred / deviation * weight.reshape(shape) + bias.reshape(shape)
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
pub fn reshape<const D: usize, const N: usize>(xs: Tensor<D>, sizes: [Size; N]) -> Tensor<N> {
    let dims = xs.dims();
    let known = sizes.map(|size| match size {
        Size::Axis(axis) => dims[axis],
        Size::Of(count) => count,
        Size::Rest => 1,
    });
    let rest = dims.iter().product::<usize>() / known.iter().product::<usize>().max(1);
    let mut shape = known;
    for (place, size) in shape.iter_mut().zip(sizes) {
        if matches!(size, Size::Rest) {
            *place = rest;
        }
    }
    xs.reshape(shape)
}
