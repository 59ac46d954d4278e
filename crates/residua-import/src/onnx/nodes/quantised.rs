//! Quantised values: the operators that round to integers, those that compute with integers, and Microsoft's.
//!
//! What computes with integers is read as what it means: numbers are restored, the operator of real numbers follows, and
//! its result is rounded. Executors compute such a chain in integers again.

use residua_ir::{Conv, DType, DynamicRange, Granularity, Op, Quantize, Role, Tensor, Transform, ValueId};

use super::super::{Reader, Unknown, Unread};
use super::Read;
use super::window::conv_attributes;

/// A value with what its integers stand for.
pub(super) struct Quantised {
    pub(super) value: ValueId,
    pub(super) scale: ValueId,
    pub(super) zero: Option<ValueId>,
}

/// Scales and zero points are numbers of the graph's text: no framework counts them.
pub(super) fn literal(r: &mut Reader<'_>, index: usize) -> Read {
    r.value_as(index, Role::Literal, &[])
}

pub(super) fn optional_literal(r: &mut Reader<'_>, index: usize) -> Result<Option<ValueId>, Unread> {
    r.operand(index).map(|_| literal(r, index)).transpose()
}

pub(super) fn dtype(r: &Reader<'_>, id: ValueId) -> Option<DType> {
    r.scope.type_of(id).map(|ty| ty.dtype)
}

/// `axis` and `block_size`, which count only where there is more than one scale.
fn granularity(r: &Reader<'_>, x: ValueId, scale: ValueId) -> Result<Granularity, Unread> {
    let axis = r.attributes.int("axis")?.unwrap_or(1);
    let block = r.attributes.int("block_size")?.unwrap_or(0);
    if r.scope.type_of(scale).and_then(|ty| ty.shape.element_count()) == Some(1) {
        return Ok(Granularity::default());
    }
    let axis = Reader::axis(axis, r.rank(x))?;
    let block = usize::try_from(block).map_err(|_| Unknown(format!("`block_size` is {block}")))?;
    Ok(Granularity { axis, block: (block > 0).then_some(block) })
}

pub(super) fn quantize_linear(r: &mut Reader<'_>) -> Read {
    // How values beyond the range of 8-bit floats are treated, which are not read.
    r.attributes.skip(&["saturate"]);
    let (x, scale, zero) = (r.value(0)?, literal(r, 1)?, optional_literal(r, 2)?);
    let stated = output_dtype(r)?;
    if let Some(precision) = r.attributes.int("precision")?.filter(|&precision| precision != 0) {
        let own = super::super::interface::dtype(precision);
        if own.is_none() || own != dtype(r, scale) {
            return Err(Unknown(format!("division in another type than the scale's (`precision` {precision})")));
        }
    }
    let dtype = match (zero.map(|zero| dtype(r, zero)), stated) {
        (Some(None), _) => return Err(Unknown("the type of its zero point is not known".to_owned())),
        (Some(Some(zero)), stated) if stated.is_none_or(|stated| stated == zero) => zero,
        (Some(_), Some(stated)) => {
            return Err(Unknown(format!("`output_dtype` {stated} is not its zero point's type")));
        }
        (_, stated) => stated.unwrap_or(DType::U8),
    };
    let granularity = granularity(r, x, scale)?;
    let inputs: Vec<ValueId> = [x, scale].into_iter().chain(zero).collect();
    r.end(Op::Quantize(Quantize { dtype, granularity }), &inputs)
}

/// The type that the result is said to have.
fn output_dtype(r: &Reader<'_>) -> Result<Option<DType>, Unread> {
    let Some(number) = r.attributes.int("output_dtype")?.filter(|&number| number != 0) else { return Ok(None) };
    let known = super::super::interface::dtype(number);
    known.map(Some).ok_or_else(|| Unknown(format!("`output_dtype` {number} is a type that is not read")))
}

pub(super) fn dequantize_linear(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let (scale, zero) = (literal(r, 1)?, optional_literal(r, 2)?);
    let stated = output_dtype(r)?;
    let granularity = granularity(r, x, scale)?;
    let inputs: Vec<ValueId> = [x, scale].into_iter().chain(zero).collect();
    let Some(dtype) = stated.filter(|&stated| Some(stated) != dtype(r, scale)) else {
        return r.end(Op::Dequantize(granularity), &inputs);
    };
    r.attributes.finish()?;
    let restored = r.step("restored", Op::Dequantize(granularity), &inputs);
    r.end(Op::Cast { dtype }, &[restored])
}

