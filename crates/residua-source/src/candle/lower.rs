//! How candle computes each operator, with what it has exactly; or why it cannot.
//!
//! One function says it for all: [`code`]. What prints a crate writes what it gives, and whoever asks whether candle can
//! run a model gets its refusals.

use residua_ir::{Activation, Border, DType, Elementwise, Extent, GlobalPool, Op, Padding, PoolKind, ReshapeDim};

use crate::form::{Layer, Number, Pads};
use crate::ident::real;
use crate::rust::code::{Code, Refusal, Steps, list, one};

/// What a statement is given, as text.
pub(super) struct Given<'a> {
    /// What methods are called on: `x`.
    pub(super) receivers: &'a [String],
    /// What functions are given: `&x`.
    pub(super) arguments: &'a [String],
    /// Numbers of the operator: `3`, `self.stride`.
    pub(super) numbers: &'a [String],
    pub(super) ranks: &'a [usize],
    pub(super) broadcasts: bool,
}

impl Given<'_> {
    fn method(&self, call: impl Into<String>) -> Code {
        Code::Chain(self.receivers.first().cloned().unwrap_or_default(), vec![call.into()])
    }

    fn chain(&self, calls: &[String]) -> Code {
        Code::Chain(self.receivers.first().cloned().unwrap_or_default(), calls.to_vec())
    }

    fn helper(&self, name: &str, more: &[String]) -> Code {
        let arguments = self.arguments.iter().take(1).chain(more).cloned().collect();
        Code::Call(format!("ops::{name}"), arguments)
    }
}

/// What a convolution gives before it is thinned out.
pub(super) const DENSE: &str = "dense";

/// Whether candle computes a layer.
pub(super) fn layer(layer: &Layer) -> Result<(), Refusal> {
    match layer {
        Layer::Conv { conv, .. } => {
            let one = |number: Number| number == Number::Fixed(1);
            let free = conv.dilations[0] == conv.dilations[1] || conv.kernel.iter().any(|&taps| one(taps));
            if free { Ok(()) } else { Err("needs the same dilation on both axes") }
        }
        Layer::BatchNorm { .. } | Layer::GroupNorm { .. } | Layer::Linear { .. } => Ok(()),
    }
}

/// What pads before a convolution, and what thins out behind it; its own stride and padding otherwise.
pub(super) fn around_conv(layer: &Layer, text: impl Fn(Number) -> String, given: &Given) -> (Steps, Steps) {
    let (mut before, mut after) = (Steps::new(), Steps::new());
    let Layer::Conv { conv, .. } = layer else { return (before, after) };
    let pair = |numbers: [Number; 2]| list(&numbers.map(&text));
    match &conv.pads {
        Pads::Explicit(pads) if pads.iter().all(|pad| *pad == pads[0]) => {}
        Pads::Explicit(pads) => before.push((Some("padded"), given.helper("pad2d", &[list(&pads.map(&text))]))),
        same @ (Pads::SameUpper | Pads::SameLower) => {
            let odd_before = (*same == Pads::SameLower).to_string();
            let more = [pair(conv.kernel), pair(conv.strides), pair(conv.dilations), odd_before];
            before.push((Some("pads"), given.helper("same_padding", &more)));
            before.push((Some("padded"), given.helper("pad2d", &["pads".to_owned()])));
        }
    }
    if conv.strides[0] != conv.strides[1] {
        for (axis, stride) in conv.strides.iter().enumerate().filter(|(_, stride)| **stride != Number::Fixed(1)) {
            let more = vec![format!("&{DENSE}"), (axis + 2).to_string(), text(*stride)];
            after.push((Some(DENSE), Code::Call("ops::every".to_owned(), more)));
        }
    }
    if let Some(last) = after.last_mut() {
        last.0 = None;
    }
    (before, after)
}

