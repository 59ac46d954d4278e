//! Every operator on small values whose results are worked out by hand or known from its framework, in both precisions.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{
    Activation, AvgPool, BatchNorm, DType, Elementwise, GlobalPool, GraphBuilder, GroupNorm, IdentityReason, LayerNorm,
    MaxPool, Op, Pad, Padding, Pads, PoolKind, Reduce, ReshapeDim, Shape, Tensor, validate,
};

type Value<'a> = (&'a [usize], &'a [f32]);

fn iota(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32).collect()
}

/// Runs one node on inputs of these values, in both precisions; further operands are weights.
fn check(op: &Op, x: Value<'_>, weights: &[Value<'_>], shape: &[usize], expected: &[f64]) {
    let mut g = GraphBuilder::new("one");
    let mut operands = vec![g.input("x", Shape::fixed(x.0))];
    for (i, (shape, values)) in weights.iter().enumerate() {
        operands.push(g.weight(&format!("w{i}"), Tensor::from_f32(shape.to_vec(), values).unwrap()));
    }
    let y = g.add("y", op.clone(), &operands);
    g.output(y);
    let model = validate(g.finish().unwrap()).unwrap();
    for (precision, tolerance) in [(Precision::F64, 1e-12), (Precision::F32, 1e-6)] {
        let executor = Executor::new(&model, &Options { precision, ..Options::default() }).unwrap();
        let results = executor.run(&[Array::new(x.0.to_vec(), x.1.to_vec()).unwrap()]).unwrap();
        let y = &results.outputs[0];
        assert_eq!(y.shape(), shape, "{op:?}");
        let found = y.to_f64();
        assert_eq!(found.len(), expected.len(), "{op:?}");
        for (a, b) in found.iter().zip(expected) {
            assert!(
                (a - b).abs() <= tolerance * (1.0 + b.abs()),
                "{op:?} {precision:?}: {found:?} is not {expected:?}"
            );
        }
    }
}

