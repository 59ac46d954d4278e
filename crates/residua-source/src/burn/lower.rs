//! How burn computes each operator, with what it has exactly; or why it cannot.
//!
//! Tensors are given by value; their ranks are part of their types.

use residua_ir::{Activation, Border, DType, Elementwise, Extent, GlobalPool, Op, Padding, PoolKind, ReshapeDim};

use crate::form::{Layer, Number, Pads};
use crate::ident::real;
use crate::rust::code::{Code, Refusal, Steps, list, one};

/// What a statement is given, as text.
pub(super) struct Given<'a> {
    /// Values, as they are handed on: `x`, or `x.clone()`.
    pub(super) values: &'a [String],
    /// Numbers of the operator: `3`, `self.stride`.
    pub(super) numbers: &'a [String],
    pub(super) ranks: &'a [usize],
    pub(super) broadcasts: bool,
}

impl Given<'_> {
    fn first(&self) -> String {
        self.values.first().cloned().unwrap_or_default()
    }

    fn rank(&self) -> usize {
        self.ranks.first().copied().unwrap_or_default()
    }

    fn method(&self, call: impl Into<String>) -> Code {
        self.chain(vec![call.into()])
    }

    fn chain(&self, calls: Vec<String>) -> Code {
        on(&self.first(), calls)
    }

    fn call(&self, name: &str, more: &[String]) -> Code {
        Code::Call(name.to_owned(), self.values.iter().take(1).chain(more).cloned().collect())
    }

    /// A value brought to a rank: axes of size 1 are put in front.
    fn of_rank(&self, at: usize, rank: usize) -> String {
        match self.ranks.get(at) {
            Some(own) if *own < rank => format!("{}.unsqueeze::<{rank}>()", self.values[at]),
            Some(_) | None => self.values[at].clone(),
        }
    }
}

/// Calls on a value, whose own calls belong to the same chain.
pub(super) fn on(value: &str, calls: Vec<String>) -> Code {
    for own in ["clone()", "val()"] {
        if let Some(receiver) = value.strip_suffix(&format!(".{own}")) {
            return Code::Chain(receiver.to_owned(), [vec![own.to_owned()], calls].concat());
        }
    }
    Code::Chain(value.to_owned(), calls)
}

/// Whether burn computes a layer.
pub(super) fn layer(layer: &Layer) -> Result<(), Refusal> {
    let positive = |epsilon: f64| epsilon > 0.0 && epsilon.is_finite();
    match layer {
        Layer::Conv { conv, .. } => match conv.pads {
            Pads::SameLower => Err("pads the odd row first, which burn does not"),
            Pads::SameUpper if conv.dilations != [Number::Fixed(1); 2] => {
                Err("pads by size and is dilated, which burn does not do at once")
            }
            Pads::SameUpper | Pads::Explicit(_) => Ok(()),
        },
        Layer::BatchNorm { epsilon, .. } | Layer::GroupNorm { epsilon, .. } if !positive(*epsilon) => {
            Err("needs an epsilon above 0")
        }
        Layer::BatchNorm { .. } | Layer::GroupNorm { .. } | Layer::Linear { .. } => Ok(()),
    }
}

