//! Shapes that operators make of shapes, where all sizes are known.

use residua_ir::tensor::element_count;

/// The shape that `Reshape` gives: -1 is what is left, and 0 the size that is there unless `zero` says that it is none.
pub(super) fn reshaped(shape: &[usize], target: &[i64], zero: bool) -> Option<Vec<usize>> {
    let mut sizes = Vec::with_capacity(target.len());
    let mut open = None;
    for (axis, &size) in target.iter().enumerate() {
        sizes.push(match size {
            -1 if open.replace(axis).is_none() => 1,
            0 if !zero => *shape.get(axis)?,
            _ => usize::try_from(size).ok()?,
        });
    }
    if let Some(axis) = open {
        sizes[axis] = element_count(shape).ok()?.checked_div(element_count(&sizes).ok()?)?;
    }
    Some(sizes)
}

/// The shape without axes of size 1, or with more of them: all of them, or these.
pub(super) fn resized(shape: &[usize], axes: Option<&[i64]>, squeeze: bool) -> Option<Vec<usize>> {
    let Some(axes) = axes else {
        return squeeze.then(|| shape.iter().copied().filter(|&size| size != 1).collect());
    };
    let rank = if squeeze { shape.len() } else { shape.len().checked_add(axes.len())? };
    let rank = i64::try_from(rank).ok()?;
    let mut axes: Vec<usize> = axes
        .iter()
        .map(|&axis| usize::try_from(if axis < 0 { axis.checked_add(rank)? } else { axis }).ok())
        .collect::<Option<_>>()?;
    axes.sort_unstable();
    let mut sizes = shape.to_vec();
    if squeeze {
        for &axis in axes.iter().rev() {
            if sizes.get(axis) != Some(&1) {
                return None;
            }
            sizes.remove(axis);
        }
    } else {
        for axis in axes {
            if axis > sizes.len() {
                return None;
            }
            sizes.insert(axis, 1);
        }
    }
    Some(sizes)
}
