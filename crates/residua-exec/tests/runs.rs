//! What holds for runs of whole graphs: free sizes, values that are kept, refusals, weights in any order in memory.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use residua_exec::{Array, ExecError, Executor, Options, Precision, compare, estimate};
use residua_ir::{
    Activation, BatchNorm, Checked, Conv, DType, Dim, Elementwise, GlobalPool, GraphBuilder, Op, Opaque, Padding, Pads,
    PoolKind, Shape, Tensor, ValueId, validate,
};

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
}

/// How the kernels lie in memory: OIHW, or HWIO behind a permuted view.
#[derive(Clone, Copy, PartialEq)]
enum Stored {
    Oihw,
    Hwio,
}

fn kernel(o: usize, i: usize, k: usize, stored: Stored) -> Tensor {
    let oihw = Tensor::from_f32(vec![o, i, k, k], &numbers(o * i * k * k)).unwrap();
    match stored {
        Stored::Oihw => oihw,
        Stored::Hwio => {
            let hwio = oihw.permute(&[2, 3, 1, 0]).unwrap();
            let copy = Tensor::from_f32(hwio.shape().to_vec(), &hwio.to_f32().unwrap()).unwrap();
            copy.permute(&[3, 2, 0, 1]).unwrap()
        }
    }
}

/// A residual block with a pre-activation, and a head; gives the model and its values by name.
fn block(stored: Stored) -> (Checked, Vec<(&'static str, ValueId)>) {
    let mut g = GraphBuilder::new("block");
    let free = |name: &str| Dim::symbol(name);
    let x = g.input("x", Shape::new(vec![free("N"), Dim::Fixed(16), free("H"), free("W")]));
    let vector = |g: &mut GraphBuilder, name: &str, shift: f32| {
        let values: Vec<f32> = numbers(16).iter().map(|v| v * 0.2 + shift).collect();
        g.weight(name, Tensor::from_f32(vec![16], &values).unwrap())
    };
    let norm = |g: &mut GraphBuilder, name: &str, x: ValueId| {
        let parts = [("s", 1.0), ("o", 0.0), ("m", 0.1), ("v", 1.0)];
        let parts = parts.map(|(part, shift)| vector(g, &format!("{name}/{part}"), shift));
        let operands: Vec<ValueId> = [x].into_iter().chain(parts).collect();
        g.add(name, Op::BatchNorm(BatchNorm { epsilon: 1e-3 }), &operands)
    };
    let relu = Op::Activation(Activation::RELU);
    let pre = norm(&mut g, "pre", x);
    let pre_relu = g.add("pre_relu", relu.clone(), &[pre]);
    let w = g.weight("kernel", kernel(16, 16, 3, stored));
    let padded = Conv { padding: Padding::Explicit(Pads::all(1)), ..Conv::default() };
    let conv = g.add("conv", Op::Conv(padded), &[pre_relu, w]);
    let post = norm(&mut g, "post", conv);
    let post_relu = g.add("post_relu", relu, &[post]);
    let sum = g.add("sum", Op::Elementwise(Elementwise::Add), &[x, post_relu]);
    let pool = GlobalPool { kind: PoolKind::Mean, keep_dims: false };
    let pool = g.add("pool", Op::GlobalPool(pool), &[sum]);
    g.output(pool);
    let names = vec![("x", x), ("pre", pre), ("conv", conv), ("post", post), ("sum", sum), ("kernel", w)];
    (validate(g.finish().unwrap()).unwrap(), names)
}

fn input(shape: &[usize]) -> Array {
    Array::new(shape.to_vec(), numbers(shape.iter().product())).unwrap()
}

#[test]
fn one_plan_runs_any_batch_and_any_size() {
    let (model, _) = block(Stored::Oihw);
    let executor = Executor::new(&model, &Options::default()).unwrap();
    for (n, h, w) in [(1, 8, 8), (3, 5, 9), (2, 1, 1), (1, 8, 8)] {
        let whole = executor.run(&[input(&[n, 16, h, w])]).unwrap();
        assert_eq!(whole.outputs[0].shape(), [n, 16]);
        // Each image of a batch gets what it gets alone.
        let values = input(&[n, 16, h, w]).to_f32();
        for (i, image) in values.chunks(16 * h * w).enumerate() {
            let alone = executor.run(&[Array::new(vec![1, 16, h, w], image.to_vec()).unwrap()]).unwrap();
            assert_eq!(alone.outputs[0].to_f32(), whole.outputs[0].to_f32()[i * 16..(i + 1) * 16]);
        }
    }
}

#[test]
fn an_empty_batch_gives_an_empty_result() {
    let (model, _) = block(Stored::Oihw);
    for precision in [Precision::F32, Precision::F64] {
        let executor = Executor::new(&model, &Options { precision, ..Options::default() }).unwrap();
        assert_eq!(executor.run(&[input(&[0, 16, 4, 4])]).unwrap().outputs[0].shape(), [0, 16]);
    }
}

#[test]
fn kept_values_are_what_the_reference_has_there_and_change_nothing_else() {
    let (model, values) = block(Stored::Oihw);
    let keep: Vec<ValueId> = values.iter().map(|&(_, id)| id).collect();
    let run = |precision, keep: &[ValueId]| {
        let options = Options { precision, keep: keep.to_vec(), ..Options::default() };
        Executor::new(&model, &options).unwrap().run(&[input(&[2, 16, 6, 7])]).unwrap()
    };
    let (wide, narrow, bare) = (run(Precision::F64, &keep), run(Precision::F32, &keep), run(Precision::F64, &[]));
    assert!(compare::bit_identical(&wide.outputs[0], &bare.outputs[0]));
    assert!(bare.kept.is_empty());
    for (name, id) in values {
        let difference = compare::difference(wide.kept(id).unwrap(), narrow.kept(id).unwrap()).unwrap();
        assert!(difference.max_rel < 1e-6, "{name}: {difference:?}");
    }
}

#[test]
fn how_weights_lie_in_memory_does_not_change_a_bit() {
    for precision in [Precision::F32, Precision::F64] {
        let run = |stored| {
            let options = Options { precision, ..Options::default() };
            Executor::new(&block(stored).0, &options).unwrap().run(&[input(&[1, 16, 9, 9])]).unwrap()
        };
        assert!(compare::bit_identical(&run(Stored::Oihw).outputs[0], &run(Stored::Hwio).outputs[0]));
    }
}

#[test]
fn wrong_inputs_are_refused_with_both_shapes() {
    let (model, _) = block(Stored::Oihw);
    let executor = Executor::new(&model, &Options::default()).unwrap();
    let error = executor.run(&[input(&[1, 3, 8, 8])]).unwrap_err().to_string();
    assert_eq!(error, "input `x` is declared [N, 16, H, W], the array given has shape [1, 3, 8, 8]");
    let error = executor.run(&[]).unwrap_err().to_string();
    assert_eq!(error, "the model takes 1 inputs (x), 0 were given");
}

#[test]
fn a_run_that_would_not_fit_is_refused_before_it_starts() {
    let (model, _) = block(Stored::Oihw);
    let executor = Executor::new(&model, &Options { memory_limit: 1 << 20, ..Options::default() }).unwrap();
    assert!(executor.run(&[input(&[1, 16, 32, 32])]).is_ok());
    let error = executor.run(&[input(&[1, 16, 128, 128])]).unwrap_err();
    assert!(matches!(&error, ExecError::Memory { limit, .. } if *limit == 1 << 20), "{error}");

    // A shape that no memory holds is an error as well, not an abort.
    let mut g = GraphBuilder::new("absurd");
    let x = g.input("x", Shape::fixed(&[1, 1, 1, 1]));
    let pads = Pads { top: 1 << 40, left: 1 << 40, bottom: 0, right: 0 };
    let y = g.add("pad", Op::Pad(residua_ir::Pad { pads, channels: [0, 0], value: 0.0 }), &[x]);
    g.output(y);
    let model = validate(g.finish().unwrap()).unwrap();
    let error = Executor::new(&model, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("`pad`"), "{error}");
}

#[test]
fn a_run_that_would_take_too_long_is_refused_before_weights_are_packed() {
    let mut g = GraphBuilder::new("endless");
    let x = g.input("x", Shape::fixed(&[1, 64, 512, 512]));
    let kernel = g.weight("w", Tensor::filled(DType::F32, vec![64, 64, 3, 3], 0.1).unwrap());
    let last = (0..8).fold(x, |x, step| {
        g.add(
            &format!("conv{step}"),
            Op::Conv(Conv { padding: Padding::Explicit(Pads::all(1)), ..Conv::default() }),
            &[x, kernel],
        )
    });
    g.output(last);
    let model = validate(g.finish().unwrap()).unwrap();
    let found = estimate(&model, Precision::F32, &[]);
    // Each of eight convolutions: 64 x 64 x 3 x 3 products for each of 512 x 512 pixels, and what it reads and writes.
    let (pixels, map) = (512 * 512, 64 * 512 * 512);
    assert_eq!(found.operations, 8 * (64 * 64 * 9 * pixels + 2 * map + 64 * 64 * 9));
    // The operand and the result of a step.
    assert_eq!(found.held, 2 * 4 * map);
    let error = Executor::new(&model, &Options::default()).unwrap_err();
    assert!(matches!(error, ExecError::Operations { limit: 64_000_000_000, .. }), "{error}");
    let small = Options { memory_limit: 1 << 20, ..Options::default() };
    assert!(matches!(Executor::new(&model, &small), Err(ExecError::Memory { .. })));
}

#[test]
fn an_unknown_operator_is_refused_by_its_layer() {
    let mut g = GraphBuilder::new("opaque");
    let x = g.input("x", Shape::fixed(&[1]));
    let opaque = Opaque::new("keras", "Lambda", "holds Python code");
    let y = g.add("my_lambda", Op::Opaque(opaque), &[x]);
    g.output(y);
    let model = validate(g.finish().unwrap()).unwrap();
    let error = Executor::new(&model, &Options::default()).unwrap_err().to_string();
    assert_eq!(error, "layer `my_lambda` cannot be run: keras `Lambda`: holds Python code");
}

#[test]
fn an_input_may_be_an_output() {
    let mut g = GraphBuilder::new("through");
    let x = g.input("x", Shape::batch(&[2]));
    let w = g.weight("w", Tensor::from_f32(vec![2], &[1.0, 2.0]).unwrap());
    let y = g.add("relu", Op::Activation(Activation::RELU), &[x]);
    [x, w, y].into_iter().for_each(|id| g.output(id));
    let model = validate(g.finish().unwrap()).unwrap();
    let results = Executor::new(&model, &Options::default()).unwrap().run(&[input(&[3, 2])]).unwrap();
    assert_eq!(results.outputs[0], input(&[3, 2]));
    assert_eq!(results.outputs[1].to_f32(), [1.0, 2.0]);
    assert!(results.outputs[2].to_f32().iter().all(|&v| v >= 0.0));
}
