//! Every operator on small values whose results are worked out by hand or known from its framework, in both precisions.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{
    Activation, ArgExtremum, Arithmetic, AvgPool, BatchNorm, Border, Comparison, ConvTranspose, Coordinates, CumSum,
    DType, Elementwise, Extent, Extremum, Fit, GlobalPool, GraphBuilder, GroupNorm, IdentityReason, InputType,
    Interpolation, LayerNorm, LpPool, Lrn, MaxPool, Op, Pad, PadAxes, Padding, Pads, PoolKind, Property, Reduce,
    ReshapeDim, Resize, ResizeTarget, Rounding, Shape, SourceOrder, Tensor, TopK, Trilu, validate,
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
        AvgPool { kernel: [3, 3], strides: [2, 2], padding, dilations: [1, 1], ceil_mode: false, count_include_pad }
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
    let slice = Op::slice(1, 1, None, 2);
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

/// Runs one node on an input of this type, in f64; further operands are weights. What went wrong, as text.
fn typed(op: &Op, dtype: DType, x: Value<'_>, weights: &[Tensor], precision: Precision) -> Result<Vec<f64>, String> {
    let mut g = GraphBuilder::new("one");
    let mut operands = vec![g.input_with("x", InputType { dtype, shape: Shape::fixed(x.0) }, SourceOrder::Same)];
    operands.extend(weights.iter().enumerate().map(|(i, weight)| g.weight(&format!("w{i}"), weight.clone())));
    let y = g.add("y", op.clone(), &operands);
    g.output(y);
    let model = validate(g.finish().unwrap()).map_err(|invalid| invalid.to_string())?;
    let executor = Executor::new(&model, &Options { precision, ..Options::default() }).map_err(|e| e.to_string())?;
    let results = executor.run(&[Array::new(x.0.to_vec(), x.1.to_vec()).unwrap()]).map_err(|e| e.to_string())?;
    Ok(results.outputs[0].to_f64())
}

fn ints(values: &[i64]) -> Tensor {
    Tensor::from_i64(vec![values.len()], values).unwrap()
}

#[test]
fn whole_numbers_divide_towards_zero_wrap_and_are_exact_or_refused() {
    let run = |op, dtype, x: &[f32], weight: Tensor, precision| {
        typed(&Op::Elementwise(op), dtype, (&[x.len()], x), &[weight], precision)
    };
    let wide = |op, dtype, x: &[f32], weight| run(op, dtype, x, weight, Precision::F64);
    assert_eq!(wide(Elementwise::Div, DType::I64, &[7.0, -7.0], ints(&[2])).unwrap(), [3.0, -3.0]);
    assert_eq!(wide(Elementwise::Mod, DType::I64, &[7.0, -7.0], ints(&[-3])).unwrap(), [-2.0, -1.0]);
    assert_eq!(wide(Elementwise::Rem, DType::I64, &[7.0, -7.0], ints(&[-3])).unwrap(), [1.0, -1.0]);
    assert_eq!(wide(Elementwise::Pow, DType::I64, &[3.0, -3.0], ints(&[3])).unwrap(), [27.0, -27.0]);
    let bytes = ints(&[100]).cast(DType::U8);
    assert_eq!(wide(Elementwise::Add, DType::U8, &[200.0, 5.0], bytes).unwrap(), [44.0, 105.0]);
    let large = ints(&[1 << 20]);
    assert_eq!(wide(Elementwise::Mul, DType::I64, &[64.0], large.clone()).unwrap(), [67_108_864.0]);
    let refused = run(Elementwise::Mul, DType::I64, &[64.0], large, Precision::F32).unwrap_err();
    assert!(refused.contains("`y`") && refused.contains("precision f64"), "{refused}");
    assert!(wide(Elementwise::Div, DType::I64, &[1.0], ints(&[0])).is_err());
    // Types that do not go together, and truth values that do not add.
    let mixed = wide(Elementwise::Add, DType::F32, &[1.0], ints(&[1])).unwrap_err();
    assert!(mixed.contains("f32 and i64"), "{mixed}");
    let truth = ints(&[1]).cast(DType::Bool);
    assert!(wide(Elementwise::Add, DType::Bool, &[1.0], truth).unwrap_err().contains("must hold numbers"));
}

