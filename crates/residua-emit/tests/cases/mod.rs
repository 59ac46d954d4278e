//! A small model for every operator in every form that is written differently.

use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{
    Activation, ArgExtremum, Arithmetic, AvgPool, BatchNorm, Border, Checked, Comparison, Conv, ConvTranspose,
    Coordinates, CumSum, DType, Dim, DynamicRange, Elementwise, Endian, Extent, Extremum, Fit, GlobalPool, Granularity,
    Graph, GraphBuilder, GroupNorm, IdentityReason, InputType, Interpolation, LayerNorm, LpPool, Lrn, MaxPool, Op, Pad,
    PadAxes, Padding, Pads, PoolKind, Property, Quantize, Reduce, ReshapeDim, Resize, ResizeTarget, Rounding, Shape,
    SourceOrder, Tensor, TopK, Trilu, ValueId, validate,
};

/// A model of one operator, or few.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Oldest operator set that has it.
    #[allow(dead_code, reason = "not every test that shares these models asks for it")]
    pub(crate) since: i64,
    pub(crate) model: Checked,
}

/// The same numbers for the same shape and seed; `low` to `high`.
fn numbers(count: usize, seed: u64, low: f64, high: f64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (low + (high - low) * ((state >> 11) as f64 / (1u64 << 53) as f64)) as f32
        })
        .collect()
}

fn weight(g: &mut GraphBuilder, name: &str, shape: &[usize]) -> ValueId {
    weight_in(g, name, shape, -1.0, 1.0)
}

fn weight_in(g: &mut GraphBuilder, name: &str, shape: &[usize], low: f64, high: f64) -> ValueId {
    let values = numbers(shape.iter().product(), name.len() as u64, low, high);
    g.weight(name, Tensor::from_f32(shape.to_vec(), &values).unwrap())
}

/// A kernel as Keras stores it, seen as the graph needs it.
fn kernel(g: &mut GraphBuilder, name: &str, [o, i, h, w]: [usize; 4]) -> ValueId {
    let values = numbers(o * i * h * w, name.len() as u64, -1.0, 1.0);
    let stored = Tensor::from_f32(vec![h, w, i, o], &values).unwrap();
    g.weight(name, stored.permute(&[3, 2, 0, 1]).unwrap())
}

fn fixed() -> Shape {
    Shape::batch(&[4, 7, 6])
}

fn free() -> Shape {
    Shape::new(vec![Dim::symbol("N"), Dim::Fixed(4), Dim::symbol("H"), Dim::symbol("W")])
}

fn half_free() -> Shape {
    Shape::new(vec![Dim::symbol("N"), Dim::Fixed(4), Dim::symbol("H"), Dim::Fixed(6)])
}

fn finish(g: GraphBuilder) -> Graph {
    g.finish().unwrap()
}

/// Oldest operator set that has what a case needs.
fn since(name: &str) -> i64 {
    match name {
        "elementwise_Max"
        | "elementwise_Min"
        | "elementwise_Mean"
        | "elementwise_Max_of_four"
        | "elementwise_Mean_of_four"
        | "expand" => 8,
        "gelu" | "erf" | "shrink" | "sign" | "sinh" | "cosh" | "asinh" | "atanh" | "acosh" => 9,
        "max_pool_dilated"
        | "relu_threshold"
        | "relu_threshold_max"
        | "relu_everything"
        | "relu_negative_slope_max"
        | "elementwise_Rem"
        | "slice_backwards"
        | "slice_half"
        | "slice"
        | "slice_to_end"
        | "quantize"
        | "integers_as_reals" => 10,
        "round"
        | "top_k_smallest"
        | "top_k_smallest_indices"
        | "resize_half_down"
        | "resize_half_up"
        | "resize_ceil"
        | "resize_linear"
        | "resize_free"
        | "resize_cubic"
        | "resize_pytorch"
        | "resize_corners"
        | "resize_crop"
        | "gather_elements"
        | "gather_nd"
        | "scatter_nd"
        | "quantized_by_its_range"
        | "sums"
        | "sums_back"
        | "a_range_alone" => 11,
        "celu" | "arg_max_last" | "compare" => 12,
        "quantize_to_i8_without_zero" | "quantized_conv" | "quantized_linear" => 13,
        "triangle" | "triangle_below" | "triangle_wide" => 14,
        "lp_pool_dilated" | "resize_antialias" | "resize_fit" => 18,
        "pad_axes_wrap" | "avg_pool_dilated" | "resize_symmetric" => 19,
        _ => 0,
    }
}

struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, name: &str, shape: Shape, build: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) {
        let mut g = GraphBuilder::new(name);
        let x = g.input("x", shape);
        let y = build(&mut g, x);
        g.output(y);
        self.0.push(Case { name: name.to_owned(), since: since(name), model: validate(finish(g)).unwrap() });
    }

    /// One operator of one operand.
    fn op(&mut self, name: &str, shape: Shape, op: Op) {
        self.add(name, shape, |g, x| g.add("y", op, &[x]));
    }

    fn conv(&mut self, name: &str, shape: Shape, kernel_shape: [usize; 4], conv: Conv, bias: bool) {
        self.add(name, shape, |g, x| {
            let mut inputs = vec![x, kernel(g, "y/kernel", kernel_shape)];
            if bias {
                inputs.push(weight(g, "y/bias", &kernel_shape[..1]));
            }
            g.add("y", Op::Conv(conv), &inputs)
        });
    }
}

fn explicit(top: usize, left: usize, bottom: usize, right: usize) -> Padding {
    Padding::Explicit(Pads { top, left, bottom, right })
}

fn convolutions(z: &mut Cases) {
    let plain = Conv::default();
    z.conv("conv", fixed(), [5, 4, 3, 2], plain, true);
    z.conv("conv_no_bias", fixed(), [5, 4, 1, 1], Conv { strides: [2, 2], ..plain }, false);
    z.conv(
        "conv_asymmetric",
        fixed(),
        [5, 4, 3, 3],
        Conv { strides: [2, 2], padding: explicit(0, 1, 2, 0), ..plain },
        true,
    );
    z.conv(
        "conv_dilated",
        fixed(),
        [5, 4, 3, 3],
        Conv { dilations: [2, 1], padding: explicit(2, 1, 2, 1), ..plain },
        true,
    );
    z.conv("conv_grouped", fixed(), [6, 2, 3, 3], Conv { groups: 2, ..plain }, true);
    z.conv("conv_depthwise", fixed(), [8, 1, 3, 3], Conv { groups: 4, ..plain }, true);
    let same = Conv { strides: [2, 2], padding: Padding::SameUpper, ..plain };
    z.conv("conv_same_free", free(), [5, 4, 3, 3], same, true);
    z.conv("conv_same_fixed", fixed(), [5, 4, 3, 3], same, true);
    z.conv("conv_same_lower", free(), [5, 4, 3, 3], Conv { padding: Padding::SameLower, ..same }, true);
    let zeros = |channels, value| Op::Pad(Pad { pads: Pads { top: 3, left: 2, bottom: 1, right: 0 }, channels, value });
    z.add("pad_into_conv", fixed(), |g, x| {
        let padded = g.add("pad", zeros([0, 0], 0.0), &[x]);
        let padded = g.add("drop", Op::Identity(IdentityReason::Dropout), &[padded]);
        let k = kernel(g, "y/kernel", [5, 4, 3, 3]);
        g.add("y", Op::Conv(Conv { padding: explicit(1, 0, 0, 1), ..plain }), &[padded, k])
    });
    z.add("pad_of_two_convs", fixed(), |g, x| {
        let padded = g.add("pad", zeros([0, 0], 0.0), &[x]);
        let k = kernel(g, "kernel", [5, 4, 3, 3]);
        let a = g.add("a", Op::Conv(plain), &[padded, k]);
        let b = g.add("b", Op::Conv(plain), &[padded, k]);
        g.add("y", Op::Elementwise(Elementwise::Add), &[a, b])
    });
    z.add("pad_before_pool", fixed(), |g, x| {
        let padded = g.add("pad", Op::Pad(Pad { pads: Pads::all(1), channels: [0, 0], value: 0.0 }), &[x]);
        let pool = MaxPool {
            kernel: [3, 3],
            strides: [2, 2],
            padding: Padding::default(),
            dilations: [1, 1],
            ceil_mode: false,
        };
        g.add("y", Op::MaxPool(pool), &[padded])
    });
    z.op("pad_value", fixed(), zeros([0, 0], -1.5));
    for (name, border) in [
        ("constant", Border::Constant(0.5)),
        ("reflect", Border::Reflect),
        ("edge", Border::Edge),
        ("wrap", Border::Wrap),
    ] {
        let amounts = vec![[0, 0], [1, 0], [2, 3], [0, 2]];
        z.op(&format!("pad_axes_{name}"), fixed(), Op::PadAxes(PadAxes { amounts, border }));
    }
    let transposed = ConvTranspose {
        strides: [2, 3],
        pads: Pads { top: 1, left: 0, bottom: 0, right: 2 },
        output_padding: [1, 0],
        dilations: [2, 1],
        groups: 2,
    };
    z.add("conv_transpose", fixed(), |g, x| {
        let inputs = [x, weight(g, "kernel", &[4, 3, 3, 2]), weight(g, "bias", &[6])];
        g.add("y", Op::ConvTranspose(transposed), &inputs)
    });
    z.op("pad_channels", fixed(), zeros([2, 1], 0.0));
}

