//! What normalisation makes of a graph is the same function: bit for bit where a pass says so, to rounding elsewhere.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use residua_exec::{Array, Executor, Options, Precision, compare, order};
use residua_ir::rewrite::{Change, normalise};
use residua_ir::{
    Activation, AvgPool, Checked, Conv, Dim, Elementwise, GlobalPool, GraphBuilder, GroupNorm, IdentityReason, MaxPool,
    Op, Pad, Padding, Pads, PoolKind, Reduce, ReshapeDim, Shape, SourceOrder, Tensor, Typed, ValueId, validate,
};

const TO_FIRST: [usize; 4] = [0, 3, 1, 2];
const TO_LAST: [usize; 4] = [0, 2, 3, 1];

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + seed) * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
}

/// Nodes in few words.
struct Write {
    g: GraphBuilder,
    count: usize,
}

impl Write {
    fn new(dims: &[usize]) -> (Self, ValueId) {
        let mut g = GraphBuilder::new("exported");
        let dims = std::iter::once(Dim::symbol("N")).chain(dims.iter().map(|&size| Dim::Fixed(size))).collect();
        let x = g.input("x", Shape::new(dims));
        (Self { g, count: 0 }, x)
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("n{}", self.count)
    }

    fn op(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = self.name();
        self.g.add(&name, op, inputs)
    }

    fn tensor(&mut self, shape: &[usize]) -> ValueId {
        let name = self.name();
        let values = numbers(shape.iter().product(), self.count);
        self.g.weight(&name, Tensor::from_f32(shape.to_vec(), &values).unwrap())
    }

    fn number(&mut self, value: f32) -> ValueId {
        let name = self.name();
        self.g.weight(&name, Tensor::from_f32(vec![], &[value]).unwrap())
    }

    fn filled(&mut self, count: usize, value: f32) -> ValueId {
        let name = self.name();
        self.g.weight(&name, Tensor::from_f32(vec![count], &vec![value; count]).unwrap())
    }

    fn turn(&mut self, x: ValueId, perm: [usize; 4]) -> ValueId {
        self.op(Op::Transpose { perm: perm.to_vec() }, &[x])
    }

    fn conv(&mut self, x: ValueId, kernel: [usize; 4], stride: usize, pad: usize) -> ValueId {
        let kernel = self.tensor(&kernel);
        let padding = Padding::Explicit(Pads::all(pad));
        self.op(Op::Conv(Conv { strides: [stride; 2], padding, ..Conv::default() }), &[x, kernel])
    }

    fn two(&mut self, op: Elementwise, a: ValueId, b: ValueId) -> ValueId {
        self.op(Op::Elementwise(op), &[a, b])
    }

    fn with(&mut self, op: Elementwise, x: ValueId, shape: &[usize]) -> ValueId {
        let tensor = self.tensor(shape);
        self.two(op, x, tensor)
    }

    fn relu(&mut self, x: ValueId) -> ValueId {
        self.op(Op::Activation(Activation::RELU), &[x])
    }

    fn finish(mut self, outputs: &[ValueId]) -> Checked {
        outputs.iter().for_each(|&output| self.g.output(output));
        validate(self.g.finish().unwrap()).unwrap()
    }
}

fn ops(model: &Typed) -> String {
    model.graph().nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>().join(" ")
}

/// Outputs as the source shows them.
fn run(model: &Checked, input: &Array) -> Vec<Array> {
    let graph = model.graph();
    let options = Options { precision: Precision::F64, threads: Some(1), ..Options::default() };
    let input = order::from_source(input, &graph.value(graph.inputs()[0]).order).unwrap();
    let results = Executor::new(model, &options).unwrap().run(&[input]).unwrap();
    let outputs = results.outputs.iter().zip(graph.outputs());
    outputs.map(|(array, &id)| order::to_source(array, &graph.value(id).order).unwrap()).collect()
}

