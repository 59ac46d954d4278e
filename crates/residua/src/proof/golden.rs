//! A model against outputs that its own framework computed.

use anyhow::{Result, bail};
use residua_exec::compare::difference;
use residua_exec::{Array, order};
use residua_ir::{Checked, validate};

use super::bound::{Bound, within};
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
/// The framework computed in f32, so the bound is that of f32 rounding, as for two models.
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
    let bounds = match settings.tolerance {
        Some(tolerance) => vec![Bound::tolerance(tolerance); exact.exact.len()],
        None => exact.noise(settings, "the model")?,
    };
    let method = match settings.tolerance {
        Some(tolerance) => format!("f64 outputs within {tolerance:e} of the golden ones"),
        None => "f64 outputs within f32 rounding noise of the golden ones".to_owned(),
    };
    let mut verification = Verification::new(&method);
    for ((&id, expected), (found, bound)) in
        model.graph().outputs().iter().zip(&golden.outputs).zip(exact.exact.iter().zip(bounds))
    {
        let value = model.graph().value(id);
        let found = order::to_source(found, &value.order)?;
        if found.shape() != expected.shape() {
            verification.verdict = Verdict::Different;
            verification.reason = Some(format!(
                "output `{}`: the model gives shape {:?}, the golden file has {:?}",
                value.name,
                found.shape(),
                expected.shape()
            ));
            break;
        }
        let difference = difference(expected, &found)?;
        if !within(&difference, bound.value) {
            verification.verdict = Verdict::Different;
        }
        verification.push(run::output(&value.name, (expected, &found), &difference, &bound));
    }
    Ok(verification)
}
