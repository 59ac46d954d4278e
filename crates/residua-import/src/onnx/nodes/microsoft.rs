//! Operators of Microsoft's domain: what ONNX Runtime's optimiser fuses, and its integer forms of ONNX's operators.
//!
//! Facts are those of `ContribOperators.md` of ONNX Runtime 1.22.

use residua_ir::{
    Activation, AvgPool, DType, Elementwise, GlobalPool, Granularity, LayerNorm, MaxPool, Op, PoolKind, Quantize,
    Reduce, Role, Tensor, Transform, ValueId,
};

use super::super::{Misused, Reader, Unknown, Unread};
use super::quantised::{self, Quantised, bias, dtype, literal, optional_literal, restore, round, triple};
use super::{Read, activation, arithmetic, window};

/// Whether an operator gives a result besides the first.
pub(super) fn gives(op_type: &str, index: usize) -> bool {
    matches!(op_type, "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization") && index == 3
}

/// Reads a node of the domain `com.microsoft`.
pub(super) fn read(r: &mut Reader<'_>) -> Read {
    match r.node.op_type.as_str() {
        "QuantizeLinear" => quantised::quantize_linear(r),
        "DequantizeLinear" => quantised::dequantize_linear(r),
        "QLinearConv" => qlinear_conv(r),
        "QLinearAdd" => qlinear_pair(r, Elementwise::Add),
        "QLinearMul" => qlinear_pair(r, Elementwise::Mul),
        "QLinearSigmoid" => qlinear_unary(r, Op::Activation(Activation::Sigmoid)),
        "QLinearLeakyRelu" => {
            let slope = r.attributes.float("alpha")?.unwrap_or(0.01);
            qlinear_unary(r, Op::Activation(Activation::leaky_relu(slope)))
        }
        "QLinearSoftmax" => qlinear_softmax(r),
        "QLinearGlobalAveragePool" => qlinear_global_average_pool(r),
        "QLinearAveragePool" => qlinear_average_pool(r),
        "QLinearReduceMean" => qlinear_reduce_mean(r),
        "QLinearConcat" => qlinear_concat(r),
        "QLinearWhere" => qlinear_where(r),
        "QGemm" => qgemm(r),
        "MatMulIntegerToFloat" => mat_mul_integer_to_float(r),
        "DynamicQuantizeMatMul" => dynamic_quantize_mat_mul(r),
        "FusedConv" => fused_conv(r),
        "FusedGemm" => fused_gemm(r),
        "FusedMatMul" => fused_mat_mul(r),
        "NhwcMaxPool" => nhwc_max_pool(r),
        "Gelu" => activation::plain(r, Activation::Gelu { tanh_approximation: false }),
        "BiasGelu" => gelu(r, false),
        "FastGelu" => gelu(r, true),
        "QuickGelu" => quick_gelu(r),
        "SkipLayerNormalization" => skip_layer_norm(r, false),
        "SkipSimplifiedLayerNormalization" => skip_layer_norm(r, true),
        _ => Err(Unknown("this operator of Microsoft's domain is not known".to_owned())),
    }
}

/// Whether channels come last, as ONNX Runtime has them for integers.
fn channels_last(r: &Reader<'_>) -> Result<bool, Unread> {
    r.attributes.flag("channels_last", false)
}

/// An image with its channels moved.
fn turned(r: &mut Reader<'_>, what: &str, x: ValueId, perm: [usize; 4]) -> ValueId {
    r.step(what, Op::Transpose { perm: perm.to_vec() }, &[x])
}

/// The last node of an image's operator, behind which channels go back to the end.
fn turned_back(r: &mut Reader<'_>, last: bool, op: Op, inputs: &[ValueId]) -> Read {
    if !last {
        return r.end(op, inputs);
    }
    r.attributes.finish()?;
    let y = r.step("nchw", op, inputs);
    r.end(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[y])
}

/// The rounding that ends an operator, by the scale and zero point at these operands.
fn rounding(r: &mut Reader<'_>, [scale, zero]: [usize; 2], kind: Option<DType>) -> Result<(Op, Vec<ValueId>), Unread> {
    let scale = literal(r, scale)?;
    let zero = optional_literal(r, zero)?;
    let dtype = zero.map_or(kind, |zero| dtype(r, zero));
    let dtype = dtype.ok_or_else(|| Unknown("the type of its result is not known".to_owned()))?;
    Ok((
        Op::Quantize(Quantize { dtype, granularity: Granularity::default() }),
        [scale].into_iter().chain(zero).collect(),
    ))
}