/// Normalises, and holds both against each other; gives the operators that are left.
fn same_function(model: &Checked) -> (String, Change) {
    let normal = normalise(model).unwrap().unwrap();
    let changed = validate(normal.model.graph().clone()).unwrap();
    let dims = model.shape_of(model.graph().inputs()[0]).unwrap().dims().iter();
    let shape: Vec<usize> = dims.map(|dim| dim.fixed().unwrap_or(2)).collect();
    let input = Array::new(shape.clone(), numbers(shape.iter().product(), 5)).unwrap();
    let pairs = run(model, &input).into_iter().zip(run(&changed, &input));
    for (before, after) in pairs {
        assert_eq!(before.shape(), after.shape(), "{}", normal.model.graph());
        match normal.change() {
            Change::Nothing => assert!(compare::bit_identical(&before, &after), "{}", normal.model.graph()),
            Change::Rounding => {
                let difference = compare::difference(&before, &after).unwrap();
                // Exporters write the numbers of an activation as f32.
                assert!(difference.max_rel < f64::from(f32::EPSILON) / 2.0, "{difference:?}\n{}", normal.model.graph());
            }
        }
    }
    if let Some(again) = normalise(&normal.model).unwrap() {
        panic!("{:?}\n{}", again.applied, normal.model.graph());
    }
    for node in normal.model.graph().node_ids() {
        assert!(normal.origin.node(node).index() < model.graph().nodes().len());
    }
    let change = normal.change();
    (ops(&normal.model), change)
}

/// A network of TensorFlow: channels last, every convolution between transposes.
#[test]
fn an_island_of_channels_first_grows_over_the_whole_network() {
    let (mut w, x) = Write::new(&[9, 9, 3]);
    let scale = w.number(1.0 / 127.5);
    let x = w.two(Elementwise::Mul, x, scale);
    let x = w.with(Elementwise::Sub, x, &[3]);
    let x =
        w.op(Op::Pad(Pad { pads: Pads { top: 1, left: 0, bottom: 1, right: 0 }, channels: [1, 1], value: 0.0 }), &[x]);
    let conv = |w: &mut Write, x: ValueId, kernel: [usize; 4], stride: usize, pad: usize| {
        let x = w.turn(x, TO_FIRST);
        let x = w.conv(x, kernel, stride, pad);
        w.turn(x, TO_LAST)
    };
    let x = conv(&mut w, x, [8, 3, 3, 3], 1, 0);
    let x = w.with(Elementwise::Mul, x, &[8]);
    let x = w.with(Elementwise::Add, x, &[1, 1, 1, 8]);
    let x = w.relu(x);
    let y = conv(&mut w, x, [8, 8, 3, 3], 1, 1);
    let y = w.two(Elementwise::Add, y, x);
    let pooled = w.turn(y, TO_FIRST);
    let pool =
        MaxPool { kernel: [3, 3], strides: [2, 2], padding: Padding::default(), dilations: [1, 1], ceil_mode: false };
    let pooled = w.op(Op::MaxPool(pool), &[pooled]);
    let pooled = w.turn(pooled, TO_LAST);
    let both = w.op(Op::Concat { axis: 3 }, &[pooled, pooled]);
    let mean = w.op(Op::Reduce(Reduce { kind: PoolKind::Mean, axes: vec![1, 2], keep_dims: false }), &[both]);
    let weight = w.tensor(&[5, 16]);
    let dense = w.op(Op::Linear, &[mean, weight]);
    let dense = w.with(Elementwise::Add, dense, &[5]);
    let model = w.finish(&[dense, y]);
    let (ops, change) = same_function(&model);
    assert_eq!(ops, "Mul Sub Conv BatchNorm Relu Conv Add MaxPool Concat GlobalAvgPool Linear");
    assert_eq!(change, Change::Nothing);
    let normal = normalise(&model).unwrap().unwrap().model;
    let input = normal.graph().inputs()[0];
    assert_eq!(normal.source_shape_of(input).unwrap().to_string(), "[N, 9, 9, 3]");
    assert_eq!(normal.graph().value(input).order, SourceOrder::channels_last());
}

#[test]
fn a_flattened_image_whose_channels_come_last_meets_weights_that_are_seen_otherwise() {
    let (mut w, x) = Write::new(&[3, 6, 6]);
    let x = w.conv(x, [4, 3, 3, 3], 1, 0);
    let x = w.turn(x, TO_LAST);
    let x = w.op(Op::Reshape { shape: vec![ReshapeDim::Infer, ReshapeDim::Fixed(64)] }, &[x]);
    let x = w.relu(x);
    let weight = w.tensor(&[5, 64]);
    let x = w.op(Op::Linear, &[x, weight]);
    let (ops, change) = same_function(&w.finish(&[x]));
    assert_eq!((ops.as_str(), change), ("Conv Flatten Relu Linear", Change::Rounding));
}