/// The integers, their scale and their zero point.
pub(super) fn dynamic_quantize_linear(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    r.attributes.finish()?;
    let mut part = |index: usize, part: DynamicRange, what: &str| {
        let op = Op::DynamicRange(part);
        match r.node.output.get(index).filter(|name| !name.is_empty()) {
            Some(name) => {
                let id = r.scope.node(&r.scope.shown(name), op, &[x], r.layer);
                r.scope.define(name, super::super::Item::Value(id));
                id
            }
            None => r.step(what, op, &[x]),
        }
    };
    let scale = part(1, DynamicRange::Scale, "scale");
    let zero = part(2, DynamicRange::ZeroPoint, "zero_point");
    r.end(Op::Quantize(Quantize { dtype: DType::U8, granularity: Granularity::default() }), &[x, scale, zero])
}

/// Integers of a value by its own range.
pub(super) fn by_range(r: &mut Reader<'_>, x: ValueId) -> Quantised {
    let scale = r.step("x/scale", Op::DynamicRange(DynamicRange::Scale), &[x]);
    let zero = r.step("x/zero_point", Op::DynamicRange(DynamicRange::ZeroPoint), &[x]);
    let quantize = Op::Quantize(Quantize { dtype: DType::U8, granularity: Granularity::default() });
    Quantised { value: r.step("x/quantized", quantize, &[x, scale, zero]), scale, zero: Some(zero) }
}

/// Three operands: integers, scale and zero point, which may be left out.
pub(super) fn triple(r: &mut Reader<'_>, first: usize) -> Result<Quantised, Unread> {
    let value = r.value(first)?;
    Ok(Quantised { value, scale: literal(r, first + 1)?, zero: optional_literal(r, first + 2)? })
}

/// The numbers that integers stand for; scales of several elements count along `axis`.
pub(super) fn restore(r: &mut Reader<'_>, what: &str, x: &Quantised, axis: usize) -> ValueId {
    let inputs: Vec<ValueId> = [x.value, x.scale].into_iter().chain(x.zero).collect();
    r.step(what, Op::Dequantize(Granularity { axis, block: None }), &inputs)
}

/// Rounds a result by the scale and zero point at these operands; without a zero point to the type `otherwise`.
pub(super) fn round(r: &mut Reader<'_>, y: ValueId, [scale, zero]: [usize; 2], otherwise: Option<DType>) -> Read {
    let (scale, zero) = (literal(r, scale)?, optional_literal(r, zero)?);
    let dtype = zero.map_or(otherwise, |zero| dtype(r, zero));
    let dtype = dtype.ok_or_else(|| Unknown("the type of its result is not known".to_owned()))?;
    let inputs: Vec<ValueId> = [y, scale].into_iter().chain(zero).collect();
    r.end(Op::Quantize(Quantize { dtype, granularity: Granularity::default() }), &inputs)
}

/// An f32 tensor that the file does not hold.
fn own(r: &mut Reader<'_>, what: &str, shape: Vec<usize>, values: &[f32]) -> Read {
    let tensor = Tensor::from_f32(shape, values).map_err(|error| Unknown(error.to_string()))?;
    let name = format!("{}/{what}", r.name);
    Ok(r.scope.own(&name, r.layer, Role::Literal, tensor))
}

/// Elements of a tensor of the file, in f32, which is what scales are.
fn elements(r: &Reader<'_>, id: ValueId) -> Option<(Vec<usize>, Vec<f32>)> {
    let tensor = &r.scope.builder.graph().as_parameter(id)?.tensor;
    Some((tensor.shape().to_vec(), tensor.to_f32().ok()?))
}

/// The scale of sums of products: the product of two scales, one of them of one element.
fn joint_scale(r: &mut Reader<'_>, a: ValueId, b: ValueId) -> Read {
    if let (Some((a_shape, a)), Some((b_shape, b))) = (elements(r, a), elements(r, b)) {
        let (one, (shape, many)) = if a.len() == 1 { (a, (b_shape, b)) } else { (b, (a_shape, a)) };
        if let [one] = one[..] {
            let products: Vec<f32> = many.iter().map(|scale| scale * one).collect();
            return own(r, "bias_scale", shape, &products);
        }
    }
    Ok(r.step("bias_scale", Op::Elementwise(residua_ir::Elementwise::Mul), &[a, b]))
}

/// A summand of integers that stand for multiples of both scales.
pub(super) fn bias(r: &mut Reader<'_>, index: usize, a: ValueId, b: ValueId) -> Result<Option<ValueId>, Unread> {
    if r.operand(index).is_none() {
        return Ok(None);
    }
    let value = r.value(index)?;
    let scale = joint_scale(r, a, b)?;
    Ok(Some(restore(r, "bias", &Quantised { value, scale, zero: None }, 0)))
}

