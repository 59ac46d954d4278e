//! Quantised values: what is rounded how, and what a scale is for. Expected numbers are worked out by hand.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use residua_exec::{Array, Executor, Options, Precision};
use residua_ir::{
    DType, DynamicRange, Endian, Granularity, GraphBuilder, InputType, Op, Quantize, Shape, SourceOrder, Tensor,
    ValueId, validate,
};

fn whole(dtype: DType, shape: &[usize], values: &[i32]) -> Tensor {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(dtype.size())).collect();
    Tensor::from_bytes(dtype, Endian::Little, shape.to_vec(), bytes.into()).unwrap()
}

fn real(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_f32(shape.to_vec(), values).unwrap()
}

/// One node on an input of this type, in both precisions, which must agree.
fn run(op: &Op, dtype: DType, shape: &[usize], x: &[f32], operands: &[Tensor]) -> Vec<f64> {
    let mut g = GraphBuilder::new("one");
    let x_id = g.input_with("x", InputType { dtype, shape: Shape::fixed(shape) }, SourceOrder::Same);
    let mut ids: Vec<ValueId> = vec![x_id];
    ids.extend(operands.iter().enumerate().map(|(i, tensor)| g.weight(&format!("w{i}"), tensor.clone())));
    let y = g.add("y", op.clone(), &ids);
    g.output(y);
    let model = validate(g.finish().unwrap()).unwrap();
    let [narrow, wide] = [Precision::F32, Precision::F64].map(|precision| {
        let executor = Executor::new(&model, &Options { precision, ..Options::default() }).unwrap();
        executor.run(&[Array::new(shape.to_vec(), x.to_vec()).unwrap()]).unwrap().outputs[0].to_f64()
    });
    for (a, b) in narrow.iter().zip(&wide) {
        assert!((a - b).abs() <= 1e-6 * b.abs(), "{op:?}: {narrow:?} and {wide:?}");
    }
    wide
}

fn quantize(dtype: DType, axis: usize, block: Option<usize>) -> Op {
    Op::Quantize(Quantize { dtype, granularity: Granularity { axis, block } })
}

#[test]
fn halves_go_to_the_even_neighbour_and_what_is_beyond_the_type_to_its_end() {
    let x = [-1.5, -0.5, 0.5, 1.5, 2.5, 600.0, -600.0, f32::INFINITY, f32::NAN];
    let to = |dtype, zero: i32| {
        run(&quantize(dtype, 0, None), DType::F32, &[9], &x, &[real(&[], &[1.0]), whole(dtype, &[], &[zero])])
    };
    assert_eq!(to(DType::U8, 10), [8.0, 10.0, 10.0, 12.0, 12.0, 255.0, 0.0, 255.0, 0.0]);
    assert_eq!(to(DType::I8, -3), [-5.0, -3.0, -3.0, -1.0, -1.0, 127.0, -128.0, 127.0, -128.0]);
    assert_eq!(to(DType::I16, 0)[5..7], [600.0, -600.0]);
    let without = run(&quantize(DType::U8, 0, None), DType::F32, &[2], &[3.0, -3.0], &[real(&[1], &[0.5])]);
    assert_eq!(without, [6.0, 0.0]);
}

#[test]
fn each_index_of_the_axis_and_each_block_has_a_scale_of_its_own() {
    let x: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let scale = real(&[3], &[1.0, 10.0, 100.0]);
    let zero = whole(DType::I8, &[3], &[0, 1, 2]);
    let restored =
        run(&Op::Dequantize(Granularity { axis: 1, block: None }), DType::I8, &[2, 3, 2], &x, &[scale, zero]);
    assert_eq!(restored, [0.0, 1.0, 10.0, 20.0, 200.0, 300.0, 6.0, 7.0, 70.0, 80.0, 800.0, 900.0]);
    // Three rows in blocks of two: rows 0 and 1 share scales, row 2 has its own.
    let scale = real(&[2, 2, 2], &[1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0]);
    let blocks = Op::Dequantize(Granularity { axis: 1, block: Some(2) });
    let restored = run(&blocks, DType::I8, &[2, 3, 2], &x, std::slice::from_ref(&scale));
    assert_eq!(restored, [0.0, 2.0, 2.0, 6.0, 40.0, 100.0, 18.0, 28.0, 24.0, 36.0, 300.0, 440.0]);
    let again: Vec<f32> = restored.iter().map(|&v| v as f32).collect();
    let back = run(&quantize(DType::I8, 1, Some(2)), DType::F32, &[2, 3, 2], &again, &[scale]);
    assert_eq!(back, (0..12).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn the_range_of_a_value_holds_zero_and_is_spread_over_256_steps() {
    let of = |part, x: &[f32]| run(&Op::DynamicRange(part), DType::F32, &[x.len()], x, &[])[0];
    // The example of ONNX's specification.
    let x = [0.0, 2.0, -3.0, -2.5, 1.34, 0.5];
    assert!((of(DynamicRange::Scale, &x) - 5.0 / 255.0).abs() < 1e-9);
    assert_eq!(of(DynamicRange::ZeroPoint, &x), 153.0);
    assert_eq!((of(DynamicRange::Scale, &[51.0, 127.5]), of(DynamicRange::ZeroPoint, &[51.0, 127.5])), (0.5, 0.0));
    assert_eq!(of(DynamicRange::ZeroPoint, &[-51.0, -102.0]), 255.0);
    assert_eq!((of(DynamicRange::Scale, &[0.0, 0.0]), of(DynamicRange::ZeroPoint, &[0.0, 0.0])), (1.0, 0.0));
}
