//! What exporters compute of sizes and of small constants, computed before anything runs.
//!
//! What cannot be computed here is computed when the model is run, like any other value.

use residua_formats::onnx::schema::NodeProto;
use residua_ir::shape::range::Range;
use residua_ir::tensor::element_count;
use residua_ir::{Arithmetic, DType, Extent};

use super::attributes::Attributes;
use super::interface::dtype;
use super::numbers::{MOST, Number, Numbers};
use super::scope::{Constant, Item, Scope};
use super::shapes::{reshaped, resized};
use super::unread::Unread;

type Found = Result<Option<Numbers>, Unread>;

/// What a node gives, where that can be computed here.
pub(super) fn fold(scope: &mut Scope, node: &NodeProto, attributes: &Attributes<'_>, opset: i64) -> Found {
    match node.op_type.as_str() {
        "Shape" => return shape(scope, node, attributes),
        "Size" => return size(scope, node),
        _ => {}
    }
    let Some(operands) = operands(scope, node) else { return Ok(None) };
    let [first, rest @ ..] = &operands[..] else { return Ok(None) };
    let op = node.op_type.as_str();
    let result = match (op, rest) {
        ("Identity", []) => Some(first.clone()),
        ("Cast", []) => attributes.int("to")?.and_then(dtype).and_then(|to| cast(first, to)),
        ("Neg" | "Abs" | "Floor" | "Ceil" | "Round" | "Sqrt" | "Not", []) => unary(op, first),
        ("Add" | "Sub" | "Mul" | "Div" | "Mod", [second]) if opset >= 7 => {
            binary(op, attributes.flag("fmod", false)?, first, second)
        }
        ("Max" | "Min" | "Sum", _) if opset >= 8 => {
            let op = if op == "Sum" { "Add" } else { op };
            rest.iter().try_fold(first.clone(), |a, b| binary(op, false, &a, b))
        }
        ("Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor", [second])
            if opset >= 7 =>
        {
            broadcast(first, second, DType::Bool, |a, b| Some(truth(holds(op, a, b)?)))
        }
        ("Where", [a, b]) => choose(first, a, b),
        ("Clip", bounds) if opset >= 6 => clip(node, attributes, first, bounds)?,
        ("Gather", [indices]) => gather(first, indices, attributes.int("axis")?.unwrap_or(0)),
        ("Concat", _) => attributes.int("axis")?.and_then(|axis| concat(&operands, axis)),
        ("Slice", _) => slice(first, attributes, rest)?,
        ("Squeeze" | "Unsqueeze", _) => {
            let axes = match rest {
                [axes] => axes.extents().and_then(|axes| axes.iter().map(Extent::known).collect()),
                _ => attributes.ints("axes")?.map(<[i64]>::to_vec),
            };
            resized(&first.shape, axes.as_deref(), op == "Squeeze").map(|shape| seen(first, shape))
        }
        ("Reshape", [target]) if opset >= 5 => {
            let zero = attributes.flag("allowzero", false)?;
            let target: Option<Vec<i64>> =
                target.extents().and_then(|target| target.iter().map(Extent::known).collect());
            let shape = target.and_then(|target| reshaped(&first.shape, &target, zero));
            shape
                .filter(|shape| element_count(shape).is_ok_and(|count| count == first.list.len()))
                .map(|shape| seen(first, shape))
        }
        ("Transpose", []) => transpose(first, attributes.ints("perm")?),
        ("Expand", [target]) => expand(first, target),
        ("ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin", _) => {
            let all = attributes.ints("axes")?.is_none_or(<[i64]>::is_empty) && rest.is_empty();
            let all = all || (first.shape.len() == 1 && !attributes.flag("noop_with_empty_axes", false)?);
            reduce(op, first, attributes.flag("keepdims", true)?).filter(|_| all)
        }
        ("Range", [limit, delta]) => range(first, limit, delta),
        _ => None,
    };
    Ok(result)
}

/// The operands, where one is computed from sizes, or all are integers or single numbers that are known. Lists of reals are
/// weights, unless they are joined to what factors of an image's size are; those are few.
fn operands(scope: &mut Scope, node: &NodeProto) -> Option<Vec<Numbers>> {
    let text = |constant: &Constant| {
        let joined = node.op_type == "Concat" && constant.tensor.len() <= 4 && constant.tensor.shape().len() == 1;
        !constant.tensor.dtype().is_float() || constant.literal || joined
    };
    let known = |item: &Item| match item {
        Item::Sizes(_) => true,
        Item::Constant(constant) => text(constant),
        Item::Value(_) => false,
    };
    // Bounds of a `Clip` may be left out.
    let given = || node.input.iter().filter(|name| !(node.op_type == "Clip" && name.is_empty()));
    let items: Option<Vec<&Item>> = given().map(|name| scope.item(name)).collect();
    let items = items?;
    let computed = items.iter().any(|item| matches!(item, Item::Sizes(_)));
    if !computed && !items.iter().all(|item| known(item)) && node.op_type != "Range" {
        return None;
    }
    given().map(|name| scope.numbers(name)).collect()
}