fn qlinear_conv(r: &mut Reader<'_>) -> Read {
    let last = channels_last(r)?;
    if !last {
        return quantised::qlinear_conv(r);
    }
    let (mut x, kernel) = (triple(r, 0)?, triple(r, 3)?);
    let kind = dtype(r, x.value);
    x.value = turned(r, "x/nchw", x.value, [0, 3, 1, 2]);
    let conv = window::conv_attributes(r, x.value, kernel.value)?;
    let mut inputs = vec![restore(r, "x", &x, 0), restore(r, "weight", &kernel, 0)];
    inputs.extend(bias(r, 8, x.scale, kernel.scale)?);
    let sum = r.step("conv", Op::Conv(conv), &inputs);
    let (op, grid) = rounding(r, [6, 7], kind)?;
    turned_back(r, last, op, &[&[sum][..], &grid].concat())
}

fn qlinear_pair(r: &mut Reader<'_>, function: Elementwise) -> Read {
    let (a, b) = (triple(r, 0)?, triple(r, 3)?);
    let kind = dtype(r, a.value);
    let inputs = [restore(r, "a", &a, 0), restore(r, "b", &b, 0)];
    let result = r.step("result", Op::Elementwise(function), &inputs);
    round(r, result, [6, 7], kind)
}

fn qlinear_unary(r: &mut Reader<'_>, op: Op) -> Read {
    let x = triple(r, 0)?;
    let kind = dtype(r, x.value);
    let real = restore(r, "x", &x, 0);
    let result = r.step("result", op, &[real]);
    round(r, result, [3, 4], kind)
}

fn qlinear_softmax(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let rank = r.known_rank(x)?;
    let axis = Reader::axis(r.attributes.int("axis")?.unwrap_or(-1), Some(rank))?;
    // Below opset 13, the axes from `axis` on were taken as one.
    if r.attributes.int("opset")?.is_some_and(|opset| opset < 13) && axis + 1 != rank {
        return Err(Unknown("a softmax over several axes is not known".to_owned()));
    }
    qlinear_unary(r, Op::Softmax { axis })
}

fn qlinear_global_average_pool(r: &mut Reader<'_>) -> Read {
    let last = channels_last(r)?;
    let mut x = triple(r, 0)?;
    let kind = dtype(r, x.value);
    if last {
        x.value = turned(r, "x/nchw", x.value, [0, 3, 1, 2]);
    }
    let real = restore(r, "x", &x, 0);
    let mean = r.step("mean", Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims: true }), &[real]);
    let (op, grid) = rounding(r, [3, 4], kind)?;
    turned_back(r, last, op, &[&[mean][..], &grid].concat())
}

fn qlinear_average_pool(r: &mut Reader<'_>) -> Read {
    let last = channels_last(r)?;
    let mut x = triple(r, 0)?;
    let kind = dtype(r, x.value);
    if last {
        x.value = turned(r, "x/nchw", x.value, [0, 3, 1, 2]);
    }
    let pool: AvgPool = window::avg_pool_attributes(r, x.value)?;
    let real = restore(r, "x", &x, 0);
    let mean = r.step("mean", Op::AvgPool(pool), &[real]);
    let (op, grid) = rounding(r, [3, 4], kind)?;
    turned_back(r, last, op, &[&[mean][..], &grid].concat())
}

fn qlinear_reduce_mean(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let rank = r.known_rank(x)?;
    let axes =
        r.attributes.ints("axes")?.map_or_else(|| Ok((0..rank).collect()), |axes| Reader::axes(axes, Some(rank)))?;
    let keep_dims = r.attributes.flag("keepdims", true)?;
    qlinear_unary(r, Op::Reduce(Reduce { kind: PoolKind::Mean, axes, keep_dims }))
}

fn qlinear_concat(r: &mut Reader<'_>) -> Read {
    let count = r.node.input.len();
    if count < 5 || count % 3 != 2 {
        return Err(Misused(format!("it has {count} operands")));
    }
    let mut parts = Vec::new();
    let mut kind = None;
    for first in (2..count).step_by(3) {
        let part = triple(r, first)?;
        kind = kind.or(dtype(r, part.value));
        parts.push(restore(r, &format!("part{}", parts.len()), &part, 0));
    }
    let axis = r.attributes.int("axis")?.ok_or_else(|| Misused("`axis` is missing".to_owned()))?;
    let axis = Reader::axis(axis, r.rank(parts[0]))?;
    let joined = r.step("joined", Op::Concat { axis }, &parts);
    round(r, joined, [0, 1], kind)
}

