//! A model against outputs that its own framework computed.

use crate::error::{Result, bail};
use residua_exec::compare::difference;
use residua_exec::{Array, order};
use residua_ir::{Checked, Hint, ValueId, validate};

use super::bound::{Bound, within};
use super::finite::{self, Traced};
use super::narrow::Narrow;
use super::verification::Method;
use super::{Run, Settings, Verdict, Verification, run};

/// Inputs and outputs in the source's axis order, in the order of the model's inputs and outputs.
#[derive(Debug, Clone)]
pub struct Golden {
    /// The file or folder that holds them.
    pub name: String,
    /// One array for each input.
    pub inputs: Vec<Array>,
    /// One array for each output.
    pub outputs: Vec<Array>,
}

/// Runs a model on the inputs and holds what it gives against the outputs.
///
/// A framework computes in f32, so the bound is that of f32 rounding, as for two models. Where the source computes in a
/// narrower type and the outputs are not within that, it is what rounding to this type after each operation does. Whole
/// numbers and truth values have to be the same.
///
/// # Errors
/// Where the model cannot be run on these inputs.
pub fn golden(model: &Checked, golden: &Golden, settings: &Settings) -> Result<Verification> {
    let graph = model.graph();
    if golden.inputs.len() != graph.inputs().len() || golden.outputs.len() != graph.outputs().len() {
        bail!(
            "the golden file has {} inputs and {} outputs, the model {} and {}",
            golden.inputs.len(),
            golden.outputs.len(),
            graph.inputs().len(),
            graph.outputs().len()
        );
    }
    let inputs: Vec<Array> = golden
        .inputs
        .iter()
        .zip(graph.inputs())
        .map(|(array, &id)| Ok(order::from_source(array, &graph.value(id).order)?))
        .collect::<Result<_>>()?;
    let shapes: Vec<_> = inputs.iter().map(|array| Some(array.shape().to_vec())).collect();
    let model = validate(graph.clone().with_input_shapes(&shapes)?)?;

    let exact = Run::new(&model, &inputs, model.graph().outputs().to_vec(), settings)?;
    if let Some(tolerance) = settings.tolerance {
        let bounds = vec![Bound::tolerance(tolerance); exact.exact.len()];
        let method = method(&format!("{tolerance:e}"));
        return hold(&model, golden, &exact, &bounds, &method, settings);
    }
    let bounds = whole(&model, exact.noise(settings, "the model")?);
    let held = hold(&model, golden, &exact, &bounds, &method("f32 rounding noise"), settings)?;
    let Some(narrow) = Narrow::of(&model)? else { return Ok(held) };
    if held.verdict == Verdict::Same || held.outputs.len() < exact.exact.len() {
        return Ok(held);
    }
    // What a framework rounds after each operation is farther away, and by how much can be tried.
    let bounds = whole(&model, narrow.noise(&inputs, &exact.exact, bounds, settings)?);
    let dtype = narrow.dtype;
    let noise = format!("what rounding to {dtype} after each operation does to them, since the source computes in it,");
    hold(&model, golden, &exact, &bounds, &method(&noise), settings)
}

/// What gives the other form of a network without a classifier, where the ranks are those of a map and a vector.
fn other_form(found: usize, expected: usize) -> String {
    let other = match (found, expected) {
        (4, 2) => "avg gives the mean of the last map",
        (2, 4) => "none gives the map of the last block",
        _ => return String::new(),
    };
    format!("; of a network without a classifier, {} {other}", Hint::Pooling)
}

/// What is asked for, where outputs may differ by so much.
fn method(most: &str) -> Method {
    Method {
        names: ["the golden file", "the model"],
        holds: format!("f64 outputs within {most} of the golden ones"),
        fails: format!("f64 outputs differ from the golden ones by more than {most}").trim_end_matches(',').to_owned(),
        layers: String::new(),
    }
}

/// Outputs that are no reals are to be what they are.
fn whole(model: &Checked, bounds: Vec<Bound>) -> Vec<Bound> {
    let is_real = |&id: &ValueId| model.type_of(id).is_none_or(|ty| ty.dtype.is_float());
    let outputs = model.graph().outputs().iter().map(is_real);
    bounds.into_iter().zip(outputs).map(|(bound, real)| if real { bound } else { Bound::whole() }).collect()
}

/// What the model gave against the golden outputs.
fn hold(
    model: &Checked,
    golden: &Golden,
    exact: &Run<'_>,
    bounds: &[Bound],
    method: &Method,
    settings: &Settings,
) -> Result<Verification> {
    let mut verification = Verification::new(method);
    for ((&id, expected), (found, bound)) in
        model.graph().outputs().iter().zip(&golden.outputs).zip(exact.exact.iter().zip(bounds))
    {
        let value = model.graph().value(id);
        let found = order::to_source(found, &value.order)?;
        if found.shape() != expected.shape() {
            verification.verdict = Verdict::Different;
            verification.reason = Some(format!(
                "output `{}`: the model gives shape {:?}, the golden file has {:?}{}",
                value.name,
                found.shape(),
                expected.shape(),
                other_form(found.shape().len(), expected.shape().len())
            ));
            break;
        }
        let difference = difference(expected, &found)?;
        if !within(&difference, bound.value) {
            verification.verdict = Verdict::Different;
        }
        let mut output = run::output(value.name.raw(), (expected, &found), &difference, bound);
        if let Some(values) = &mut output.non_finite {
            // Bits of NaN are another framework's own business.
            values.alike = difference.non_finite.of_other_kind == 0;
            values.since_b = Traced::new(model, exact.inputs, settings)?.since(id);
        }
        verification.push(output);
    }
    finite::judge(&mut verification, &[]);
    Ok(verification.settled(method))
}