/// A number held between bounds; those of newer operator sets are operands, of which either may be left out.
fn clip(node: &NodeProto, attributes: &Attributes<'_>, x: &Numbers, bounds: &[Numbers]) -> Found {
    let bound = |name: &str| -> Found {
        let real = attributes.float(name)?;
        Ok(real.map(|real| Numbers { list: vec![Number::Real(real)], shape: Vec::new(), dtype: x.dtype }))
    };
    let left_out = |at: usize| node.input.get(at).is_none_or(String::is_empty);
    let (min, max) = match (left_out(1), left_out(2), bounds) {
        (true, true, []) => (bound("min")?, bound("max")?),
        (false, true, [min]) => (Some(min.clone()), None),
        (true, false, [max]) => (None, Some(max.clone())),
        (false, false, [min, max]) => (Some(min.clone()), Some(max.clone())),
        _ => return Ok(None),
    };
    let above = min.map_or(Some(x.clone()), |min| binary("Max", false, x, &min));
    Ok(above.and_then(|x| max.map_or(Some(x.clone()), |max| binary("Min", false, &x, &max))))
}

fn shape(scope: &mut Scope, node: &NodeProto, attributes: &Attributes<'_>) -> Found {
    let Some(all) = node.input.first().and_then(|name| scope.sizes_of(name)) else { return Ok(None) };
    let range = Range { start: attributes.int("start")?.unwrap_or(0), end: attributes.int("end")?, step: 1 };
    let taken = range.of(all.len());
    let sizes = all.into_iter().skip(taken.first).take(taken.count).collect();
    Ok(Some(Numbers::list(sizes)))
}

fn size(scope: &mut Scope, node: &NodeProto) -> Found {
    let Some(all) = node.input.first().and_then(|name| scope.sizes_of(name)) else { return Ok(None) };
    let product = all.into_iter().try_fold(Extent::Known(1), |a, b| Extent::compute(Arithmetic::Mul, a, b));
    Ok(product.map(|product| Numbers { list: vec![Number::Whole(product)], shape: Vec::new(), dtype: DType::I64 }))
}

fn truth(yes: bool) -> Number {
    Number::Whole(Extent::Known(i64::from(yes)))
}

fn seen(numbers: &Numbers, shape: Vec<usize>) -> Numbers {
    Numbers { shape, ..numbers.clone() }
}

fn cast(x: &Numbers, to: DType) -> Option<Numbers> {
    let number = |number: &Number| match (number, to) {
        (Number::Whole(extent), DType::I64 | DType::I32) => Some(Number::Whole(extent.clone())),
        (Number::Real(real), DType::I64 | DType::I32) => {
            #[expect(clippy::cast_possible_truncation, reason = "that is what a cast does")]
            let whole = (real.abs() < 9e15).then_some(*real as i64)?;
            Some(Number::Whole(Extent::Known(whole)))
        }
        (number, DType::F32 | DType::F64) => number.real().map(Number::Real),
        (number, DType::Bool) => Some(truth(number.real()? != 0.0)),
        _ => None,
    };
    Numbers::make(x.shape.clone(), to, |index| number(x.at(index)?))
}

fn unary(op: &str, x: &Numbers) -> Option<Numbers> {
    let minus = |extent: &Extent| Extent::compute(Arithmetic::Sub, Extent::Known(0), extent.clone());
    let number = |number: &Number| match (op, number) {
        ("Neg", Number::Whole(extent)) => minus(extent).map(Number::Whole),
        ("Abs", Number::Whole(extent)) => extent.known()?.checked_abs().map(|n| Number::Whole(Extent::Known(n))),
        ("Not", number) => Some(truth(number.known()? == 0)),
        (_, Number::Whole(_)) => None,
        ("Neg", Number::Real(real)) => Some(Number::Real(-real)),
        ("Abs", Number::Real(real)) => Some(Number::Real(real.abs())),
        ("Floor", Number::Real(real)) => Some(Number::Real(real.floor())),
        ("Ceil", Number::Real(real)) => Some(Number::Real(real.ceil())),
        ("Round", Number::Real(real)) => Some(Number::Real(real.round_ties_even())),
        ("Sqrt", Number::Real(real)) => Some(Number::Real(real.sqrt())),
        _ => None,
    };
    Numbers::make(x.shape.clone(), x.dtype, |index| number(x.at(index)?))
}