#[test]
fn a_matrix_product_over_the_channels_of_pixels_is_a_convolution() {
    let (mut w, x) = Write::new(&[4, 6, 6]);
    let y = w.conv(x, [4, 4, 3, 3], 1, 1);
    let y = w.turn(y, TO_LAST);
    let weight = w.tensor(&[4, 4]);
    let y = w.op(Op::Linear, &[y, weight]);
    let y = w.with(Elementwise::Add, y, &[4]);
    let y = w.turn(y, TO_FIRST);
    let y = w.two(Elementwise::Add, x, y);
    let (ops, _) = same_function(&w.finish(&[y]));
    assert_eq!(ops, "Conv Conv Add");
}

#[test]
fn transposes_stay_where_nothing_is_won() {
    // One transpose, three readers that need what it gives.
    let (mut w, x) = Write::new(&[6, 6, 4]);
    let x = w.relu(x);
    let turned = w.turn(x, TO_FIRST);
    let branches = [0, 1, 2].map(|_| w.conv(turned, [4, 4, 1, 1], 1, 0));
    let sum = w.op(Op::Elementwise(Elementwise::Add), &branches);
    let back = w.op(Op::Transpose { perm: vec![0, 3, 2, 1] }, &[sum]);
    let weight = w.tensor(&[2, 4]);
    let products = [0, 1].map(|_| w.op(Op::Linear, &[back, weight]));
    let model = w.finish(&products);
    let (ops, change) = same_function(&model);
    assert_eq!((ops.matches("Transpose").count(), change), (1, Change::Nothing), "{ops}");
}

#[test]
fn what_a_gate_over_channels_last_needs_is_moved_too() {
    let (mut w, x) = Write::new(&[8, 6, 6]);
    let conv = w.conv(x, [8, 8, 3, 3], 1, 1);
    let x = w.turn(conv, TO_LAST);
    let squeezed = w.op(Op::Reduce(Reduce { kind: PoolKind::Mean, axes: vec![1, 2], keep_dims: true }), &[x]);
    let gate = w.turn(squeezed, TO_FIRST);
    let gate = w.conv(gate, [2, 8, 1, 1], 1, 0);
    let gate = w.relu(gate);
    let gate = w.conv(gate, [8, 2, 1, 1], 1, 0);
    let gate = w.turn(gate, TO_LAST);
    let gate = w.op(Op::Activation(Activation::Sigmoid), &[gate]);
    let gated = w.two(Elementwise::Mul, x, gate);
    let y = w.turn(gated, TO_FIRST);
    let y = w.conv(y, [8, 8, 1, 1], 1, 0);
    let (ops, change) = same_function(&w.finish(&[y]));
    assert_eq!(ops, "Conv GlobalAvgPool Conv Relu Conv Sigmoid Mul Conv");
    assert_eq!(change, Change::Nothing);
}

#[test]
fn padding_goes_into_convolutions_and_whole_averages_and_into_no_maximum() {
    let zeros = Pad { pads: Pads { top: 0, left: 0, bottom: 1, right: 1 }, channels: [0, 0], value: 0.0 };
    let (mut w, x) = Write::new(&[3, 8, 8]);
    let x = w.op(Op::Pad(zeros), &[x]);
    let x = w.conv(x, [4, 3, 3, 3], 2, 0);
    let average = AvgPool {
        kernel: [2, 2],
        strides: [2, 2],
        padding: Padding::default(),
        dilations: [1, 1],
        ceil_mode: false,
        count_include_pad: false,
    };
    let padded = w.op(Op::Pad(zeros), &[x]);
    let a = w.op(Op::AvgPool(average), &[padded]);
    let padded = w.op(Op::Pad(zeros), &[x]);
    let (kernel, strides, dilations) = ([2, 2], [2, 2], [1, 1]);
    let pool = MaxPool { kernel, strides, dilations, padding: Padding::default(), ceil_mode: false };
    let b = w.op(Op::MaxPool(pool), &[padded]);
    let ones = w.op(Op::Pad(Pad { value: 1.0, ..zeros }), &[x]);
    let c = w.conv(ones, [4, 4, 3, 3], 1, 0);
    let (ops, change) = same_function(&w.finish(&[a, b, c]));
    assert_eq!((ops.as_str(), change), ("Conv AvgPool Pad MaxPool Pad Conv", Change::Nothing));
}