#[test]
fn batch_norm_scales_each_channel_and_keeps_a_variance_of_zero_finite() {
    let op = Op::BatchNorm(BatchNorm { epsilon: 1.0 });
    let weights: [Value<'_>; 4] = [(&[2], &[2.0, 1.0]), (&[2], &[0.5, 0.0]), (&[2], &[1.0, 3.0]), (&[2], &[3.0, 0.0])];
    check(&op, (&[1, 2, 1, 2], &[1.0, 3.0, 3.0, 5.0]), &weights, &[1, 2, 1, 2], &[0.5, 2.5, 0.0, 2.0]);
    check(&op, (&[2, 2], &[1.0, 3.0, 3.0, 5.0]), &weights, &[2, 2], &[0.5, 0.0, 2.5, 2.0]);
}

#[test]
fn group_and_layer_norm_use_the_biased_variance() {
    let ones: Value<'_> = (&[2], &[1.0, 2.0]);
    let zeros: Value<'_> = (&[2], &[0.0, 10.0]);
    let (a, b) = (1.0 / 1.25f64.sqrt() * 1.5, 1.0 / 1.25f64.sqrt() * 0.5);
    let x: Value<'_> = (&[1, 2, 1, 2], &[1.0, 2.0, 3.0, 4.0]);
    let op = Op::GroupNorm(GroupNorm { groups: 1, epsilon: 0.0 });
    check(&op, x, &[ones, zeros], &[1, 2, 1, 2], &[-a, -b, 10.0 + 2.0 * b, 10.0 + 2.0 * a]);
    let op = Op::GroupNorm(GroupNorm { groups: 2, epsilon: 0.0 });
    check(&op, x, &[ones, zeros], &[1, 2, 1, 2], &[-1.0, 1.0, 8.0, 12.0]);
    let op = Op::LayerNorm(LayerNorm { axes: vec![1], epsilon: 0.0 });
    check(&op, x, &[ones, zeros], &[1, 2, 1, 2], &[-1.0, -1.0, 12.0, 12.0]);
}

#[test]
fn prelu_takes_a_slope_a_channel() {
    let slope: Value<'_> = (&[2, 1, 1], &[0.5, -1.0]);
    check(&Op::PRelu, (&[1, 2, 1, 2], &[-2.0, 2.0, -3.0, 3.0]), &[slope], &[1, 2, 1, 2], &[-1.0, 2.0, 3.0, 3.0]);
}

#[test]
fn elementwise_operators_fold_from_the_left_and_broadcast() {
    let x: Value<'_> = (&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let row: Value<'_> = (&[2], &[10.0, 20.0]);
    let column: Value<'_> = (&[2, 1], &[1.0, 2.0]);
    let two = [2, 2];
    check(&Op::Elementwise(Elementwise::Add), x, &[row, column], &two, &[12.0, 23.0, 15.0, 26.0]);
    check(&Op::Elementwise(Elementwise::Sub), x, &[column], &two, &[0.0, 1.0, 1.0, 2.0]);
    check(&Op::Elementwise(Elementwise::Mul), x, &[row], &two, &[10.0, 40.0, 30.0, 80.0]);
    check(&Op::Elementwise(Elementwise::Div), x, &[column], &two, &[1.0, 2.0, 1.5, 2.0]);
    check(&Op::Elementwise(Elementwise::Max), x, &[(&[], &[2.5])], &two, &[2.5, 2.5, 3.0, 4.0]);
    check(&Op::Elementwise(Elementwise::Min), x, &[(&[], &[2.5])], &two, &[1.0, 2.0, 2.5, 2.5]);
    check(&Op::Elementwise(Elementwise::Mean), x, &[row, column], &two, &[4.0, 23.0 / 3.0, 5.0, 26.0 / 3.0]);
    check(&Op::Elementwise(Elementwise::Pow), x, &[(&[1], &[2.0])], &two, &[1.0, 4.0, 9.0, 16.0]);
    // The result may have more axes than the first operand.
    check(&Op::Elementwise(Elementwise::Add), (&[2], &[1.0, 2.0]), &[column], &two, &[2.0, 3.0, 3.0, 4.0]);
}

#[test]
fn pools_treat_padding_as_their_definition_says() {
    let x = iota(9).iter().map(|v| v - 10.0).collect::<Vec<f32>>();
    let x: Value<'_> = (&[1, 1, 3, 3], &x);
    let max = MaxPool {
        kernel: [3, 3],
        strides: [2, 2],
        padding: Padding::Explicit(Pads::all(1)),
        dilations: [1, 1],
        ceil_mode: false,
    };
    check(&Op::MaxPool(max), x, &[], &[1, 1, 2, 2], &[-6.0, -5.0, -3.0, -2.0]);
    let dilated = MaxPool { kernel: [2, 2], strides: [1, 1], padding: Padding::default(), dilations: [2, 2], ..max };
    check(&Op::MaxPool(dilated), x, &[], &[1, 1, 1, 1], &[-2.0]);
    let mean = |count_include_pad| {
        let padding = Padding::Explicit(Pads::all(1));
        AvgPool { kernel: [3, 3], strides: [2, 2], padding, ceil_mode: false, count_include_pad }
    };
    check(&Op::AvgPool(mean(false)), x, &[], &[1, 1, 2, 2], &[-8.0, -7.0, -5.0, -4.0]);
    let padded = [-8.0, -7.0, -5.0, -4.0].map(|v| v * 4.0 / 9.0);
    check(&Op::AvgPool(mean(true)), x, &[], &[1, 1, 2, 2], &padded);
}

#[test]
fn reductions_go_over_any_axes() {
    let values = iota(12);
    let x: Value<'_> = (&[1, 2, 2, 3], &values);
    let mean = |keep_dims| Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims });
    check(&mean(false), x, &[], &[1, 2], &[2.5, 8.5]);
    check(&mean(true), x, &[], &[1, 2, 1, 1], &[2.5, 8.5]);
    let reduce = |kind, axes: &[usize], keep_dims| Op::Reduce(Reduce { kind, axes: axes.to_vec(), keep_dims });
    check(&reduce(PoolKind::Sum, &[1, 3], false), x, &[], &[1, 2], &[24.0, 42.0]);
    check(&reduce(PoolKind::Max, &[2], true), x, &[], &[1, 2, 1, 3], &[3.0, 4.0, 5.0, 9.0, 10.0, 11.0]);
    check(&reduce(PoolKind::Min, &[0, 1, 2, 3], false), x, &[], &[], &[0.0]);
}

