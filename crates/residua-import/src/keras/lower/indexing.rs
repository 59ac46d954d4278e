//! Choosing, reversing and stacking along axes: `x[..., ::-1]`, `x[..., 0]`, `stack`, `flip`, `take`, `split`.
//!
//! It is what preprocessing within a model is made of: channels are reversed by a slice, or taken one by one and stacked.
//! Slices are Python's, which are those of the graph: a bound below 0 counts from the end.

use residua_ir::{Extent, Op, Role, SourceOrder, Tensor};
use serde_json::Value;

use crate::keras::json::{Constant, Fields, integer};
use crate::keras::layer_call::{LayerCall, Lowered, Stop, Val};
use crate::keras::order;

/// What one place of `x[…]` asks for.
enum Key {
    /// All axes that no other place is for.
    Ellipsis,
    /// A new axis of size 1.
    New,
    /// One element; its axis goes.
    At(i64),
    Slice {
        start: Option<i64>,
        stop: Option<i64>,
        step: i64,
    },
}

impl Key {
    fn parse(value: &Value) -> Option<Self> {
        if value.is_null() {
            return Some(Self::New);
        }
        if let Some(index) = integer(value) {
            return Some(Self::At(index));
        }
        if value.get("class_name").and_then(Value::as_str) == Some("__ellipsis__") {
            return Some(Self::Ellipsis);
        }
        let slice = value.get("config").unwrap_or(value);
        let slice = slice.as_object().filter(|slice| slice.contains_key("start") && slice.contains_key("stop"))?;
        let part = |key: &str| match slice.get(key) {
            None | Some(Value::Null) => Some(None),
            Some(value) => integer(value).map(Some),
        };
        let step = part("step")?.unwrap_or(1);
        (step != 0).then_some(())?;
        Some(Self::Slice { start: part("start")?, stop: part("stop")?, step })
    }
}

/// `x[:, 1:3, ::-1, None, 0]`.
pub(super) fn get_item(layer_call: &mut LayerCall<'_, '_>) -> Lowered {
    let x = layer_call.input()?;
    let x = if x.axes().is_none() { layer_call.plain(&x)? } else { x };
    let unknown = || Stop::Opaque("it takes something else than slices, numbers, `...` and new axes".to_owned());
    let keys = layer_call.literal(1, &["key", "slice_spec"]).ok_or_else(unknown)?;
    let keys = keys.as_array().map_or(std::slice::from_ref(keys), Vec::as_slice);
    let keys: Vec<Key> = keys.iter().map(Key::parse).collect::<Option<_>>().ok_or_else(unknown)?;
    let rank = layer_call.rank(&x)?;
    let own = keys.iter().filter(|key| matches!(key, Key::At(_) | Key::Slice { .. })).count();
    if own > rank || keys.iter().filter(|key| matches!(key, Key::Ellipsis)).count() > 1 {
        return Err(layer_call.wrong(format!("its {own} slices are more than its input has axes")));
    }
    let (mut ops, mut dropped, mut new) = (Vec::new(), Vec::new(), Vec::new());
    // The axis of the source that is next, and that of the result.
    let (mut source, mut result) = (0, 0);
    for key in keys {
        let axis = i64::try_from(source).unwrap_or(i64::MAX);
        match key {
            Key::Ellipsis => {
                source += rank - own;
                result += rank - own;
            }
            Key::New => {
                new.push(result);
                result += 1;
            }
            Key::At(index) => {
                let at = layer_call.axis(&x, axis)?;
                if let Some(size) = x.size(at)
                    && (size as u64 <= index.unsigned_abs() - u64::from(index < 0))
                {
                    return Err(layer_call.misfit(format!("takes element {index} of an axis of {size}")));
                }
                let end = index.checked_add(1).filter(|&end| end != 0).map(Extent::Known);
                ops.push(Op::Slice { axis: at, start: Extent::Known(index), end, step: 1 });
                dropped.push(at);
                source += 1;
            }
            Key::Slice { start, stop, step } => {
                let at = layer_call.axis(&x, axis)?;
                if (start.unwrap_or(0), stop, step) != (0, None, 1) {
                    ops.push(slice(at, x.size(at), start, stop, step));
                }
                source += 1;
                result += 1;
            }
        }
    }
    let kept = x.order.clone();
    if dropped.is_empty() && new.is_empty() {
        return Ok(layer_call.chain(&x, ops.into_iter().map(|op| ("slice", op)).collect(), kept));
    }
    let mut value = x;
    for (nth, op) in ops.into_iter().enumerate() {
        value = layer_call.step(&format!("slice_{nth}"), op, &[&value], kept.clone());
    }
    if !dropped.is_empty() {
        let order = order::without(&value.axes().unwrap_or_default(), &dropped);
        dropped.sort_unstable();
        let squeeze = Op::Squeeze { axes: dropped };
        if new.is_empty() {
            return Ok(layer_call.finish(squeeze, &[&value], order));
        }
        value = layer_call.step("squeeze", squeeze, &[&value], order);
    }
    let value = layer_call.plain(&value)?;
    Ok(layer_call.finish(Op::Unsqueeze { axes: new }, &[&value], SourceOrder::Same))
}

