//! The type of each operator's result.

use super::window::{self, Window};
use super::{Dim, Shape, TensorType};
use crate::op::{Op, Padding, ReshapeDim};
use crate::tensor::DType;

/// Why an operator cannot be applied to its operands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Too few or too many operands.
    #[error("takes {expected} operands, found {found}")]
    Arity {
        /// How many it takes.
        expected: String,
        /// How many there are.
        found: usize,
    },
    /// An operand of another rank.
    #[error("{operand} must have {expected} axes, found shape {found}")]
    Rank {
        /// Which operand.
        operand: &'static str,
        /// Axes it must have.
        expected: String,
        /// Its shape.
        found: Shape,
    },
    /// An operand of another shape.
    #[error("{operand}: expected shape {expected}, found {found}")]
    Shape {
        /// Which operand.
        operand: &'static str,
        /// The shape it must have.
        expected: Shape,
        /// Its shape.
        found: Shape,
    },
    /// Operands that do not broadcast against each other.
    #[error("operands of shapes {a} and {b} do not fit together")]
    Broadcast {
        /// One shape.
        a: Shape,
        /// The other.
        b: Shape,
    },
    /// A window that does not fit into its operand.
    #[error(
        "a window of {kernel} with stride {stride} and dilation {dilation} does not fit into size {size} with padding {before}+{after}"
    )]
    Window {
        /// Taps.
        kernel: usize,
        /// Step between windows.
        stride: usize,
        /// Step between taps.
        dilation: usize,
        /// Size of the operand along the axis.
        size: Dim,
        /// Padding before.
        before: usize,
        /// Padding after.
        after: usize,
    },
    /// An attribute that makes no sense here.
    #[error("{0}")]
    Attribute(String),
}

type Result<T> = std::result::Result<T, ShapeError>;

fn arity(operands: &[TensorType], least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&operands.len()) {
        return Ok(());
    }
    let expected = match most {
        usize::MAX => format!("at least {least}"),
        _ if least == most => least.to_string(),
        _ => format!("{least} to {most}"),
    };
    Err(ShapeError::Arity { expected, found: operands.len() })
}

fn rank(operand: &'static str, shape: &Shape, expected: usize) -> Result<()> {
    if shape.rank() == expected {
        return Ok(());
    }
    Err(ShapeError::Rank { operand, expected: expected.to_string(), found: shape.clone() })
}

fn expect_shape(operand: &'static str, found: &Shape, expected: &[Dim]) -> Result<()> {
    if found.rank() == expected.len() && found.dims().iter().zip(expected).all(|(a, b)| a.may_equal(b)) {
        return Ok(());
    }
    Err(ShapeError::Shape { operand, expected: Shape::new(expected.to_vec()), found: found.clone() })
}

fn axis_in_range(axis: usize, shape: &Shape) -> Result<()> {
    if axis < shape.rank() {
        return Ok(());
    }
    Err(ShapeError::Attribute(format!("axis {axis} is out of range for shape {shape}")))
}

fn axes_in_range(axes: &[usize], shape: &Shape) -> Result<()> {
    if !axes.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(ShapeError::Attribute(format!("axes {axes:?} are not ascending")));
    }
    axes.iter().try_for_each(|&axis| axis_in_range(axis, shape))
}