pub(super) fn qlinear_conv(r: &mut Reader<'_>) -> Read {
    let (x, kernel) = (triple(r, 0)?, triple(r, 3)?);
    let conv = conv_attributes(r, x.value, kernel.value)?;
    let kind = dtype(r, x.value);
    let mut inputs = vec![restore(r, "x", &x, 0), restore(r, "weight", &kernel, 0)];
    inputs.extend(bias(r, 8, x.scale, kernel.scale)?);
    let sum = r.step("conv", Op::Conv(conv), &inputs);
    round(r, sum, [6, 7], kind)
}

pub(super) fn conv_integer(r: &mut Reader<'_>) -> Read {
    let (x, kernel) = (r.value(0)?, r.value(1)?);
    let conv: Conv = conv_attributes(r, x, kernel)?;
    r.attributes.finish()?;
    let x = whole(r, "x", x, 2, 0)?;
    let kernel = whole(r, "weight", kernel, 3, 0)?;
    let sum = r.step("conv", Op::Conv(conv), &[x, kernel]);
    r.end(Op::Cast { dtype: DType::I32 }, &[sum])
}

/// Integers less their zero point, which is the operand at `zero`; one of several elements counts along `axis`.
fn whole(r: &mut Reader<'_>, what: &str, value: ValueId, zero: usize, axis: usize) -> Read {
    let zero = optional_literal(r, zero)?;
    let shape = match zero {
        None => Vec::new(),
        Some(zero) => {
            let shape = r.scope.shape(zero)?.as_fixed();
            shape.ok_or_else(|| Unknown("the shape of its zero point is not known".to_owned()))?
        }
    };
    let count = residua_ir::tensor::element_count(&shape).ok().filter(|&count| count <= 1 << 24);
    let count = count.ok_or_else(|| Unknown(format!("a zero point of shape {shape:?} is too large")))?;
    let mut granularity = Granularity { axis, block: None };
    if count > 1 && shape.len() > 1 {
        // One a row or column of each matrix: the common axis is one block.
        let along = shape.iter().rposition(|&size| size == 1);
        let along = along.ok_or_else(|| Unknown(format!("zero points of shape {shape:?} are not known")))?;
        granularity = Granularity { axis: along, block: r.scope.fixed(value, along) };
    }
    let scale = own(r, &format!("{what}_scale"), shape, &vec![1.0; count])?;
    let inputs: Vec<ValueId> = [value, scale].into_iter().chain(zero).collect();
    Ok(r.step(what, Op::Dequantize(granularity), &inputs))
}

/// The second factor: a matrix that is a tensor is taken as `[O, I]`, as `Linear` has it; with the axis of its columns.
pub(super) fn factor(r: &mut Reader<'_>, index: usize) -> Result<(ValueId, usize, bool), Unread> {
    if r.constant_shape(index).is_some_and(|shape| shape.len() == 2) {
        return Ok((r.value_as(index, Role::Weight, &[Transform::Permute(vec![1, 0])])?, 0, true));
    }
    let value = r.value(index)?;
    let rank = r.known_rank(value)?;
    let columns = rank.checked_sub(1).filter(|_| rank > 1);
    let columns = columns.ok_or_else(|| Unknown("a product with a vector is not known".to_owned()))?;
    Ok((value, columns, false))
}

/// Axis of the rows of a first factor.
fn rows(r: &Reader<'_>, x: ValueId) -> Result<usize, Unread> {
    let rank = r.known_rank(x)?;
    rank.checked_sub(2).ok_or_else(|| Unknown("a product with a vector is not known".to_owned()))
}

fn product(linear: bool) -> Op {
    if linear { Op::Linear } else { Op::MatMul }
}

pub(super) fn mat_mul_integer(r: &mut Reader<'_>) -> Read {
    r.attributes.finish()?;
    let x = r.value(0)?;
    let rows = rows(r, x)?;
    let (weight, columns, linear) = factor(r, 1)?;
    let x = whole(r, "x", x, 2, rows)?;
    let weight = whole(r, "weight", weight, 3, columns)?;
    let sum = r.step("product", product(linear), &[x, weight]);
    r.end(Op::Cast { dtype: DType::I32 }, &[sum])
}

pub(super) fn qlinear_mat_mul(r: &mut Reader<'_>) -> Read {
    let x = triple(r, 0)?;
    let (kind, rows) = (dtype(r, x.value), rows(r, x.value)?);
    let (value, columns, linear) = factor(r, 3)?;
    let weight = Quantised { value, scale: literal(r, 4)?, zero: optional_literal(r, 5)? };
    let inputs = [restore(r, "x", &x, rows), restore(r, "weight", &weight, columns)];
    let sum = r.step("product", product(linear), &inputs);
    round(r, sum, [6, 7], kind)
}