#[test]
fn comparisons_give_truth_values_and_where_takes_them() {
    let x: Value<'_> = (&[4], &[1.0, 2.0, f32::NAN, f32::NEG_INFINITY]);
    let two: Value<'_> = (&[1], &[2.0]);
    check(&Op::Compare(Comparison::Less), x, &[two], &[4], &[1.0, 0.0, 0.0, 1.0]);
    check(&Op::Compare(Comparison::GreaterOrEqual), x, &[two], &[4], &[0.0, 1.0, 0.0, 0.0]);
    check(&Op::Is(Property::Nan), x, &[], &[4], &[0.0, 0.0, 1.0, 0.0]);
    let infinite = |negative, positive| Op::Is(Property::Infinite { negative, positive });
    check(&infinite(true, false), x, &[], &[4], &[0.0, 0.0, 0.0, 1.0]);
    check(&infinite(false, true), x, &[], &[4], &[0.0; 4]);
    let truth = |op, x: &[f32], other: Tensor| typed(&op, DType::Bool, (&[x.len()], x), &[other], Precision::F32);
    let mask = ints(&[0, 1]).cast(DType::Bool);
    assert_eq!(truth(Op::Elementwise(Elementwise::Xor), &[1.0, 1.0], mask.clone()).unwrap(), [1.0, 0.0]);
    assert_eq!(truth(Op::Elementwise(Elementwise::And), &[1.0, 1.0], mask.clone()).unwrap(), [0.0, 1.0]);
    assert_eq!(truth(Op::Elementwise(Elementwise::Or), &[1.0, 0.0], mask).unwrap(), [1.0, 1.0]);
    let row = |values: &[f32]| Tensor::from_f32(vec![1, values.len()], values).unwrap();
    let column = Tensor::from_f32(vec![2, 1], &[10.0, 20.0]).unwrap();
    let chosen = typed(&Op::Where, DType::Bool, (&[2], &[1.0, 0.0]), &[row(&[1.0, 2.0]), column], Precision::F64);
    assert_eq!(chosen.unwrap(), [1.0, 10.0, 1.0, 20.0]);
}

