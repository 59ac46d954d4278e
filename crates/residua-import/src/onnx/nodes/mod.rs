//! One node of ONNX to one or more of the graph.

mod activation;
mod arithmetic;
mod axes;
mod microsoft;
mod norm;
mod quantised;
mod window;

use residua_ir::{Activation, Elementwise, IdentityReason, Op, PoolKind, Role, Transform, ValueId};

use super::{Reader, Unknown};

/// What reading a node gives: its first result.
type Read = Result<ValueId, Unknown>;

/// Whether a result of an operator is known: of most the first, for what else they give is for training.
pub(super) fn gives(op_type: &str, index: usize) -> bool {
    index == 0
        || match op_type {
            "DynamicQuantizeLinear" => index < 3,
            "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => index == 3,
            _ => false,
        }
}

/// Reads a node.
pub(super) fn read(mut r: Reader<'_>) -> Read {
    let r = &mut r;
    match r.node.domain.as_str() {
        domain if super::is_onnx(domain) => own(r),
        "com.microsoft" => microsoft::read(r),
        "com.microsoft.nchwc" => Err(Unknown(
            "an optimised model of ONNX Runtime for one machine; save it with a lower optimisation level".to_owned(),
        )),
        domain => Err(Unknown(format!("operators of the domain `{domain}` are not known"))),
    }
}

/// Reads a node of ONNX's own domain.
fn own(r: &mut Reader<'_>) -> Read {
    match r.node.op_type.as_str() {
        "Conv" => window::conv(r),
        "MaxPool" => window::max_pool(r),
        "AveragePool" => window::avg_pool(r),
        "GlobalAveragePool" => window::global_pool(r, PoolKind::Mean),
        "GlobalMaxPool" => window::global_pool(r, PoolKind::Max),
        "Pad" => window::pad(r),
        "BatchNormalization" => norm::batch_norm(r),
        "GroupNormalization" => norm::group_norm(r),
        "InstanceNormalization" => norm::instance_norm(r),
        "LayerNormalization" => norm::layer_norm(r),
        "Relu" => activation::plain(r, Activation::RELU),
        "Sigmoid" => activation::plain(r, Activation::Sigmoid),
        "Tanh" => activation::plain(r, Activation::Tanh),
        "Softplus" => activation::plain(r, Activation::Softplus),
        "Softsign" => activation::plain(r, Activation::Softsign),
        "Mish" => activation::plain(r, Activation::Mish),
        "HardSwish" => activation::plain(r, Activation::HardSwish),
        "Exp" => activation::plain(r, Activation::Exp),
        "Log" => activation::plain(r, Activation::Log),
        "Sqrt" => activation::plain(r, Activation::Sqrt),
        "Reciprocal" => activation::plain(r, Activation::Reciprocal),
        "Abs" => activation::plain(r, Activation::Abs),
        "Neg" => activation::plain(r, Activation::Neg),
        "Erf" => activation::plain(r, Activation::Erf),
        "LeakyRelu" | "ThresholdedRelu" | "Elu" | "Selu" | "Gelu" | "HardSigmoid" | "Swish" => {
            activation::with_attributes(r)
        }
        "Clip" => activation::clip(r),
        "PRelu" => arithmetic::elementwise(r, Op::PRelu, 2),
        "Add" => arithmetic::binary(r, Elementwise::Add),
        "Sub" => arithmetic::binary(r, Elementwise::Sub),
        "Mul" => arithmetic::binary(r, Elementwise::Mul),
        "Div" => arithmetic::binary(r, Elementwise::Div),
        "Pow" => arithmetic::binary(r, Elementwise::Pow),
        "Sum" => arithmetic::elementwise(r, Op::Elementwise(Elementwise::Add), usize::MAX),
        "Max" => arithmetic::elementwise(r, Op::Elementwise(Elementwise::Max), usize::MAX),
        "Min" => arithmetic::elementwise(r, Op::Elementwise(Elementwise::Min), usize::MAX),
        "Mean" => arithmetic::elementwise(r, Op::Elementwise(Elementwise::Mean), usize::MAX),
        "Gemm" => arithmetic::gemm(r),
        "MatMul" => arithmetic::mat_mul(r),
        "ReduceMean" => axes::reduce(r, PoolKind::Mean),
        "ReduceSum" => axes::reduce(r, PoolKind::Sum),
        "ReduceMax" => axes::reduce(r, PoolKind::Max),
        "ReduceMin" => axes::reduce(r, PoolKind::Min),
        "Concat" => axes::concat(r),
        "Flatten" => axes::flatten(r),
        "Reshape" => axes::reshape(r),
        "Transpose" => axes::transpose(r),
        "Squeeze" => axes::squeeze(r),
        "Unsqueeze" => axes::unsqueeze(r),
        "Slice" => axes::slice(r),
        "Softmax" | "LogSoftmax" => axes::softmax(r),
        "Cast" => axes::cast(r),
        "Identity" => {
            let x = r.value(0)?;
            r.end(Op::Identity(IdentityReason::Linear), &[x])
        }
        "Dropout" => dropout(r),
        "QuantizeLinear" => quantised::quantize_linear(r),
        "DequantizeLinear" => quantised::dequantize_linear(r),
        "DynamicQuantizeLinear" => quantised::dynamic_quantize_linear(r),
        "QLinearConv" => quantised::qlinear_conv(r),
        "ConvInteger" => quantised::conv_integer(r),
        "QLinearMatMul" => quantised::qlinear_mat_mul(r),
        "MatMulInteger" => quantised::mat_mul_integer(r),
        "SimplifiedLayerNormalization" => microsoft::simplified_layer_norm(r),
        _ => Err(Unknown("this operator is not known".to_owned())),
    }
}