fn pools(z: &mut Cases) {
    let max =
        MaxPool { kernel: [3, 2], strides: [2, 2], padding: explicit(1, 0, 1, 1), dilations: [1, 1], ceil_mode: false };
    z.op("max_pool", fixed(), Op::MaxPool(max));
    z.op("max_pool_ceil", fixed(), Op::MaxPool(MaxPool { ceil_mode: true, padding: Padding::default(), ..max }));
    z.op("max_pool_dilated", fixed(), Op::MaxPool(MaxPool { dilations: [2, 1], ..max }));
    z.op("max_pool_same", free(), Op::MaxPool(MaxPool { padding: Padding::SameUpper, ..max }));
    z.op("max_pool_stride_only", fixed(), Op::MaxPool(MaxPool { kernel: [1, 1], padding: Padding::default(), ..max }));
    let mean = AvgPool {
        kernel: [3, 2],
        strides: [2, 2],
        padding: explicit(1, 0, 1, 1),
        dilations: [1, 1],
        ceil_mode: false,
        count_include_pad: false,
    };
    z.op("avg_pool", fixed(), Op::AvgPool(mean));
    z.op("avg_pool_whole", fixed(), Op::AvgPool(AvgPool { count_include_pad: true, ..mean }));
    z.op("avg_pool_ceil", fixed(), Op::AvgPool(AvgPool { ceil_mode: true, padding: Padding::default(), ..mean }));
    z.op("avg_pool_same", free(), Op::AvgPool(AvgPool { padding: Padding::SameUpper, ..mean }));
    z.op("avg_pool_dilated", fixed(), Op::AvgPool(AvgPool { dilations: [1, 3], ..mean }));
    let power = LpPool {
        kernel: [3, 2],
        strides: [2, 2],
        padding: explicit(1, 0, 1, 1),
        dilations: [1, 1],
        ceil_mode: false,
        p: 3,
    };
    z.op("lp_pool", fixed(), Op::LpPool(power));
    z.op("lp_pool_dilated", fixed(), Op::LpPool(LpPool { dilations: [2, 1], p: 2, ..power }));
    for (name, kind) in [
        ("max", PoolKind::Max),
        ("mean", PoolKind::Mean),
        ("sum", PoolKind::Sum),
        ("min", PoolKind::Min),
        ("product", PoolKind::Product),
        ("l1", PoolKind::L1),
        ("l2", PoolKind::L2),
        ("sum_square", PoolKind::SumSquare),
        ("log_sum_exp", PoolKind::LogSumExp),
    ] {
        for (suffix, keep_dims) in [("", false), ("_kept", true)] {
            z.op(&format!("global_{name}{suffix}"), free(), Op::GlobalPool(GlobalPool { kind, keep_dims }));
            let reduce = Reduce { kind, axes: vec![1, 3], keep_dims };
            z.op(&format!("reduce_{name}{suffix}"), fixed(), Op::Reduce(reduce));
        }
    }
    z.add("reduce_log_sum", fixed(), |g, x| {
        let positive = g.add("exp", Op::Activation(Activation::Exp), &[x]);
        g.add("y", Op::Reduce(Reduce { kind: PoolKind::LogSum, axes: vec![2], keep_dims: false }), &[positive])
    });
    z.op("reduce_nothing_l2", fixed(), Op::Reduce(Reduce { kind: PoolKind::L2, axes: vec![], keep_dims: true }));
    z.op("reduce_nothing", fixed(), Op::Reduce(Reduce { kind: PoolKind::Max, axes: vec![], keep_dims: true }));
}

fn norms(z: &mut Cases) {
    z.op("lrn", fixed(), Op::Lrn(Lrn { size: 3, alpha: 0.5, beta: 0.75, bias: 1.5 }));
    for (name, shape) in [("batch_norm", fixed()), ("batch_norm_matrix", Shape::batch(&[4]))] {
        z.add(name, shape, |g, x| {
            let parts = ["gamma", "beta", "mean"].map(|part| weight(g, &format!("y/{part}"), &[4]));
            let variance = weight_in(g, "y/variance", &[4], 0.5, 2.0);
            g.add("y", Op::BatchNorm(BatchNorm { epsilon: 1.001e-5 }), &[x, parts[0], parts[1], parts[2], variance])
        });
    }
    for (name, shape) in [("group_norm", fixed()), ("group_norm_row_free", half_free()), ("group_norm_free", free())] {
        z.add(name, shape, |g, x| {
            let (scale, offset) = (weight(g, "y/gamma", &[4]), weight(g, "y/beta", &[4]));
            g.add("y", Op::GroupNorm(GroupNorm { groups: 2, epsilon: 1e-3 }), &[x, scale, offset])
        });
    }
    for (name, axes, shape) in [
        ("layer_norm_channels", vec![1], vec![4]),
        ("layer_norm_last", vec![3], vec![6]),
        ("layer_norm_all", vec![1, 2, 3], vec![4, 7, 6]),
    ] {
        z.add(name, fixed(), |g, x| {
            let (scale, offset) = (weight(g, "y/gamma", &shape), weight(g, "y/beta", &shape));
            g.add("y", Op::LayerNorm(LayerNorm { axes, epsilon: 1e-3 }), &[x, scale, offset])
        });
    }
}