/// Both shapes broadcast as numpy does.
fn broadcast(a: &Shape, b: &Shape) -> Result<Shape> {
    let rank = a.rank().max(b.rank());
    let at = |shape: &Shape, axis: usize| {
        (axis + shape.rank()).checked_sub(rank).map_or(Dim::Fixed(1), |axis| shape.dims()[axis].clone())
    };
    let dims = (0..rank).map(|axis| match (at(a, axis), at(b, axis)) {
        (Dim::Fixed(1), dim) | (dim, Dim::Fixed(1)) => Some(dim),
        (x, y) if !x.may_equal(&y) => None,
        // Where both are known to be the same, or one is free, the known size holds.
        (Dim::Fixed(size), _) | (_, Dim::Fixed(size)) => Some(Dim::Fixed(size)),
        (x, Dim::Unknown) | (Dim::Unknown, x) => Some(x),
        (x, y) => Some(if x.is_equal(&y) { x } else { Dim::Unknown }),
    });
    let dims: Option<Vec<Dim>> = dims.collect();
    dims.map(Shape::new).ok_or_else(|| ShapeError::Broadcast { a: a.clone(), b: b.clone() })
}

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
        return Err(ShapeError::Attribute("kernel, strides and dilations must be at least 1".to_owned()));
    }
    let along = |i: usize| {
        let (size, window) = (&x.dims()[2 + i], windows[i]);
        let (before, after, output) = match padding {
            Padding::Explicit(pads) => {
                let (before, after) = if i == 0 { (pads.top, pads.bottom) } else { (pads.left, pads.right) };
                (before, after, window::output_size(size, window, before, after, ceil))
            }
            Padding::SameUpper | Padding::SameLower => (0, 0, window::same_output_size(size, window)),
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

/// Channels of a normalised value: axis 1, or the last axis of a matrix, which is the same one.
fn channels(x: &Shape) -> Result<Dim> {
    if x.rank() < 2 {
        return Err(ShapeError::Rank { operand: "x", expected: "at least 2".to_owned(), found: x.clone() });
    }
    Ok(x.dims()[1].clone())
}

fn known_product(dims: &[Dim]) -> Option<usize> {
    dims.iter().try_fold(1usize, |product, dim| product.checked_mul(dim.fixed()?))
}

fn product(dims: &[Dim]) -> Dim {
    if let [only] = dims {
        return only.clone();
    }
    known_product(dims).map_or(Dim::Unknown, Dim::Fixed)
}

fn reshape(x: &Shape, target: &[ReshapeDim]) -> Result<Shape> {
    let mut dims = Vec::with_capacity(target.len());
    let mut infer = None;
    // Axes that are copied over cancel on both sides, so that a free batch does not hide the rest.
    let mut rest: Vec<Option<&Dim>> = x.dims().iter().map(Some).collect();
    let mut given = 1usize;
    for (axis, dim) in target.iter().enumerate() {
        dims.push(match *dim {
            ReshapeDim::Copy(from) => {
                axis_in_range(from, x)?;
                if rest[from].take().is_none() {
                    return Err(ShapeError::Attribute(format!("axis {from} is copied twice")));
                }
                x.dims()[from].clone()
            }
            ReshapeDim::Fixed(size) => {
                given = given
                    .checked_mul(size)
                    .ok_or_else(|| ShapeError::Attribute("the target shape is too large".to_owned()))?;
                Dim::Fixed(size)
            }
            ReshapeDim::Infer => {
                if infer.replace(axis).is_some() {
                    return Err(ShapeError::Attribute("more than one axis is to be inferred".to_owned()));
                }
                Dim::Unknown
            }
        });
    }
    let rest: Vec<Dim> = rest.into_iter().flatten().cloned().collect();
    let available = known_product(&rest);
    let mismatch = || ShapeError::Attribute(format!("{x} cannot be reshaped to {target:?}"));
    match (infer, available) {
        (Some(axis), Some(available)) => {
            if given == 0 || available % given != 0 {
                return Err(mismatch());
            }
            dims[axis] = Dim::Fixed(available / given);
        }
        (Some(axis), None) => {
            // One free size and the same known ones on the other side: what is inferred is the free one.
            let free: Vec<&Dim> = rest.iter().filter(|dim| dim.fixed().is_none()).collect();
            let known: Vec<Dim> = rest.iter().filter(|dim| dim.fixed().is_some()).cloned().collect();
            if let ([only], true) = (&free[..], known_product(&known) == Some(given)) {
                dims[axis] = (*only).clone();
            }
        }
        (None, Some(available)) if available != given => return Err(mismatch()),
        (None, _) => {}
    }
    Ok(Shape::new(dims))
}

fn remove_axes(shape: &Shape, axes: &[usize], keep: bool) -> Shape {
    let dims = shape.dims().iter().enumerate().filter_map(|(axis, dim)| match (axes.contains(&axis), keep) {
        (false, _) => Some(dim.clone()),
        (true, true) => Some(Dim::Fixed(1)),
        (true, false) => None,
    });
    Shape::new(dims.collect())
}

/// The type of each result of `op`; empty where it cannot be known ([`Op::Opaque`]).
///
/// # Errors
/// [`ShapeError`] where the operator cannot be applied to these operands.
pub fn infer(op: &Op, operands: &[TensorType]) -> Result<Vec<TensorType>> {
    let x = |operands: &[TensorType]| operands[0].shape.clone();
    let shape = match op {
        Op::Opaque(_) => return Ok(Vec::new()),
        Op::Cast { dtype } => {
            arity(operands, 1, 1)?;
            return Ok(vec![TensorType { dtype: *dtype, shape: x(operands) }]);
        }
        Op::Conv(conv) => {
            arity(operands, 2, 3)?;
            let (x, kernel) = (&operands[0].shape, &operands[1].shape);
            rank("x", x, 4)?;
            rank("kernel", kernel, 4)?;
            let Some([out, input, height, width]) = kernel.as_fixed().and_then(|k| <[usize; 4]>::try_from(k).ok())
            else {
                return Err(ShapeError::Attribute(format!("the kernel's shape {kernel} must be known")));
            };
            let groups = conv.groups;
            if groups == 0 || out % groups != 0 {
                return Err(ShapeError::Attribute(format!("{out} filters cannot be split into {groups} groups")));
            }
            let channels = input.checked_mul(groups).map_or(Dim::Unknown, Dim::Fixed);
            if !x.dims()[1].may_equal(&channels) {
                return Err(ShapeError::Attribute(format!(
                    "kernel {kernel} with {groups} groups takes {channels} channels, found x {x}"
                )));
            }
            if let Some(bias) = operands.get(2) {
                expect_shape("bias", &bias.shape, &[Dim::Fixed(out)])?;
            }
            let [h, w] = spatial(x, [height, width], conv.strides, conv.dilations, conv.padding, false)?;
            Shape::new(vec![x.dims()[0].clone(), Dim::Fixed(out), h, w])
        }
        Op::BatchNorm(_) => {
            arity(operands, 5, 5)?;
            let channels = channels(&operands[0].shape)?;
            for (name, operand) in ["scale", "offset", "mean", "variance"].into_iter().zip(&operands[1..]) {
                expect_shape(name, &operand.shape, std::slice::from_ref(&channels))?;
            }
            x(operands)
        }
        Op::GroupNorm(norm) => {
            arity(operands, 3, 3)?;
            let channels = channels(&operands[0].shape)?;
            if norm.groups == 0 || channels.fixed().is_some_and(|c| c % norm.groups != 0) {
                return Err(ShapeError::Attribute(format!(
                    "{channels} channels cannot be split into {} groups",
                    norm.groups
                )));
            }
            for (name, operand) in ["scale", "offset"].into_iter().zip(&operands[1..]) {
                expect_shape(name, &operand.shape, std::slice::from_ref(&channels))?;
            }
            x(operands)
        }
        Op::LayerNorm(norm) => {
            arity(operands, 3, 3)?;
            let x = &operands[0].shape;
            axes_in_range(&norm.axes, x)?;
            let dims: Vec<Dim> = norm.axes.iter().map(|&axis| x.dims()[axis].clone()).collect();
            expect_shape("scale", &operands[1].shape, &dims)?;
            expect_shape("offset", &operands[2].shape, &dims)?;
            x.clone()
        }
        Op::Activation(_) | Op::Identity(_) => {
            arity(operands, 1, 1)?;
            x(operands)
        }
        Op::PRelu => {
            arity(operands, 2, 2)?;
            let shape = broadcast(&operands[0].shape, &operands[1].shape)?;
            expect_shape("slope", &shape, operands[0].shape.dims())?;
            x(operands)
        }
        Op::Elementwise(op) => {
            let most = match op {
                crate::Elementwise::Sub | crate::Elementwise::Div | crate::Elementwise::Pow => 2,
                crate::Elementwise::Add
                | crate::Elementwise::Mul
                | crate::Elementwise::Max
                | crate::Elementwise::Min
                | crate::Elementwise::Mean => usize::MAX,
            };
            arity(operands, if most == 2 { 2 } else { 1 }, most)?;
            operands[1..].iter().try_fold(x(operands), |shape, operand| broadcast(&shape, &operand.shape))?
        }
        Op::MaxPool(pool) => {
            arity(operands, 1, 1)?;
            let x = &operands[0].shape;
            rank("x", x, 4)?;
            let [h, w] = spatial(x, pool.kernel, pool.strides, pool.dilations, pool.padding, pool.ceil_mode)?;
            Shape::new(vec![x.dims()[0].clone(), x.dims()[1].clone(), h, w])
        }
        Op::AvgPool(pool) => {
            arity(operands, 1, 1)?;
            let x = &operands[0].shape;
            rank("x", x, 4)?;
            let [h, w] = spatial(x, pool.kernel, pool.strides, [1, 1], pool.padding, pool.ceil_mode)?;
            Shape::new(vec![x.dims()[0].clone(), x.dims()[1].clone(), h, w])
        }
        Op::GlobalPool(pool) => {
            arity(operands, 1, 1)?;
            rank("x", &operands[0].shape, 4)?;
            remove_axes(&operands[0].shape, &[2, 3], pool.keep_dims)
        }
        Op::Reduce(reduce) => {
            arity(operands, 1, 1)?;
            axes_in_range(&reduce.axes, &operands[0].shape)?;
            remove_axes(&operands[0].shape, &reduce.axes, reduce.keep_dims)
        }
        Op::Pad(pad) => {
            arity(operands, 1, 1)?;
            let x = &operands[0].shape;
            rank("x", x, 4)?;
            let grow = |axis: usize, before: usize, after: usize| {
                i64::try_from(before.saturating_add(after))
                    .ok()
                    .and_then(|amount| x.dims()[axis].affine(amount, 1, 0))
                    .ok_or_else(|| ShapeError::Attribute("the padding is too large".to_owned()))
            };
            Shape::new(vec![
                x.dims()[0].clone(),
                grow(1, pad.channels[0], pad.channels[1])?,
                grow(2, pad.pads.top, pad.pads.bottom)?,
                grow(3, pad.pads.left, pad.pads.right)?,
            ])
        }
        Op::Linear => {
            arity(operands, 2, 3)?;
            let (x, weight) = (&operands[0].shape, &operands[1].shape);
            rank("weight", weight, 2)?;
            let Some((last, batch)) = x.dims().split_last() else {
                return Err(ShapeError::Rank { operand: "x", expected: "at least 1".to_owned(), found: x.clone() });
            };
            if !last.may_equal(&weight.dims()[1]) {
                return Err(ShapeError::Attribute(format!(
                    "weight {weight} takes {} features, found x {x}",
                    weight.dims()[1]
                )));
            }
            if let Some(bias) = operands.get(2) {
                expect_shape("bias", &bias.shape, &weight.dims()[..1])?;
            }
            Shape::new(batch.iter().chain(&weight.dims()[..1]).cloned().collect())
        }
        Op::MatMul => {
            arity(operands, 2, 2)?;
            let (a, b) = (&operands[0].shape, &operands[1].shape);
            let ([batch_a @ .., rows, inner_a], [batch_b @ .., inner_b, cols]) = (a.dims(), b.dims()) else {
                return Err(ShapeError::Rank {
                    operand: "a and b",
                    expected: "at least 2".to_owned(),
                    found: if a.rank() < 2 { a.clone() } else { b.clone() },
                });
            };
            if !inner_a.may_equal(inner_b) {
                return Err(ShapeError::Broadcast { a: a.clone(), b: b.clone() });
            }
            let batch = broadcast(&Shape::new(batch_a.to_vec()), &Shape::new(batch_b.to_vec()))?;
            Shape::new(batch.dims().iter().chain([rows, cols]).cloned().collect())
        }
        Op::Concat { axis } => {
            arity(operands, 1, usize::MAX)?;
            let first = x(operands);
            axis_in_range(*axis, &first)?;
            let mut dims = first.dims().to_vec();
            for operand in &operands[1..] {
                let other = &operand.shape;
                let fits = other.rank() == dims.len()
                    && (0..dims.len()).all(|i| i == *axis || dims[i].may_equal(&other.dims()[i]));
                if !fits {
                    return Err(ShapeError::Broadcast { a: first, b: other.clone() });
                }
                dims[*axis] = match (&dims[*axis], &other.dims()[*axis]) {
                    (Dim::Fixed(a), Dim::Fixed(b)) => a.checked_add(*b).map_or(Dim::Unknown, Dim::Fixed),
                    (Dim::Fixed(n), dim) | (dim, Dim::Fixed(n)) => {
                        i64::try_from(*n).ok().and_then(|n| dim.affine(n, 1, 0)).unwrap_or(Dim::Unknown)
                    }
                    (Dim::Symbolic { .. } | Dim::Unknown, Dim::Symbolic { .. } | Dim::Unknown) => Dim::Unknown,
                };
            }
            Shape::new(dims)
        }
        Op::Flatten { axis } => {
            arity(operands, 1, 1)?;
            let x = &operands[0].shape;
            if *axis > x.rank() {
                return Err(ShapeError::Attribute(format!("axis {axis} is out of range for shape {x}")));
            }
            let (outer, inner) = x.dims().split_at(*axis);
            Shape::new(vec![product(outer), product(inner)])
        }
        Op::Reshape { shape } => {
            arity(operands, 1, 1)?;
            reshape(&operands[0].shape, shape)?
        }
        Op::Transpose { perm } => {
            arity(operands, 1, 1)?;
            let x = &operands[0].shape;
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            if !sorted.into_iter().eq(0..x.rank()) {
                return Err(ShapeError::Attribute(format!("{perm:?} is no permutation of the axes of {x}")));
            }
            Shape::new(perm.iter().map(|&axis| x.dims()[axis].clone()).collect())
        }
        Op::Squeeze { axes } => {
            arity(operands, 1, 1)?;
            let x = &operands[0].shape;
            axes_in_range(axes, x)?;
            if let Some(&axis) = axes.iter().find(|&&axis| !x.dims()[axis].may_equal(&Dim::Fixed(1))) {
                return Err(ShapeError::Attribute(format!("axis {axis} of {x} is not of size 1")));
            }
            remove_axes(x, axes, false)
        }
        Op::Unsqueeze { axes } => {
            arity(operands, 1, 1)?;
            let mut dims = operands[0].shape.dims().to_vec();
            for &axis in axes {
                if axis > dims.len() {
                    return Err(ShapeError::Attribute(format!("axis {axis} is out of range")));
                }
                dims.insert(axis, Dim::Fixed(1));
            }
            Shape::new(dims)
        }
        Op::Slice { axis, start, end, step } => {
            arity(operands, 1, 1)?;
            let x = &operands[0].shape;
            axis_in_range(*axis, x)?;
            if *step == 0 {
                return Err(ShapeError::Attribute("step must be at least 1".to_owned()));
            }
            let mut dims = x.dims().to_vec();
            dims[*axis] = match (dims[*axis].fixed(), end) {
                (Some(size), end) => {
                    let end = end.unwrap_or(size).min(size);
                    Dim::Fixed(end.saturating_sub(*start).div_ceil(*step))
                }
                (None, None) => i64::try_from(*start)
                    .ok()
                    .zip(i64::try_from(*step).ok())
                    .and_then(|(start, step)| dims[*axis].affine(step - 1 - start, step, 0))
                    .unwrap_or(Dim::Unknown),
                (None, Some(_)) => Dim::Unknown,
            };
            Shape::new(dims)
        }
        Op::Softmax { axis } => {
            arity(operands, 1, 1)?;
            axis_in_range(*axis, &operands[0].shape)?;
            x(operands)
        }
    };
    let dtype = operands.first().map_or(DType::F32, |operand| operand.dtype);
    Ok(vec![TensorType { dtype, shape }])
}
