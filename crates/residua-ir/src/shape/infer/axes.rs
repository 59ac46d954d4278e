//! Operators that move elements, repeat them, or only name their axes otherwise.

use super::super::{Dim, Shape, ShapeError, TensorType};
use super::{Result, arity, axes_in_range, axis_in_range, broadcast, one_kind, remove_axes};
use crate::op::extent::shape_of;
use crate::op::{Border, Extent, PadAxes, ReshapeDim, Resize};

fn known_product(dims: &[Dim]) -> Option<usize> {
    dims.iter().try_fold(1usize, |product, dim| product.checked_mul(dim.fixed()?))
}

fn product(dims: &[Dim]) -> Dim {
    if let [only] = dims {
        return only.clone();
    }
    known_product(dims).map_or(Dim::Unknown, Dim::Fixed)
}

pub(super) fn reshape(target: &[ReshapeDim], operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, usize::MAX)?;
    let x = &operands[0].shape;
    let mut dims = Vec::with_capacity(target.len());
    let mut infer = None;
    // Axes that are copied over cancel on both sides, so that a free batch does not hide the rest.
    let mut rest: Vec<Option<&Dim>> = x.dims().iter().map(Some).collect();
    let mut given = Some(1usize);
    let mut fixed = |size: usize| {
        let product = given.map(|given| given.checked_mul(size));
        given = product.map(|product| product.ok_or_else(too_large)).transpose()?;
        Ok(Dim::Fixed(size))
    };
    let mut open = false;
    for (axis, dim) in target.iter().enumerate() {
        dims.push(match dim {
            &ReshapeDim::Copy(from) => {
                axis_in_range(from, x)?;
                if rest[from].take().is_none() {
                    return Err(ShapeError::Attribute(format!("axis {from} is copied twice").into()));
                }
                x.dims()[from].clone()
            }
            &ReshapeDim::Fixed(size) => fixed(size)?,
            ReshapeDim::Infer => {
                if infer.replace(axis).is_some() {
                    return Err(ShapeError::Attribute("more than one axis is to be inferred".into()));
                }
                Dim::Unknown
            }
            ReshapeDim::Computed(extent) => match extent.size(operands)? {
                Dim::Fixed(size) => fixed(size)?,
                free @ (Dim::Symbolic { .. } | Dim::Unknown) => {
                    match rest.iter_mut().find(|dim| dim.is_some_and(|dim| dim.is_equal(&free))) {
                        Some(same) => *same = None,
                        None => open = true,
                    }
                    free
                }
            },
        });
    }
    let rest: Vec<Dim> = rest.into_iter().flatten().cloned().collect();
    let available = known_product(&rest);
    let mismatch = || ShapeError::Attribute(format!("{x} cannot be reshaped to {}", Shape::new(dims.clone())).into());
    let given = given.filter(|_| !open);
    match (infer, available, given) {
        (Some(axis), Some(available), Some(given)) => {
            if given == 0 || available % given != 0 {
                return Err(mismatch());
            }
            dims[axis] = Dim::Fixed(available / given);
        }
        (Some(axis), None, Some(given)) => {
            // One free size and the same known ones on the other side: what is inferred is the free one.
            let free: Vec<&Dim> = rest.iter().filter(|dim| dim.fixed().is_none()).collect();
            let known: Vec<Dim> = rest.iter().filter(|dim| dim.fixed().is_some()).cloned().collect();
            if let ([only], true) = (&free[..], known_product(&known) == Some(given)) {
                dims[axis] = (*only).clone();
            }
        }
        (None, Some(available), Some(given)) if available != given => return Err(mismatch()),
        (None, _, _) | (Some(_), _, None) => {}
    }
    Ok(Shape::new(dims))
}

fn too_large() -> ShapeError {
    ShapeError::Attribute("the result is too large".into())
}

pub(super) fn concat(axis: usize, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, usize::MAX)?;
    one_kind(operands)?;
    let first = operands[0].shape.clone();
    axis_in_range(axis, &first)?;
    let mut dims = first.dims().to_vec();
    for operand in &operands[1..] {
        let other = &operand.shape;
        let fits =
            other.rank() == dims.len() && (0..dims.len()).all(|i| i == axis || dims[i].may_equal(&other.dims()[i]));
        if !fits {
            return Err(ShapeError::Broadcast { a: first, b: other.clone() });
        }
        dims[axis] = match (&dims[axis], &other.dims()[axis]) {
            (Dim::Fixed(a), Dim::Fixed(b)) => a.checked_add(*b).map_or(Dim::Unknown, Dim::Fixed),
            (Dim::Fixed(n), dim) | (dim, Dim::Fixed(n)) => {
                i64::try_from(*n).ok().and_then(|n| dim.affine(n, 1, 0)).unwrap_or(Dim::Unknown)
            }
            (Dim::Symbolic { .. } | Dim::Unknown, Dim::Symbolic { .. } | Dim::Unknown) => Dim::Unknown,
        };
    }
    Ok(Shape::new(dims))
}

