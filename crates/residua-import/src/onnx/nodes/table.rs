//! The operators that are read, of which operator sets, and by what.
//!
//! This table is what a node is looked up in, and what the list of operators in the documentation is made from.

use residua_ir::{Activation, Comparison, Elementwise, Extremum, IdentityReason, Op, PoolKind, Property};

use super::super::{NEWEST_OPSET, Reader};
use super::{
    Read, activation, arithmetic, axes, blocks, constant, einsum, gather, microsoft, norm, quantised, reduce, resize,
    window,
};

/// An operator of ONNX, and what of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: &'static str,
    /// Oldest operator set.
    pub since: i64,
    /// Newest operator set.
    pub until: i64,
    /// What of it is not read, or only under a condition; empty where all is.
    pub note: &'static str,
}

/// An entry of the table.
pub(super) struct Operator {
    pub(super) claim: Claim,
    /// Results that it gives.
    pub(super) results: usize,
    pub(super) read: fn(&mut Reader<'_>) -> Read,
}

const fn from(since: i64, name: &'static str, read: fn(&mut Reader<'_>) -> Read) -> Operator {
    Operator { claim: Claim { name, since, until: NEWEST_OPSET, note: "" }, results: 1, read }
}

const fn op(name: &'static str, read: fn(&mut Reader<'_>) -> Read) -> Operator {
    from(1, name, read)
}

impl Operator {
    const fn note(mut self, note: &'static str) -> Self {
        self.claim.note = note;
        self
    }

    const fn until(mut self, until: i64) -> Self {
        self.claim.until = until;
        self
    }

    const fn results(mut self, results: usize) -> Self {
        self.results = results;
        self
    }
}

/// Images and what lies along one axis.
const PLANES: &str = "1-D and 2-D";