fn ranks(z: &mut Cases) {
    for (name, of, last) in [
        ("arg_max", Extremum::Largest, false),
        ("arg_max_last", Extremum::Largest, true),
        ("arg_min", Extremum::Smallest, false),
    ] {
        z.op(name, fixed(), Op::ArgExtremum(ArgExtremum { of, axis: 2, keep_dims: last, last }));
    }
    for (name, of) in [("largest", Extremum::Largest), ("smallest", Extremum::Smallest)] {
        z.op(&format!("top_k_{name}"), fixed(), Op::TopK(TopK { k: 3, axis: 2, of, indices: false }));
        z.op(&format!("top_k_{name}_indices"), fixed(), Op::TopK(TopK { k: 3, axis: 3, of, indices: true }));
    }
    z.op("hardmax", fixed(), Op::Hardmax { axis: 1 });
    for (name, axis, exclusive, reverse) in [("sums", 1, false, false), ("sums_back", 3, true, true)] {
        z.op(name, fixed(), Op::CumSum(CumSum { axis, exclusive, reverse }));
    }
    z.op("log_softmax", fixed(), Op::LogSoftmax { axis: 1 });
    for (name, upper, diagonal) in [("triangle", true, 0), ("triangle_below", false, -1), ("triangle_wide", false, 2)] {
        z.op(name, fixed(), Op::Trilu(Trilu { upper, diagonal }));
    }
}

fn resizes(z: &mut Cases) {
    let plain = Resize {
        axes: vec![2, 3],
        target: ResizeTarget::Scales(vec![2.0, 1.5]),
        interpolation: Interpolation::Linear,
        coordinates: Coordinates::HalfPixel,
        antialias: false,
        exclude_outside: false,
    };
    let sizes = |sizes: Vec<Extent>, fit| ResizeTarget::Sizes { sizes, fit };
    let known = || vec![Extent::Known(5), Extent::Known(9)];
    let double = |axis| Extent::compute(Arithmetic::Mul, Extent::Of { operand: 0, axis }, Extent::Known(2)).unwrap();
    for (name, rounding) in [
        ("half_down", Rounding::HalfDown),
        ("half_up", Rounding::HalfUp),
        ("floor", Rounding::Floor),
        ("ceil", Rounding::Ceil),
    ] {
        let interpolation = Interpolation::Nearest(rounding);
        let coordinates = Coordinates::Asymmetric;
        z.op(&format!("resize_{name}"), fixed(), Op::Resize(Resize { interpolation, coordinates, ..plain.clone() }));
    }
    let cubic = Interpolation::Cubic { coefficient: -0.5 };
    let crop = Coordinates::Crop { region: vec![[0.25, 1.125], [0.0, 0.75]], outside: 0.5 };
    for (name, resize) in [
        ("linear", plain.clone()),
        ("free", Resize { target: sizes(vec![double(2), Extent::Known(9)], Fit::Stretch), ..plain.clone() }),
        ("cubic", Resize { interpolation: cubic, exclude_outside: true, ..plain.clone() }),
        ("pytorch", Resize { coordinates: Coordinates::PytorchHalfPixel, ..plain.clone() }),
        ("corners", Resize { coordinates: Coordinates::AlignCorners, ..plain.clone() }),
        ("crop", Resize { coordinates: crop, target: sizes(known(), Fit::Stretch), ..plain.clone() }),
        ("antialias", Resize { antialias: true, target: sizes(known(), Fit::Stretch), ..plain.clone() }),
        ("fit", Resize { target: sizes(known(), Fit::NotLarger), ..plain.clone() }),
        ("symmetric", Resize { coordinates: Coordinates::HalfPixelSymmetric, ..plain.clone() }),
    ] {
        let shape = if name == "free" { free() } else { fixed() };
        z.op(&format!("resize_{name}"), shape, Op::Resize(resize));
    }
}