/// A slice; bounds below 0 are written as what they come to, where the size is known.
fn slice(axis: usize, size: Option<usize>, start: Option<i64>, stop: Option<i64>, step: i64) -> Op {
    let bound = |index: i64| match size.and_then(|size| i64::try_from(size).ok()) {
        // To the left of the front is not the same as the front where the step is negative.
        Some(size) if index < 0 && step > 0 => Extent::Known((size + index).max(0)),
        Some(_) | None => Extent::Known(index),
    };
    let first = if step > 0 { 0 } else { -1 };
    Op::Slice { axis, start: bound(start.unwrap_or(first)), end: stop.map(bound), step }
}

/// `stack`: tensors side by side along a new axis.
pub(super) fn stack(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let inputs = layer_call.inputs.clone();
    let Some(first) = inputs.first() else { return Err(layer_call.misfit("takes at least one tensor")) };
    let rank = layer_call.rank(first)? + 1;
    let axis = order::resolve(fields.i64("axis")?.unwrap_or(0), rank);
    let axis = axis.ok_or_else(|| fields.error("axis", "an axis of the result"))?;
    // Channels of an image that are stacked are its channels.
    let is_channels = rank == 4 && axis == 3 && !layer_call.net.channels_first;
    let (at, order) = if is_channels { (1, SourceOrder::channels_last()) } else { (axis, SourceOrder::Same) };
    let unsqueeze = Op::Unsqueeze { axes: vec![at] };
    if let [only] = inputs.as_slice() {
        let only = layer_call.plain(only)?;
        return Ok(layer_call.finish(unsqueeze, &[&only], order));
    }
    let mut operands = Vec::with_capacity(inputs.len());
    for (nth, input) in inputs.iter().enumerate() {
        let plain = layer_call.plain(input)?;
        operands.push(layer_call.step(&format!("unsqueeze_{nth}"), unsqueeze.clone(), &[&plain], order.clone()));
    }
    Ok(layer_call.finish(Op::Concat { axis: at }, &operands.iter().collect::<Vec<_>>(), order))
}

/// `flip`: axes reversed, all where none is named.
pub(super) fn flip(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let x = layer_call.input()?;
    let x = if x.axes().is_none() { layer_call.plain(&x)? } else { x };
    let rank = layer_call.rank(&x)?;
    let mut axes = match fields.integers("axis")? {
        None => (0..rank).collect(),
        Some(axes) => axes.into_iter().map(|axis| layer_call.axis(&x, axis)).collect::<Lowered<Vec<usize>>>()?,
    };
    axes.sort_unstable();
    axes.dedup();
    let reversed = |axis| ("slice", slice(axis, x.size(axis), None, None, -1));
    let order = x.order.clone();
    Ok(layer_call.chain(&x, axes.into_iter().map(reversed).collect(), order))
}