/// Both broadcast against each other.
fn broadcast(
    a: &Numbers,
    b: &Numbers,
    dtype: DType,
    f: impl Fn(&Number, &Number) -> Option<Number>,
) -> Option<Numbers> {
    let shape = joint(&a.shape, &b.shape)?;
    Numbers::make(shape, dtype, |index| f(a.at(index)?, b.at(index)?))
}

fn joint(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (1, size) | (size, 1) => Some(size),
            (a, b) => (a == b).then_some(a),
        })
        .collect()
}

fn binary(op: &str, fmod: bool, a: &Numbers, b: &Numbers) -> Option<Numbers> {
    if a.dtype != b.dtype {
        return None;
    }
    let by = match op {
        "Add" => Some(Arithmetic::Add),
        "Sub" => Some(Arithmetic::Sub),
        "Mul" => Some(Arithmetic::Mul),
        "Div" => Some(Arithmetic::Div),
        "Max" => Some(Arithmetic::Max),
        "Min" => Some(Arithmetic::Min),
        _ => None,
    };
    broadcast(a, b, a.dtype, |a, b| match (a, b, by) {
        (Number::Whole(a), Number::Whole(b), Some(by)) => Extent::compute(by, a.clone(), b.clone()).map(Number::Whole),
        (Number::Whole(a), Number::Whole(b), None) => {
            let (a, b) = (a.known()?, b.known()?);
            let rest = a.checked_rem(b)?;
            let turned = !fmod && rest != 0 && (rest < 0) != (b < 0);
            Some(Number::Whole(Extent::Known(if turned { rest + b } else { rest })))
        }
        (Number::Real(a), Number::Real(b), Some(by)) => Some(Number::Real(match by {
            Arithmetic::Add => a + b,
            Arithmetic::Sub => a - b,
            Arithmetic::Mul => a * b,
            Arithmetic::Div => a / b,
            Arithmetic::Max => a.max(*b),
            Arithmetic::Min => a.min(*b),
        })),
        _ => None,
    })
}

/// Whether a comparison holds, where that is known; a size is never below 0.
fn holds(op: &str, a: &Number, b: &Number) -> Option<bool> {
    let size_and_less =
        |a: &Number, b: &Number| matches!((a, b.known()), (Number::Whole(Extent::Of { .. }), Some(..0)));
    if op == "Equal" && (size_and_less(a, b) || size_and_less(b, a)) {
        return Some(false);
    }
    if op == "Equal" && a == b {
        return Some(true);
    }
    let (a, b) = (a.real()?, b.real()?);
    Some(match op {
        "Equal" => a == b,
        "Less" => a < b,
        "LessOrEqual" => a <= b,
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        "And" => a != 0.0 && b != 0.0,
        "Or" => a != 0.0 || b != 0.0,
        "Xor" => (a != 0.0) != (b != 0.0),
        _ => return None,
    })
}

fn choose(condition: &Numbers, a: &Numbers, b: &Numbers) -> Option<Numbers> {
    let shape = joint(&joint(&condition.shape, &a.shape)?, &b.shape)?;
    Numbers::make(shape, a.dtype, |index| {
        let chosen = if condition.at(index)?.known()? != 0 { a } else { b };
        chosen.at(index).cloned()
    })
}

/// An axis or index counted from the front.
fn front(index: i64, size: usize) -> Option<usize> {
    let len = i64::try_from(size).ok()?;
    usize::try_from(if index < 0 { index.checked_add(len)? } else { index }).ok().filter(|&index| index < size)
}

fn gather(x: &Numbers, indices: &Numbers, axis: i64) -> Option<Numbers> {
    let axis = front(axis, x.shape.len())?;
    let shape = [&x.shape[..axis], &indices.shape, &x.shape[axis + 1..]].concat();
    let behind = axis + indices.shape.len();
    Numbers::make(shape, x.dtype, |index| {
        let at = front(indices.at(&index[axis..behind])?.known()?, x.shape[axis])?;
        x.at(&[&index[..axis], &[at], &index[behind..]].concat()).cloned()
    })
}

fn concat(operands: &[Numbers], axis: i64) -> Option<Numbers> {
    let first = operands.first()?;
    let axis = front(axis, first.shape.len())?;
    let rest = |shape: &[usize]| [&shape[..axis], &shape[axis + 1..]].concat();
    let fits = |other: &Numbers| {
        other.shape.len() == first.shape.len() && rest(&other.shape) == rest(&first.shape) && other.dtype == first.dtype
    };
    if !operands.iter().all(fits) {
        return None;
    }
    let mut shape = first.shape.clone();
    // Where each operand ends.
    let ends = operands.iter().scan(0usize, |end, operand| {
        *end = end.saturating_add(operand.shape[axis]);
        Some(*end)
    });
    let ends: Vec<usize> = ends.collect();
    shape[axis] = *ends.last()?;
    Numbers::make(shape, first.dtype, |index| {
        let at = ends.partition_point(|&end| end <= index[axis]);
        let mut index = index.to_vec();
        index[axis] -= at.checked_sub(1).map_or(0, |before| ends[before]);
        operands.get(at)?.at(&index).cloned()
    })
}