/// How candle computes an operator.
///
/// # Errors
/// Where it does not: the reason.
pub(super) fn code(op: &Op, given: &Given) -> Result<Steps, Refusal> {
    match op {
        Op::Activation(activation) => self::activation(*activation, given).map(one),
        Op::Elementwise(op) => elementwise(*op, given),
        Op::PRelu => Ok(one(given.helper("prelu", &given.arguments[1..]))),
        Op::LayerNorm(norm) => {
            let axes = norm.axes.iter().map(usize::to_string).collect::<Vec<_>>();
            let more = given.arguments[1..].to_vec();
            let rest = [format!("&{}", list(&axes)), real(norm.epsilon)];
            Ok(one(given.helper("layer_norm", &[more, rest.to_vec()].concat())))
        }
        Op::Lrn(lrn) => {
            let more = [lrn.size.to_string(), real(lrn.alpha), real(lrn.beta), real(lrn.bias)];
            Ok(one(given.helper("local_response_norm", &more)))
        }
        Op::MaxPool(_) | Op::AvgPool(_) => pool(op, given),
        Op::GlobalPool(GlobalPool { kind, keep_dims }) => reduce(*kind, &[2, 3], *keep_dims, given),
        Op::Reduce(of) => reduce(of.kind, &of.axes, of.keep_dims, given),
        Op::Pad(pad) => self::pad(pad.channels, pad.value, given),
        Op::PadAxes(pad) => pad_axes(&pad.amounts, pad.border, given),
        Op::MatMul => {
            let call = format!("broadcast_matmul({})", given.arguments[1]);
            Ok(one(given.chain(&["contiguous()".to_owned(), call])))
        }
        Op::Concat { axis } => Ok(one(Code::Cat(given.arguments.to_vec(), *axis))),
        Op::Flatten { axis } => flatten(*axis, given),
        Op::Reshape { shape } => reshape(shape, given),
        Op::Transpose { perm } => {
            let perm = list(&perm.iter().map(usize::to_string).collect::<Vec<_>>());
            Ok(one(given.chain(&[format!("permute({perm})"), "contiguous()".to_owned()])))
        }
        Op::Squeeze { axes } => {
            let calls: Vec<String> = axes.iter().rev().map(|axis| format!("squeeze({axis})")).collect();
            Ok(one(if calls.is_empty() { Code::Same } else { given.chain(&calls) }))
        }
        Op::Unsqueeze { axes } => {
            let calls: Vec<String> = axes.iter().map(|axis| format!("unsqueeze({axis})")).collect();
            Ok(one(if calls.is_empty() { Code::Same } else { given.chain(&calls) }))
        }
        Op::Slice { axis, start, end, step } => {
            let (Extent::Known(start), Ok(step @ 1..)) = (start, u32::try_from(*step)) else {
                return Err("needs bounds that are known and a step forward");
            };
            let end = match end {
                None => "None".to_owned(),
                Some(Extent::Known(end)) => format!("Some({end})"),
                Some(Extent::Of { .. } | Extent::Computed { .. }) => {
                    return Err("needs bounds that are known and a step forward");
                }
            };
            Ok(one(given.helper("slice", &[axis.to_string(), start.to_string(), end, step.to_string()])))
        }
        Op::Softmax { axis } => Ok(one(function("nn::ops::softmax", given, *axis))),
        Op::LogSoftmax { axis } => Ok(one(function("nn::ops::log_softmax", given, *axis))),
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
        Op::ConvTranspose(_) => Err("is not generated"),
        Op::LpPool(_) => Err("is no pool that candle has"),
        Op::Resize(_) => Err("samples otherwise in candle"),
        Op::Compare(_) | Op::Is(_) | Op::Where => Err("is not generated: candle has no truth values"),
        Op::ArgExtremum(_) | Op::TopK(_) | Op::Hardmax { .. } => Err("ranks elements, which is not generated"),
        Op::Gather { .. } | Op::GatherElements { .. } | Op::GatherNd { .. } => {
            Err("reads by indices, which is not generated")
        }
        Op::ScatterNd => Err("writes by indices, which is not generated"),
        Op::Expand { .. } | Op::Tile { .. } | Op::Sizes { .. } => Err("computes with sizes, which is not generated"),
        Op::CumSum(_) | Op::Trilu(_) => Err("is not generated"),
        Op::Quantize(_) | Op::Dequantize(_) | Op::DynamicRange(_) => {
            Err("rounds to 8-bit integers, which candle does not")
        }
        Op::Opaque(_) => Err("is an operator that is not known"),
    }
}