fn qlinear_where(r: &mut Reader<'_>) -> Read {
    let condition = r.value(0)?;
    let (a, b) = (triple(r, 1)?, triple(r, 4)?);
    let kind = dtype(r, a.value);
    let inputs = [condition, restore(r, "a", &a, 0), restore(r, "b", &b, 0)];
    let result = r.step("result", Op::Where, &inputs);
    round(r, result, [7, 8], kind)
}

/// A scale times a number.
fn scaled(r: &mut Reader<'_>, what: &str, scale: ValueId, by: f64) -> Read {
    if by == 1.0 {
        return Ok(scale);
    }
    let factor = number(r, &format!("{what}/alpha"), by)?;
    Ok(r.step(what, Op::Elementwise(Elementwise::Mul), &[scale, factor]))
}

fn number(r: &mut Reader<'_>, what: &str, value: f64) -> Read {
    let tensor = Tensor::filled(DType::F32, Vec::new(), value).map_err(|error| Unknown(error.to_string()))?;
    let name = format!("{}/{what}", r.name);
    Ok(r.scope.own(&name, r.layer, Role::Literal, tensor))
}

fn qgemm(r: &mut Reader<'_>) -> Read {
    let alpha = r.attributes.float("alpha")?.unwrap_or(1.0);
    let (trans_a, trans_b) = (r.attributes.flag("transA", false)?, r.attributes.flag("transB", false)?);
    r.attributes.finish()?;
    let mut x = triple(r, 0)?;
    let kind = dtype(r, x.value);
    x.scale = scaled(r, "scale", x.scale, alpha)?;
    let weight = if r.constant_shape(3).is_some() {
        let views = if trans_b { Vec::new() } else { vec![Transform::Permute(vec![1, 0])] };
        r.value_as(3, Role::Weight, &views)?
    } else {
        let weight = r.value(3)?;
        if trans_b { weight } else { r.step("weight/turned", Op::Transpose { perm: vec![1, 0] }, &[weight]) }
    };
    let zero = optional_literal(r, 5)?;
    let weight = Quantised { value: weight, scale: literal(r, 4)?, zero };
    let mut real = restore(r, "x", &x, 0);
    if trans_a {
        real = r.step("x/turned", Op::Transpose { perm: vec![1, 0] }, &[real]);
    }
    let mut inputs = vec![real, restore(r, "weight", &weight, 0)];
    inputs.extend(bias(r, 6, x.scale, weight.scale)?);
    if r.operand(7).is_none() {
        return r.end(Op::Linear, &inputs);
    }
    let sum = r.step("product", Op::Linear, &inputs);
    round(r, sum, [7, 8], kind)
}

/// A product of restored integers, and a summand.
fn real_product(r: &mut Reader<'_>, x: ValueId, weight: [usize; 3], summand: usize) -> Read {
    let [weight, scale, zero] = weight;
    let (value, columns, linear) = quantised::factor(r, weight)?;
    let zero = optional_literal(r, zero)?;
    let weight = Quantised { value, scale: literal(r, scale)?, zero };
    let weight = restore(r, "weight", &weight, columns);
    let op = if linear { Op::Linear } else { Op::MatMul };
    if r.operand(summand).is_none() {
        return r.end(op, &[x, weight]);
    }
    let summand = r.value(summand)?;
    if linear && r.rank(summand) == Some(1) {
        return r.end(op, &[x, weight, summand]);
    }
    let product = r.step("product", op, &[x, weight]);
    r.end(Op::Elementwise(Elementwise::Add), &[product, summand])
}

fn mat_mul_integer_to_float(r: &mut Reader<'_>) -> Read {
    let zero = optional_literal(r, 4)?;
    let x = Quantised { value: r.value(0)?, scale: literal(r, 2)?, zero };
    let rows = r.known_rank(x.value)?.saturating_sub(2);
    let x = restore(r, "x", &x, rows);
    real_product(r, x, [1, 3, 5], 6)
}

