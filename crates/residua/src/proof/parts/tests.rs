use residua_ir::rewrite::fold_batch_norm;
use residua_ir::{
    Activation, Checked, Conv, Elementwise, GraphBuilder, Op, Padding, Pads, Shape, Tensor, Typed, validate,
};

use super::super::{Relation, Settings, Verdict, Verification, prove};

fn digits() -> Checked {
    validate(residua_import::load(&residua_tests::fixture("digits/digits.k3.keras").path).unwrap()).unwrap()
}

fn folded(model: &Typed) -> Checked {
    validate(fold_batch_norm(model).unwrap().graph).unwrap()
}

fn prove_folded(model: &Checked, folded: &Checked) -> Verification {
    let settings = Settings { input_range: Some((0.0, 255.0)), ..Settings::default() };
    prove(model, folded, Relation::Rearranged, &settings).unwrap()
}

#[test]
fn of_a_folded_network_only_what_was_folded_is_run() {
    let model = digits();
    let found = prove_folded(&model, &folded(&model));
    assert_eq!((found.verdict, found.method.as_str()), (Verdict::Same, "identical-graph-in-part"), "{}", found.found);
    let parts = found.in_parts.unwrap();
    let norms = model.graph().nodes().iter().filter(|node| matches!(node.op, Op::BatchNorm(_))).count();
    assert_eq!(parts.by_numbers.len(), norms);
    for part in &parts.by_numbers {
        // A convolution and its norm against a convolution.
        assert_eq!(part.operators, [2, 1], "{part:?}");
        assert!(part.max_abs <= part.bound, "{part:?}");
    }
    // What was folded is rounded anew.
    assert!(parts.by_numbers.iter().any(|part| part.max_abs > 0.0), "{parts:?}");
    // Everything else goes by structure: activations, sums, the classifier.
    assert!(parts.operators >= norms && parts.tensors > 0, "{parts:?}");
    // Asked for runs, it runs both as a whole.
    let settings = Settings { numeric: true, ..Settings::default() };
    let ran = prove(&model, &folded(&model), Relation::Rearranged, &settings).unwrap();
    assert!(ran.in_parts.is_none() && ran.top1_agree == Some(true), "{}", ran.found);
}

/// A model with some elements of one tensor multiplied.
fn disturbed(model: &Checked, tensor: &str, count: usize, factor: f64) -> Checked {
    let graph = model.graph().clone().map_tensors(|parameter| {
        if !parameter.name.raw().starts_with(tensor) {
            return Ok(parameter.tensor.clone());
        }
        let mut values = parameter.tensor.to_f64()?;
        values.iter_mut().take(count).for_each(|value| *value *= factor);
        Tensor::from_f64(parameter.tensor.shape().to_vec(), &values)
    });
    validate(graph.unwrap()).unwrap()
}

#[test]
fn a_fault_in_what_was_folded_is_found_at_its_layer_and_one_in_the_rest_as_well() {
    let model = digits();
    let folded = folded(&model);
    let graph = folded.graph();
    let tensors: Vec<(String, String)> = graph
        .nodes()
        .iter()
        .filter_map(|node| {
            let weight = graph.as_parameter(*node.inputs.get(1)?)?;
            matches!(node.op, Op::Conv(_) | Op::Linear)
                .then(|| (weight.name.raw().to_owned(), graph.layer(node.layer).name.raw().to_owned()))
        })
        .collect();
    assert!(tensors.len() > 5);
    for (tensor, layer) in tensors {
        let found = prove_folded(&model, &disturbed(&folded, &tensor, usize::MAX, 1.001));
        assert_eq!(found.verdict, Verdict::Different, "{tensor}");
        let first = found.first_divergence.unwrap();
        assert_eq!(first.b.raw(), layer, "{tensor}");
    }
}

/// A sum of a branch and what goes into it, written in one of several ways.
fn summed(sum: impl FnOnce(&mut GraphBuilder, [residua_ir::ValueId; 3]) -> residua_ir::ValueId) -> Checked {
    let mut g = GraphBuilder::new("net");
    let x = g.input("x", Shape::fixed(&[1, 2, 8, 8]));
    let mut values = Vec::new();
    for (at, name) in ["one", "two"].into_iter().enumerate() {
        let kernel: Vec<f32> = (0..36u16).map(|i| f32::from(i % 7) / 8.0 - f32::from(u16::from(at == 0))).collect();
        let kernel = g.weight(&format!("{name}/kernel"), Tensor::from_f32(vec![2, 2, 3, 3], &kernel).unwrap());
        let padding = Padding::Explicit(Pads { top: 1, left: 1, bottom: 1, right: 1 });
        let conv = g.add(name, Op::Conv(Conv { padding, ..Conv::default() }), &[x, kernel]);
        values.push(g.add(&format!("{name}/relu"), Op::Activation(Activation::RELU), &[conv]));
    }
    let sum = sum(&mut g, [x, values[0], values[1]]);
    let last = g.add("last", Op::Activation(Activation::Tanh), &[sum]);
    g.output(last);
    validate(g.finish().unwrap()).unwrap()
}

const ADD: Op = Op::Elementwise(Elementwise::Add);

#[test]
fn a_sum_in_another_order_is_held_against_its_own_rounding_alone() {
    let from_the_left = summed(|g, [x, y, z]| g.add("sum", ADD, &[x, y, z]));
    let from_the_right = summed(|g, [x, y, z]| {
        let rest = g.add("rest", ADD, &[y, z]);
        g.add("sum", ADD, &[x, rest])
    });
    let found = prove(&from_the_left, &from_the_right, Relation::Rearranged, &Settings::default()).unwrap();
    let parts = found.in_parts.unwrap_or_else(|| panic!("it is proved in parts, found: {}", found.found));
    assert_eq!((found.verdict, parts.by_numbers.len()), (Verdict::Same, 1));
    // Another function there is found, whatever the rest is.
    let other = summed(|g, [x, y, z]| {
        let rest = g.add("rest", Op::Elementwise(Elementwise::Max), &[y, z]);
        g.add("sum", ADD, &[x, rest])
    });
    let found = prove(&from_the_left, &other, Relation::Rearranged, &Settings::default()).unwrap();
    assert_eq!(found.verdict, Verdict::Different);
}

#[test]
fn a_sum_of_three_is_a_sum_of_sums_without_a_run() {
    let at_once = summed(|g, [x, y, z]| g.add("sum", ADD, &[x, y, z]));
    let in_pairs = summed(|g, [x, y, z]| {
        let first = g.add("first", ADD, &[x, y]);
        g.add("sum", ADD, &[first, z])
    });
    let found = prove(&at_once, &in_pairs, Relation::Identical, &Settings::default()).unwrap();
    assert_eq!((found.verdict, found.method.as_str()), (Verdict::Same, "identical-graph"), "{}", found.found);
}