pub(super) fn flatten(axis: usize, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let x = &operands[0].shape;
    if axis > x.rank() {
        return Err(ShapeError::Attribute(format!("axis {axis} is out of range for shape {x}").into()));
    }
    let (outer, inner) = x.dims().split_at(axis);
    Ok(Shape::new(vec![product(outer), product(inner)]))
}

pub(super) fn trilu(operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let shape = &operands[0].shape;
    if shape.rank() < 2 {
        return Err(ShapeError::Rank { operand: "x", expected: "at least 2".to_owned(), found: shape.clone() });
    }
    Ok(shape.clone())
}

pub(super) fn transpose(perm: &[usize], operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let x = &operands[0].shape;
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.rank()) {
        return Err(ShapeError::Attribute(format!("{perm:?} is no permutation of the axes of {x}").into()));
    }
    Ok(Shape::new(perm.iter().map(|&axis| x.dims()[axis].clone()).collect()))
}

pub(super) fn squeeze(axes: &[usize], operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let x = &operands[0].shape;
    axes_in_range(axes, x)?;
    if let Some(&axis) = axes.iter().find(|&&axis| !x.dims()[axis].may_equal(&Dim::Fixed(1))) {
        return Err(ShapeError::Attribute(format!("axis {axis} of {x} is not of size 1").into()));
    }
    Ok(remove_axes(x, axes, false))
}

pub(super) fn unsqueeze(axes: &[usize], operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let mut dims = operands[0].shape.dims().to_vec();
    for &axis in axes {
        if axis > dims.len() {
            return Err(ShapeError::Attribute(format!("axis {axis} is out of range").into()));
        }
        dims.insert(axis, Dim::Fixed(1));
    }
    Ok(Shape::new(dims))
}

/// Broadcasting in both directions.
pub(super) fn expand(shape: &[Extent], operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, usize::MAX)?;
    broadcast(&operands[0].shape, &shape_of(shape, operands)?)
}

pub(super) fn tile(repeats: &[Extent], operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, usize::MAX)?;
    let x = &operands[0].shape;
    let repeats = shape_of(repeats, operands)?;
    if repeats.rank() != x.rank() {
        return Err(ShapeError::Attribute(format!("{} numbers of repeats for shape {x}", repeats.rank()).into()));
    }
    let dims = x.dims().iter().zip(repeats.dims()).map(|(dim, times)| match (dim, times) {
        (Dim::Fixed(size), Dim::Fixed(times)) => size.checked_mul(*times).map(Dim::Fixed).ok_or_else(too_large),
        (dim, Dim::Fixed(1)) | (Dim::Fixed(1), dim) => Ok(dim.clone()),
        _ => Ok(Dim::Unknown),
    });
    Ok(Shape::new(dims.collect::<Result<_>>()?))
}

pub(super) fn sizes(sizes: &[Extent], scalar: bool, operands: &[TensorType]) -> Result<Shape> {
    sizes.iter().try_for_each(|size| size.resolve(operands).map(drop))?;
    match (scalar, sizes.len()) {
        (false, len) => Ok(Shape::fixed(&[len])),
        (true, 1) => Ok(Shape::new(Vec::new())),
        (true, len) => Err(ShapeError::Attribute(format!("{len} numbers are no scalar").into())),
    }
}

pub(super) fn pad(pad: &PadAxes, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, 1)?;
    let x = &operands[0].shape;
    if pad.amounts.len() != x.rank() {
        return Err(ShapeError::Attribute(format!("padding of {} axes for shape {x}", pad.amounts.len()).into()));
    }
    let along = |(dim, &[before, after]): (&Dim, &[usize; 2])| {
        let amount = before.checked_add(after).and_then(|sum| i64::try_from(sum).ok()).ok_or_else(too_large)?;
        let repeats = match pad.border {
            Border::Constant(_) => false,
            Border::Reflect | Border::Edge | Border::Wrap => amount > 0,
        };
        if repeats && *dim == Dim::Fixed(0) {
            return Err(ShapeError::Attribute(format!("nothing in shape {x} can be repeated").into()));
        }
        dim.affine(amount, 1, 0).ok_or_else(too_large)
    };
    Ok(Shape::new(x.dims().iter().zip(&pad.amounts).map(along).collect::<Result<_>>()?))
}

pub(super) fn resize(resize: &Resize, operands: &[TensorType]) -> Result<Shape> {
    arity(operands, 1, usize::MAX)?;
    let x = &operands[0].shape;
    axes_in_range(&resize.axes, x)?;
    let mut dims = x.dims().to_vec();
    for (axis, dim) in resize.axes.iter().zip(resize.sizes(operands)?) {
        dims[*axis] = dim;
    }
    Ok(Shape::new(dims))
}
