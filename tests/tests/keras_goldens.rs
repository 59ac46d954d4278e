//! Every Keras fixture that holds its graph computes what its own framework computed: outputs and inner layers, in the
//! f32 engine and in the f64 one; and has the parameters, layers and shapes that its framework counts.
//!
//! Fixtures are found by walking the folder, so that new ones are covered; the numbers of them are asserted.

#![allow(clippy::panic, reason = "a panic is how a test fails")]

use std::collections::HashMap;

use residua_exec::{Array, Executor, Options, Precision, compare, order};
use residua_formats::Container;
use residua_ir::{Checked, Graph, Op, Role, ValueId, validate};
use residua_tests::{Fixture, Table};

/// Largest difference, relative to the largest value, from what the framework computed in f32.
const TOLERANCE: f64 = 1e-5;

/// Fixtures of whole models by Keras, without those that nobody can run.
fn whole_models() -> Vec<&'static Fixture> {
    let whole = |fixture: &&Fixture| match residua_formats::open(&fixture.path) {
        Ok(Container::Keras(file)) => file.config.is_some(),
        Ok(_) => false,
        Err(error) => panic!("{}: {error}", fixture.label()),
    };
    let unrunnable = ["lambda", "custom", "subclassed"];
    // LZF is a filter of h5py's own, and refused.
    let unreadable = |fixture: &Fixture| fixture.encoding.contains("lzf");
    let found: Vec<&Fixture> = residua_tests::all()
        .iter()
        .filter(|fixture| !unrunnable.contains(&fixture.name.as_str()) && !unreadable(fixture))
        .filter(whole)
        .collect();
    assert!(found.len() >= 180, "only {} whole models were found", found.len());
    found
}

fn checked(fixture: &Fixture) -> Result<Checked, String> {
    let graph = residua_import::load(&fixture.path).map_err(|error| error.to_string())?;
    let checked = validate(graph).map_err(|error| error.to_string())?;
    let opaque = checked.opaque_nodes().next().map(|id| format!("{:?}", checked.graph().node(id)));
    opaque.map_or(Ok(checked), Err)
}

fn every_parameter_is_counted_as_the_framework_counts_it(fixture: &Fixture) -> Result<(), String> {
    let (checked, facts) = (checked(fixture)?, fixture.facts());
    let count = |wanted: &dyn Fn(Role, bool) -> bool| -> usize {
        let graph = checked.graph();
        let parameters = graph.parameters().iter();
        parameters.filter(|p| wanted(p.role, graph.layer(p.layer).trainable)).map(|p| p.tensor.len()).sum()
    };
    let own = |role| matches!(role, Role::Weight | Role::Statistic | Role::Counter);
    for (key, found) in [
        ("count_params", count(&|role, _| own(role))),
        ("trainable", count(&|role, trainable| role == Role::Weight && trainable)),
    ] {
        // Keras counts the vectors by which a spectral norm is trained; the function that is run uses none of them.
        let training = if key == "count_params" && fixture.name == "spectral_normalization" { 6 } else { 0 };
        let expected = facts[key].as_u64().map(|count| count - training);
        if expected != Some(found as u64) {
            return Err(format!("{key}: {expected:?} there, {found} here"));
        }
    }
    Ok(())
}

fn every_layer_has_the_shape_that_the_framework_shows(fixture: &Fixture) -> Result<(), String> {
    let (checked, facts) = (checked(fixture)?, fixture.facts());
    let values: HashMap<&str, _> =
        checked.graph().value_ids().map(|id| (checked.graph().value(id).name.raw(), id)).collect();
    let (mut shown, mut compared) = (0, 0);
    for layer in facts["layers"].as_array().into_iter().flatten() {
        shown += usize::from(layer["output_shape"].is_array());
        let (Some(name), Some(expected)) = (layer["name"].as_str(), layer["output_shape"].as_array()) else {
            continue;
        };
        // Inputs of nested models are no values of their own, several outputs are no one shape, and Keras believes
        // that glu, which halves an axis, keeps the shape of its input.
        let comparable = name != "a_glu" && !expected.iter().any(serde_json::Value::is_array);
        let Some(&id) = values.get(name).filter(|_| comparable) else { continue };
        let shape = checked.source_shape_of(id).ok_or_else(|| format!("{name} has no shape"))?;
        let fits = shape.rank() == expected.len()
            && shape.dims().iter().zip(expected).all(|(found, there)| match (found.fixed(), there.as_u64()) {
                (Some(found), Some(there)) => found as u64 == there,
                // Keras does not know sizes that follow from a free one.
                (_, None) => true,
                (None, Some(_)) => false,
            });
        if !fits {
            return Err(format!("{name}: {expected:?} there, {shape} here"));
        }
        compared += 1;
    }
    if compared * 2 < shown { Err(format!("{compared} of {shown} layers were found")) } else { Ok(()) }
}

/// The golden arrays of one kind, by the names that the graph gives its inputs or outputs.
fn golden(fixture: &Fixture, kind: &str, graph: &Graph, ids: &[ValueId]) -> Result<Vec<Array>, String> {
    let facts = fixture.facts();
    let there: Vec<&str> =
        facts[format!("{kind}s")].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    let here: Vec<&str> = ids.iter().map(|id| graph.value(*id).name.raw()).collect();
    if there != here {
        return Err(format!("{kind}s {there:?} there, {here:?} here"));
    }
    let mut arrays: HashMap<String, _> =
        fixture.arrays(&format!("{kind}/")).into_iter().map(|(name, shape, values)| (name, (shape, values))).collect();
    let found = here.iter().map(|name| {
        let (shape, values) = arrays.remove(*name).ok_or_else(|| format!("the golden file has no {kind} {name}"))?;
        Array::new(shape, values).map_err(|error| error.to_string())
    });
    found.collect()
}