fn function(name: &str, given: &Given, axis: usize) -> Code {
    Code::Call(name.to_owned(), vec![given.arguments.first().cloned().unwrap_or_default(), axis.to_string()])
}

fn activation(activation: Activation, given: &Given) -> Result<Code, Refusal> {
    let method = |call: &str| Ok(given.method(call));
    let helper = |name: &str, reals: &[f64]| {
        let reals: Vec<String> = reals.iter().map(|&value| real(value)).collect();
        Ok(given.helper(name, &reals))
    };
    match activation {
        Activation::Relu { negative_slope, threshold, max_value } => match (negative_slope, threshold, max_value) {
            (0.0, 0.0, None) => method("relu()"),
            (0.0, 0.0, Some(most)) if most >= 0.0 => method(&format!("clamp(0.0, {})", real(most))),
            (slope, 0.0, None) => helper("leaky_relu", &[slope]),
            (slope, threshold, most) => helper("relu_within", &[slope, threshold, most.unwrap_or(f64::INFINITY)]),
        },
        Activation::Elu { alpha } => method(&format!("elu({})", real(alpha))),
        Activation::Celu { alpha } => helper("celu", &[alpha]),
        Activation::Selu => helper("selu", &[]),
        Activation::Gelu { tanh_approximation: false } => method("gelu_erf()"),
        Activation::Gelu { tanh_approximation: true } => method("gelu()"),
        Activation::Silu => method("silu()"),
        Activation::Sigmoid => {
            Ok(Code::Call("nn::ops::sigmoid".to_owned(), given.arguments.iter().take(1).cloned().collect()))
        }
        Activation::HardSigmoid { slope, offset } => helper("hard_sigmoid", &[slope, offset]),
        Activation::HardSwish => helper("hard_swish", &[]),
        Activation::Clip { min, max } => match (min, max) {
            (Some(min), Some(max)) => method(&format!("clamp({}, {})", real(min), real(max))),
            (Some(min), None) => method(&format!("maximum({})", real(min))),
            (None, Some(max)) => method(&format!("minimum({})", real(max))),
            (None, None) => Ok(Code::Same),
        },
        Activation::Tanh => method("tanh()"),
        Activation::Softplus => helper("softplus", &[]),
        Activation::Softsign => helper("softsign", &[]),
        Activation::Mish => helper("mish", &[]),
        Activation::Exp => method("exp()"),
        Activation::Log => method("log()"),
        Activation::Sqrt => method("sqrt()"),
        Activation::Reciprocal => method("recip()"),
        Activation::Abs => method("abs()"),
        Activation::Neg => method("neg()"),
        Activation::Erf => method("erf()"),
        Activation::Floor => method("floor()"),
        Activation::Ceil => method("ceil()"),
        Activation::Sign => method("sign()"),
        Activation::Sin => method("sin()"),
        Activation::Cos => method("cos()"),
        Activation::Round => Err("rounds halves to even, which candle does not"),
        Activation::Shrink { .. } | Activation::Not => Err("is not generated"),
        Activation::Tan
        | Activation::Asin
        | Activation::Acos
        | Activation::Atan
        | Activation::Sinh
        | Activation::Cosh
        | Activation::Asinh
        | Activation::Acosh
        | Activation::Atanh => Err("is no function that candle has"),
    }
}