fn gathers(z: &mut Cases) {
    let of = |axis| Extent::Of { operand: 0, axis };
    let compute = |by, a, b| Extent::compute(by, a, b).unwrap();
    let slice = |axis, start, end: Option<Extent>, step| Op::Slice { axis, start, end, step };
    z.op("slice_backwards", fixed(), slice(2, Extent::Known(-2), None, -2));
    z.op("slice_from_the_end", free(), slice(3, Extent::Known(-3), Some(Extent::Known(-1)), 1));
    z.op("slice_half", free(), slice(3, Extent::Known(0), Some(compute(Arithmetic::Div, of(3), Extent::Known(2))), 1));
    let indices = |shape: &[usize], values: &[i64]| Tensor::from_i64(shape.to_vec(), values).unwrap();
    for (name, op, indices) in [
        ("gather", Op::Gather { axis: 2 }, indices(&[2, 2], &[0, -1, 3, 3])),
        ("gather_one", Op::Gather { axis: 1 }, indices(&[], &[2])),
        ("gather_elements", Op::GatherElements { axis: 3 }, indices(&[1, 4, 1, 2], &[0, 1, -1, 2, 5, 4, 0, 3])),
        ("gather_nd", Op::GatherNd { batch_dims: 0 }, indices(&[3, 2], &[0, 1, 1, -1, 1, 0])),
    ] {
        z.add(name, fixed(), |g, x| {
            let indices = g.weight("indices", indices);
            g.add("y", op, &[x, indices])
        });
    }
    z.add("scatter_nd", fixed(), |g, x| {
        let places = g.weight("indices", indices(&[3, 2], &[0, 1, 0, -1, 0, 0]));
        let slices = weight(g, "slices", &[3, 7, 6]);
        g.add("y", Op::ScatterNd, &[x, places, slices])
    });
    z.op(
        "expand",
        Shape::batch(&[1, 6]),
        Op::Expand { shape: vec![Extent::Known(3), of(0), Extent::Known(4), Extent::Known(1)] },
    );
    z.op("tile", fixed(), Op::Tile { repeats: [1, 2, 1, 3].map(Extent::Known).to_vec() });
    let area = compute(Arithmetic::Mul, of(2), of(3));
    z.op("sizes", free(), Op::Sizes { sizes: vec![of(0), area.clone(), Extent::Known(-1)], scalar: false });
    z.op("size", free(), Op::Sizes { sizes: vec![area.clone()], scalar: true });
    z.op("reshape_computed", free(), Op::Reshape { shape: vec![ReshapeDim::Infer, ReshapeDim::Computed(area)] });
    z.add("compare", fixed(), |g, x| {
        let row = weight(g, "row", &[6]);
        let mut truths = Vec::new();
        for comparison in [
            Comparison::Equal,
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Greater,
            Comparison::GreaterOrEqual,
        ] {
            truths.push(g.add(comparison.name(), Op::Compare(comparison), &[x, row]));
        }
        truths.push(g.add("nan", Op::Is(Property::Nan), &[x]));
        truths.push(g.add("inf", Op::Is(Property::Infinite { negative: true, positive: false }), &[x]));
        let any = g.add("or", Op::Elementwise(Elementwise::Or), &[truths[0], truths[1], truths[5], truths[6]]);
        let other = g.add("xor", Op::Elementwise(Elementwise::Xor), &[truths[2], truths[3]]);
        let all = g.add("and", Op::Elementwise(Elementwise::And), &[any, other, truths[4]]);
        let none = g.add("not", Op::Activation(Activation::Not), &[all]);
        let negative = g.add("neg", Op::Activation(Activation::Neg), &[x]);
        g.output(all);
        g.add("y", Op::Where, &[none, negative, row])
    });
}

fn activations(z: &mut Cases) {
    let relu = |negative_slope, threshold, max_value| Activation::Relu { negative_slope, threshold, max_value };
    for (name, function) in [
        ("relu", Activation::RELU),
        ("relu6", Activation::RELU6),
        ("leaky_relu", Activation::leaky_relu(0.3)),
        ("leaky_relu_max", relu(0.3, 0.0, Some(1.0))),
        ("relu_threshold", relu(0.0, 0.5, None)),
        ("relu_threshold_max", relu(0.0, 0.5, Some(1.0))),
        ("relu_everything", relu(0.25, 0.5, Some(1.0))),
        ("relu_negative_slope_max", relu(-0.25, 0.0, Some(1.0))),
        ("elu", Activation::Elu { alpha: 0.7 }),
        ("selu", Activation::Selu),
        ("gelu", Activation::Gelu { tanh_approximation: false }),
        ("gelu_tanh", Activation::Gelu { tanh_approximation: true }),
        ("silu", Activation::Silu),
        ("sigmoid", Activation::Sigmoid),
        ("hard_sigmoid", Activation::HardSigmoid { slope: 0.2, offset: 0.5 }),
        ("hard_swish", Activation::HardSwish),
        ("clip", Activation::Clip { min: Some(-0.5), max: Some(0.75) }),
        ("clip_min", Activation::Clip { min: Some(-0.5), max: None }),
        ("clip_max", Activation::Clip { min: None, max: Some(0.75) }),
        ("clip_nothing", Activation::Clip { min: None, max: None }),
        ("tanh", Activation::Tanh),
        ("softplus", Activation::Softplus),
        ("softsign", Activation::Softsign),
        ("mish", Activation::Mish),
        ("exp", Activation::Exp),
        ("reciprocal", Activation::Reciprocal),
        ("abs", Activation::Abs),
        ("neg", Activation::Neg),
        ("erf", Activation::Erf),
        ("celu", Activation::Celu { alpha: 0.7 }),
        ("shrink", Activation::Shrink { limit: 0.5, bias: 0.25 }),
        ("floor", Activation::Floor),
        ("ceil", Activation::Ceil),
        ("round", Activation::Round),
        ("sign", Activation::Sign),
        ("sin", Activation::Sin),
        ("cos", Activation::Cos),
        ("tan", Activation::Tan),
        ("atan", Activation::Atan),
        ("sinh", Activation::Sinh),
        ("cosh", Activation::Cosh),
        ("asinh", Activation::Asinh),
    ] {
        z.op(name, fixed(), Op::Activation(function));
    }
    for (name, function) in [("asin", Activation::Asin), ("acos", Activation::Acos), ("atanh", Activation::Atanh)] {
        z.add(name, fixed(), |g, x| {
            let inside = g.add("softsign", Op::Activation(Activation::Softsign), &[x]);
            g.add("y", Op::Activation(function), &[inside])
        });
    }
    z.add("acosh", fixed(), |g, x| {
        let beyond = g.add("cosh", Op::Activation(Activation::Cosh), &[x]);
        g.add("y", Op::Activation(Activation::Acosh), &[beyond])
    });
    for (name, function) in [("log", Activation::Log), ("sqrt", Activation::Sqrt)] {
        z.add(name, fixed(), |g, x| {
            let positive = g.add("exp", Op::Activation(Activation::Exp), &[x]);
            g.add("y", Op::Activation(function), &[positive])
        });
    }
    for (name, shape) in [("prelu", vec![4, 1, 1]), ("prelu_full", vec![4, 7, 6])] {
        z.add(name, fixed(), |g, x| {
            let slope = weight(g, "y/alpha", &shape);
            g.add("y", Op::PRelu, &[x, slope])
        });
    }
}

