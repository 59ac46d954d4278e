//! Layers that only rearrange: flatten, reshape, permute.

use residua_ir::{IdentityReason, Op, ReshapeDim, SourceOrder};

use crate::keras::layer_call::{LayerCall, Lowered, Stop, Val};
use crate::keras::order;

/// Whether the elements lie in the source's order although the axes do not: only axes of size 1 have moved.
fn in_source_order(x: &Val) -> bool {
    let Some(axes) = x.axes() else { return false };
    let moved: Vec<usize> = axes.into_iter().filter(|&axis| x.size(axis) != Some(1)).collect();
    moved.is_sorted()
}

/// `Flatten`. An image stays as it lies; that the source has its pixels before its channels is kept as its order.
pub(super) fn flatten(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let rank = layer_call.rank(&x)?;
    if rank == 0 {
        return Err(layer_call.misfit("takes an input of at least 1 axis"));
    }
    if rank == 1 {
        return Ok(layer_call.finish(Op::Unsqueeze { axes: vec![1] }, &[&x], SourceOrder::Same));
    }
    if rank == 2 {
        let order = x.order.clone();
        return Ok(layer_call.finish(Op::Identity(IdentityReason::Linear), &[&x], order));
    }
    // A channels-first Flatten moves the channels to the end before it flattens.
    let mut x = x;
    if layer_call.is_channels_first()?
        && let Some(axes) = x.axes()
    {
        let moved: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).map(|axis| axes[axis]).collect();
        x.order = order::permuted(moved);
    }
    flattened(layer_call, &x)
}

fn flattened(layer_call: &mut LayerCall<'_, '_>, x: &Val) -> Lowered {
    let flatten = Op::Flatten { axis: 1 };
    if in_source_order(x) {
        return Ok(layer_call.finish(flatten, &[x], SourceOrder::Same));
    }
    if x.order == SourceOrder::channels_last()
        && let (Some(channels), Some(height), Some(width)) = (x.size(1), x.size(2), x.size(3))
    {
        let order = SourceOrder::FlattenedChannelsLast { channels, height, width };
        return Ok(layer_call.finish(flatten, &[x], order));
    }
    let x = layer_call.plain(x)?;
    Ok(layer_call.finish(flatten, &[&x], SourceOrder::Same))
}

/// `Reshape`.
pub(super) fn reshape(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let fields = layer_call.fields();
    let target = fields.integers("target_shape")?.ok_or_else(|| fields.error("target_shape", "sizes"))?;
    reshape_to(layer_call, &x, &target)
}

/// A reshape to these source sizes behind the batch, one of which may be -1.
pub(super) fn reshape_to(layer_call: &mut LayerCall<'_, '_>, x: &Val, target: &[i64]) -> Lowered {
    let sizes = known_sizes(layer_call, x, target)?;
    let rank = sizes.len() + 1;
    if let (&SourceOrder::FlattenedChannelsLast { channels, height, width }, [h, w, c]) = (&x.order, sizes.as_slice())
        && [*h, *w, *c] == [Some(height), Some(width), Some(channels)]
    {
        let shape = batch_then(&[Some(channels), Some(height), Some(width)]);
        return Ok(layer_call.finish(Op::Reshape { shape }, &[x], SourceOrder::channels_last()));
    }
    if let (SourceOrder::Same, [Some(1), Some(1), channels @ Some(_)], Some(2)) = (&x.order, sizes.as_slice(), x.rank())
        && x.size(1) == *channels
        && !layer_call.net.channels_first
    {
        return Ok(layer_call.finish(Op::Unsqueeze { axes: vec![2, 3] }, &[x], SourceOrder::channels_last()));
    }
    let x = if in_source_order(x) { x.clone() } else { layer_call.plain(x)? };
    if sizes.len() == 1 && x.rank() >= Some(2) {
        return Ok(layer_call.finish(Op::Flatten { axis: 1 }, &[&x], SourceOrder::Same));
    }
    if rank != 4 || layer_call.net.channels_first {
        return Ok(layer_call.finish(Op::Reshape { shape: batch_then(&sizes) }, &[&x], SourceOrder::Same));
    }
    let &[h, w, c] = sizes.as_slice() else { return Err(layer_call.misfit("cannot be reshaped")) };
    if c == Some(1) || (h == Some(1) && w == Some(1)) {
        let shape = batch_then(&[c, h, w]);
        return Ok(layer_call.finish(Op::Reshape { shape }, &[&x], SourceOrder::channels_last()));
    }
    let y = layer_call.step("reshape", Op::Reshape { shape: batch_then(&sizes) }, &[&x], SourceOrder::Same);
    Ok(layer_call.finish(Op::Transpose { perm: vec![0, 3, 1, 2] }, &[&y], SourceOrder::channels_last()))
}