/// `take` of indices that are constants, along an axis.
pub(super) fn take(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered {
    let x = layer_call.input()?;
    let x = if x.axes().is_none() { layer_call.plain(&x)? } else { x };
    let unknown = |what: &str| Stop::Opaque(format!("take of {what} has no operator"));
    let axis = fields.i64("axis")?.ok_or_else(|| unknown("a flattened tensor"))?;
    if fields.i64("batch_dims")?.is_some_and(|axes| axes != 0) {
        return Err(unknown("indices for each image"));
    }
    let indices = layer_call.literal(1, &["indices"]).and_then(Constant::parse);
    let indices = indices.ok_or_else(|| unknown("what is no constant"))?;
    let at = layer_call.axis(&x, axis)?;
    let whole: Option<Vec<i64>> = indices.values.iter().map(|&index| whole(index)).collect();
    let whole = whole.ok_or_else(|| unknown("indices that are no integers"))?;
    if let Some(size) = x.size(at)
        && let Some(beyond) = whole.iter().find(|index| size as u64 <= index.unsigned_abs() - u64::from(**index < 0))
    {
        return Err(layer_call.misfit(format!("takes element {beyond} of an axis of {size}")));
    }
    let order = match indices.shape.len() {
        0 => order::without(&x.axes().unwrap_or_default(), &[at]),
        1 => x.order.clone(),
        axes => return Err(unknown(&format!("indices of {axes} axes"))),
    };
    let tensor = Tensor::from_i64(indices.shape, &whole).map_err(|error| layer_call.tensor_error(error))?;
    let indices = layer_call.made("indices", Role::Literal, tensor);
    Ok(layer_call.finish(Op::Gather { axis: at }, &[&x, &indices], order))
}

#[expect(clippy::cast_possible_truncation, reason = "only floats that are small integers get there")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

/// `split`: an axis cut into equal parts, or before these indices.
pub(super) fn split(layer_call: &mut LayerCall<'_, '_>, fields: Fields<'_>) -> Lowered<Vec<Val>> {
    let x = layer_call.input()?;
    let x = if x.axes().is_none() { layer_call.plain(&x)? } else { x };
    let at = layer_call.axis(&x, fields.i64("axis")?.unwrap_or(0))?;
    let Some(size) = x.size(at) else { return Err(Stop::Opaque("the size of the axis is not known".to_owned())) };
    let key = "indices_or_sections";
    let cuts: Vec<usize> = match fields.get(key) {
        Some(Value::Array(_)) => {
            let cuts = fields.integers(key)?.unwrap_or_default().into_iter().map(|cut| usize::try_from(cut).ok());
            cuts.collect::<Option<_>>().ok_or_else(|| fields.error(key, "indices of at least 0"))?
        }
        _ => {
            let parts = fields.required_usize(key)?;
            if parts == 0 || size % parts != 0 {
                return Err(layer_call.misfit(format!("cannot be split into {parts} parts: its axis has {size}")));
            }
            (1..parts).map(|part| part * (size / parts)).collect()
        }
    };
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().map(Some).chain([None]);
    let parts = starts.zip(ends).enumerate().map(|(nth, (start, end))| {
        layer_call.step(&nth.to_string(), Op::slice(at, start, end, 1), &[&x], x.order.clone())
    });
    Ok(parts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn slices_are_python_s_and_their_ends_are_counted_where_sizes_are_known() {
        let op = |key: Value, size: Option<usize>| match Key::parse(&key) {
            Some(Key::Slice { start, stop, step }) => Some(slice(2, size, start, stop, step)),
            Some(Key::Ellipsis | Key::New | Key::At(_)) | None => None,
        };
        let key = |start: Value, stop: Value, step: Value| json!({"start": start, "stop": stop, "step": step});
        let known = |start: i64, end: Option<i64>, step: i64| {
            Some(Op::Slice { axis: 2, start: Extent::Known(start), end: end.map(Extent::Known), step })
        };
        assert_eq!(op(key(json!(null), json!(null), json!(2)), None), known(0, None, 2));
        assert_eq!(op(key(json!(1), json!(-1), json!(null)), Some(8)), known(1, Some(7), 1));
        assert_eq!(op(key(json!(-2), json!(null), json!(null)), None), known(-2, None, 1));
        assert_eq!(op(key(json!(null), json!(null), json!(-1)), Some(8)), known(-1, None, -1));
        assert_eq!(op(key(json!(-9), json!(null), json!(1)), Some(8)), known(0, None, 1));
        assert_eq!(op(key(json!(null), json!(null), json!(0)), Some(8)), None);
        assert_eq!(op(json!(3), Some(8)), None);
        assert_eq!(op(json!("x"), Some(8)), None);
    }
}