fn elementwise(op: Elementwise, given: &Given) -> Result<Steps, Refusal> {
    let (infix, method) = match op {
        Elementwise::Add => (Some("+"), "broadcast_add"),
        Elementwise::Sub => (Some("-"), "broadcast_sub"),
        Elementwise::Mul => (Some("*"), "broadcast_mul"),
        Elementwise::Div => (Some("/"), "broadcast_div"),
        Elementwise::Max => (None, "broadcast_maximum"),
        Elementwise::Min => (None, "broadcast_minimum"),
        Elementwise::Mean => return Err("of several values is not generated"),
        Elementwise::Pow => return Err("is not generated: candle takes powers of positive numbers only"),
        Elementwise::Mod | Elementwise::Rem => return Err("is not generated"),
        Elementwise::And | Elementwise::Or | Elementwise::Xor => {
            return Err("is not generated: candle has no truth values");
        }
    };
    let (Some(receiver), Some(first)) = (given.receivers.first(), given.arguments.first()) else {
        return Err("needs operands");
    };
    let mut steps = Steps::new();
    let (mut receiver, mut argument) = (receiver.clone(), first.clone());
    for other in &given.arguments[1..] {
        let code = match infix.filter(|_| !given.broadcasts) {
            Some(infix) => Code::Infix(argument, infix, other.clone()),
            None => Code::Chain(receiver, vec![format!("{method}({other})")]),
        };
        steps.push((Some("sum"), code));
        (receiver, argument) = ("sum".to_owned(), "&sum".to_owned());
    }
    match steps.last_mut() {
        Some(last) => last.0 = None,
        None => steps.push((None, Code::Same)),
    }
    Ok(steps)
}

fn pool(op: &Op, given: &Given) -> Result<Steps, Refusal> {
    let (padding, dilations, ceil, name) = match op {
        Op::MaxPool(pool) => (pool.padding, pool.dilations, pool.ceil_mode, "max_pool2d"),
        Op::AvgPool(pool) => (pool.padding, pool.dilations, pool.ceil_mode, "avg_pool2d"),
        _ => return Err("is no pool"),
    };
    if dilations != [1, 1] {
        return Err("with dilation is no pool that candle has");
    }
    let numbers = given.numbers;
    let (kernel, strides) = (list(&numbers[..2]), list(&numbers[2..4]));
    let mut steps = Steps::new();
    let (mut pads, own) = match padding {
        Padding::Explicit(_) => (list(&numbers[4..8]), list(&numbers[4..8])),
        Padding::SameUpper | Padding::SameLower => {
            let odd_before = (padding == Padding::SameLower).to_string();
            let more = [kernel.clone(), strides.clone(), "[1, 1]".to_owned(), odd_before];
            steps.push((Some("pads"), given.helper("same_padding", &more)));
            ("pads".to_owned(), "pads".to_owned())
        }
    };
    if ceil && matches!(padding, Padding::Explicit(_)) {
        steps.push((Some("pads"), given.helper("round_up", &[kernel.clone(), strides.clone(), pads])));
        pads = "pads".to_owned();
    }
    let pair = |from: usize| format!("({}, {})", numbers[from], numbers[from + 1]);
    let none = "[0, 0, 0, 0]";
    let is_plain = pads == none;
    let code = match op {
        _ if is_plain => given.method(format!("{name}_with_stride({}, {})", pair(0), pair(2))),
        Op::AvgPool(pool) => {
            let counted = if pool.count_include_pad { own } else { none.to_owned() };
            given.helper(name, &[kernel, strides, pads, counted])
        }
        _ => given.helper(name, &[kernel, strides, pads]),
    };
    steps.push((None, code));
    Ok(steps)
}

