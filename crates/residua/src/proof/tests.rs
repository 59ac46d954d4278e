//! Planted differences are found, small ones too, and at the layer where they were planted.

use residua_ir::rewrite::fold_batch_norm;
use residua_ir::{
    Checked, Conv, GlobalPool, GraphBuilder, MaxPool, Op, Pad, Padding, Pads, PoolKind, Shape, Tensor, validate,
};

use super::*;

fn model(label: &str) -> Checked {
    validate(residua_import::load(&residua_tests::fixture(label).path).unwrap()).unwrap()
}

fn digits() -> Checked {
    model("digits/digits.k3.keras")
}

/// The model with one tensor multiplied by this factor.
fn disturbed(model: &Checked, tensor: &str, factor: f64) -> Checked {
    let mut found = false;
    let graph = model.graph().clone().map_tensors(|parameter| {
        if parameter.name != tensor {
            return Ok(parameter.tensor.clone());
        }
        found = true;
        let mut values = parameter.tensor.to_f64()?;
        values.iter_mut().for_each(|value| *value *= factor);
        Tensor::from_f64(parameter.tensor.shape().to_vec(), &values)
    });
    assert!(found, "there is no tensor {tensor}");
    validate(graph.unwrap()).unwrap()
}

fn kernel_in_the_middle(model: &Checked) -> (String, String) {
    let graph = model.graph();
    let convs: Vec<_> = graph.nodes().iter().filter(|node| matches!(node.op, Op::Conv(_))).collect();
    let conv = convs[convs.len() / 2];
    let kernel = graph.as_parameter(conv.inputs[1]).unwrap();
    (kernel.name.clone(), graph.layer(conv.layer).name.clone())
}

#[test]
fn a_model_is_itself() {
    let model = digits();
    let found = prove(&model, &model, Relation::Identical, &Settings::default()).unwrap();
    assert_eq!(found.verdict, Verdict::Same);
    assert_eq!(found.top1_agree, Some(true));
    assert_eq!(found.outputs.len(), 2, "the output, and what its softmax is of");
}

#[test]
fn one_tensor_that_changed_is_found_at_its_layer() {
    let model = digits();
    let (tensor, layer) = kernel_in_the_middle(&model);
    let settings = Settings { input_range: Some((0.0, 255.0)), ..Settings::default() };
    // Bit-identity shows what is far below the noise; the derived bound what is above it.
    for (relation, factor) in [(Relation::Identical, 1.0 + 1e-12), (Relation::Rearranged, 1.001)] {
        let found = prove(&model, &disturbed(&model, &tensor, factor), relation, &settings).unwrap();
        assert_eq!(found.verdict, Verdict::Different, "{relation:?}");
        let first = found.first_divergence.unwrap();
        assert_eq!((first.a, first.b), (layer.clone(), layer.clone()), "{relation:?}");
        assert!(first.cause.unwrap().contains(&tensor), "{relation:?}");
    }
}

#[test]
fn folding_stays_within_the_noise_and_a_wrong_epsilon_does_not() {
    for label in ["digits/digits.k3.keras", "thin/thin50v2.k3.h5", "transfer/group_norm_resnet.k3.keras"] {
        let model = model(label);
        let folded = validate(fold_batch_norm(&model).unwrap().graph).unwrap();
        let found = compare(&model, &folded, &Settings::default()).unwrap();
        assert_eq!(found.verdict, Verdict::Same, "{label}: {:?}", found.outputs);
    }
    // What a converter does that takes PyTorch's default for Keras's.
    let model = digits();
    let graph = model.graph().clone().map_ops(|node| match &node.op {
        Op::BatchNorm(norm) => Op::BatchNorm(residua_ir::BatchNorm { epsilon: norm.epsilon * 1e-2 }),
        other => other.clone(),
    });
    let found = compare(&model, &validate(graph).unwrap(), &Settings::default()).unwrap();
    assert_eq!(found.verdict, Verdict::Different);
    assert!(found.first_divergence.unwrap().cause.unwrap().contains("epsilon"));
}

/// A convolution that changes signs, a padded 3x3 pool with stride 2, the mean of what is left.
fn signed_pool(pad: Option<Pad>, padding: Pads) -> Checked {
    let mut g = GraphBuilder::new("signed");
    let mut x = g.input("x", Shape::batch(&[1, 16, 16]));
    let kernel = g.weight("kernel", Tensor::from_f32(vec![2, 1, 1, 1], &[1.0, -1.0]).unwrap());
    x = g.add("conv", Op::Conv(Conv::default()), &[x, kernel]);
    if let Some(pad) = pad {
        x = g.add("pad", Op::Pad(pad), &[x]);
    }
    let (kernel, strides, dilations) = ([3, 3], [2, 2], [1, 1]);
    let pool = MaxPool { kernel, strides, dilations, padding: Padding::Explicit(padding), ceil_mode: false };
    x = g.add("pool", Op::MaxPool(pool), &[x]);
    x = g.add("mean", Op::GlobalPool(GlobalPool { kind: PoolKind::Mean, keep_dims: false }), &[x]);
    g.output(x);
    validate(g.finish().unwrap()).unwrap()
}

#[test]
fn a_pool_padded_with_minus_infinity_is_not_one_over_padded_zeros() {
    // The classic mistake with Keras's V2 networks: shapes and parameters are the same.
    let zeros = signed_pool(Some(Pad { pads: Pads::all(1), channels: [0, 0], value: 0.0 }), Pads::default());
    let infinity = signed_pool(None, Pads::all(1));
    let found = compare(&zeros, &infinity, &Settings::default()).unwrap();
    assert_eq!(found.verdict, Verdict::Different);
    assert_eq!(found.first_divergence.unwrap().a, "pool");
}

#[test]
fn a_tolerance_replaces_the_bound() {
    let model = digits();
    let (tensor, _) = kernel_in_the_middle(&model);
    let other = disturbed(&model, &tensor, 1.1);
    let settings = Settings { tolerance: Some(1e6), ..Settings::default() };
    assert_eq!(compare(&model, &other, &settings).unwrap().verdict, Verdict::Same);
}

#[test]
fn models_of_another_interface_differ_with_a_reason() {
    let found = compare(&digits(), &model("thin/thin50v2.k3.h5"), &Settings::default()).unwrap();
    assert_eq!(found.verdict, Verdict::Different);
    assert!(found.reason.unwrap().contains("input"));
}