fn slice(x: &Numbers, attributes: &Attributes<'_>, rest: &[Numbers]) -> Found {
    let known = |numbers: Option<&Numbers>| -> Option<Vec<i64>> {
        numbers?.extents()?.iter().map(Extent::known).collect::<Option<Vec<i64>>>()
    };
    let list = |name: &str| Ok::<_, Unread>(attributes.ints(name)?.map(<[i64]>::to_vec));
    let (starts, ends, axes, steps) = if rest.is_empty() {
        (list("starts")?, list("ends")?, list("axes")?, None)
    } else {
        (known(rest.first()), known(rest.get(1)), known(rest.get(2)), known(rest.get(3)))
    };
    let (Some(starts), Some(ends)) = (starts, ends) else { return Ok(None) };
    let axes = axes.unwrap_or_else(|| (0..).take(starts.len()).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    let mut taken: Vec<(usize, i64)> = vec![(0, 1); x.shape.len()];
    let mut shape = x.shape.clone();
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let Some(axis) = front(axis, shape.len()).filter(|_| step != 0) else { return Ok(None) };
        let range = Range { start, end: Some(end), step }.of(x.shape[axis]);
        (taken[axis], shape[axis]) = ((range.first, step), range.count);
    }
    let place = |(&at, &(first, step)): (&usize, &(usize, i64))| {
        let stride = usize::try_from(step.unsigned_abs()).ok()?.checked_mul(at)?;
        if step > 0 { first.checked_add(stride) } else { first.checked_sub(stride) }
    };
    Ok(Numbers::make(shape, x.dtype, |index| {
        let index: Option<Vec<usize>> = index.iter().zip(&taken).map(place).collect();
        x.at(&index?).cloned()
    }))
}

fn transpose(x: &Numbers, perm: Option<&[i64]>) -> Option<Numbers> {
    let rank = x.shape.len();
    let perm: Vec<usize> = match perm {
        Some(perm) => perm.iter().map(|&axis| front(axis, rank)).collect::<Option<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return None;
    }
    Numbers::make(perm.iter().map(|&axis| x.shape[axis]).collect(), x.dtype, |index| {
        let mut from = vec![0; rank];
        perm.iter().zip(index).for_each(|(&axis, &at)| from[axis] = at);
        x.at(&from).cloned()
    })
}

fn expand(x: &Numbers, target: &Numbers) -> Option<Numbers> {
    let target: Vec<usize> =
        target.list.iter().map(|size| usize::try_from(size.known()?).ok()).collect::<Option<_>>()?;
    Numbers::make(joint(&x.shape, &target)?, x.dtype, |index| x.at(index).cloned())
}

fn reduce(op: &str, x: &Numbers, keep: bool) -> Option<Numbers> {
    let (op, start) = match op {
        "ReduceProd" => ("Mul", Some(1)),
        "ReduceSum" => ("Add", Some(0)),
        "ReduceMax" => ("Max", None),
        _ => ("Min", None),
    };
    let one = |number: &Number| Numbers { list: vec![number.clone()], shape: Vec::new(), dtype: x.dtype };
    let mut numbers = x.list.iter();
    let first = match (numbers.next(), start) {
        (Some(first), _) => one(first),
        (None, Some(start)) if !x.dtype.is_float() => one(&Number::Whole(Extent::Known(start))),
        (None, _) => return None,
    };
    let result = numbers.try_fold(first, |a, b| binary(op, false, &a, &one(b)))?;
    Some(if keep { seen(&result, vec![1; x.shape.len()]) } else { result })
}

fn range(start: &Numbers, limit: &Numbers, delta: &Numbers) -> Option<Numbers> {
    if start.dtype != limit.dtype || start.dtype != delta.dtype {
        return None;
    }
    let real = |numbers: &Numbers| if let [only] = &numbers.list[..] { only.real() } else { None };
    let (first, end, step) = (real(start)?, real(limit)?, real(delta)?);
    let count = ((end - first) / step).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    let count = if count > 0.0 { (count <= MOST as f64).then_some(count as usize)? } else { 0 };
    let whole = !start.dtype.is_float();
    Numbers::make(vec![count], start.dtype, |index| {
        #[expect(clippy::cast_precision_loss, reason = "there are few")]
        let value = first + index[0] as f64 * step;
        #[expect(clippy::cast_possible_truncation, reason = "sums of whole numbers below 2^53")]
        Some(if whole { Number::Whole(Extent::Known(value as i64)) } else { Number::Real(value) })
    })
    .filter(|_| step.is_finite() && step != 0.0 && first.abs().max(end.abs()) < 9e15)
}
