//! Planted differences are found, small ones too, and at the layer where they were planted.

use residua_ir::rewrite::{Edits, Expr, fold_batch_norm};
use residua_ir::{
    Checked, Conv, Elementwise, GlobalPool, GraphBuilder, MaxPool, Op, Pad, Padding, Pads, PoolKind, Shape, Tensor,
    validate,
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
    (kernel.name.raw().to_owned(), graph.layer(conv.layer).name.raw().to_owned())
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
        assert_eq!((first.a.raw(), first.b.raw()), (layer.as_str(), layer.as_str()), "{relation:?}");
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
fn a_pool_that_rounds_up_where_nothing_is_left_over_is_the_same() {
    let halved = |ceil_mode| {
        let mut g = GraphBuilder::new("halved");
        let x = g.input("x", Shape::batch(&[3, 16, 16]));
        let (kernel, strides, dilations) = ([2, 2], [2, 2], [1, 1]);
        let pool = MaxPool { kernel, strides, dilations, padding: Padding::default(), ceil_mode };
        let y = g.add("pool", Op::MaxPool(pool), &[x]);
        g.output(y);
        validate(g.finish().unwrap()).unwrap()
    };
    let found = prove(&halved(true), &halved(false), Relation::Identical, &Settings::default()).unwrap();
    assert_eq!((found.verdict, found.reason), (Verdict::Same, None));
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
fn a_model_of_free_size_is_run_at_the_size_that_the_other_fixes() {
    let free = checkpoint("torchvision/resnet18.pth");
    let fixed = free.graph().clone().with_input_shapes(&[Some(vec![1, 3, 48, 40])]).unwrap();
    let fixed = validate(fixed).unwrap();
    for (a, b) in [(&free, &fixed), (&fixed, &free)] {
        let found = compare(a, b, &Settings::default()).unwrap();
        assert_eq!((found.verdict, found.reason), (Verdict::Same, None));
    }
}

#[test]
fn models_of_another_interface_differ_with_a_reason() {
    let found = compare(&digits(), &model("thin/thin50v2.k3.h5"), &Settings::default()).unwrap();
    assert_eq!(found.verdict, Verdict::Different);
    assert!(found.reason.unwrap().contains("input"));
}

/// The cause that is found where the second of two models was changed, and the place where they begin to differ.
fn cause_of(a: &Checked, b: &Checked) -> (Cause, Option<String>) {
    let wanted = Wanted { layers: true, failing: true, cause: true };
    let found = examine(a, b, &Settings::default(), wanted).unwrap();
    assert_eq!(found.verification.verdict, Verdict::Different);
    assert!(found.layers.iter().any(|layer| layer.within || layer.place.as_deref() == Some("stem.conv")));
    assert!(found.layers.iter().any(|layer| !layer.within));
    let first = found.verification.first_divergence.expect("a place where the difference begins");
    assert_eq!(found.failing.unwrap().arrays.len(), 4);
    (found.cause.expect("a cause"), first.place)
}

fn with_ops(model: &Checked, change: impl FnMut(&residua_ir::Node) -> Op) -> Checked {
    validate(model.graph().clone().map_ops(change)).unwrap()
}

/// The model with the elements of some tensors changed: name, shape, elements.
fn with_tensors(model: &Checked, mut change: impl FnMut(&str, &[usize], &mut Vec<f64>)) -> Checked {
    let graph = model.graph().clone().map_tensors(|parameter| {
        let (shape, mut values) = (parameter.tensor.shape().to_vec(), parameter.tensor.to_f64()?);
        change(parameter.name.raw(), &shape, &mut values);
        Ok::<_, residua_ir::TensorError>(Tensor::from_f64(shape, &values)?.cast(residua_ir::DType::F32))
    });
    validate(graph.unwrap()).unwrap()
}

#[test]
fn the_cause_of_a_planted_difference_is_named_and_explains_all_of_it() {
    let model = checkpoint("torchvision/resnet50.pth");
    let strides_on_first = with_ops(&model, |node| match &node.op {
        Op::Conv(conv) if node.name.raw().contains("conv1") && node.name.raw().contains(".0.") => {
            let stage = node.name.raw().split('.').next().unwrap_or_default();
            Op::Conv(Conv { strides: if stage == "layer1" { [1, 1] } else { [2, 2] }, ..*conv })
        }
        Op::Conv(conv) if node.name.raw().contains("conv2") => Op::Conv(Conv { strides: [1, 1], ..*conv }),
        other => other.clone(),
    });
    let padding = with_ops(&model, |node| match &node.op {
        Op::Conv(conv) if node.name.raw().contains("conv2") && conv.strides == [2, 2] => {
            let pads = Pads { top: 0, left: 0, bottom: 1, right: 1 };
            Op::Conv(Conv { padding: Padding::Explicit(pads), ..*conv })
        }
        other => other.clone(),
    });
    let epsilon = with_ops(&model, |node| match &node.op {
        Op::BatchNorm(_) => Op::BatchNorm(residua_ir::BatchNorm { epsilon: 1e-2 }),
        other => other.clone(),
    });
    let reversed = with_tensors(&model, |name, shape, values| {
        if name == "conv1.weight" {
            let area = shape[2] * shape[3];
            for filter in values.chunks_mut(3 * area) {
                let (red, rest) = filter.split_at_mut(area);
                red.swap_with_slice(&mut rest[area..]);
            }
        }
    });
    let flipped = with_tensors(&model, |_, shape, values| {
        if let [_, _, height, width] = shape {
            values.chunks_mut(height * width).for_each(<[f64]>::reverse);
        }
    });
    let labels = with_tensors(&model, |name, shape, values| {
        if name.starts_with("fc.") {
            let row = values.len() / shape[0];
            let (first, rest) = values.split_at_mut(row);
            first.swap_with_slice(&mut rest[row..2 * row]);
        }
    });
    let kernel = with_tensors(&model, |name, _, values| {
        if name == "layer3.0.conv2.weight" {
            values.iter_mut().take(40).for_each(|value| *value += 0.5);
        }
    });
    for (changed, kind, place) in [
        (strides_on_first, "strides", "stages.1.blocks.0.conv1"),
        (padding, "padding", "stages.1.blocks.0.conv2"),
        (epsilon, "epsilon", "stem.conv"),
        (reversed, "channel_order", "stem.conv"),
        (flipped, "kernels", "stem.conv"),
        (labels, "labels", "head.fc"),
        (kernel, "weights", "stages.2.blocks.0.conv2"),
    ] {
        let (cause, first) = cause_of(&model, &changed);
        assert_eq!((cause.kind, first.as_deref()), (kind, Some(place)), "{cause:?}");
        assert!(cause.explains > 0.999 && cause.within_bound, "{cause:?}");
    }
}

/// The model with two operands of some batch norms in each other's places.
fn swapped(model: &Checked, [p, q]: [usize; 2], of: impl Fn(&residua_ir::Node) -> bool) -> Checked {
    let mut edits = Edits::new(model);
    for id in model.graph().node_ids() {
        let node = model.graph().node(id);
        if matches!(node.op, Op::BatchNorm(_)) && of(node) {
            let mut operands: Vec<Expr> = node.inputs.iter().map(|&input| input.into()).collect();
            operands.swap(p, q);
            edits.replace(id, Expr::made(node.op.clone(), operands));
        }
    }
    validate(edits.apply().unwrap().0).unwrap()
}

#[test]
fn tensors_of_batch_norms_in_the_wrong_places_are_the_cause_also_where_nothing_but_nan_comes_out() {
    let torch = checkpoint("torchvision/resnet50.pth");
    let keras = model("thin/thin50v2.k3.h5");
    let variance = |text: &str| format!("mean and variance {text}");
    for (model, changed, what) in [
        (&torch, swapped(&torch, [3, 4], |_| true), variance("are in each other's places in B: bn1 (and 52 more)")),
        (
            &torch,
            swapped(&torch, [1, 2], |node| node.name.raw().contains("layer3.2.bn2")),
            "scale and offset are in each other's places in B: layer3.2.bn2".to_owned(),
        ),
        (
            &keras,
            swapped(&keras, [3, 4], |_| true),
            variance("are in each other's places in B: conv2_block1_preact_bn (and 48 more)"),
        ),
        (
            &torch,
            with_tensors(&torch, |name, _, values| match name {
                "layer2.1.bn1.running_mean" => values.fill(0.0),
                "layer2.1.bn1.running_var" => values.fill(1.0),
                _ => {}
            }),
            variance("are 0 and 1 in B, as a layer is created: not loaded: layer2.1.bn1"),
        ),
    ] {
        let (cause, _) = cause_of(model, &changed);
        assert_eq!((cause.kind, cause.what), ("statistics", what));
        assert!(cause.explains > 0.999 && cause.within_bound);
    }
}

#[test]
fn the_same_is_told_of_batch_norms_that_one_model_has_folded_away() {
    let model = checkpoint("torchvision/resnet50.pth");
    let folded = |model: &Checked| validate(fold_batch_norm(model).unwrap().graph).unwrap();
    let created = with_tensors(&model, |name, _, values| {
        if name.ends_with("running_mean") || name.ends_with("running_var") {
            values.fill(if name.ends_with("var") { 1.0 } else { 0.0 });
        }
    });
    let offsets = swapped(&model, [2, 3], |_| true);
    for (a, b, what) in [
        (&folded(&model), &offsets, "offset and mean of the batch norms are in each other's places in B"),
        (&model, &folded(&offsets), "offset and mean of the batch norms are in each other's places in B"),
        (
            &folded(&model),
            &created,
            "mean and variance are 0 and 1 in B, as a layer is created: not loaded: bn1 (and 52 more)",
        ),
        (
            &model,
            &folded(&created),
            "mean and variance are 0 and 1 in the batch norms that were folded into B, as a layer is created: not loaded",
        ),
    ] {
        let (cause, _) = cause_of(a, b);
        assert_eq!((cause.kind, cause.what.as_str()), ("statistics", what));
        assert!(cause.explains > 0.999 && cause.within_bound, "{cause:?}");
    }
}

#[test]
fn a_sum_that_one_model_does_not_have_is_the_cause() {
    for model in [checkpoint("torchvision/resnet50.pth"), model("thin/thin50v2.k3.h5")] {
        let anatomy = residua_resnet::analyse(&model);
        let block = anatomy.blocks.iter().find(|block| (block.stage, block.index) == (2, 2)).unwrap();
        let inputs = &model.graph().node(block.add).inputs;
        let main = inputs.iter().find(|input| model.graph().producer(**input) == block.main.last().copied()).unwrap();
        for (expr, what) in [
            (Expr::from(*main), "the sum at stages.2.blocks."),
            (
                Expr::made(Op::Elementwise(Elementwise::Mul), inputs.iter().map(|&x| x.into()).collect()),
                "Add in A, Mul in B",
            ),
        ] {
            let mut edits = Edits::new(&model);
            edits.replace(block.add, expr);
            let (cause, _) = cause_of(&model, &validate(edits.apply().unwrap().0).unwrap());
            assert_eq!(cause.kind, "wiring", "{cause:?}");
            assert!(cause.what.contains(what), "{cause:?}");
            assert!(cause.explains > 0.999 && cause.within_bound, "{cause:?}");
        }
    }
}

#[test]
fn a_small_cause_beside_a_large_one_is_not_taken_for_other_weights() {
    let torch = checkpoint("torchvision/resnet50.pth");
    let epsilon = with_ops(&torch, |node| match &node.op {
        Op::BatchNorm(_) => Op::BatchNorm(residua_ir::BatchNorm { epsilon: 1e-3 }),
        other => other.clone(),
    });
    let both = with_tensors(&epsilon, |name, shape, values| {
        if name.starts_with("fc.") {
            let row = values.len() / shape[0];
            values.rotate_left(row);
        }
    });
    let (cause, _) = cause_of(&torch, &both);
    let kinds: Vec<&str> = cause.parts.iter().map(|part| part.kind).collect();
    assert_eq!((cause.kind, &kinds[..]), ("labels", &["epsilon", "labels"][..]), "{cause:?}");
    assert!(cause.within_bound, "{cause:?}");
}

#[test]
fn two_causes_are_told_apart_with_what_each_explains() {
    let model = checkpoint("torchvision/resnet50.pth");
    let changed = with_ops(&model, |node| match &node.op {
        Op::BatchNorm(_) => Op::BatchNorm(residua_ir::BatchNorm { epsilon: 1e-3 }),
        Op::MaxPool(pool) => {
            let pads = Pads { top: 0, left: 0, bottom: 2, right: 2 };
            Op::MaxPool(MaxPool { padding: Padding::Explicit(pads), ..*pool })
        }
        other => other.clone(),
    });
    let (cause, _) = cause_of(&model, &changed);
    let mut kinds: Vec<&str> = cause.parts.iter().map(|part| part.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["epsilon", "padding"], "{cause:?}");
    assert!(cause.explains > 0.99, "{cause:?}");
}

fn checkpoint(label: &str) -> Checked {
    validate(residua_import::load(&residua_tests::checkpoint(label).path).unwrap()).unwrap()
}

/// Two heads on one input; the second takes the root of what it is given.
fn two_heads(first: f32) -> Checked {
    let mut g = GraphBuilder::new("heads");
    let x = g.input("x", Shape::batch(&[3]));
    let kernel = g.weight("kernel", Tensor::from_f32(vec![2, 3], &[first, 1.0, -0.5, 0.25, 2.0, 1.0]).unwrap());
    let below = g.weight("below", Tensor::from_f32(vec![2], &[-100.0, -100.0]).unwrap());
    let sound = g.add("sound", Op::Linear, &[x, kernel]);
    let negative = g.add("negative", Op::Linear, &[x, kernel, below]);
    let broken = g.add("broken", Op::Activation(residua_ir::Activation::Sqrt), &[negative]);
    g.output(sound);
    g.output(broken);
    validate(g.finish().unwrap()).unwrap()
}

#[test]
fn where_some_outputs_are_nan_in_both_the_others_decide_and_it_is_said() {
    let model = two_heads(1.0);
    for found in [
        compare(&model, &model, &Settings::default()).unwrap(),
        prove(&model, &model, Relation::Identical, &Settings::default()).unwrap(),
    ] {
        assert_eq!(found.verdict, Verdict::Same, "{found:?}");
        let broken = found.outputs.iter().find(|output| output.name == "broken").unwrap();
        let values = broken.non_finite.as_ref().unwrap();
        assert!(values.alike && values.a == values.of && values.b == values.of, "{values:?}");
        assert_eq!(values.since_a, Some("broken".into()));
        assert!(found.outputs.iter().any(|output| output.non_finite.is_none()));
    }
    let found = compare(&model, &two_heads(1.5), &Settings::default()).unwrap();
    assert_eq!(found.verdict, Verdict::Different);
}

#[test]
fn infinity_is_no_number_to_prove_with_either_and_no_tolerance_allows_it() {
    let model = |offset: f32| {
        let mut g = GraphBuilder::new("infinite");
        let x = g.input("x", Shape::batch(&[2]));
        let zero = g.weight("zero", Tensor::from_f32(vec![2], &[0.0, 0.0]).unwrap());
        let offset = g.weight("offset", Tensor::from_f32(vec![2], &[offset, offset]).unwrap());
        let sum = g.add("sum", Op::Elementwise(Elementwise::Add), &[x, offset]);
        let quotient = g.add("quotient", Op::Elementwise(Elementwise::Div), &[sum, zero]);
        g.output(quotient);
        validate(g.finish().unwrap()).unwrap()
    };
    let settings = Settings { tolerance: Some(1e9), ..Settings::default() };
    for settings in [Settings::default(), settings] {
        let found = compare(&model(2.0), &model(3.0), &settings).unwrap();
        assert_eq!(found.verdict, Verdict::Different);
        assert!(found.reason.unwrap().contains("since layer `quotient`"));
    }
}

fn magnifying() -> Checked {
    let path = residua_tests::folder().join("proof/magnifying.keras");
    validate(residua_import::load(&path).unwrap()).unwrap()
}

/// Settings for a model that takes images of 0 to 255.
fn images() -> Settings {
    Settings { input_range: Some((0.0, 255.0)), ..Settings::default() }
}

/// The model with what it subtracts disturbed as rounding it once more does.
fn rounded_anew(model: &Checked) -> Checked {
    with_tensors(model, |name, _, values| {
        if name.ends_with("mean") && name.contains("prepared") {
            values.iter_mut().for_each(|value| *value *= 1.0 + 6e-8);
        }
    })
}

#[test]
fn what_a_network_magnifies_is_held_layer_by_layer() {
    let model = magnifying();
    let found = prove(&model, &rounded_anew(&model), Relation::Rearranged, &images()).unwrap();
    assert_eq!(found.verdict, Verdict::Same, "{found:?}");
    let output = &found.outputs[0];
    let apart = output.end_to_end.as_ref().expect("outputs that are apart from end to end");
    assert!(apart.max_abs > 1e3 * output.bound, "{output:?}");
    assert!(output.max_abs <= output.bound);
    assert!(found.method.contains("each layer"), "{}", found.method);
    // No bit may differ where nothing but names changed.
    let exact = prove(&model, &rounded_anew(&model), Relation::Identical, &images()).unwrap();
    assert_eq!(exact.verdict, Verdict::Different);
    assert!(exact.found.contains("not bit-identical"), "{}", exact.found);
}

#[test]
fn a_fault_in_a_network_that_magnifies_is_found_where_it_is_made() {
    let model = magnifying();
    let rounded = rounded_anew(&model);
    for (tensor, layer, factor) in [
        ("first_conv", "first_conv", 1.0 + 1e-4),
        ("second_bn/variance", "second_conv", 1.0 + 1e-3),
        ("scores", "scores", 1.0 + 1e-3),
    ] {
        let mut touched = 0;
        let changed = with_tensors(&rounded, |name, _, values| {
            if name.contains(tensor)
                || (tensor.contains('/') && name.starts_with("second_bn") && name.ends_with("variance"))
            {
                touched += 1;
                values.iter_mut().take(9).for_each(|value| *value *= factor);
            }
        });
        assert!(touched > 0, "no tensor {tensor}");
        let found = prove(&model, &changed, Relation::Rearranged, &images()).unwrap();
        assert_eq!(found.verdict, Verdict::Different, "{tensor}");
        let first = found.first_divergence.expect("a place");
        assert_eq!((first.a.raw(), first.same_inputs), (layer, true), "{tensor}: {first:?}");
        assert!(found.found.contains("differ"), "{}", found.found);
    }
}

#[test]
fn a_norm_that_is_written_out_is_paired_as_a_whole() {
    let model = magnifying();
    let changed = with_tensors(&model, |name, _, values| {
        if name.ends_with("variance") && name.contains("prepared") {
            values[0] *= 1.1;
        }
    });
    // What was computed from the variance is a tensor in the other.
    let found = compare(&model, &changed, &Settings::default()).unwrap();
    let first = found.first_divergence.expect("a place");
    assert_eq!((first.a.raw(), first.b.raw()), ("prepared", "prepared"));
}