/// Largest difference relative to the largest value; an error where it is too large.
fn near(name: &str, expected: &Array, found: &Array) -> Result<(), String> {
    let difference = compare::difference(expected, found).map_err(|error| format!("{name}: {error}"))?;
    if difference.max_rel < TOLERANCE {
        return Ok(());
    }
    Err(format!("{name} differs by {:.2e} of its largest value", difference.max_rel))
}

fn residual_networks_need_no_transpose() {
    let mut networks = 0;
    for fixture in
        whole_models().iter().filter(|fixture| ["thin", "cifar", "digits", "transfer"].contains(&&*fixture.set))
    {
        let checked = checked(fixture).unwrap_or_else(|error| panic!("{}: {error}", fixture.label()));
        let moved = checked.graph().nodes().iter().find(|node| matches!(node.op, Op::Transpose { .. }));
        assert!(moved.is_none(), "{}: {moved:?}", fixture.label());
        networks += 1;
    }
    assert!(networks >= 30, "only {networks} networks were found");
}

fn run(fixture: &Fixture, precision: Precision) -> Result<(), String> {
    let text = |error: residua_exec::ExecError| error.to_string();
    let checked = checked(fixture)?;
    let graph = checked.graph();
    let inputs = golden(fixture, "input", graph, graph.inputs())?;
    let outputs = golden(fixture, "output", graph, graph.outputs())?;
    let taps = fixture.arrays("tap/");
    let find = |name: &str| graph.value_ids().find(|id| graph.value(*id).name == name);
    let keep = taps.iter().map(|(name, ..)| find(name).ok_or_else(|| format!("there is no layer {name}")));
    let keep = keep.collect::<Result<Vec<ValueId>, String>>()?;

    let ordered = inputs.iter().zip(graph.inputs());
    let ordered = ordered.map(|(array, id)| order::from_source(array, &graph.value(*id).order).map_err(text));
    let options = Options { precision, keep: keep.clone(), ..Options::default() };
    let executor = Executor::new(&checked, &options).map_err(text)?;
    let results = executor.run(&ordered.collect::<Result<Vec<_>, _>>()?).map_err(text)?;

    for ((name, shape, values), id) in taps.into_iter().zip(keep) {
        let kept = results.kept(id).ok_or_else(|| format!("{name} was not kept"))?;
        let found = order::to_source(kept, &graph.value(id).order).map_err(text)?;
        near(&name, &Array::new(shape, values).map_err(text)?, &found)?;
    }
    for ((expected, found), id) in outputs.iter().zip(&results.outputs).zip(graph.outputs()) {
        let value = graph.value(*id);
        near(value.name.raw(), expected, &order::to_source(found, &value.order).map_err(text)?)?;
    }
    Ok(())
}

fn every_fixture_computes_what_its_framework_computed_in_f32(fixture: &Fixture) -> Result<(), String> {
    run(fixture, Precision::F32)
}

fn every_fixture_computes_what_its_framework_computed_in_f64(fixture: &Fixture) -> Result<(), String> {
    run(fixture, Precision::F64)
}

/// Weights alone of networks of Keras Applications, with what Keras computes.
fn of_applications() -> Vec<&'static Fixture> {
    let found = residua_tests::all().iter().filter(|fixture| fixture.set == "weights" && fixture.golden.is_some());
    let found: Vec<&Fixture> = found.collect();
    assert!(found.len() >= 7, "only {} networks of Keras Applications were found", found.len());
    found
}

fn networks_of_applications_are_told_from_their_weights(fixture: &Fixture) -> Result<(), String> {
    let text = |error: residua_exec::ExecError| error.to_string();
    let checked = checked(fixture)?;
    let graph = checked.graph();
    let array = |kind: &str| -> Result<Array, String> {
        let (_, shape, values) = fixture.arrays(kind).pop().ok_or_else(|| format!("the golden file has no {kind}"))?;
        Array::new(shape, values).map_err(text)
    };
    let ([input], [output]) = (graph.inputs(), graph.outputs()) else { return Err("not one input and output".into()) };
    let image = order::from_source(&array("input/")?, &graph.value(*input).order).map_err(text)?;
    let executor = Executor::new(&checked, &Options::default()).map_err(text)?;
    let results = executor.run(&[image]).map_err(text)?;
    let [found] = &results.outputs[..] else { return Err("it has not one output".to_owned()) };
    near("the output", &array("output/")?, &order::to_source(found, &graph.value(*output).order).map_err(text)?)
}

fn main() {
    let models = whole_models();
    let mut table = Table::new();
    table = table.fixtures(
        "every_parameter_is_counted_as_the_framework_counts_it",
        models.clone(),
        every_parameter_is_counted_as_the_framework_counts_it,
    );
    table = table.fixtures(
        "every_layer_has_the_shape_that_the_framework_shows",
        models.clone(),
        every_layer_has_the_shape_that_the_framework_shows,
    );
    table = table.test("residual_networks_need_no_transpose", residual_networks_need_no_transpose);
    table = table.fixtures(
        "every_fixture_computes_what_its_framework_computed_in_f32",
        models.clone(),
        every_fixture_computes_what_its_framework_computed_in_f32,
    );
    table = table.fixtures(
        "every_fixture_computes_what_its_framework_computed_in_f64",
        models.clone(),
        every_fixture_computes_what_its_framework_computed_in_f64,
    );
    table = table.fixtures(
        "networks_of_applications_are_told_from_their_weights",
        of_applications(),
        networks_of_applications_are_told_from_their_weights,
    );
    table.run()
}