/// How burn computes an operator.
///
/// # Errors
/// Where it does not: the reason.
pub(super) fn code(op: &Op, given: &Given) -> Result<Steps, Refusal> {
    if given.ranks.contains(&0) {
        return Err("takes a tensor without axes, which burn has not");
    }
    match op {
        Op::Activation(activation) => self::activation(*activation, given).map(one),
        Op::Elementwise(op) => elementwise(*op, given).map(one),
        Op::PRelu => Ok(one(given.call("ops::prelu", &[given.of_rank(1, given.rank())]))),
        Op::LayerNorm(norm) => {
            let axes = list(&norm.axes.iter().map(usize::to_string).collect::<Vec<_>>());
            let more = [given.values[1..].to_vec(), vec![axes, real(norm.epsilon)]].concat();
            Ok(one(given.call("ops::layer_norm", &more)))
        }
        Op::MaxPool(_) | Op::AvgPool(_) => pool(op, given),
        Op::GlobalPool(GlobalPool { kind, keep_dims }) => reduce(*kind, &[2, 3], *keep_dims, given),
        Op::Reduce(of) => reduce(of.kind, &of.axes, of.keep_dims, given),
        Op::Pad(pad) => {
            let pairs: Vec<String> = match given.numbers {
                [top, left, bottom, right, before, after] => [(before, after), (top, bottom), (left, right)]
                    .into_iter()
                    .skip(usize::from(pad.channels == [0, 0]))
                    .map(|(before, after)| format!("({before}, {after})"))
                    .collect(),
                _ => return Err("needs amounts that are known"),
            };
            Ok(one(padded(given, &pairs, &constant(pad.value))))
        }
        Op::PadAxes(pad) => {
            let pairs: Vec<String> = pad.amounts.iter().map(|[before, after]| format!("({before}, {after})")).collect();
            let mode = match pad.border {
                Border::Constant(value) => constant(value),
                Border::Edge => "PadMode::Edge".to_owned(),
                Border::Reflect => "PadMode::Reflect".to_owned(),
                Border::Wrap => return Err("by this rule is not generated"),
            };
            Ok(one(padded(given, &pairs, &mode)))
        }
        Op::MatMul => {
            let rank = given.ranks.iter().copied().max().unwrap_or_default();
            if given.ranks.iter().any(|&rank| rank < 2) {
                return Err("of a vector is not generated");
            }
            Ok(one(on(&given.of_rank(0, rank), vec![format!("matmul({})", given.of_rank(1, rank))])))
        }
        Op::Concat { axis } => Ok(one(Code::Cat(given.values.to_vec(), *axis))),
        Op::Flatten { axis } => Ok(one(flatten(*axis, given))),
        Op::Reshape { shape } => reshape(shape, given).map(one),
        Op::Transpose { perm } => {
            let perm = list(&perm.iter().map(usize::to_string).collect::<Vec<_>>());
            Ok(one(given.method(format!("permute({perm})"))))
        }
        Op::Squeeze { axes } => match given.rank() - axes.len().min(given.rank()) {
            0 => Err("gives a tensor without axes, which burn has not"),
            _ if axes.is_empty() => Ok(one(Code::Same)),
            rank => Ok(one(given.method(format!("squeeze_dims::<{rank}>(&{axes:?})")))),
        },
        Op::Unsqueeze { axes } => {
            let rank = given.rank() + axes.len();
            Ok(one(if axes.is_empty() {
                Code::Same
            } else {
                given.method(format!("unsqueeze_dims::<{rank}>(&{axes:?})"))
            }))
        }
        Op::Slice { axis, start, end, step } => {
            let known = |extent: &Extent| match extent {
                Extent::Known(value) => Ok(*value),
                Extent::Of { .. } | Extent::Computed { .. } => Err("needs bounds that are known and a step forward"),
            };
            let (start, end) = (known(start)?, end.as_ref().map(known).transpose()?);
            if *step < 1 {
                return Err("needs bounds that are known and a step forward");
            }
            let end = end.map_or("None".to_owned(), |end| format!("Some({end})"));
            Ok(one(given.call("ops::slice", &[axis.to_string(), start.to_string(), end, step.to_string()])))
        }
        Op::Softmax { axis } => Ok(one(given.call("activation::softmax", &[axis.to_string()]))),
        Op::LogSoftmax { axis } => Ok(one(given.call("activation::log_softmax", &[axis.to_string()]))),
        Op::Identity(_) => Ok(one(Code::Same)),
        Op::Cast { dtype } => match dtype {
            // Networks compute in the type of their weights.
            DType::F32 | DType::F64 | DType::F16 | DType::BF16 => Ok(one(Code::Same)),
            DType::I64
            | DType::I32
            | DType::I16
            | DType::I8
            | DType::U64
            | DType::U32
            | DType::U16
            | DType::U8
            | DType::Bool => Err("to whole numbers is not generated"),
        },
        Op::Conv(_) | Op::BatchNorm(_) | Op::GroupNorm(_) | Op::Linear => {
            Err("needs weights that are tensors of the model")
        }
        Op::Resize(_) => Err("samples otherwise in burn"),
        Op::LpPool(_) => Err("is no pool that burn has"),
        Op::Quantize(_) | Op::Dequantize(_) | Op::DynamicRange(_) => {
            Err("rounds to 8-bit integers otherwise than burn")
        }
        Op::Compare(_) | Op::Is(_) | Op::Where => Err("is not generated: truth values are other tensors in burn"),
        Op::ArgExtremum(_) | Op::TopK(_) | Op::Hardmax { .. } => Err("ranks elements, which is not generated"),
        Op::Gather { .. } | Op::GatherElements { .. } | Op::GatherNd { .. } => {
            Err("reads by indices, which is not generated")
        }
        Op::ScatterNd => Err("writes by indices, which is not generated"),
        Op::Expand { .. } | Op::Tile { .. } | Op::Sizes { .. } => Err("computes with sizes, which is not generated"),
        Op::ConvTranspose(_) | Op::Lrn(_) | Op::CumSum(_) | Op::Trilu(_) => Err("is not generated"),
        Op::Opaque(_) => Err("is an operator that is not known"),
    }
}