#[test]
fn products_multiply_the_last_axes() {
    let x: Value<'_> = (&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let weight: Value<'_> = (&[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    check(&Op::Linear, x, &[weight, (&[3], &[10.0, 20.0, 30.0])], &[2, 3], &[11.0, 22.0, 33.0, 13.0, 24.0, 37.0]);
    check(&Op::Linear, (&[1, 1, 2], &[1.0, 2.0]), &[weight], &[1, 1, 3], &[1.0, 2.0, 3.0]);
    let b: Value<'_> = (&[2, 2, 1], &[1.0, 1.0, 2.0, -1.0]);
    check(&Op::MatMul, x, &[b], &[2, 2, 1], &[3.0, 7.0, 0.0, 2.0]);
    check(&Op::MatMul, (&[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]), &[(&[2, 1], &[1.0, 1.0])], &[2, 1, 1], &[3.0, 7.0]);
}

#[test]
fn moves_put_elements_where_they_belong() {
    let values = iota(4);
    let x: Value<'_> = (&[1, 1, 2, 2], &values);
    let pad = Pad { pads: Pads { top: 1, left: 0, bottom: 0, right: 1 }, channels: [0, 1], value: 7.0 };
    let expected = [7.0, 7.0, 7.0, 0.0, 1.0, 7.0, 2.0, 3.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0];
    check(&Op::Pad(pad), x, &[], &[1, 2, 3, 3], &expected);
    check(&Op::Concat { axis: 3 }, x, &[(&[1, 1, 2, 1], &[8.0, 9.0])], &[1, 1, 2, 3], &[0.0, 1.0, 8.0, 2.0, 3.0, 9.0]);
    check(&Op::Transpose { perm: vec![0, 3, 2, 1] }, x, &[], &[1, 2, 2, 1], &[0.0, 2.0, 1.0, 3.0]);
    let slice = Op::Slice { axis: 1, start: 1, end: None, step: 2 };
    check(&slice, (&[2, 5], &iota(10)), &[], &[2, 2], &[1.0, 3.0, 6.0, 8.0]);
    check(&Op::Flatten { axis: 1 }, x, &[], &[1, 4], &[0.0, 1.0, 2.0, 3.0]);
    let shape = vec![ReshapeDim::Copy(0), ReshapeDim::Infer, ReshapeDim::Fixed(1)];
    check(&Op::Reshape { shape }, x, &[], &[1, 4, 1], &[0.0, 1.0, 2.0, 3.0]);
    check(&Op::Squeeze { axes: vec![0, 1] }, x, &[], &[2, 2], &[0.0, 1.0, 2.0, 3.0]);
    check(&Op::Unsqueeze { axes: vec![1] }, (&[2], &[1.0, 2.0]), &[], &[2, 1], &[1.0, 2.0]);
    check(&Op::Identity(IdentityReason::Dropout), (&[2], &[1.0, 2.0]), &[], &[2], &[1.0, 2.0]);
}

#[test]
fn softmax_does_not_overflow_and_sums_to_one_along_its_axis() {
    let e = std::f64::consts::E;
    let (a, b) = (1.0 / (1.0 + e), e / (1.0 + e));
    check(&Op::Softmax { axis: 1 }, (&[1, 2], &[1000.0, 1001.0]), &[], &[1, 2], &[a, b]);
    let x: Value<'_> = (&[2, 2], &[0.0, 5.0, 1.0, 4.0]);
    check(&Op::Softmax { axis: 0 }, x, &[], &[2, 2], &[a, b, b, a]);
}

#[test]
fn a_cast_rounds_to_integers_and_leaves_floats() {
    let x: Value<'_> = (&[4], &[1.75, -1.75, 300.0, 0.0]);
    check(&Op::Cast { dtype: DType::I32 }, x, &[], &[4], &[1.0, -1.0, 300.0, 0.0]);
    check(&Op::Cast { dtype: DType::U8 }, x, &[], &[4], &[1.0, 0.0, 255.0, 0.0]);
    check(&Op::Cast { dtype: DType::Bool }, x, &[], &[4], &[1.0, 1.0, 1.0, 0.0]);
    check(&Op::Cast { dtype: DType::F16 }, x, &[], &[4], &[1.75, -1.75, 300.0, 0.0]);
    check(&Op::Activation(Activation::RELU), x, &[], &[4], &[1.75, 0.0, 300.0, 0.0]);
}