fn dropout(r: &mut Reader<'_>) -> Read {
    r.attributes.skip(&["ratio", "seed"]);
    if r.opset < 7 && !r.attributes.flag("is_test", false)? {
        return Err(Unknown("it is in training mode".to_owned()));
    }
    // How much is dropped in training does not matter, wherever it comes from.
    if let Some(name) = r.operand(1) {
        r.scope.constant(name);
    }
    if let Some(name) = r.operand(2)
        && r.scope.number(name, "training mode")? != 0.0
    {
        return Err(Unknown("it is in training mode".to_owned()));
    }
    let x = r.value(0)?;
    r.end(Op::Identity(IdentityReason::Dropout), &[x])
}

impl<'a> Reader<'a> {
    /// Name of an operand; `None` where it is left out.
    fn operand(&self, index: usize) -> Option<&'a str> {
        self.node.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn required(&self, index: usize) -> Result<&'a str, Unknown> {
        self.operand(index).ok_or_else(|| Unknown(format!("operand {} is left out", index + 1)))
    }

    /// An operand as a value.
    fn value(&mut self, index: usize) -> Read {
        let name = self.required(index)?;
        self.scope.value(name, self.layer)
    }

    /// A constant operand in a role; other values as they are.
    fn value_as(&mut self, index: usize, role: Role, views: &[Transform]) -> Read {
        let name = self.required(index)?;
        self.scope.value_as(name, self.layer, role, views)
    }

    /// Shape of a constant operand.
    fn constant_shape(&self, index: usize) -> Option<Vec<usize>> {
        match self.scope.item(self.operand(index)?)? {
            super::Item::Constant(constant) => Some(constant.tensor.shape().to_vec()),
            super::Item::Value(_) | super::Item::Sizes { .. } => None,
        }
    }

    /// Number of axes of a value; none behind an operator that is not known.
    fn rank(&self, id: ValueId) -> Option<usize> {
        self.scope.type_of(id).map(|ty| ty.shape.rank())
    }

    fn known_rank(&self, id: ValueId) -> Result<usize, Unknown> {
        Ok(self.scope.shape(id)?.rank())
    }

    /// An axis counted from the front. Only one that is counted from the end needs the rank.
    fn axis(axis: i64, rank: Option<usize>) -> Result<usize, Unknown> {
        let Some(rank) = rank else {
            let front = usize::try_from(axis);
            return front
                .map_err(|_| Unknown("an axis is counted from the end of an operand of unknown shape".to_owned()));
        };
        let signed = i64::try_from(rank).unwrap_or(i64::MAX);
        let front = if axis < 0 { axis.saturating_add(signed) } else { axis };
        let front = usize::try_from(front).ok().filter(|&front| front < rank);
        front.ok_or_else(|| Unknown(format!("axis {axis} is out of range for rank {rank}")))
    }

    /// Axes counted from the front, ascending.
    fn axes(axes: &[i64], rank: Option<usize>) -> Result<Vec<usize>, Unknown> {
        let mut front = axes.iter().map(|&axis| Self::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
        front.sort_unstable();
        front.dedup();
        if front.len() == axes.len() { Ok(front) } else { Err(Unknown(format!("axes {axes:?} name one twice"))) }
    }

    /// Refuses integers where the operator would treat them otherwise than real numbers.
    fn real(&self, id: ValueId) -> Result<(), Unknown> {
        match self.scope.type_of(id) {
            Some(ty) if !ty.dtype.is_float() => Err(Unknown(format!("of {} numbers it is not known", ty.dtype))),
            Some(_) | None => Ok(()),
        }
    }

    /// A node on the way to the result.
    fn step(&mut self, what: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = format!("{}/{what}", self.name);
        self.scope.node(&name, op, inputs, self.layer)
    }

    /// The node that gives the result; all attributes must have been read.
    fn end(&mut self, op: Op, inputs: &[ValueId]) -> Read {
        self.attributes.finish()?;
        Ok(self.scope.node(self.name, op, inputs, self.layer))
    }
}