fn constant(value: f64) -> String {
    match value {
        f64::NEG_INFINITY => "PadMode::Constant(f32::NEG_INFINITY)".to_owned(),
        value => format!("PadMode::Constant({})", real(value)),
    }
}

fn padded(given: &Given, pairs: &[String], mode: &str) -> Code {
    given.method(format!("pad({}, {mode})", list(pairs)))
}

fn activation(activation: Activation, given: &Given) -> Result<Code, Refusal> {
    let method = |call: &str| Ok(given.method(call));
    let function = |name: &str, reals: &[f64]| {
        let reals: Vec<String> = reals.iter().map(|&value| real(value)).collect();
        Ok(given.call(&format!("activation::{name}"), &reals))
    };
    match activation {
        Activation::Relu { negative_slope, threshold, max_value } => match (negative_slope, threshold, max_value) {
            (0.0, 0.0, None) => function("relu", &[]),
            (0.0, 0.0, Some(most)) if most >= 0.0 => method(&format!("clamp(0.0, {})", real(most))),
            (slope, 0.0, None) => function("leaky_relu", &[slope]),
            (slope, threshold, most) => {
                let reals = [slope, threshold, most.unwrap_or(f64::INFINITY)].map(real);
                Ok(given.call("ops::relu_within", &reals))
            }
        },
        Activation::Elu { alpha } => function("elu", &[alpha]),
        Activation::Celu { alpha } => function("celu", &[alpha]),
        Activation::Selu => function("selu", &[]),
        Activation::Gelu { tanh_approximation: false } => function("gelu", &[]),
        Activation::Gelu { tanh_approximation: true } => function("gelu_approximate", &[]),
        Activation::Silu => function("silu", &[]),
        Activation::Sigmoid => function("sigmoid", &[]),
        Activation::HardSigmoid { slope, offset } => function("hard_sigmoid", &[slope, offset]),
        Activation::HardSwish => function("hard_swish", &[]),
        Activation::Clip { min, max } => match (min, max) {
            (Some(min), Some(max)) => method(&format!("clamp({}, {})", real(min), real(max))),
            (Some(min), None) => method(&format!("clamp_min({})", real(min))),
            (None, Some(max)) => method(&format!("clamp_max({})", real(max))),
            (None, None) => Ok(Code::Same),
        },
        Activation::Softplus => function("softplus", &[1.0]),
        Activation::Softsign => function("softsign", &[]),
        Activation::Mish => function("mish", &[]),
        Activation::Tanh => method("tanh()"),
        Activation::Exp => method("exp()"),
        Activation::Log => method("log()"),
        Activation::Sqrt => method("sqrt()"),
        Activation::Reciprocal => method("recip()"),
        Activation::Abs => method("abs()"),
        Activation::Neg => method("neg()"),
        Activation::Erf => method("erf()"),
        Activation::Floor => method("floor()"),
        Activation::Ceil => method("ceil()"),
        Activation::Round => method("round()"),
        Activation::Sign => method("sign()"),
        Activation::Sin => method("sin()"),
        Activation::Cos => method("cos()"),
        Activation::Tan => method("tan()"),
        Activation::Asin => method("asin()"),
        Activation::Acos => method("acos()"),
        Activation::Atan => method("atan()"),
        Activation::Sinh => method("sinh()"),
        Activation::Cosh => method("cosh()"),
        Activation::Asinh => method("asinh()"),
        Activation::Acosh => method("acosh()"),
        Activation::Atanh => method("atanh()"),
        Activation::Shrink { .. } | Activation::Not => Err("is not generated"),
    }
}