/// All of them, by name.
pub(super) static OPERATORS: &[Operator] = &[
    op("Abs", |r| activation::plain(r, Activation::Abs)),
    from(7, "Acos", |r| activation::plain(r, Activation::Acos)),
    from(9, "Acosh", |r| activation::plain(r, Activation::Acosh)),
    op("Add", |r| arithmetic::binary(r, Elementwise::Add)),
    op("And", |r| arithmetic::binary(r, Elementwise::And)),
    op("ArgMax", |r| reduce::arg_extremum(r, Extremum::Largest)),
    op("ArgMin", |r| reduce::arg_extremum(r, Extremum::Smallest)),
    from(7, "Asin", |r| activation::plain(r, Activation::Asin)),
    from(9, "Asinh", |r| activation::plain(r, Activation::Asinh)),
    from(7, "Atan", |r| activation::plain(r, Activation::Atan)),
    from(9, "Atanh", |r| activation::plain(r, Activation::Atanh)),
    op("AveragePool", window::avg_pool).note(PLANES),
    op("BatchNormalization", norm::batch_norm).note("for inference"),
    op("Cast", axes::cast).note("numbers of 8 bits and more, no 8-bit floats, no text"),
    from(15, "CastLike", axes::cast_like).note("as `Cast`"),
    op("Ceil", |r| activation::plain(r, Activation::Ceil)),
    from(12, "Celu", activation::with_attributes),
    op("Clip", activation::clip),
    op("Concat", axes::concat),
    op("Constant", constant::constant).note("no sparse tensors, no text"),
    from(9, "ConstantOfShape", constant::constant_of_shape),
    op("Conv", window::conv).note(PLANES),
    from(10, "ConvInteger", quantised::conv_integer).note("2-D"),
    op("ConvTranspose", window::conv_transpose).note(PLANES),
    from(7, "Cos", |r| activation::plain(r, Activation::Cos)),
    from(9, "Cosh", |r| activation::plain(r, Activation::Cosh)),
    from(11, "CumSum", reduce::cum_sum).note("along an axis that is known"),
    op("DepthToSpace", blocks::depth_to_space),
    from(10, "DequantizeLinear", quantised::dequantize_linear).note("of 8, 16 and 32 bits"),
    op("Div", |r| arithmetic::binary(r, Elementwise::Div)),
    op("Dropout", super::dropout).results(2).note("for inference"),
    from(11, "DynamicQuantizeLinear", quantised::dynamic_quantize_linear).results(3),
    from(12, "Einsum", einsum::einsum),
    op("Elu", activation::with_attributes),
    op("Equal", |r| arithmetic::compare(r, Comparison::Equal)).note("no text"),
    from(9, "Erf", |r| activation::plain(r, Activation::Erf)),
    op("Exp", |r| activation::plain(r, Activation::Exp)),
    from(8, "Expand", gather::expand).note("to sizes that are known or follow from others"),
    op("Flatten", axes::flatten),
    op("Floor", |r| activation::plain(r, Activation::Floor)),
    op("Gather", gather::gather),
    from(11, "GatherElements", gather::gather_elements),
    from(11, "GatherND", gather::gather_nd),
    from(20, "Gelu", activation::with_attributes),
    op("Gemm", arithmetic::gemm),
    op("GlobalAveragePool", |r| window::global_pool(r, PoolKind::Mean)),
    op("GlobalLpPool", window::global_lp_pool).note("p of 1 and 2"),
    op("GlobalMaxPool", |r| window::global_pool(r, PoolKind::Max)),
    op("Greater", |r| arithmetic::compare(r, Comparison::Greater)),
    from(12, "GreaterOrEqual", |r| arithmetic::compare(r, Comparison::GreaterOrEqual)),
    from(18, "GroupNormalization", norm::group_norm),
    op("HardSigmoid", activation::with_attributes),
    from(14, "HardSwish", |r| activation::plain(r, Activation::HardSwish)),
    op("Hardmax", |r| reduce::softmax(r, |axis| Op::Hardmax { axis })),
    op("Identity", |r| {
        let x = r.value(0)?;
        r.end(Op::Identity(IdentityReason::Linear), &[x])
    })
    .note("of tensors"),
    op("InstanceNormalization", norm::instance_norm),
    from(10, "IsInf", |r| {
        let negative = r.attributes.flag("detect_negative", true)?;
        let positive = r.attributes.flag("detect_positive", true)?;
        activation::property(r, Property::Infinite { negative, positive })
    }),
    from(9, "IsNaN", |r| activation::property(r, Property::Nan)),
    op("LRN", norm::lrn),
    from(17, "LayerNormalization", norm::layer_norm).results(3),
    op("LeakyRelu", activation::with_attributes),
    op("Less", |r| arithmetic::compare(r, Comparison::Less)),
    from(12, "LessOrEqual", |r| arithmetic::compare(r, Comparison::LessOrEqual)),
    op("Log", |r| activation::plain(r, Activation::Log)),
    op("LogSoftmax", |r| reduce::softmax(r, |axis| Op::LogSoftmax { axis })),
    op("LpNormalization", norm::lp_norm),
    op("LpPool", window::lp_pool).note(PLANES),
    op("MatMul", arithmetic::mat_mul),
    from(10, "MatMulInteger", quantised::mat_mul_integer),
    op("Max", |r| arithmetic::elementwise(r, Op::Elementwise(Elementwise::Max), usize::MAX)),
    op("MaxPool", window::max_pool).note("1-D and 2-D, without the positions of the largest"),
    op("Mean", |r| arithmetic::elementwise(r, Op::Elementwise(Elementwise::Mean), usize::MAX)),
    from(9, "MeanVarianceNormalization", norm::mean_variance),
    op("Min", |r| arithmetic::elementwise(r, Op::Elementwise(Elementwise::Min), usize::MAX)),
    from(18, "Mish", |r| activation::plain(r, Activation::Mish)),
    from(10, "Mod", arithmetic::modulus),
    op("Mul", |r| arithmetic::binary(r, Elementwise::Mul)),
    op("Neg", |r| activation::plain(r, Activation::Neg)),
    op("Not", |r| activation::plain(r, Activation::Not)),
    op("Or", |r| arithmetic::binary(r, Elementwise::Or)),
    op("PRelu", arithmetic::prelu),
    op("Pad", axes::pad).note("by amounts that are known"),
    op("Pow", |r| arithmetic::binary(r, Elementwise::Pow)),
    from(10, "QLinearConv", quantised::qlinear_conv).note("2-D"),
    from(10, "QLinearMatMul", quantised::qlinear_mat_mul),
    from(10, "QuantizeLinear", quantised::quantize_linear).note("to 8 and 16 bits, no 8-bit floats"),
    from(23, "RMSNormalization", norm::rms_norm),
    from(11, "Range", constant::range).note("of numbers that are known"),
    op("Reciprocal", |r| activation::plain(r, Activation::Reciprocal)),
    op("ReduceL1", |r| reduce::reduce(r, PoolKind::L1)),
    op("ReduceL2", |r| reduce::reduce(r, PoolKind::L2)),
    op("ReduceLogSum", |r| reduce::reduce(r, PoolKind::LogSum)),
    op("ReduceLogSumExp", |r| reduce::reduce(r, PoolKind::LogSumExp)),
    op("ReduceMax", |r| reduce::reduce(r, PoolKind::Max)),
    op("ReduceMean", |r| reduce::reduce(r, PoolKind::Mean)),
    op("ReduceMin", |r| reduce::reduce(r, PoolKind::Min)),
    op("ReduceProd", |r| reduce::reduce(r, PoolKind::Product)),
    op("ReduceSum", |r| reduce::reduce(r, PoolKind::Sum)),
    op("ReduceSumSquare", |r| reduce::reduce(r, PoolKind::SumSquare)),
    op("Relu", |r| activation::plain(r, Activation::RELU)),
    op("Reshape", axes::reshape).note("to sizes that are known or follow from others"),
    from(10, "Resize", resize::resize)
        .note("by scales that are known, or to sizes that are known or follow from others"),
    from(11, "Round", |r| activation::plain(r, Activation::Round)),
    from(11, "ScatterND", gather::scatter_nd).note("without a reduction"),
    op("Selu", activation::with_attributes),
    op("Shape", constant::shape),
    from(9, "Shrink", activation::with_attributes),
    op("Sigmoid", |r| activation::plain(r, Activation::Sigmoid)),
    from(9, "Sign", |r| activation::plain(r, Activation::Sign)),
    op("SimplifiedLayerNormalization", microsoft::simplified_layer_norm).note("ONNX Runtime's, in ONNX's domain"),
    from(7, "Sin", |r| activation::plain(r, Activation::Sin)),
    from(9, "Sinh", |r| activation::plain(r, Activation::Sinh)),
    op("Size", constant::shape),
    op("Slice", gather::slice).note("bounds that are known or follow from sizes"),
    op("Softmax", |r| reduce::softmax(r, |axis| Op::Softmax { axis })),
    op("Softplus", |r| activation::plain(r, Activation::Softplus)),
    op("Softsign", |r| activation::plain(r, Activation::Softsign)),
    op("SpaceToDepth", blocks::space_to_depth),
    op("Split", gather::split).results(usize::MAX),
    op("Sqrt", |r| activation::plain(r, Activation::Sqrt)),
    op("Squeeze", axes::squeeze),
    op("Sub", |r| arithmetic::binary(r, Elementwise::Sub)),
    op("Sum", |r| arithmetic::elementwise(r, Op::Elementwise(Elementwise::Add), usize::MAX)),
    from(24, "Swish", activation::with_attributes),
    from(7, "Tan", |r| activation::plain(r, Activation::Tan)),
    op("Tanh", |r| activation::plain(r, Activation::Tanh)),
    op("ThresholdedRelu", activation::with_attributes),
    op("Tile", gather::tile).note("repeats that are known or follow from sizes"),
    op("TopK", reduce::top_k).results(2).note("k that is known"),
    op("Transpose", axes::transpose),
    from(14, "Trilu", axes::trilu).note("of a diagonal that is known"),
    op("Unsqueeze", axes::unsqueeze),
    op("Upsample", resize::upsample).until(9),
    from(9, "Where", gather::choose),
    op("Xor", |r| arithmetic::binary(r, Elementwise::Xor)),
];

/// The operators of ONNX's own domain that are read, by name.
pub fn claims() -> impl Iterator<Item = Claim> {
    OPERATORS.iter().map(|operator| operator.claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_stand_once_and_in_order() {
        let names: Vec<&str> = claims().map(|claim| claim.name).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }
}