#[test]
fn elements_are_ranked_and_ties_go_to_the_first() {
    let x: Value<'_> = (&[2, 3], &[1.0, 5.0, 5.0, 4.0, 4.0, -1.0]);
    let arg = |of, last| Op::ArgExtremum(ArgExtremum { of, axis: 1, keep_dims: false, last });
    check(&arg(Extremum::Largest, false), x, &[], &[2], &[1.0, 0.0]);
    check(&arg(Extremum::Largest, true), x, &[], &[2], &[2.0, 1.0]);
    check(&arg(Extremum::Smallest, false), x, &[], &[2], &[0.0, 2.0]);
    let top = |of, indices| Op::TopK(TopK { k: 2, axis: 1, of, indices });
    check(&top(Extremum::Largest, false), x, &[], &[2, 2], &[5.0, 5.0, 4.0, 4.0]);
    check(&top(Extremum::Largest, true), x, &[], &[2, 2], &[1.0, 2.0, 0.0, 1.0]);
    check(&top(Extremum::Smallest, true), x, &[], &[2, 2], &[0.0, 1.0, 2.0, 0.0]);
    check(&Op::Hardmax { axis: 0 }, x, &[], &[2, 3], &[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn slices_go_both_ways_and_gathers_count_from_either_end() {
    let slice = |start, end: Option<i64>, step| Op::Slice {
        axis: 0,
        start: Extent::Known(start),
        end: end.map(Extent::Known),
        step,
    };
    let x: Value<'_> = (&[5], &[0.0, 1.0, 2.0, 3.0, 4.0]);
    check(&slice(-1, None, -2), x, &[], &[3], &[4.0, 2.0, 0.0]);
    check(&slice(-2, Some(i64::MAX), 1), x, &[], &[2], &[3.0, 4.0]);
    let gather = |op: Op, shape: &[usize], indices: &[i64], at: &[usize]| {
        let values = iota(shape.iter().product());
        let indices = Tensor::from_i64(at.to_vec(), indices).unwrap();
        typed(&op, DType::F32, (shape, &values), &[indices], Precision::F32)
    };
    assert_eq!(gather(Op::Gather { axis: 1 }, &[2, 3], &[-1, 0], &[2]).unwrap(), [2.0, 0.0, 5.0, 3.0]);
    assert!(gather(Op::Gather { axis: 1 }, &[2, 3], &[3], &[1]).unwrap_err().contains("index 3 is out of range"));
    let elements = gather(Op::GatherElements { axis: 0 }, &[2, 3], &[1, 0, -1], &[1, 3]);
    assert_eq!(elements.unwrap(), [3.0, 1.0, 5.0]);
    let tuples = gather(Op::GatherNd { batch_dims: 0 }, &[2, 3], &[1, 2, 0, -1], &[2, 2]);
    assert_eq!(tuples.unwrap(), [5.0, 2.0]);
    let batched = gather(Op::GatherNd { batch_dims: 1 }, &[2, 3], &[1, 2], &[2, 1]);
    assert_eq!(batched.unwrap(), [1.0, 5.0]);
    let scatter = |indices: &[i64], at: &[usize], slices: Tensor| {
        let values = iota(6);
        let indices = Tensor::from_i64(at.to_vec(), indices).unwrap();
        typed(&Op::ScatterNd, DType::F32, (&[2, 3], &values), &[indices, slices], Precision::F32)
    };
    let slices = |shape: &[usize], values: &[f32]| Tensor::from_f32(shape.to_vec(), values).unwrap();
    let rows = scatter(&[-1, 0, 1], &[3, 1], slices(&[3, 3], &[7.0, 7.0, 7.0, 6.0, 6.0, 6.0, 5.0, 5.0, 9.0]));
    assert_eq!(rows.unwrap(), [6.0, 6.0, 6.0, 5.0, 5.0, 9.0], "the last one counts");
    let elements = scatter(&[0, 2, 1, -3], &[2, 2], slices(&[2], &[8.0, 9.0]));
    assert_eq!(elements.unwrap(), [0.0, 1.0, 8.0, 9.0, 4.0, 5.0]);
    let beyond = scatter(&[2], &[1, 1], slices(&[1, 3], &[0.0; 3])).unwrap_err();
    assert!(beyond.contains("index 2 is out of range"), "{beyond}");
}

#[test]
fn what_is_repeated_and_what_follows_from_sizes() {
    let x: Value<'_> = (&[2, 1], &[1.0, 2.0]);
    let size = Extent::Of { operand: 0, axis: 0 };
    let doubled = Extent::compute(Arithmetic::Mul, size.clone(), Extent::Known(2)).unwrap();
    check(&Op::Expand { shape: vec![size, Extent::Known(2)] }, x, &[], &[2, 2], &[1.0, 1.0, 2.0, 2.0]);
    let tile = Op::Tile { repeats: vec![Extent::Known(2), Extent::Known(1)] };
    check(&tile, x, &[], &[4, 1], &[1.0, 2.0, 1.0, 2.0]);
    let sizes = Op::Sizes { sizes: vec![doubled.clone(), Extent::Known(-3)], scalar: false };
    check(&sizes, x, &[], &[2], &[4.0, -3.0]);
    let values = iota(8);
    let reshape = Op::Reshape { shape: vec![ReshapeDim::Computed(doubled), ReshapeDim::Infer] };
    check(&reshape, (&[2, 4], &values), &[], &[4, 2], &values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
    let pad = PadAxes { amounts: vec![[0, 0], [1, 1]], border: Border::Reflect };
    check(&Op::PadAxes(pad), (&[1, 3], &[1.0, 2.0, 3.0]), &[], &[1, 5], &[2.0, 1.0, 2.0, 3.0, 2.0]);
}

#[test]
fn neighbouring_channels_damp_each_other() {
    // 1 / (1 + 2 / 3 * Σ)^0.5 over the channels beside each other.
    let lrn = Lrn { size: 3, alpha: 2.0, beta: 0.5, bias: 1.0 };
    let sums = [5.0f64, 14.0, 13.0];
    let expected: Vec<f64> = (0..3).map(|c| (c + 1) as f64 / (1.0 + 2.0 / 3.0 * sums[c]).sqrt()).collect();
    check(&Op::Lrn(lrn), (&[1, 3, 1], &[1.0, 2.0, 3.0]), &[], &[1, 3, 1], &expected);
}

#[test]
fn a_transposed_convolution_spreads_its_kernel() {
    let conv = ConvTranspose {
        strides: [2, 1],
        pads: Pads { top: 1, left: 0, bottom: 0, right: 0 },
        output_padding: [1, 0],
        dilations: [1, 2],
        groups: 1,
    };
    let kernel: Value<'_> = (&[1, 1, 2, 2], &[1.0, 10.0, 100.0, 1000.0]);
    let x: Value<'_> = (&[1, 1, 2, 1], &[1.0, 2.0]);
    // Rows 1 to 4 of [1, 0, 10], [100, 0, 1000], [2, 0, 20], [200, 0, 2000], and a row of bias.
    let rows = [100.0, 0.0, 1000.0, 2.0, 0.0, 20.0, 200.0, 0.0, 2000.0, 0.0, 0.0, 0.0].map(|v| v + 0.5);
    check(&Op::ConvTranspose(conv), x, &[kernel, (&[1], &[0.5])], &[1, 1, 4, 3], &rows);
}

#[test]
fn resampling_takes_the_neighbours_that_its_mode_says() {
    let resize = |target, interpolation, coordinates| {
        let antialias = false;
        Op::Resize(Resize { axes: vec![1], target, interpolation, coordinates, antialias, exclude_outside: false })
    };
    let scales = |scale| ResizeTarget::Scales(vec![scale]);
    let x: Value<'_> = (&[1, 4], &[1.0, 2.0, 3.0, 4.0]);
    let nearest = Interpolation::Nearest(Rounding::Floor);
    check(&resize(scales(1.5), nearest, Coordinates::Asymmetric), x, &[], &[1, 6], &[1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
    let linear = |coordinates| resize(scales(2.0), Interpolation::Linear, coordinates);
    let half = [1.0, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.0];
    check(&linear(Coordinates::HalfPixel), x, &[], &[1, 8], &half);
    let corners: Vec<f64> = (0..8).map(|i| 1.0 + i as f64 * 3.0 / 7.0).collect();
    check(&linear(Coordinates::AlignCorners), x, &[], &[1, 8], &corners);
    let sizes = |sizes: i64, fit| ResizeTarget::Sizes { sizes: vec![Extent::Known(sizes)], fit };
    let cubic = Interpolation::Cubic { coefficient: -0.75 };
    // torch.nn.functional.interpolate(x, 2, mode="bicubic"): the middle of four.
    check(&resize(sizes(2, Fit::Stretch), cubic, Coordinates::HalfPixel), x, &[], &[1, 2], &[1.40625, 3.59375]);
    let crop = Coordinates::Crop { region: vec![[0.0, 2.0]], outside: 9.0 };
    let cropped = resize(sizes(3, Fit::Stretch), Interpolation::Linear, crop);
    check(&cropped, x, &[], &[1, 3], &[1.0, 4.0, 9.0]);
}

#[test]
fn power_pools_and_further_reductions() {
    let x: Value<'_> = (&[1, 1, 1, 3], &[-3.0, 4.0, 0.0]);
    let pool = |p| {
        let (kernel, strides, dilations) = ([1, 2], [1, 1], [1, 1]);
        Op::LpPool(LpPool { kernel, strides, padding: Padding::default(), dilations, ceil_mode: false, p })
    };
    check(&pool(2), x, &[], &[1, 1, 1, 2], &[5.0, 4.0]);
    check(&pool(1), x, &[], &[1, 1, 1, 2], &[7.0, 4.0]);
    check(&pool(3), x, &[], &[1, 1, 1, 2], &[91f64.cbrt(), 4.0]);
    let reduce = |kind| Op::Reduce(Reduce { kind, axes: vec![0, 3], keep_dims: false });
    for (kind, expected) in [
        (PoolKind::Product, 0.0),
        (PoolKind::L1, 7.0),
        (PoolKind::L2, 5.0),
        (PoolKind::SumSquare, 25.0),
        (PoolKind::LogSum, 0.0),
        (PoolKind::LogSumExp, (1f64 + 4f64.exp() + (-3f64).exp()).ln()),
    ] {
        check(&reduce(kind), x, &[], &[1, 1], &[expected]);
    }
    let sums = |axis, exclusive, reverse| Op::CumSum(CumSum { axis, exclusive, reverse });
    let x: Value<'_> = (&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    check(&sums(1, false, false), x, &[], &[2, 3], &[1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    check(&sums(1, true, true), x, &[], &[2, 3], &[5.0, 3.0, 0.0, 11.0, 6.0, 0.0]);
    check(&sums(0, false, true), x, &[], &[2, 3], &[5.0, 7.0, 9.0, 4.0, 5.0, 6.0]);
    let log = Op::LogSoftmax { axis: 1 };
    let tail = (1.0 + (-1000f64).exp()).ln();
    check(&log, (&[1, 2], &[0.0, 1000.0]), &[], &[1, 2], &[-1000.0 - tail, -tail]);
}

#[test]
fn a_triangle_is_kept_and_the_rest_is_zero() {
    let triangle = |upper, diagonal| Op::Trilu(Trilu { upper, diagonal });
    let values: Vec<f32> = (1..=6).map(|i| i as f32).collect();
    let x: Value<'_> = (&[2, 3], &values);
    check(&triangle(true, 0), x, &[], &[2, 3], &[1.0, 2.0, 3.0, 0.0, 5.0, 6.0]);
    check(&triangle(false, 0), x, &[], &[2, 3], &[1.0, 0.0, 0.0, 4.0, 5.0, 0.0]);
    check(&triangle(true, 1), x, &[], &[2, 3], &[0.0, 2.0, 3.0, 0.0, 0.0, 6.0]);
    check(&triangle(false, 1), x, &[], &[2, 3], &[1.0, 2.0, 0.0, 4.0, 5.0, 6.0]);
    check(&triangle(false, -1), x, &[], &[2, 3], &[0.0, 0.0, 0.0, 4.0, 0.0, 0.0]);
    check(&triangle(true, i64::MIN), x, &[], &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    check(&triangle(false, i64::MIN), x, &[], &[2, 3], &[0.0; 6]);
    check(&triangle(false, i64::MAX), x, &[], &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let two: Value<'_> = (&[2, 2, 1], &[1.0, 2.0, 3.0, 4.0]);
    check(&triangle(true, 0), two, &[], &[2, 2, 1], &[1.0, 0.0, 3.0, 0.0]);
}