fn arithmetic(z: &mut Cases) {
    for op in [
        Elementwise::Add,
        Elementwise::Sub,
        Elementwise::Mul,
        Elementwise::Div,
        Elementwise::Max,
        Elementwise::Min,
        Elementwise::Mean,
        Elementwise::Pow,
        Elementwise::Mod,
        Elementwise::Rem,
    ] {
        z.add(&format!("elementwise_{}", op.name()), fixed(), |g, x| {
            let base = if op == Elementwise::Pow { g.add("exp", Op::Activation(Activation::Exp), &[x]) } else { x };
            let other = weight_in(g, "other", &[4, 1, 6], 0.5, 2.0);
            g.add("y", Op::Elementwise(op), &[base, other])
        });
    }
    for op in [Elementwise::Add, Elementwise::Mul, Elementwise::Max, Elementwise::Mean] {
        z.add(&format!("elementwise_{}_of_four", op.name()), fixed(), |g, x| {
            let half = weight(g, "a", &[1]);
            let other = weight(g, "bb", &[4, 7, 1]);
            let negative = g.add("neg", Op::Activation(Activation::Neg), &[x]);
            g.add("y", Op::Elementwise(op), &[x, half, negative, other])
        });
    }
    z.op("elementwise_of_one", fixed(), Op::Elementwise(Elementwise::Max));
    for (name, shape) in [("linear", Shape::batch(&[6])), ("linear_rank_4", fixed())] {
        for (suffix, bias) in [("", true), ("_no_bias", false)] {
            z.add(&format!("{name}{suffix}"), shape.clone(), |g, x| {
                let stored = Tensor::from_f32(vec![6, 5], &numbers(30, 3, -1.0, 1.0)).unwrap();
                let mut inputs = vec![x, g.weight("y/kernel", stored.permute(&[1, 0]).unwrap())];
                if bias {
                    inputs.push(weight(g, "y/bias", &[5]));
                }
                g.add("y", Op::Linear, &inputs)
            });
        }
    }
    z.add("linear_computed_weight", Shape::batch(&[6]), |g, x| {
        let raw = weight(g, "raw", &[5, 6]);
        let computed = g.add("computed", Op::Activation(Activation::Tanh), &[raw]);
        let bias = weight(g, "y/bias", &[5]);
        g.add("y", Op::Linear, &[x, computed, bias])
    });
    z.add("mat_mul", fixed(), |g, x| {
        let turned = g.add("turned", Op::Transpose { perm: vec![0, 1, 3, 2] }, &[x]);
        g.add("y", Op::MatMul, &[x, turned])
    });
}