fn elementwise(op: Elementwise, given: &Given) -> Result<Code, Refusal> {
    let rank = given.ranks.iter().copied().max().unwrap_or_default();
    let values: Vec<String> = (0..given.values.len()).map(|at| given.of_rank(at, rank)).collect();
    let infix = match op {
        Elementwise::Add => "+",
        Elementwise::Sub => "-",
        Elementwise::Mul => "*",
        Elementwise::Div => "/",
        Elementwise::Max | Elementwise::Min if given.broadcasts => {
            return Err("of tensors of different shapes is not generated");
        }
        Elementwise::Max | Elementwise::Min => {
            let name = if op == Elementwise::Max { "max_pair" } else { "min_pair" };
            let calls: Vec<String> = values[1..].iter().map(|value| format!("{name}({value})")).collect();
            return Ok(if calls.is_empty() { Code::Same } else { on(&values[0], calls) });
        }
        Elementwise::Mean => {
            let sum = values.join(" + ");
            return Ok(Code::Infix(format!("({sum})"), "/", format!("{}.0", values.len())));
        }
        Elementwise::Pow => return Err("is not generated"),
        Elementwise::Mod | Elementwise::Rem => return Err("is not generated"),
        Elementwise::And | Elementwise::Or | Elementwise::Xor => {
            return Err("is not generated: truth values are other tensors in burn");
        }
    };
    Ok(match values.split_last() {
        Some((last, before)) if !before.is_empty() => {
            Code::Infix(before.join(&format!(" {infix} ")), infix, last.clone())
        }
        Some(_) | None => Code::Same,
    })
}

fn pool(op: &Op, given: &Given) -> Result<Steps, Refusal> {
    let (padding, dilations, ceil, name) = match op {
        Op::MaxPool(pool) => (pool.padding, pool.dilations, pool.ceil_mode, "ops::max_pool2d"),
        Op::AvgPool(pool) => (pool.padding, pool.dilations, pool.ceil_mode, "ops::avg_pool2d"),
        _ => return Err("is no pool"),
    };
    if dilations != [1, 1] {
        return Err("with dilation is not generated");
    }
    let numbers = given.numbers;
    let (kernel, strides) = (list(&numbers[..2]), list(&numbers[2..4]));
    let value = given.first();
    let borrowed = format!("&{}", value.strip_suffix(".clone()").unwrap_or(&value));
    let pads_step = |function: &str, more: Vec<String>| {
        let arguments = [vec![borrowed.clone(), kernel.clone(), strides.clone()], more].concat();
        (Some("pads"), Code::Call(function.to_owned(), arguments))
    };
    let mut steps = Steps::new();
    let (mut pads, own) = match padding {
        Padding::Explicit(_) => (list(&numbers[4..8]), list(&numbers[4..8])),
        Padding::SameUpper | Padding::SameLower => {
            steps.push(pads_step("ops::same_padding", vec![(padding == Padding::SameLower).to_string()]));
            ("pads".to_owned(), "pads".to_owned())
        }
    };
    if ceil && matches!(padding, Padding::Explicit(_)) {
        steps.push(pads_step("ops::round_up", vec![pads]));
        pads = "pads".to_owned();
    }
    let mut more = vec![kernel.clone(), strides.clone(), pads];
    if let Op::AvgPool(pool) = op {
        more.push(if pool.count_include_pad { own } else { "[0, 0, 0, 0]".to_owned() });
    }
    steps.push((None, given.call(name, &more)));
    Ok(steps)
}