/// The target sizes, with -1 worked out where the input's sizes are known; `None` stays for at most one.
fn known_sizes(layer_call: &LayerCall<'_, '_>, x: &Val, target: &[i64]) -> Lowered<Vec<Option<usize>>> {
    layer_call.rank(x)?;
    let bad = || layer_call.misfit(format!("cannot be reshaped to {target:?}"));
    let mut sizes = Vec::with_capacity(target.len());
    for &size in target {
        sizes.push(if size == -1 { None } else { Some(usize::try_from(size).map_err(|_| bad())?) });
    }
    let open = sizes.iter().filter(|size| size.is_none()).count();
    if open > 1 {
        return Err(bad());
    }
    let available = count(x.source_sizes().unwrap_or_default().into_iter().skip(1));
    let given = count(sizes.iter().copied().filter(Option::is_some)).ok_or_else(bad)?;
    if let (Some(available), 1) = (available, open) {
        if given == 0 || available % given != 0 {
            return Err(bad());
        }
        let inferred = available / given;
        return Ok(sizes.into_iter().map(|size| size.or(Some(inferred))).collect());
    }
    Ok(sizes)
}

/// The number of elements, where all sizes are known.
pub(super) fn count(mut sizes: impl Iterator<Item = Option<usize>>) -> Option<usize> {
    sizes.try_fold(1usize, |product, size| product.checked_mul(size?))
}

fn batch_then(sizes: &[Option<usize>]) -> Vec<ReshapeDim> {
    let rest = sizes.iter().map(|size| size.map_or(ReshapeDim::Infer, ReshapeDim::Fixed));
    std::iter::once(ReshapeDim::Copy(0)).chain(rest).collect()
}

/// `Permute`. Nothing moves: only the mapping of axes changes.
pub(super) fn permute(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let fields = layer_call.fields();
    let dims = fields.integers("dims")?.ok_or_else(|| fields.error("dims", "axes"))?;
    transpose(layer_call, &x, &std::iter::once(0).chain(dims).collect::<Vec<i64>>())
}

/// The value with its source axes taken in this order, the batch included.
pub(super) fn transpose(layer_call: &mut LayerCall<'_, '_>, x: &Val, perm: &[i64]) -> Lowered {
    let rank = layer_call.rank(x)?;
    let perm: Option<Vec<usize>> = perm.iter().map(|&axis| order::resolve(axis, rank)).collect();
    let mut sorted = perm.clone().unwrap_or_default();
    sorted.sort_unstable();
    let Some(perm) = perm.filter(|_| sorted.into_iter().eq(0..rank)) else {
        return Err(layer_call.misfit(format!("its axes are no permutation of the {rank} axes of its input")));
    };
    if perm.iter().enumerate().all(|(i, &axis)| i == axis) {
        let order = x.order.clone();
        return Ok(layer_call.finish(Op::Identity(IdentityReason::Linear), &[x], order));
    }
    let x = if x.axes().is_none() { layer_call.plain(x)? } else { x.clone() };
    let axes = x.axes().ok_or_else(|| Stop::Opaque("the shape of its input is not known".to_owned()))?;
    let order = order::permuted(perm.into_iter().map(|axis| axes[axis]).collect());
    Ok(layer_call.finish(Op::Identity(IdentityReason::Linear), &[&x], order))
}