fn axes(z: &mut Cases) {
    z.add("concat", fixed(), |g, x| {
        let negative = g.add("neg", Op::Activation(Activation::Neg), &[x]);
        g.add("y", Op::Concat { axis: 1 }, &[x, negative, x])
    });
    z.op("flatten", fixed(), Op::Flatten { axis: 1 });
    z.op("flatten_2", fixed(), Op::Flatten { axis: 2 });
    let target = vec![ReshapeDim::Copy(0), ReshapeDim::Fixed(14), ReshapeDim::Infer];
    z.op("reshape", fixed(), Op::Reshape { shape: target });
    z.op("reshape_moved_batch", fixed(), Op::Reshape { shape: vec![ReshapeDim::Fixed(168), ReshapeDim::Copy(0)] });
    z.op("transpose", fixed(), Op::Transpose { perm: vec![0, 2, 3, 1] });
    z.op("squeeze", Shape::batch(&[4, 1, 1]), Op::Squeeze { axes: vec![2, 3] });
    z.op("unsqueeze", Shape::batch(&[4]), Op::Unsqueeze { axes: vec![2, 3] });
    z.op("slice", fixed(), Op::slice(2, 1, Some(6), 2));
    z.op("slice_to_end", free(), Op::slice(3, 0, None, 2));
    z.op("softmax", Shape::batch(&[6]), Op::Softmax { axis: 1 });
    z.op("softmax_channels", fixed(), Op::Softmax { axis: 1 });
    z.op("cast_float", fixed(), Op::Cast { dtype: DType::F64 });
}

/// Integers as a weight.
fn integers(g: &mut GraphBuilder, name: &str, dtype: DType, shape: &[usize]) -> ValueId {
    let count = shape.iter().product::<usize>() * dtype.size();
    let bytes: Vec<u8> = numbers(count, name.len() as u64, -60.0, 60.0).iter().map(|v| *v as i8 as u8).collect();
    g.weight(name, Tensor::from_bytes(dtype, Endian::Little, shape.to_vec(), bytes.into()).unwrap())
}

fn integer(g: &mut GraphBuilder, name: &str, dtype: DType, value: u8) -> ValueId {
    g.weight(name, Tensor::from_bytes(dtype, Endian::Little, Vec::new(), vec![value].into()).unwrap())
}

fn quantized(z: &mut Cases) {
    let whole = Granularity::default();
    let u8s = |granularity| Op::Quantize(Quantize { dtype: DType::U8, granularity });
    z.add("quantize", fixed(), |g, x| {
        let (scale, zero) = (weight_in(g, "scale", &[], 0.01, 0.02), integer(g, "zero", DType::U8, 117));
        let q = g.add("q", u8s(whole), &[x, scale, zero]);
        g.output(q);
        g.add("y", Op::Dequantize(whole), &[q, scale, zero])
    });
    z.add("integers_as_reals", fixed(), |g, x| {
        let scale = weight_in(g, "scale", &[], 0.01, 0.02);
        let q = g.add("q", u8s(whole), &[x, scale]);
        let real = g.add("real", Op::Cast { dtype: DType::F32 }, &[q]);
        g.add("y", Op::Elementwise(Elementwise::Mul), &[real, scale])
    });
    z.add("quantize_to_i8_without_zero", fixed(), |g, x| {
        let scale = weight_in(g, "scale", &[4], 0.01, 0.02);
        let granularity = Granularity { axis: 1, block: None };
        let q = g.add("q", Op::Quantize(Quantize { dtype: DType::I8, granularity }), &[x, scale]);
        g.add("y", Op::Dequantize(granularity), &[q, scale])
    });
    z.add("quantized_conv", fixed(), |g, x| {
        let (scale, zero) = (weight_in(g, "scale", &[], 0.01, 0.02), integer(g, "zero", DType::U8, 117));
        let q = g.add("q", u8s(whole), &[x, scale, zero]);
        let x = g.add("x'", Op::Dequantize(whole), &[q, scale, zero]);
        let (kernel, steps) =
            (integers(g, "kernel", DType::I8, &[5, 4, 3, 3]), weight_in(g, "steps", &[5], 0.01, 0.02));
        let kernel = g.add("kernel'", Op::Dequantize(whole), &[kernel, steps]);
        let y = g.add("conv", Op::Conv(Conv::default()), &[x, kernel]);
        let zero = integer(g, "y zero", DType::U8, 100);
        let wide = weight_in(g, "y scale", &[], 0.1, 0.2);
        g.add("y", u8s(whole), &[y, wide, zero])
    });
    z.add("quantized_linear", Shape::batch(&[6]), |g, x| {
        let (weight, steps) = (integers(g, "weight", DType::I8, &[6, 5]), weight_in(g, "steps", &[5], 0.01, 0.02));
        let granularity = Granularity { axis: 1, block: None };
        let weight = g.add("weight'", Op::Dequantize(granularity), &[weight, steps]);
        let turned = g.add("turned", Op::Transpose { perm: vec![1, 0] }, &[weight]);
        g.add("y", Op::Linear, &[x, turned])
    });
    z.add("quantized_by_its_range", fixed(), |g, x| {
        let scale = g.add("scale", Op::DynamicRange(DynamicRange::Scale), &[x]);
        let zero = g.add("zero", Op::DynamicRange(DynamicRange::ZeroPoint), &[x]);
        let q = g.add("q", u8s(whole), &[x, scale, zero]);
        g.output(q);
        g.output(zero);
        g.add("y", Op::Dequantize(whole), &[q, scale, zero])
    });
    z.add("a_range_alone", fixed(), |g, x| {
        let zero = g.add("zero", Op::DynamicRange(DynamicRange::ZeroPoint), &[x]);
        g.output(zero);
        g.add("y", Op::DynamicRange(DynamicRange::Scale), &[x])
    });
}