fn dynamic_quantize_mat_mul(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let x = quantised::by_range(r, x);
    let x = restore(r, "x", &x, 0);
    real_product(r, x, [1, 2, 3], 4)
}

/// The activation that an operator was fused with.
fn fused_activation(r: &Reader<'_>) -> Result<Option<Activation>, Unread> {
    let Some(name) = r.attributes.text("activation")?.filter(|name| !name.is_empty()) else { return Ok(None) };
    let listed = r.attributes.floats("activation_params")?.unwrap_or_default();
    let own = [r.attributes.float("activation_alpha")?, r.attributes.float("activation_beta")?];
    r.attributes.skip(&["activation_gamma"]);
    let parameter = |index: usize, default: f64| {
        let listed = listed.get(index).map(|&value| residua_ir::tensor::decimal(value));
        listed.or_else(|| own.get(index).copied().flatten()).unwrap_or(default)
    };
    Ok(Some(match name {
        "Relu" => Activation::RELU,
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "LeakyRelu" => Activation::leaky_relu(parameter(0, 0.01)),
        "HardSigmoid" => Activation::HardSigmoid { slope: parameter(0, 0.2), offset: parameter(1, 0.5) },
        "Clip" => Activation::Clip { min: Some(parameter(0, f64::MIN)), max: Some(parameter(1, f64::MAX)) },
        other => return Err(Unknown(format!("the activation `{other}` is not known"))),
    }))
}

/// Ends with an activation, where there is one.
fn activated(r: &mut Reader<'_>, function: Option<Activation>, op: Op, inputs: &[ValueId]) -> Read {
    let Some(function) = function else { return r.end(op, inputs) };
    r.attributes.finish()?;
    let before = r.step("sum", op, inputs);
    r.end(Op::Activation(function), &[before])
}

fn fused_conv(r: &mut Reader<'_>) -> Read {
    let function = fused_activation(r)?;
    let (x, kernel) = (r.value(0)?, r.value(1)?);
    let conv = window::conv_attributes(r, x, kernel)?;
    let mut inputs = vec![x, kernel];
    if r.operand(2).is_some() {
        inputs.push(r.value(2)?);
    }
    if r.operand(3).is_none() {
        return activated(r, function, Op::Conv(conv), &inputs);
    }
    let residual = r.value(3)?;
    let sum = r.step("conv", Op::Conv(conv), &inputs);
    activated(r, function, Op::Elementwise(Elementwise::Add), &[sum, residual])
}

fn fused_gemm(r: &mut Reader<'_>) -> Read {
    match fused_activation(r)? {
        None => arithmetic::gemm(r),
        Some(function) => {
            let sum = arithmetic::gemm_step(r)?;
            r.end(Op::Activation(function), &[sum])
        }
    }
}

fn fused_mat_mul(r: &mut Reader<'_>) -> Read {
    let alpha = r.attributes.float("alpha")?.unwrap_or(1.0);
    let turned = [r.attributes.flag("transA", false)?, r.attributes.flag("transB", false)?];
    if r.attributes.flag("transBatchA", false)? || r.attributes.flag("transBatchB", false)? {
        return Err(Unknown("transposed batches are not known".to_owned()));
    }
    let mut operands = [r.value(0)?, r.value(1)?];
    for (index, operand) in operands.iter_mut().enumerate() {
        let rank = r.known_rank(*operand)?;
        if rank < 2 {
            return Err(Unknown("a product with a vector is not known".to_owned()));
        }
        if turned[index] {
            let mut perm: Vec<usize> = (0..rank).collect();
            perm.swap(rank - 2, rank - 1);
            *operand = r.step(&format!("turned{index}"), Op::Transpose { perm }, &[*operand]);
        }
    }
    if alpha == 1.0 {
        return r.end(Op::MatMul, &operands);
    }
    let product = r.step("product", Op::MatMul, &operands);
    let alpha = number(r, "alpha", alpha)?;
    r.end(Op::Elementwise(Elementwise::Mul), &[product, alpha])
}

fn nhwc_max_pool(r: &mut Reader<'_>) -> Read {
    let x = r.value(0)?;
    let x = turned(r, "x/nchw", x, [0, 3, 1, 2]);
    let pool: MaxPool = window::max_pool_attributes(r, x)?;
    turned_back(r, true, Op::MaxPool(pool), &[x])
}