fn reduce(kind: PoolKind, axes: &[usize], keep_dims: bool, given: &Given) -> Result<Steps, Refusal> {
    let sum = format!("sum_dims(&{axes:?})");
    let mut calls = match kind {
        PoolKind::Mean => vec![format!("mean_dims(&{axes:?})")],
        PoolKind::Sum => vec![sum],
        PoolKind::L1 => vec!["abs()".to_owned(), sum],
        PoolKind::SumSquare => vec!["square()".to_owned(), sum],
        PoolKind::L2 => vec!["square()".to_owned(), sum, "sqrt()".to_owned()],
        PoolKind::LogSum => vec![sum, "log()".to_owned()],
        PoolKind::Max => vec![format!("max_dims(&{axes:?})")],
        PoolKind::Min => axes.iter().map(|axis| format!("min_dim({axis})")).collect(),
        PoolKind::Product | PoolKind::LogSumExp => return Err("is no reduction that burn has"),
    };
    if !keep_dims {
        match given.rank().saturating_sub(axes.len()) {
            0 => return Err("gives a tensor without axes, which burn has not"),
            rank => calls.push(format!("squeeze_dims::<{rank}>(&{axes:?})")),
        }
    }
    Ok(one(given.chain(calls)))
}

fn flatten(axis: usize, given: &Given) -> Code {
    let rank = given.rank();
    let last = rank.saturating_sub(1);
    match axis {
        0 => given.chain(vec![format!("flatten::<1>(0, {last})"), "unsqueeze::<2>()".to_owned()]),
        1 if rank == 2 => Code::Same,
        1 if rank > 1 => given.method(format!("flatten::<2>(1, {last})")),
        axis if axis >= rank => {
            given.chain(vec![format!("flatten::<1>(0, {last})"), "unsqueeze_dim::<2>(1)".to_owned()])
        }
        axis if axis == last => given.method(format!("flatten::<2>(0, {})", axis - 1)),
        axis => given
            .chain(vec![format!("flatten::<{}>({axis}, {last})", axis + 1), format!("flatten::<2>(0, {})", axis - 1)]),
    }
}

fn reshape(shape: &[ReshapeDim], given: &Given) -> Result<Code, Refusal> {
    let mut numbers = given.numbers.iter();
    let mut sizes = Vec::new();
    for dim in shape {
        sizes.push(match dim {
            ReshapeDim::Copy(axis) => format!("ops::Size::Axis({axis})"),
            ReshapeDim::Fixed(_) => match numbers.next() {
                Some(number) => format!("ops::Size::Of({number})"),
                None => return Err("needs sizes that are known"),
            },
            ReshapeDim::Infer => "ops::Size::Rest".to_owned(),
            ReshapeDim::Computed(_) => return Err("needs sizes that are known"),
        });
    }
    if sizes.is_empty() {
        return Err("gives a tensor without axes, which burn has not");
    }
    Ok(given.call("ops::reshape", &[list(&sizes)]))
}