fn interfaces(z: &mut Cases) {
    z.op("identity", fixed(), Op::Identity(IdentityReason::Linear));
    z.add("identities_behind", fixed(), |g, x| {
        let y = g.add("relu", Op::Activation(Activation::RELU), &[x]);
        let y = g.add("dropout", Op::Identity(IdentityReason::Dropout), &[y]);
        g.add("linear", Op::Identity(IdentityReason::Linear), &[y])
    });
    z.add("a_layer_and_its_identity", fixed(), |g, x| {
        let y = g.add("relu", Op::Activation(Activation::RELU), &[x]);
        g.output(y);
        let again = g.add("linear", Op::Identity(IdentityReason::Linear), &[y]);
        g.output(again);
        g.add("tanh", Op::Activation(Activation::Tanh), &[again])
    });
    z.add("an_input_as_output_twice", fixed(), |g, x| {
        g.output(x);
        g.output(x);
        g.add("relu", Op::Activation(Activation::RELU), &[x])
    });
    z.add("a_weight_as_output", fixed(), |g, x| {
        let scale = weight(g, "scale", &[1, 4, 1, 1]);
        g.output(scale);
        g.add("y", Op::Elementwise(Elementwise::Mul), &[x, scale])
    });
    z.add("a_name_left_empty", fixed(), |g, x| {
        let y = g.add("", Op::Activation(Activation::RELU), &[x]);
        g.add("y", Op::Activation(Activation::Tanh), &[y])
    });
    z.0.push(Case { name: "channels_last".to_owned(), since: 0, model: validate(channels_last()).unwrap() });
}

/// As a Keras reader leaves it: NHWC in the source, with a flattened image and an image as outputs.
fn channels_last() -> Graph {
    let mut g = GraphBuilder::new("channels_last");
    let ty = InputType { dtype: DType::F32, shape: fixed() };
    let x = g.input_with("image", ty, SourceOrder::channels_last());
    let flat = InputType { dtype: DType::F32, shape: Shape::batch(&[4 * 7 * 6]) };
    let order = SourceOrder::FlattenedChannelsLast { channels: 4, height: 7, width: 6 };
    let vector = g.input_with("vector", flat, order.clone());
    let y = g.add("relu", Op::Activation(Activation::RELU), &[x]);
    g.set_order(y, SourceOrder::channels_last());
    let rows = g.add("flatten", Op::Flatten { axis: 1 }, &[y]);
    g.set_order(rows, order.clone());
    let sum = g.add("sum", Op::Elementwise(Elementwise::Add), &[rows, vector]);
    g.set_order(sum, order);
    g.output(y);
    g.output(sum);
    finish(g)
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    convolutions(&mut cases);
    pools(&mut cases);
    norms(&mut cases);
    activations(&mut cases);
    arithmetic(&mut cases);
    ranks(&mut cases);
    resizes(&mut cases);
    gathers(&mut cases);
    axes(&mut cases);
    quantized(&mut cases);
    interfaces(&mut cases);
    cases.0
}

/// Inputs in the graph's order; free sizes are those of the cases.
pub(crate) fn inputs(model: &Checked) -> Vec<Array> {
    let sizes = [2, 4, 7, 6];
    let graph = model.graph();
    let arrays = graph.inputs().iter().enumerate().map(|(index, &id)| {
        let dims = model.shape_of(id).unwrap().dims().iter().enumerate();
        let shape: Vec<usize> = dims.map(|(axis, dim)| dim.fixed().unwrap_or(sizes[axis])).collect();
        let values = numbers(shape.iter().product(), 7 + index as u64, -2.0, 2.0);
        Array::new(shape, values).unwrap()
    });
    arrays.collect()
}

pub(crate) fn run(model: &Checked, inputs: &[Array]) -> Vec<Array> {
    let options = Options { precision: Precision::F64, ..Options::default() };
    Executor::new(model, &options).unwrap().run(inputs).unwrap().outputs
}

/// Largest difference relative to the largest value.
pub(crate) fn difference(a: &[Array], b: &[Array]) -> f64 {
    assert_eq!(a.len(), b.len());
    let of = |a: &Array, b: &Array| {
        assert_eq!(a.shape(), b.shape());
        let (a, b) = (a.to_f64(), b.to_f64());
        let scale = a.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
        a.iter().zip(&b).fold(0f64, |m, (x, y)| if x == y { m } else { m.max((x - y).abs()) }) / scale
    };
    a.iter().zip(b).map(|(a, b)| of(a, b)).fold(0.0, f64::max)
}