#[test]
fn a_lone_factor_and_what_prepares_the_image_are_no_batch_norms() {
    let (mut w, x) = Write::new(&[3, 8, 8]);
    let x = w.with(Elementwise::Mul, x, &[3, 1, 1]);
    let x = w.with(Elementwise::Add, x, &[1, 3, 1, 1]);
    let x = w.conv(x, [4, 3, 1, 1], 1, 0);
    let y = w.with(Elementwise::Mul, x, &[4, 1, 1]);
    let z = w.with(Elementwise::Sub, x, &[1, 4, 1, 1]);
    let z = w.with(Elementwise::Mul, z, &[1, 4, 1, 1]);
    let z = w.with(Elementwise::Add, z, &[1, 4, 1, 1]);
    // One number a row is none a channel.
    let rows = w.with(Elementwise::Mul, x, &[8, 1]);
    let rows = w.with(Elementwise::Add, rows, &[8, 1]);
    let sum = w.op(Op::Elementwise(Elementwise::Add), &[y, z, rows]);
    let (ops, change) = same_function(&w.finish(&[sum]));
    assert_eq!((ops.as_str(), change), ("Mul Add Conv Mul BatchNorm Mul Add Add", Change::Nothing));
}

#[test]
fn biases_that_were_added_are_biases_again() {
    let (mut w, x) = Write::new(&[3, 8, 8]);
    let x = w.conv(x, [4, 3, 3, 3], 1, 0);
    let x = w.with(Elementwise::Add, x, &[1, 4, 1, 1]);
    let x = w.with(Elementwise::Add, x, &[4, 1, 1]);
    let (ops, change) = same_function(&w.finish(&[x]));
    assert_eq!((ops.as_str(), change), ("Conv Add", Change::Nothing));
}

#[test]
fn a_group_norm_between_reshapes_is_one() {
    let (mut w, x) = Write::new(&[8, 4, 4]);
    let (ones, zeros) = (w.filled(2, 1.0), w.filled(2, 0.0));
    let grouped = Op::Reshape { shape: vec![ReshapeDim::Copy(0), ReshapeDim::Fixed(2), ReshapeDim::Infer] };
    let y = w.op(grouped, &[x]);
    let y = w.op(Op::GroupNorm(GroupNorm { groups: 2, epsilon: 1e-5 }), &[y, ones, zeros]);
    let back = [ReshapeDim::Infer, ReshapeDim::Fixed(8), ReshapeDim::Fixed(4), ReshapeDim::Fixed(4)];
    let y = w.op(Op::Reshape { shape: back.to_vec() }, &[y]);
    let y = w.with(Elementwise::Mul, y, &[8, 1, 1]);
    let y = w.with(Elementwise::Add, y, &[8, 1, 1]);
    let (ops, _) = same_function(&w.finish(&[y]));
    assert_eq!(ops, "GroupNorm");
}

#[test]
fn a_layer_norm_that_was_written_out_is_one() {
    let (mut w, x) = Write::new(&[6, 5]);
    let mean = |w: &mut Write, x: ValueId| {
        w.op(Op::Reduce(Reduce { kind: PoolKind::Mean, axes: vec![2], keep_dims: true }), &[x])
    };
    let centre = mean(&mut w, x);
    let difference = w.two(Elementwise::Sub, x, centre);
    let two = w.number(2.0);
    let squares = w.two(Elementwise::Pow, difference, two);
    let variance = mean(&mut w, squares);
    let epsilon = w.number(1e-6);
    let variance = w.two(Elementwise::Add, variance, epsilon);
    let deviation = w.op(Op::Activation(Activation::Sqrt), &[variance]);
    let y = w.two(Elementwise::Div, difference, deviation);
    let y = w.with(Elementwise::Mul, y, &[5]);
    let y = w.with(Elementwise::Add, y, &[5]);
    let (ops, _) = same_function(&w.finish(&[y]));
    assert_eq!(ops, "LayerNorm");
}