/// A bias, which may be left out, and the GELU of the sum.
fn gelu(r: &mut Reader<'_>, tanh_approximation: bool) -> Read {
    let mut x = r.value(0)?;
    if r.operand(1).is_some() {
        let bias = r.value(1)?;
        x = r.step("sum", Op::Elementwise(Elementwise::Add), &[x, bias]);
    }
    r.end(Op::Activation(Activation::Gelu { tanh_approximation }), &[x])
}

/// `x · sigmoid(alpha · x)`.
fn quick_gelu(r: &mut Reader<'_>) -> Read {
    let alpha = r.attributes.float("alpha")?.unwrap_or(1.702);
    let x = r.value(0)?;
    let times = Op::Elementwise(Elementwise::Mul);
    let alpha = number(r, "alpha", alpha)?;
    let scaled = r.step("scaled", times.clone(), &[x, alpha]);
    let gate = r.step("gate", Op::Activation(Activation::Sigmoid), &[scaled]);
    r.end(times, &[x, gate])
}

/// The sum of two values, and of a bias where there is one, normalised over the last axis; the sum is its fourth result.
fn skip_layer_norm(r: &mut Reader<'_>, simplified: bool) -> Read {
    let epsilon = r.attributes.float("epsilon")?.unwrap_or(1e-12);
    let plus = Op::Elementwise(Elementwise::Add);
    let (x, skip, scale) = (r.value(0)?, r.value(1)?, r.value(2)?);
    let (offset, bias) = if simplified { (None, 3) } else { (r.operand(3).map(|_| r.value(3)).transpose()?, 4) };
    let bias = r.operand(bias).map(|_| r.value(bias)).transpose()?;
    let axis = r.known_rank(x)?.checked_sub(1).ok_or_else(|| Unknown("its operand has no axis".to_owned()))?;
    r.attributes.finish()?;
    let result = r.node.output.get(3).filter(|name| !name.is_empty());
    let mut sum = match (result, bias) {
        (Some(name), None) => r.scope.node(&r.scope.shown(name), plus.clone(), &[x, skip], r.layer),
        _ => r.step("sum", plus.clone(), &[x, skip]),
    };
    if let Some(bias) = bias {
        sum = match result {
            Some(name) => r.scope.node(&r.scope.shown(name), plus, &[sum, bias], r.layer),
            None => r.step("biased", plus, &[sum, bias]),
        };
    }
    if let Some(name) = result {
        r.scope.define(name, super::super::Item::Value(sum));
    }
    if simplified {
        return rms_norm(r, sum, scale, axis, epsilon);
    }
    let offset = match offset {
        Some(offset) => offset,
        None => super::norm::zeros_like(r, scale)?,
    };
    r.end(Op::LayerNorm(LayerNorm { axes: vec![axis], epsilon }), &[sum, scale, offset])
}

/// `x / √(mean(x²) + epsilon) · scale`.
fn rms_norm(r: &mut Reader<'_>, x: ValueId, scale: ValueId, axis: usize, epsilon: f64) -> Read {
    let [times, plus, by] = [Elementwise::Mul, Elementwise::Add, Elementwise::Div].map(Op::Elementwise);
    let square = r.step("square", times.clone(), &[x, x]);
    let mean = Reduce { kind: PoolKind::Mean, axes: vec![axis], keep_dims: true };
    let mean = r.step("mean", Op::Reduce(mean), &[square]);
    let epsilon = number(r, "epsilon", epsilon)?;
    let shifted = r.step("shifted", plus, &[mean, epsilon]);
    let deviation = r.step("deviation", Op::Activation(Activation::Sqrt), &[shifted]);
    let normal = r.step("normal", by, &[x, deviation]);
    r.end(times, &[normal, scale])
}

/// `SimplifiedLayerNormalization`, which ONNX Runtime writes into ONNX's own domain.
pub(super) fn simplified_layer_norm(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["stash_type"]);
    let epsilon = r.attributes.float("epsilon")?.unwrap_or(1e-5);
    let (x, scale) = (r.value(0)?, r.value(1)?);
    let rank = r.known_rank(x)?;
    let axis = Reader::axis(r.attributes.int("axis")?.unwrap_or(-1), Some(rank))?;
    if axis + 1 != rank {
        return Err(Unknown("a norm over several axes is not known".to_owned()));
    }
    r.attributes.finish()?;
    rms_norm(r, x, scale, axis, epsilon)
}