fn reduce(kind: PoolKind, axes: &[usize], keep_dims: bool, given: &Given) -> Result<Steps, Refusal> {
    let listed = list(&axes.iter().map(usize::to_string).collect::<Vec<_>>());
    let keep = if keep_dims { "_keepdim" } else { "" };
    let sum = format!("sum{keep}({listed})");
    let calls = match kind {
        PoolKind::Mean => vec![format!("mean{keep}({listed})")],
        PoolKind::Sum => vec![sum],
        PoolKind::L1 => vec!["abs()".to_owned(), sum],
        PoolKind::SumSquare => vec!["sqr()".to_owned(), sum],
        PoolKind::L2 => vec!["sqr()".to_owned(), sum, "sqrt()".to_owned()],
        PoolKind::LogSum => vec![sum, "log()".to_owned()],
        PoolKind::Max | PoolKind::Min => {
            let name = if kind == PoolKind::Max { "max" } else { "min" };
            axes.iter().rev().map(|axis| format!("{name}{keep}({axis})")).collect()
        }
        PoolKind::Product | PoolKind::LogSumExp => return Err("is no reduction that candle has"),
    };
    Ok(one(given.chain(&calls)))
}

fn pad(channels: [usize; 2], value: f64, given: &Given) -> Result<Steps, Refusal> {
    let numbers = given.numbers;
    let around = list(&numbers[..4]);
    let pads_image = numbers[..4].iter().any(|pad| pad != "0");
    if value != 0.0 {
        return match channels {
            [0, 0] => Ok(one(given.helper("fill2d", &[around, real(value)]))),
            _ => Err("of channels with another number than 0 is not generated"),
        };
    }
    let pads_channels = numbers[4..].iter().any(|pad| pad != "0");
    let channels = format!("pad_with_zeros(1, {}, {})", numbers[4], numbers[5]);
    Ok(match (pads_image, pads_channels) {
        (true, true) => {
            let padded = given.helper("pad2d", &[around]);
            vec![(Some("padded"), padded), (None, Code::Chain("padded".to_owned(), vec![channels]))]
        }
        (true, false) => one(given.helper("pad2d", &[around])),
        (false, true) => one(given.method(channels)),
        (false, false) => one(Code::Same),
    })
}

fn pad_axes(amounts: &[[usize; 2]], border: Border, given: &Given) -> Result<Steps, Refusal> {
    let padded = || amounts.iter().enumerate().filter(|(_, amount)| **amount != [0, 0]);
    let calls = |method: &str| -> Vec<String> {
        padded().map(|(axis, [before, after])| format!("{method}({axis}, {before}, {after})")).collect()
    };
    match border {
        Border::Constant(0.0) => Ok(one(given.chain(&calls("pad_with_zeros")))),
        Border::Edge => Ok(one(given.chain(&calls("pad_with_same")))),
        Border::Reflect => {
            let mut steps = Steps::new();
            let mut from = given.arguments[0].clone();
            for (axis, [before, after]) in padded() {
                let arguments = vec![from, axis.to_string(), before.to_string(), after.to_string()];
                steps.push((Some("padded"), Code::Call("ops::mirror".to_owned(), arguments)));
                from = "&padded".to_owned();
            }
            match steps.last_mut() {
                Some(last) => last.0 = None,
                None => steps.push((None, Code::Same)),
            }
            Ok(steps)
        }
        Border::Constant(_) | Border::Wrap => Err("by this rule is not generated"),
    }
}

fn flatten(axis: usize, given: &Given) -> Result<Steps, Refusal> {
    let rank = given.ranks.first().copied().unwrap_or_default();
    if axis == 1 && rank > 1 {
        return Ok(one(given.method("flatten_from(1)")));
    }
    if axis == 0 {
        return Ok(one(given.chain(&["flatten_all()".to_owned(), "unsqueeze(0)".to_owned()])));
    }
    if axis >= rank {
        return Ok(one(given.chain(&["flatten_all()".to_owned(), "unsqueeze(1)".to_owned()])));
    }
    let last = axis - 1;
    Ok(one(given.chain(&[format!("flatten_from({axis})"), format!("flatten_to({last})")])))
}

fn reshape(shape: &[ReshapeDim], given: &Given) -> Result<Steps, Refusal> {
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
    let arguments = vec![given.arguments[0].clone(), format!("&{}", list(&sizes))];
    Ok(one(Code::Call("ops::reshape".to_owned(), arguments)))
}