#[test]
fn heads_are_a_global_pool_whatever_they_are_written_as() {
    type Head<'h> = &'h dyn Fn(&mut Write, ValueId) -> ValueId;
    let head = |build: Head<'_>| {
        let (mut w, x) = Write::new(&[4, 5, 5]);
        let y = build(&mut w, x);
        same_function(&w.finish(&[y]))
    };
    let mean = |axes: &[usize], keep_dims| Op::Reduce(Reduce { kind: PoolKind::Mean, axes: axes.to_vec(), keep_dims });
    let global = Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims: true });
    let cases: [(Head<'_>, Change); 4] = [
        (&|w, x| w.op(mean(&[2, 3], false), &[x]), Change::Nothing),
        (
            &|w, x| {
                let y = w.op(global.clone(), &[x]);
                w.op(Op::Squeeze { axes: vec![2, 3] }, &[y])
            },
            Change::Nothing,
        ),
        (
            &|w, x| {
                let y = w.op(mean(&[2, 3], true), &[x]);
                w.op(Op::Reshape { shape: vec![ReshapeDim::Infer, ReshapeDim::Fixed(4)] }, &[y])
            },
            Change::Nothing,
        ),
        (
            &|w, x| {
                let padding = Padding::default();
                let pool = AvgPool {
                    kernel: [5, 5],
                    strides: [1, 1],
                    padding,
                    dilations: [1, 1],
                    ceil_mode: false,
                    count_include_pad: true,
                };
                let y = w.op(Op::AvgPool(pool), &[x]);
                w.op(Op::Flatten { axis: 1 }, &[y])
            },
            Change::Rounding,
        ),
    ];
    for (build, change) in cases {
        assert_eq!(head(build), ("GlobalAvgPool".to_owned(), change));
    }
}

#[test]
fn nothing_is_left_of_what_does_nothing() {
    let (mut w, x) = Write::new(&[4, 5, 5]);
    let x = w.op(Op::Identity(IdentityReason::Dropout), &[x]);
    let x = w.relu(x);
    let x = w.op(Op::Concat { axis: 1 }, &[x]);
    let shape = vec![ReshapeDim::Copy(0), ReshapeDim::Fixed(4), ReshapeDim::Fixed(5), ReshapeDim::Infer];
    let x = w.op(Op::Reshape { shape }, &[x]);
    let x = w.op(Op::slice(2, 0, Some(9), 1), &[x]);
    let x = w.op(Op::Elementwise(Elementwise::Add), &[x]);
    let model = w.finish(&[x]);
    let (ops, change) = same_function(&model);
    assert_eq!((ops.as_str(), change), ("Relu", Change::Nothing));
    let normal = normalise(&model).unwrap().unwrap();
    let name = |model: &Typed| model.graph().value(model.graph().outputs()[0]).name.clone();
    assert_eq!(name(&normal.model), name(&model), "an output keeps its name");
}

#[test]
fn activations_that_were_written_out_are_activations_within_the_noise_of_their_numbers() {
    let sample = |build: &dyn Fn(&mut Write, ValueId) -> ValueId| {
        let (mut w, x) = Write::new(&[4, 5, 5]);
        let y = build(&mut w, x);
        same_function(&w.finish(&[y])).0
    };
    let number = |w: &mut Write, op: Elementwise, x: ValueId, value: f32| {
        let value = w.number(value);
        w.two(op, x, value)
    };
    let gelu = sample(&|w, x| {
        let cube = number(w, Elementwise::Pow, x, 3.0);
        let cube = number(w, Elementwise::Mul, cube, 0.044_715);
        let inner = w.two(Elementwise::Add, x, cube);
        let inner = number(w, Elementwise::Mul, inner, (2.0 / std::f32::consts::PI).sqrt());
        let tanh = w.op(Op::Activation(Activation::Tanh), &[inner]);
        let one = number(w, Elementwise::Add, tanh, 1.0);
        let half = number(w, Elementwise::Mul, x, 0.5);
        w.two(Elementwise::Mul, half, one)
    });
    assert_eq!(gelu, "Gelu");
    let mish = sample(&|w, x| {
        let softplus = w.op(Op::Activation(Activation::Softplus), &[x]);
        let gate = w.op(Op::Activation(Activation::Tanh), &[softplus]);
        w.two(Elementwise::Mul, x, gate)
    });
    assert_eq!(mish, "Mish");
    let relu6 = sample(&|w, x| {
        let least = number(w, Elementwise::Max, x, 0.0);
        number(w, Elementwise::Min, least, 6.0)
    });
    assert_eq!(relu6, "Relu6");
    let hard_sigmoid = sample(&|w, x| {
        let scaled = number(w, Elementwise::Mul, x, 0.2);
        let sum = number(w, Elementwise::Add, scaled, 0.5);
        w.op(Op::Activation(Activation::Relu { negative_slope: 0.0, threshold: 0.0, max_value: Some(1.0) }), &[sum])
    });
    assert_eq!(hard_sigmoid, "HardSigmoid");
}
